"""Intervals and boxes: how an axis is cut into tiles, and how a box is read from a picture or a ring."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Span(NamedTuple):
    """Pixels lo .. hi - 1 of one axis, in the pixels of one resolution. On a ring it may reach beyond the ends."""

    lo: int
    hi: int

    @property
    def length(self) -> int:
        """Number of pixels."""
        return self.hi - self.lo

    def clamp(self, size: int) -> Span:
        """The part that lies on an axis of that many pixels."""
        return Span(max(self.lo, 0), min(self.hi, size))


class Box(NamedTuple):
    """Rows and columns of one tile."""

    y: Span
    x: Span

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.y.length * self.x.length


def cut(size: int, tile: int) -> list[Span]:
    """Cuts an axis into the fewest spans of at most `tile` pixels, all of nearly the same length."""
    n = -(-size // tile)
    ends = [i * size // n for i in range(n + 1)]
    return [Span(lo, hi) for lo, hi in pairwise(ends)]


def grid(height: int, width: int, tile: int) -> list[Box]:
    """Boxes of at most tile x tile pixels that cover every pixel exactly once, row by row."""
    return [Box(y, x) for y in cut(height, tile) for x in cut(width, tile)]


def read(picture: Tensor, box: Box) -> Tensor:
    """The box of a picture [1, C, H, W]; beyond an end the picture goes on at its other end. A view where possible."""
    for dim, span in ((-2, box.y), (-1, box.x)):
        size = picture.shape[dim]
        if span.lo >= 0 and span.hi <= size:
            picture = picture.narrow(dim, span.lo, span.length)
        else:
            index = torch.arange(span.lo, span.hi, device=picture.device) % size
            picture = picture.index_select(dim, index)
    return picture


def crop(tile: Tensor, have: Box, want: Box) -> Tensor:
    """View of the part `want` of a tile that covers `have`."""
    rows = tile.narrow(-2, want.y.lo - have.y.lo, want.y.length)
    return rows.narrow(-1, want.x.lo - have.x.lo, want.x.length)
