"""Reads any part of a Deep Zoom picture at any size, from no more of its tiles than that takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from PIL import Image

from .pyramid import Pyramid

KEPT_TILES = 96
"""In memory; more than what one frame of a zoom needs."""
MARGIN = 4
"""Pixels around a part that a bicubic filter may look at."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the picture."""


class Reader:
    """Reads a finished Deep Zoom picture.

    Args:
        pyramid: the picture.
    """

    def __init__(self, pyramid: Pyramid) -> None:
        self._pyramid = pyramid
        self._tile = lru_cache(KEPT_TILES)(pyramid.tile_image)

    def region(self, box: Box, size: tuple[int, int]) -> Image.Image:
        """A part of the picture at a size, from the smallest level that is large enough.

        Args:
            box: which part; it is cut off at the picture's edges.
            size: width and height of the result, pixels.

        Raises:
            TiledError: a tile that is needed is not there yet, or cannot be read.
        """
        level = self._level(box, size)
        width, height = self._pyramid.size_of(level)
        sides = (width, height, width, height)
        left, top, right, bottom = (min(max(v, 0.0), 1.0) * side for v, side in zip(box, sides, strict=True))
        x, y = max(0, int(left) - MARGIN), max(0, int(top) - MARGIN)
        area = (x, y, min(width, int(right) + 1 + MARGIN), min(height, int(bottom) + 1 + MARGIN))
        within = (left - x, top - y, right - x, bottom - y)
        return self._part(level, area).resize(size, Image.Resampling.BICUBIC, box=within)

    def _level(self, box: Box, size: tuple[int, int]) -> int:
        pyramid = self._pyramid
        across, down = size[0] / (box[2] - box[0]), size[1] / (box[3] - box[1])
        enough = (n for n in range(pyramid.top) if pyramid.size_of(n)[0] >= across and pyramid.size_of(n)[1] >= down)
        return next(enough, pyramid.top)

    def _part(self, level: int, area: tuple[int, int, int, int]) -> Image.Image:
        part = Image.new("RGB", (area[2] - area[0], area[3] - area[1]))
        tile = self._pyramid.tile
        for x, y in self._tiles_in(area):
            part.paste(self._tile(level, x, y), (x * tile - area[0], y * tile - area[1]))
        return part

    def _tiles_in(self, area: tuple[int, int, int, int]) -> Iterator[tuple[int, int]]:
        tile = self._pyramid.tile
        for y in range(area[1] // tile, (area[3] - 1) // tile + 1):
            for x in range(area[0] // tile, (area[2] - 1) // tile + 1):
                yield x, y
