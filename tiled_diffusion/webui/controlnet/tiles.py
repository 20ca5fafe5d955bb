"""ControlNet's units in one job, cropped to tiles.

Works on the extension by what it has, and never imports it: a script named "ControlNet" with a `latest_network` whose
`control_params` are the units (see control_units.py). Hints are resized to the canvas, and their latents made, once for
each sampling; every model call sees its own crops, and afterwards the units are as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import ModelRows

from .controls import Controls
from .units import (
    FACE,
    Changes,
    Rows,
    Unit,
    WholeUnit,
    follows_tiles,
    is_whole,
    kind_of,
    takes_one_crop,
    to_main_memory,
    unit_of,
)

TITLE = "controlnet"
NEVER = -1.0
"""A fraction of the sampling at which no unit acts."""
LLLITE = "Controlllite"


class ControlTiles(Controls):
    """The units of one job.

    Args:
        every: the extension's units.
        network: its hook of the U-Net, which holds them.
        p: the host's job.
        separate: whether each unit is for one picture of the batch.
        on_cpu: whether whole hints lie in main memory while tiles are drawn.
    """

    def __init__(
        self, every: Sequence[Any], network: Any = None, p: Any = None, *, separate: bool = False, on_cpu: bool = False
    ) -> None:
        self.every, self.network, self.p = list(every), network, p
        self.separate, self.on_cpu = separate, on_cpu
        self.units: list[Unit] = []
        self.moved: list[Callable[[], None]] = []

    @classmethod
    def find(cls, p: Any, *, on_cpu: bool = False) -> ControlTiles | None:
        """The units at work in a job; None where there are none."""
        for script in getattr(p.scripts, "alwayson_scripts", []):
            network = getattr(script, "latest_network", None)
            if network is not None and script.title().lower() == TITLE:
                units = list(getattr(network, "control_params", None) or [])
                return cls(units, network, p, separate=_is_separate(script), on_cpu=on_cpu) if units else None
        return None

    @property
    def one_tile(self) -> bool:
        """Whether a model call can have one tile only."""
        return (self.separate and len(self.every) > 1) or any(takes_one_crop(params) for params in self.every)

    @property
    def whole(self) -> list[str]:
        """Kinds of the units that act on the whole picture, or part of which does."""
        return [kind_of(unit.params) for unit in self.units if _is_whole(unit)]

    def begin(self, canvas: Extent, tile: Extent) -> None:
        """A sampling on a canvas begins: hints are fitted to it, and encoded where a unit needs their latents.

        Args:
            canvas: in latent pixels.
            tile: size of the largest one.
        """
        self.restore()
        hires = bool(getattr(self.p, "is_hr_pass", False))
        for params in self.every:
            home: list[torch.device] = []
            if self.on_cpu and not is_whole(params):
                self.moved.append(to_main_memory(params, home))
            self.units.append(unit_of(params, canvas, hires=hires, home=home[0] if home else None))
        channels = getattr(getattr(self.network, "model", None), "in_channels", 0)
        for unit in self.units if hasattr(self.network, "call_vae_using_process") else []:
            unit.encode(self._encoded, channels, tile)

    def _encoded(self, pictures: Tensor, mask: Tensor | None = None) -> Any:
        """Latents [B, 4, h / 8, w / 8] of pictures in 0..1, made by the extension; what the mask hides is grey."""
        return self.network.call_vae_using_process(self.p, pictures, None, mask)

    @contextmanager
    def model_call(self, rows: ModelRows, x: Tensor, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ARG002
        """Within the block, units hold what belongs to the rows of a model call, which are all on, or all off."""
        negatives = None if rows.negatives is None else tuple(rows.negatives)
        shown = Rows([tile.view for tile in rows.tiles], rows.images, negatives, rows.on[0])
        changes = Changes()
        try:
            for unit in self.units:
                unit.show(shown, changes)
            if not shown.on:
                self._silence(changes)
            yield {}
        finally:
            changes.undo()

    def _silence(self, changes: Changes) -> None:
        """No unit acts: those in the U-Net's forward, those that hang in its attention, those that paint back."""
        for params in self.every:
            changes.set(params, guidance_stopped=True, weight=0.0)
        unet = getattr(self.network, "model", None)
        if unet is not None:
            changes.set(unet, current_sampling_percent=NEVER)

    def restore(self) -> None:
        """Puts everything back."""
        for back in self.moved:
            back()
        self.units, self.moved = [], []


def _is_whole(unit: Unit) -> bool:
    kind = kind_of(unit.params)
    hung = kind == LLLITE and not follows_tiles(unit.params.control_model)
    return isinstance(unit, WholeUnit) or kind == FACE or hung


def _is_separate(script: Any) -> bool:
    """Whether the extension's units are spread over the pictures of a batch."""
    state = getattr(script, "ui_batch_option_state", None) or [""]
    return str(state[0]).startswith("Each ControlNet unit")
