"""Forge and reForge: LLLites, ControlNets whose hint lies in layers that hang on the U-Net's attention.

Each layer makes its features of the hint when it is first called, and keeps them; and it counts its calls, as if each
were a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.control import fitted_hint
from tiled_diffusion.webui.controlnet.units import HINT_PX, Changes, Rows

HAS = ("cond_image", "cond_emb", "current_step", "num_steps", "multiplier")


class Layers:
    """The layers of all LLLites of one sampling.

    Args:
        canvas: in latent pixels.
    """

    def __init__(self, canvas: Extent) -> None:
        self.canvas = canvas
        self.hints: dict[int, tuple[Tensor, Tensor]] = {}

    def show(self, inputs: Mapping[str, Any], rows: Rows, step: int, changes: Changes) -> None:
        """Lets each layer see the rows' part of the hint, as in a given step.

        Args:
            inputs: of the model call, among which are the layers.
            rows: of the call.
            step: number of the denoiser call.
            changes: by which everything comes back.
        """
        for layers in _lllites(inputs):
            crops = rows.crops(self._fitted(layers[0].cond_image))
            for layer in layers:
                now = step % layer.num_steps if layer.num_steps else 0
                strength = layer.multiplier if rows.on else 0.0
                changes.set(layer, cond_image=crops, cond_emb=None, current_step=now, multiplier=strength)

    def _fitted(self, image: Tensor) -> Tensor:
        """Once for each hint, which is kept too: its number is not given to another one."""
        if id(image) not in self.hints:
            self.hints[id(image)] = image, fitted_hint(image, self.canvas, HINT_PX)
        return self.hints[id(image)][1]


def _lllites(inputs: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The layers of each."""
    patches = inputs.get("transformer_options", {}).get("patches", {}).values()
    for patch in {id(patch): patch for patch in chain.from_iterable(patches)}.values():
        layers = getattr(patch, "modules", None)
        every = list(layers.values()) if isinstance(layers, dict) else []
        if every and all(hasattr(layer, name) for layer in every for name in HAS):
            yield every
