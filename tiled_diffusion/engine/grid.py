"""The tiles of one prompt as rows and columns: counted without their weights, and made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from .geometry import Box, Extent
from .masks import places
from .regions import Coverage
from .tiles import Role, Tile
from .windows import AxisTiles


class Group(Protocol):
    """Tiles of one prompt, size and role, that can be counted before they are made."""

    @property
    def prompt(self) -> int:
        """As in Tile."""

    @property
    def role(self) -> Role:
        """As in Tile."""

    @property
    def extent(self) -> Extent:
        """Of every tile."""

    @property
    def count(self) -> int:
        """Of its tiles."""

    def boxes(self) -> Iterator[Box]:
        """Where its tiles lie on the canvas."""

    def tiles(self) -> Iterator[Tile]:
        """Its tiles with their weights, in the order of `boxes`."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The tiles of one prompt: rows times columns over an area, without those that draw nothing.

    Attributes:
        area: on the canvas; its tiles' places are counted from its corner.
        prompt: as in Tile.
        rows, cols: the tiles of its axes.
        coverage: how much of the area the prompt draws, [area.h, area.w]; None: all of it.
        role: as in Tile.
    """

    area: Box
    prompt: int
    rows: AxisTiles
    cols: AxisTiles
    coverage: Coverage | None = None
    role: Role = "all"

    @property
    def extent(self) -> Extent:
        """Of every tile."""
        return Extent(self.rows.tile, self.cols.tile)

    @cached_property
    def kept(self) -> npt.NDArray[np.bool_]:
        """[rows, columns]: which tiles have a weight anywhere. Counted by sums over rectangles, without weights."""
        if self.coverage is None:
            return np.ones((len(self.rows.starts), len(self.cols.starts)), dtype=bool)
        past = [
            (0, max(0, max(a.starts) + a.tile - n))
            for a, n in zip((self.rows, self.cols), self.area.extent, strict=True)
        ]
        sums = np.pad(np.pad(self.coverage > 0, past, mode="wrap").cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        (top, bottom), (left, right) = (_support(axis) for axis in (self.rows, self.cols))
        inside = (
            sums[np.ix_(bottom, right)]
            - sums[np.ix_(top, right)]
            - sums[np.ix_(bottom, left)]
            + sums[np.ix_(top, left)]
        )
        return np.asarray(inside > 0)

    @property
    def count(self) -> int:
        """Of its tiles."""
        return int(self.kept.sum())

    def boxes(self) -> Iterator[Box]:
        """Where its tiles lie on the canvas, row by row."""
        for i, j in np.argwhere(self.kept):
            yield Box(self.rows.starts[i] + self.area.y, self.cols.starts[j] + self.area.x, *self.extent)

    def tiles(self) -> Iterator[Tile]:
        """Its tiles with their weights, in the order of `boxes`."""
        for (i, j), box in zip(np.argwhere(self.kept), self.boxes(), strict=True):
            weight = np.outer(self.rows.weights[i], self.cols.weights[j])
            if self.coverage is not None:
                here = box.moved(-self.area.y, -self.area.x)
                weight = weight * self.coverage[places(here, Extent(*self.coverage.shape))]
            yield Tile(box, torch.from_numpy(weight.astype(np.float32)), self.prompt, self.role)


def _support(axis: AxisTiles) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First pixel and the one after the last that count, of each tile of an axis; weights have no holes."""
    counts = axis.weights > 0
    begin, starts = counts.argmax(axis=1), np.asarray(axis.starts)
    return starts + begin, starts + axis.tile - counts[:, ::-1].argmax(axis=1)
