"""Which blocks a picture is drawn in, and how much each counts where they overlap.

Blocks begin where tiles do, and hold a whole number of strides, so that blocks that overlap are cut into the same tiles
there. Only the last column and the last row have tiles of their own, unless the picture's edge is the end of a tile
there: their blocks are longer, and spread their tiles evenly up to the edge. Near its edge a block knows less of what
lies around it than its neighbour does; so one gives way to the other in the middle of what they share.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tiled_diffusion.errors import TiledError

BLOCK_TILES, SHARED_TILES = 7, 2
RAMP = 0.25
"""Of an overlap, the part in its middle in which one block gives way to the other."""
Weights = npt.NDArray[np.float32]


class Area(NamedTuple):
    """A part of the picture, image pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True)
class Axis:
    """Blocks along one axis.

    Attributes:
        length: of the axis, image pixels.
        block: length of a block; the last one may be longer, by less than `stride`, and so be cut into other tiles.
        overlap: that blocks side by side share at least.
        stride: from one tile to the next.
    """

    length: int
    block: int
    overlap: int
    stride: int

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where blocks begin: at the fewest multiples of the stride that will do, spread evenly."""
        last = max(0, self.length - self.block) // self.stride
        most = (self.block - self.overlap) // self.stride
        count = -(-last // most) + 1
        return tuple(i * last // max(1, count - 1) * self.stride for i in range(count))

    def span(self, i: int) -> tuple[int, int]:
        """First pixel of a block, and the one after its last."""
        last = i == len(self.starts) - 1
        return self.starts[i], self.length if last else self.starts[i] + self.block

    def counting(self, start: int, stop: int) -> Iterator[tuple[int, Weights]]:
        """The blocks that count between two pixels, and how much each does."""
        first = bisect_right(self.starts, start - self.block)
        for i in range(min(first, len(self.starts) - 1), bisect_left(self.starts, stop)):
            if (weights := self.weights(i, start, stop)).any():
                yield i, weights

    def weights(self, i: int, start: int, stop: int) -> Weights:
        """How much block i counts from pixel `start` to `stop`; all blocks together count 1 everywhere."""
        centres = np.arange(start, stop, dtype=np.float32) + 0.5
        rise = np.ones_like(centres) if i == 0 else self._rise(i, centres)
        return rise if i == len(self.starts) - 1 else rise - self._rise(i + 1, centres)

    def _rise(self, i: int, centres: Weights) -> Weights:
        """How far block i has taken the place of the one before it."""
        shared, stop = self.starts[i], self.span(i - 1)[1]
        ramp = max(1, (stop - shared) * RAMP)
        risen: Weights = np.clip((centres - (shared + stop) / 2) / ramp + 0.5, 0, 1)
        return risen


@dataclass(frozen=True)
class Layout:
    """The blocks of a picture.

    Attributes:
        columns: along its width.
        rows: along its height.
    """

    columns: Axis
    rows: Axis

    def places(self) -> Iterator[tuple[int, int]]:
        """(x, y) of every block, row by row."""
        return ((x, y) for y in range(len(self.rows.starts)) for x in range(len(self.columns.starts)))

    @property
    def count(self) -> int:
        """Of all blocks."""
        return len(self.columns.starts) * len(self.rows.starts)

    def area(self, x: int, y: int) -> Area:
        """Of a block."""
        (left, right), (top, bottom) = self.columns.span(x), self.rows.span(y)
        return Area(left, top, right, bottom)

    def over(self, area: Area) -> Iterator[tuple[int, int, Weights]]:
        """(x, y, weights [h, w]) of the blocks that count in an area."""
        for y, down in self.rows.counting(area.top, area.bottom):
            for x, across in self.columns.counting(area.left, area.right):
                yield x, y, down[:, None] * across

    def places_over(self, area: Area) -> list[tuple[int, int]]:
        """(x, y) of the blocks that count in an area, without their weights."""
        columns = [x for x, _ in self.columns.counting(area.left, area.right)]
        return [(x, y) for y, _ in self.rows.counting(area.top, area.bottom) for x in columns]


def axis(length: int, tile: int, tile_overlap: int, block: int | None, overlap: int | None) -> Axis:
    """The blocks along an axis.

    Args:
        length: of the axis, image pixels.
        tile: side of a tile.
        tile_overlap: of tiles side by side.
        block: length of a block, rounded up to whole tiles; None for BLOCK_TILES tiles' lengths.
        overlap: that blocks share at least; None for what SHARED_TILES overlapping tiles cover.

    Raises:
        TiledError: a block is smaller than a tile, or the overlap more than half of it.
    """
    stride = tile - tile_overlap
    block = block or tile * BLOCK_TILES
    if block < tile:
        raise TiledError(f"block: got {block}, allowed is the side of a tile, {tile} px, or more")
    block = tile + -(-(block - tile) // stride) * stride
    most = min(block // 2, block - stride)
    overlap = overlap or min(tile + (SHARED_TILES - 1) * stride, most)
    if overlap > most:
        raise TiledError(f"block_overlap: got {overlap}, allowed with blocks of {block} px is at most {most}")
    return Axis(length, block, overlap, stride)
