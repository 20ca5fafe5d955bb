"""Tiles and plans: what is evaluated in one denoiser call on the canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from .dilated import Dilated
from .geometry import Box, Extent
from .view import View

Role = Literal["all", "unguided", "direction"]
"""What of its guided prediction u + s (c - u) a tile contributes."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One part of the canvas to be denoised.

    Attributes:
        view: which pixels it reads and writes; a box on a ring may reach past the end of the canvas.
        weight: [h, w] float32; over all tiles of role "all" or "unguided" the weights sum to 1 at every pixel of the
            canvas, and so do those of role "direction" where there are any.
        prompt: 0 is the main prompt, k the k-th region (from 1).
        role: what of its prediction counts.
    """

    view: View
    weight: Tensor
    prompt: int = 0
    role: Role = "all"

    @property
    def box(self) -> Box:
        """The box that holds all its pixels."""
        return self.view.box


def told_size(tile: Tile, canvas: Extent, px: int, *, each: bool) -> tuple[int, ...] | None:
    """What an SDXL model is told of a tile instead of the canvas's size, image pixels; None: nothing else.

    Original height and width, upper left corner, target height and width (arXiv 2307.01952, section 2.2). A small
    picture of the whole is told to be one of its own size.

    Args:
        tile: a crop.
        canvas: latent pixels.
        px: image pixels of a latent pixel's side.
        each: whether other tiles are told their size and place.
    """
    if tile.role == "direction" or isinstance(tile.view, Dilated):
        height, width = (side * px for side in tile.view.extent)
        return (height, width, 0, 0, height, width)
    if not each:
        return None
    box = tile.box.scaled(px)
    return (canvas.h * px, canvas.w * px, box.y, box.x, box.h, box.w)


@dataclass(frozen=True)
class Plan:
    """All tiles of one denoiser call on the canvas."""

    canvas: Extent
    tiles: tuple[Tile, ...]

    @property
    def is_whole(self) -> bool:
        """One tile that is the canvas itself: the untiled call."""
        if len(self.tiles) != 1:
            return False
        tile = self.tiles[0]
        return tile.view == Box(0, 0, *self.canvas) and tile.role == "all" and bool((tile.weight == 1).all())

    @property
    def work_ratio(self) -> float:
        """Pixels evaluated / pixels of the canvas."""
        return sum(t.view.extent.h * t.view.extent.w for t in self.tiles) / (self.canvas.h * self.canvas.w)

    def batches(self, size: int) -> Iterator[tuple[Tile, ...]]:
        """Tiles of equal shape in groups of at most `size`, as equal in length as possible."""
        alike: dict[tuple[Extent, int], list[Tile]] = {}
        for tile in self.tiles:
            alike.setdefault((tile.view.extent, tile.view.rows_of(2)), []).append(tile)
        for tiles in alike.values():
            groups = -(-len(tiles) // size)
            for i in range(groups):
                yield tuple(tiles[i * len(tiles) // groups : (i + 1) * len(tiles) // groups])
