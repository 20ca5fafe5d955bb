"""A zoom without a jump: frame by frame into the entered tile of each level, and into the first picture again.

The window of a level shrinks by the same factor from frame to frame, w(t) = n^-t for n x n tiles, about the one point
that the whole picture and its entered tile have in common; a point of the picture that is there stays there on the
screen. Over the last part of a level the tile gives way to the picture that is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.mosaic import Place

from .folder import MosaicFolder
from .reader import Box, Reader

FADE = 0.1
"""Part of a level in which the tile gives way."""


def window(place: Place, columns: int, t: float) -> Box:
    """What is seen of a level at time t, from 0 (all of it) to 1 (the tile at `place`)."""
    width = columns**-t
    left, top = (at / (columns - 1) * (1 - width) for at in place)
    return left, top, left + width, top + width


class Zoom:
    """The frames of a finished mosaic.

    Args:
        folder: of the mosaic, which is square.
        side: of a frame, pixels.

    Raises:
        TiledError: the mosaic is not finished, or not square.
    """

    def __init__(self, folder: MosaicFolder, side: int) -> None:
        if folder.grid.columns != folder.grid.rows:
            raise TiledError(f"zoom: got {folder.grid.columns}x{folder.grid.rows} tiles, allowed is a square grid")
        missing = [n for n in range(1, folder.settings.depth + 1) if n not in folder.entered()]
        if missing:
            raise TiledError(f"zoom: level {missing[0]} is not finished yet")
        self._folder, self._side, self._entered = folder, side, folder.entered()
        self.levels = folder.settings.depth

    @cached_property
    def _readers(self) -> dict[int, Reader]:
        return {level: Reader(self._folder.pyramid(level)) for level in range(1, self.levels + 1)}

    def frame(self, level: int, t: float) -> Image.Image:
        """The frame at time t, 0 to 1, of a level from 1; at 1 it is the next level's first."""
        columns, place = self._folder.grid.columns, self._entered[level]
        box = window(place, columns, t)
        image = self._readers[level].region(box, (self._side, self._side))
        following = level + 1 if level < self.levels else 1
        amount = min(1.0, (t - (1 - FADE)) / FADE)
        if amount <= 0 or (level == self.levels and not self._folder.settings.loops):
            return image
        return self._faded(image, box, place, self._readers[following], amount)

    def _faded(self, image: Image.Image, box: Box, place: Place, following: Reader, amount: float) -> Image.Image:
        """A frame with the picture that its entered tile becomes, as far as it shows by now."""
        side, tile = self._side, 1 / self._folder.grid.columns
        scale = side / (box[2] - box[0])
        left, top = (place.x * tile - box[0]) * scale, (place.y * tile - box[1]) * scale
        x, y = max(0, round(left)), max(0, round(top))
        right, bottom = (min(side, round(start + tile * scale)) for start in (left, top))
        part = ((x - left), (y - top), (right - left), (bottom - top))
        shown = (*(min(1.0, max(0.0, v / (tile * scale))) for v in part),)
        over = following.region((shown[0], shown[1], shown[2], shown[3]), (right - x, bottom - y))
        image.paste(Image.blend(image.crop((x, y, right, bottom)), over, amount), (x, y))
        return image

    def frames(self, count: int) -> Iterator[Image.Image]:
        """So many frames over all levels, evenly; the one that would follow a loop's last is its first."""
        for i in range(count):
            time = i * self.levels / count
            level = min(self.levels, int(time) + 1)
            yield self.frame(level, time - (level - 1))
