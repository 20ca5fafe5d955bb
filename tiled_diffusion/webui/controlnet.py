"""ControlNet's hints, cropped to tiles.

Works on the extension's units by what they have, and never imports it: a script named "ControlNet" with a
`latest_network` whose `control_params` each hold a hint. Units that look at the whole picture (reference, IP-Adapter,
InstantID and the like) are left alone. Hints are resized to the canvas once, and every model call sees its own crops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tiled_diffusion.fuse import ring_crop
from tiled_diffusion.geometry import Box, Extent

TITLE = "controlnet"
HINT_PX = 8
GLOBAL = ("AttentionInjection", "IPAdapter", "InstantID", "ReVision", "T2I_StyleAdapter")
"""Names of the kinds of units whose hints are no maps of the canvas."""
KEPT = ("hr_hint_cond", "effective_region_mask", "guidance_stopped")


@dataclass
class Unit:
    """One ControlNet of the job.

    Attributes:
        params: the extension's object.
        hint: [1 or B, C, 8 H, 8 W] on the canvas.
        mask: [1, 1, 8 H, 8 W] or None, where the unit acts.
        before: what its attributes were.
    """

    params: Any
    hint: Tensor
    mask: Tensor | None
    before: dict[str, Any] = field(default_factory=dict)

    def restore(self) -> None:
        """As it was."""
        for name, value in self.before.items():
            setattr(self.params, name, value)


class ControlTiles:
    """The units of one job that follow tiles."""

    def __init__(self, every: Sequence[Any]) -> None:
        self.every = list(every)
        self.units: list[Unit] = []

    @classmethod
    def find(cls, p: Any) -> ControlTiles | None:
        """The units at work in a job; None where there are none."""
        for script in getattr(p.scripts, "alwayson_scripts", []):
            network = getattr(script, "latest_network", None)
            if network is not None and script.title().lower() == TITLE:
                found = list(getattr(network, "control_params", None) or [])
                return cls(found) if found else None
        return None

    def begin(self, canvas: Extent) -> None:
        """A sampling on a canvas begins: hints are fitted to it."""
        self.restore()
        size = (canvas.h * HINT_PX, canvas.w * HINT_PX)
        for params in self.every:
            hint = _hint_for(params, size)
            if hint is not None:
                mask = getattr(params, "effective_region_mask", None)
                fitted = None if mask is None else _fitted(mask, size)
                before = {name: getattr(params, name, None) for name in KEPT if name != "guidance_stopped"}
                self.units.append(Unit(params, _fitted(hint, size), fitted, {**before, "hint_cond": params.hint_cond}))

    @property
    def whole(self) -> list[str]:
        """Kinds of the units that act on the whole picture."""
        mine = [u.params for u in self.units]
        return [_kind(p) for p in self.every if not any(p is m for m in mine)]

    @contextmanager
    def selected(self, boxes: Sequence[Box], images: Sequence[int], on: bool) -> Iterator[None]:
        """Within the block, hints are those of the crops.

        Args:
            boxes: of each row of the model call.
            images: number of the picture of each row.
            on: whether units act at all.
        """
        stopped = [(params, params.guidance_stopped) for params in self.every]
        try:
            for params, was in stopped:
                params.guidance_stopped = was or not on
            for unit in self.units if on else []:
                _show(unit, boxes, images)
            yield
        finally:
            for params, was in stopped:
                params.guidance_stopped = was

    def restore(self) -> None:
        """Puts everything back."""
        for unit in self.units:
            unit.restore()
        self.units = []


def _kind(params: Any) -> str:
    kind = getattr(params, "control_model_type", None)
    return str(getattr(kind, "name", kind))


def _hint_for(params: Any, size: tuple[int, int]) -> Tensor | None:
    """The hint of the present pass, the hires one where that is nearer; None where it is no map of the canvas."""
    if any(name in _kind(params) for name in GLOBAL):
        return None
    every: list[Any] = [params.hint_cond, getattr(params, "hr_hint_cond", None)]
    choices = [h for h in every if _is_map(h)]
    return min(choices, key=lambda h: abs(h.shape[-2] - size[0]) + abs(h.shape[-1] - size[1]), default=None)


def _is_map(hint: Any) -> bool:
    return isinstance(hint, Tensor) and hint.dim() == 4 and min(hint.shape[-2:]) > 1


def _fitted(hint: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(hint.shape[-2:]) == size:
        return hint
    return interpolate(hint.float(), size=size, mode="bilinear", antialias=True).to(hint.dtype)


def _show(unit: Unit, boxes: Sequence[Box], images: Sequence[int]) -> None:
    params = unit.params
    params.hint_cond = _crops(unit.hint, boxes, images)
    params.hr_hint_cond = None  # else the extension chooses between the two by size
    if unit.mask is not None:
        params.effective_region_mask = _crops(unit.mask, boxes, images)
    reset = getattr(params.control_model, "reset", None)
    if callable(reset):  # adapters keep the features of the hint they saw first
        reset()


def _crops(hint: Tensor, boxes: Sequence[Box], images: Sequence[int]) -> Tensor:
    """A crop for each row; a hint of several pictures gives each row its own picture's."""
    rows = [hint[i % hint.shape[0]][None] for i in images]
    return torch.cat([ring_crop(row, box.scaled(HINT_PX)) for row, box in zip(rows, boxes, strict=True)])
