"""Forge and reForge: the ControlNets that hang on a patcher, cropped to tiles.

They are a chain, whose head the host asks once for all rows of a call. The U-Net takes what it is given out of its
lists, and leaves out what does not fit in size. So the head is asked anew for each model call, while every ControlNet
of the chain has the crops of the call's rows in the place of its hint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import ModelRows, Moment
from tiled_diffusion.engine.guides.control import fitted_hint
from tiled_diffusion.errors import TiledError
from tiled_diffusion.webui.controlnet.controls import Controls
from tiled_diffusion.webui.controlnet.units import HINT_PX, Changes, Rows
from tiled_diffusion.webui.hosts.a1111.jobs import scripts_of

from .layers import Layers

TITLE = "ControlNet"
NEVER = (-1.0, -1.0)
"""A range of sigmas in which no ControlNet acts."""
REFERENCE = "reference"
"""Part of the names of preprocessors that need the whole picture at once."""
WHOLE = ("ip-adapter", "ip_adapter", "photomaker", "instant")
"""Parts of names of models that look at a whole picture, whatever is drawn."""


@dataclass
class Unit:
    """One ControlNet or T2I-Adapter.

    Attributes:
        control: the host's object.
        hint: [1 or B, C, 8 H, 8 W] of the canvas.
        mask: [1 or B, 1, 8 H, 8 W] or None, where it acts.
        weights: of each picture of the batch, or None.
    """

    control: Any
    hint: Tensor
    mask: Tensor | None
    weights: list[float] | None

    @classmethod
    def of(cls, control: Any, canvas: Extent, *, on_cpu: bool) -> Unit:
        """With all that lies on the canvas in its size.

        Raises:
            TiledError: its hint is no picture.
        """
        hint, mask = control.cond_hint_original, getattr(control, "advanced_mask_weighting", None)
        if not isinstance(hint, Tensor) or hint.dim() != 4:
            raise TiledError(f"{TITLE}: the hint of a {type(control).__name__} cannot be cut into tiles: switch it off")
        hint = fitted_hint(hint, canvas, HINT_PX)
        weights = getattr(control, "advanced_frame_weighting", None)
        mask = fitted_hint(mask, canvas, HINT_PX) if isinstance(mask, Tensor) else None
        return cls(control, hint.cpu() if on_cpu else hint, mask, weights)

    def show(self, rows: Rows, changes: Changes) -> None:
        """The rows' part of the canvas becomes all that there is."""
        changes.set(self.control, cond_hint_original=rows.crops(self.hint), cond_hint=None)
        if self.mask is not None:
            changes.set(self.control, advanced_mask_weighting=rows.crops(self.mask))
        if self.weights is not None:
            weights = [self.weights[image % len(self.weights)] for image in rows.images]
            changes.set(self.control, advanced_frame_weighting=weights)
        if not rows.on:
            changes.set(self.control, timestep_range=NEVER)
        if hasattr(self.control, "control_input"):  # features of a T2I-Adapter
            changes.set(self.control, control_input=None)


class ControlChain(Controls):
    """The ControlNets of one sampling.

    Args:
        head: the last one, which knows the one before it, and so on.
        whole: names of units that act on the whole picture.
        on_cpu: whether whole hints lie in main memory while tiles are drawn.
    """

    def __init__(self, head: Any, whole: list[str], *, on_cpu: bool = False) -> None:
        self.head, self._whole, self.on_cpu = head, whole, on_cpu
        self.units: list[Unit] = []
        self.layers: Layers | None = None
        self.step = 0

    @property
    def whole(self) -> list[str]:
        """By their models' names."""
        return self._whole

    @classmethod
    def find(cls, p: Any, *, on_cpu: bool = False) -> ControlChain | None:
        """Those of the model in use; None where there are none.

        Raises:
            TiledError: names the unit that cannot be cut into tiles.
        """
        names = list(_names_of_units(p))
        for name in names:
            if REFERENCE in name.lower():
                raise TiledError(f"{TITLE}: {name} needs the whole picture, and does not go with tiles here")
        whole = [name for name in names if any(part in name.lower() for part in WHOLE)]
        head = p.sd_model.forge_objects.unet.controlnet_linked_list
        return cls(head, whole, on_cpu=on_cpu) if head is not None or names else None

    def begin(self, canvas: Extent, tile: Extent) -> None:  # noqa: ARG002 the protocol's
        """A sampling on a canvas begins: hints are fitted to it."""
        self.units = [Unit.of(control, canvas, on_cpu=self.on_cpu) for control in chain(self.head)]
        self.layers = Layers(canvas)

    def begin_step(self, moment: Moment) -> None:
        """Layers of LLLites go by it."""
        self.step = moment.number

    @contextmanager
    def model_call(self, rows: ModelRows, x: Tensor, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ARG002 x
        """Within the block, ControlNets have what belongs to the rows of a model call."""
        shown = Rows([tile.view for tile in rows.tiles], rows.images, None, rows.on[0])
        changes = Changes()
        try:
            for unit in self.units:
                unit.show(shown, changes)
            if self.layers is not None:
                self.layers.show(inputs, shown, self.step, changes)
            yield {}
        finally:
            changes.undo()

    def restore(self) -> None:
        """Lets the hints go; on the host's objects nothing is left between model calls."""
        self.units, self.layers = [], None


def chain(head: Any) -> Iterator[Any]:
    """All of them, from the head on."""
    while head is not None:
        yield head
        head = head.previous_controlnet


def controlled(head: Any, call: dict[str, Any], *, cropped: bool) -> dict[str, Any]:
    """A call of the model with what its ControlNets say.

    Args:
        head: of the chain, or None.
        call: as wrappers get it.
        cropped: whether each row has a hint of its own.
    """
    if head is None or "control" in call["c"]:
        return call
    options, marks = call["c"].get("transformer_options", {}), call["cond_or_uncond"]
    more = (options,) if "transformer_options" in signature(head.get_control).parameters else ()
    if not more:  # Forge: weights of pictures are repeated for each mark
        for control in chain(head):
            control.transformer_options = {**options, "cond_or_uncond": [0]} if cropped else options
    said = head.get_control(call["input"], call["timestep"], dict(call["c"]), len(marks), *more)
    own = {"control": said} if more else {"control": said, "control_model": head}
    return {**call, "c": {**call["c"], **own}}


def _names_of_units(p: Any) -> Iterator[str]:
    """Preprocessor and model of each unit that is on."""
    for script in scripts_of(p):
        for unit in script.values if script.title == TITLE else ():
            value = unit.get if isinstance(unit, dict) else lambda name, unit=unit: getattr(unit, name, None)
            if value("enabled"):
                yield f"{value('module')}, {value('model')}"
