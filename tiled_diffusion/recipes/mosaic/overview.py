"""A small picture of a level that fills up while its tiles are drawn."""

from __future__ import annotations

import time
from collections.abc import Iterable

from PIL import Image

from tiled_diffusion.settings.mosaic import Place

from .files import picture_bytes, write_kept
from .folder import MosaicFolder

LONGEST = 1024
SECONDS = 2.0
"""Least time between two writings."""
QUALITY = 90
FAINT = 0.35
"""Of what is not drawn yet, how much shows."""


class Overview:
    """Writes FOLDER/LEVEL.jpg.

    Args:
        folder: of the mosaic.
        level: from 1.
        done: tiles that are there already.
    """

    def __init__(self, folder: MosaicFolder, level: int, done: Iterable[Place]) -> None:
        columns, rows = folder.grid.columns, folder.grid.rows
        self._cell = max(1, min(folder.tile, LONGEST // max(columns, rows)))
        self.path = folder.path / f"{level}.jpg"
        size = (columns * self._cell, rows * self._cell)
        below = folder.picture(level).resize(size, Image.Resampling.BICUBIC)
        self.image = Image.blend(Image.new("RGB", size, "white"), below, FAINT)
        pyramid = folder.pyramid(level)
        for place in done:
            self.add(place, pyramid.tile_image(pyramid.top, *place))
        self._written = 0.0

    def add(self, place: Place, image: Image.Image) -> None:
        """Shows a tile."""
        small = image.resize((self._cell, self._cell), Image.Resampling.BOX)
        self.image.paste(small, (place.x * self._cell, place.y * self._cell))

    def write(self, *, now: bool = False) -> None:
        """Writes it, if the last one is old enough."""
        if now or time.monotonic() - self._written >= SECONDS:
            write_kept(self.path, picture_bytes(self.image, QUALITY))
            self._written = time.monotonic()
