"""Dilated views: every s-th pixel of the canvas, which is blurred before (DemoFusion, arXiv 2311.16973)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv1d, interpolate

from .geometry import Box, Extent
from .placing import moved
from .view import Indexed, View

Rings = tuple[bool, bool]
"""Axes that are rings, (down, across)."""


class Filter(NamedTuple):
    """How a canvas is blurred; see `blurred`."""

    canvas: Extent
    deviation: float
    size: int
    rings: Rings

    def __call__(self, x: Tensor) -> Tensor:
        """The canvas, [B, C, H, W], of an x that may be larger."""
        return blurred(x[..., : self.canvas.h, : self.canvas.w], self.deviation, self.size, self.rings)


@dataclass(frozen=True, eq=False)
class Dilated(Indexed):
    """Every step-th pixel from an offset on; past the end of the canvas it reads the last one of an axis again.

    Attributes:
        canvas: latent pixels.
        offset: of the first pixel, 0 to step - 1.
        step: s.
        count: pixels that are the canvas's own, down and across; the others fill up to what the model needs.
        rings: there the sub-grid begins anywhere, at `turn`.
        blur: standard deviation of the Gaussian by which the canvas is blurred before, pixels.
    """

    canvas: Extent = field(default_factory=lambda: Extent(1, 1))
    offset: Extent = field(default_factory=lambda: Extent(0, 0))
    step: int = 1
    count: Extent = field(default_factory=lambda: Extent(1, 1))
    rings: Rings = (False, False)
    turn: Extent = field(default_factory=lambda: Extent(0, 0))
    blur: float = 0.0

    @property
    def box(self) -> Box:
        """All of the canvas."""
        return Box(0, 0, *self.canvas)

    @property
    def filter(self) -> Filter:
        """What the canvas goes through before; `gather` does without."""
        return Filter(self.canvas, self.blur, 2 * self.step - 1, self.rings)

    def weights(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """[h, w]: 1 where a pixel is the canvas's own, 0 where one is repeated."""
        out = torch.zeros(tuple(self.extent), dtype=dtype)
        out[: self.count.h, : self.count.w] = 1
        return out

    def shrunk(self, fine: Tensor, factor: int) -> Tensor:
        """A map [.., factor H, factor W] of the canvas in the sub-grid's size, [.., factor h, factor w]."""
        rows, cols = (
            ((torch.arange(n * self.step * factor, device=fine.device) + o * factor).clamp(max=length * factor - 1)
            + t * factor) % (length * factor)
            for n, o, t, length in zip(self.extent, self.offset, self.turn, self.canvas, strict=True)
        )
        filled = fine[..., rows[:, None], cols].float()
        size = (self.extent.h * factor, self.extent.w * factor)
        return interpolate(filled, size=size, mode="area").to(fine.dtype)


def dilated(
    canvas: Extent,
    offset: Extent,
    step: int,
    multiple: int = 1,
    rings: Rings = (False, False),
    turn: Extent = Extent(0, 0),  # noqa: B008 a tuple
    blur: float = 0.0,
) -> Dilated:
    """One sub-grid; sides are filled up to multiples of `multiple`. See Dilated."""
    side = [math.ceil(math.ceil(length / step) / multiple) * multiple for length in canvas]
    places = [
        ((torch.arange(n) * step + o).clamp(max=_last(length, o, step)) + t) % length
        for n, o, t, length in zip(side, offset, turn, canvas, strict=True)
    ]
    count = Extent(*(len(range(o, length, step)) for o, length in zip(offset, canvas, strict=True)))
    return Dilated(places[0][:, None], places[1][None], None, canvas, offset, step, count, rings, turn, blur)


def _last(length: int, offset: int, step: int) -> int:
    """The last place of a sub-grid on its axis."""
    return (length - 1 - offset) // step * step + offset


class Seen:
    """The canvas of one denoiser call as its views see it: what views alike in their blur see is blurred once.

    Args:
        x: [B, C, H, W], with what rings repeat.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._filtered: dict[Filter, Tensor] = {}

    def through(self, view: View) -> Tensor:
        """What the model sees of a view, [rows, C, h, w]."""
        if not isinstance(view, Dilated):
            return view.gather(self.x)
        if view.filter not in self._filtered:
            self._filtered[view.filter] = view.filter(self.x)
        return view.gather(self._filtered[view.filter])


def kernel(deviation: float, size: int) -> Tensor:
    """A Gaussian [size], size odd, that sums to 1; with a deviation of 0 the middle alone."""
    distances = torch.arange(size, dtype=torch.float64) - size // 2
    if deviation <= 0:
        return (distances == 0).double()
    weights = torch.exp(-0.5 * (distances / deviation) ** 2)
    return weights / weights.sum()


def blurred(x: Tensor, deviation: float, size: int, rings: Rings) -> Tensor:
    """X [B, C, H, W] blurred, with the mean and the deviation that each channel of each picture had.

    Args:
        x: past its border the last pixel is repeated, or a ring goes on.
        deviation: of the Gaussian, pixels.
        size: of its kernel, odd.
        rings: see Dilated.
    """
    if deviation == 0:
        return x
    out = x.float()
    weights = moved(kernel(deviation, size).to(out.dtype), out.device)
    for axis, ring in zip((-2, -1), rings, strict=True):
        out = _along(out.transpose(axis, -1), weights, ring).transpose(axis, -1)
    spread = x.float().std(dim=(-2, -1), keepdim=True) / out.std(dim=(-2, -1), keepdim=True).clamp(min=1e-6)
    restored = (out - out.mean(dim=(-2, -1), keepdim=True)) * spread + x.float().mean(dim=(-2, -1), keepdim=True)
    return restored.to(x.dtype)


def _along(x: Tensor, weights: Tensor, ring: bool) -> Tensor:
    """The last axis of [.., n] by a kernel."""
    rows, reach = x.reshape(-1, 1, x.shape[-1]), len(weights) // 2
    places = torch.arange(-reach, x.shape[-1] + reach, device=x.device)
    places = places % x.shape[-1] if ring else places.clamp(0, x.shape[-1] - 1)
    return conv1d(rows[..., places], weights.reshape(1, 1, -1)).reshape(x.shape)
