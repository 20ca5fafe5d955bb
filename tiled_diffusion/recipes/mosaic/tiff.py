"""Writes a level as one BigTIFF, tile by tile, by the library tifffile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.files import UNFINISHED

from .pyramid import Pyramid

TIFF_UNIT = 16


def check_tiff(path: Path) -> None:
    """Tells what is wrong with a TIFF's name before anything is drawn; raises TiledError."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise TiledError(f"tiff: got {path.name}, allowed is a name that ends with .tif: other formats do not hold it")
    _library()


def write_tiff(pyramid: Pyramid, path: Path, dpi: tuple[float, float] | None = None) -> None:
    """Writes a finished level, with dots per inch where they are given; no more than a tile is in memory.

    Raises:
        TiledError: a tile is not there yet, its side is no multiple of 16, or the file cannot be written.
    """
    check_tiff(path)
    if pyramid.tile % TIFF_UNIT:
        raise TiledError(f"tiff: tiles of a TIFF are multiples of {TIFF_UNIT} px, and these are of {pyramid.tile}")
    width, height = pyramid.size
    part = path.with_name(path.name + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _library().imwrite(
            part, _tiles(pyramid), shape=(height, width, 3), dtype="uint8", photometric="rgb", bigtiff=True,
            tile=(pyramid.tile, pyramid.tile), compression="zlib", compressionargs={"level": 1},
            **({} if dpi is None else {"resolution": dpi, "resolutionunit": "INCH"}),
        )  # fmt: skip
        part.replace(path)
    except OSError as e:
        raise TiledError(f"{path}: the TIFF cannot be written ({e})") from e
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _tiles(pyramid: Pyramid) -> Iterator[npt.NDArray[np.uint8]]:
    """Row by row; those at the end of a row or column filled up, for a TIFF's are all of one size."""
    columns, rows = pyramid.grid
    for y in range(rows):
        for x in range(columns):
            pixels = np.asarray(pyramid.tile_image(pyramid.top, x, y))
            yield np.pad(pixels, [*((0, pyramid.tile - side) for side in pixels.shape[:2]), (0, 0)])


def _library() -> Any:
    try:
        import tifffile
    except ImportError as e:
        raise TiledError("tiff: the library tifffile is needed: pip install tifffile") from e
    return tifffile
