"""What a tile is drawn from, and what becomes of its colours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.mosaic import Grid, Mosaic


class Cells(NamedTuple):
    """The grid of a level: tiles across and down."""

    columns: int
    rows: int


Pixels = npt.NDArray[np.float32]
CLIPPED_ROUNDS = 3
"""Shifting clips at black and white, which moves the mean again."""
EXACT_ROUNDS = 12


def fitted_grid(grid: Grid, size: tuple[int, int]) -> Cells:
    """The grid with its rows, for a picture of a size.

    Raises:
        TiledError: there would be more tiles than pixels on an axis.
    """
    columns, rows = grid
    if rows is None:
        width, height = size
        longer, shorter = columns, max(2, round(columns * min(size) / max(size)))
        columns, rows = (longer, shorter) if width >= height else (shorter, longer)
    if size[0] < columns or size[1] < rows:
        raise TiledError(f"picture: got {size[0]}x{size[1]} px, which is smaller than the grid of {columns}x{rows}")
    return Cells(columns, rows)


def enlarged_cell(picture: Image.Image, grid: Cells, x: int, y: int, tile: int) -> Image.Image:
    """The tile's place in the picture at the tile's size; bicubic, for Lanczos rings where so little is enlarged."""
    w, h = picture.width / grid.columns, picture.height / grid.rows
    box = (x * w, y * h, min((x + 1) * w, picture.width), min((y + 1) * h, picture.height))
    return picture.resize((tile, tile), Image.Resampling.BICUBIC, box=box)


def block_colours(picture: Image.Image, grid: Cells, blocks: int = 1) -> Pixels:
    """[rows * blocks, columns * blocks, 3], 0 to 255: the mean colours of the places, each in so many blocks a side."""
    columns, rows = grid.columns * blocks, grid.rows * blocks
    channels = [band.convert("F").resize((columns, rows), Image.Resampling.BOX) for band in picture.split()]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in channels], axis=-1)


def coloured(image: Image.Image, settings: Mosaic, wanted: Pixels) -> Image.Image:
    """A drawn tile with the colours of its place.

    Args:
        image: RGB.
        settings: say what is done.
        wanted: [blocks, blocks, 3], the colours of the place.
    """
    if settings.colour == "none":
        return image
    pixels = np.asarray(image, dtype=np.float32)
    if settings.colour == "match":
        for _ in range(CLIPPED_ROUNDS):
            pixels = np.clip(pixels + wanted.mean((0, 1)) - pixels.mean((0, 1)), 0, 255)
    else:
        for _ in range(EXACT_ROUNDS):
            pixels = np.clip(pixels + _resized(wanted - _means(pixels, len(wanted)), image.size), 0, 255)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _resized(values: Pixels, size: tuple[int, int], filter_: Image.Resampling = Image.Resampling.BICUBIC) -> Pixels:
    bands = [Image.fromarray(np.ascontiguousarray(values[..., c])).resize(size, filter_) for c in range(3)]
    return np.stack([np.asarray(band) for band in bands], axis=-1)


def _means(pixels: Pixels, blocks: int) -> Pixels:
    return _resized(pixels, (blocks, blocks), Image.Resampling.BOX)
