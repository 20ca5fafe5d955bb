"""Which tile of a level is entered: as the settings say, or one that makes the zoom smooth."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tiled_diffusion.settings.mosaic import Place

from .cells import Pixels, block_colours
from .folder import MosaicFolder
from .reader import Reader

SIDE = 16
"""Pixels across a tile at which tiles are compared."""


def entered_before(folder: MosaicFolder, level: int) -> Place | None:
    """The tile that is known before the level is drawn, or None where its tiles decide.

    The last level of a loop leads to the first picture: into the cell whose mean colour is most like that picture's,
    for that cell's tile is shifted least; of equal ones, into the one nearest to the middle.
    """
    settings = folder.settings
    if settings.enter:
        return settings.enter[min(level, len(settings.enter)) - 1]
    if not (settings.loops and level == settings.depth):
        return None
    means = block_colours(folder.picture(level), folder.grid)
    first = block_colours(folder.picture(1), folder.grid).mean((0, 1))
    return _least(((means - first) ** 2).sum(-1))


def entered_after(folder: MosaicFolder, level: int) -> Place:
    """Of a finished level, the tile that is most like the first picture, colours set aside."""
    columns, rows = folder.grid.columns, folder.grid.rows
    small = Reader(folder.pyramid(level)).region((0, 0, 1, 1), (columns * SIDE, rows * SIDE))
    tiles = np.asarray(small, dtype=np.float32).reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 1, 3, 4)
    first = np.asarray(folder.picture(1).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    return _least(((_centred(tiles) - _centred(first)) ** 2).mean((2, 3, 4)))


def _centred(tiles: Pixels) -> Pixels:
    centred: Pixels = tiles - tiles.mean((-3, -2), keepdims=True)
    return centred


def _least(values: Pixels) -> Place:
    rows, columns = values.shape
    y, x = np.mgrid[:rows, :columns]
    off_middle = (y - (rows - 1) / 2) ** 2 + (x - (columns - 1) / 2) ** 2
    order = np.lexsort((off_middle.ravel(), np.round(values, 3).ravel()))
    return Place(int(order[0] % columns), int(order[0] // columns))
