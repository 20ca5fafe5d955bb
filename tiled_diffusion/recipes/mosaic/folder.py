"""The folder of a mosaic: its settings, the first picture, a Deep Zoom picture for each level, and what is done."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.fields import rows
from tiled_diffusion.settings.files import UNFINISHED
from tiled_diffusion.settings.mosaic import Mosaic, Place, mosaic_from_dict

from .cells import Cells
from .files import LOCK, RUNNING, read_json, write_json
from .pyramid import Pyramid, opened

MANIFEST, FIRST, ENTERED, REDRAWN = "mosaic.json", "0.png", "entered.json", "redrawn.json"
NAME = re.compile(r"\w[\w -]{0,62}\w|\w")
PNG_BYTES, JPEG_BYTES = 2.2, 0.7
"""On disk for each pixel of full size, with the smaller levels: for noisy pictures, so that the guess is no promise
that breaks."""
FREE_TO_CHANGE = ("picture", "tile_batch")
"""Fields that may differ when a mosaic goes on: a path, and what changes rounding alone."""


@dataclass(frozen=True)
class MosaicFolder:
    """A mosaic on disk.

    Attributes:
        path: the folder.
        settings: with tile and the grid's rows as numbers.
        model: name of the model that draws it.
    """

    path: Path
    settings: Mosaic
    model: str

    @property
    def grid(self) -> Cells:
        """Of every level."""
        columns, down = self.settings.grid
        assert down is not None
        return Cells(columns, down)

    @property
    def tile(self) -> int:
        """Side of a tile, image pixels."""
        assert self.settings.tile is not None
        return self.settings.tile

    @property
    def tiles(self) -> int:
        """Of a level."""
        return self.grid.columns * self.grid.rows

    @property
    def first_path(self) -> Path:
        """The first picture."""
        return self.path / FIRST

    def pyramid(self, level: int) -> Pyramid:
        """A level's picture, from level 1."""
        return Pyramid(self.path / f"{level}_files", *self.grid, self.tile, self.settings.jpeg)

    def picture(self, level: int) -> Image.Image:
        """What a level is made of, RGB: the first picture, or the tile that was entered on the level before.

        Raises:
            TiledError: it is not there, or cannot be read.
        """
        if level == 1:
            with opened(self.first_path) as image:
                return image.convert("RGB")
        place = self.entered()[level - 1]
        pyramid = self.pyramid(level - 1)
        return pyramid.tile_image(pyramid.top, place.x, place.y)

    def places(self) -> Iterator[Place]:
        """Of a level's tiles, row by row."""
        return (Place(x, y) for y in range(self.grid.rows) for x in range(self.grid.columns))

    def done(self, level: int) -> list[Place]:
        """The tiles of a level that are there.

        Raises:
            TiledError: a tile's file is no tile.
        """
        pyramid = self.pyramid(level)
        return [place for place in self.places() if pyramid.has(place.x, place.y)]

    def entered(self) -> dict[int, Place]:
        """The tile that is entered, by level, as far as that is decided."""
        value = read_json(self.path / ENTERED)
        return {int(k): Place(*v) for k, v in value.items()} if isinstance(value, dict) else {}

    def enter(self, level: int, place: Place) -> None:
        """Decides on the tile that is entered on a level."""
        entered = {**self.entered(), level: place}
        write_json(self.path / ENTERED, {str(k): list(v) for k, v in entered.items()})

    def redrawn(self) -> dict[tuple[int, Place], int]:
        """Seeds of tiles that were drawn anew."""
        value = read_json(self.path / REDRAWN)
        if not isinstance(value, list):
            return {}
        return {(level, Place(x, y)): seed for level, x, y, seed in value}

    def redraw(self, level: int, place: Place, seed: int) -> None:
        """Takes a tile away, to be drawn with another seed when the mosaic goes on.

        Raises:
            TiledError: there is no such tile, or other levels are made of it.
        """
        if level > self.settings.depth or place.x >= self.grid.columns or place.y >= self.grid.rows:
            allowed = f"level 1 to {self.settings.depth}, x below {self.grid.columns}, y below {self.grid.rows}"
            raise TiledError(f"redo: got {place.x},{place.y} of level {level}, allowed is {allowed}")
        followed = level < self.settings.depth or self.settings.loops
        if followed and self.entered().get(level) == place:
            raise TiledError(f"redo: tile {place.x},{place.y} of level {level} is entered, and what follows is of it")
        pyramid = self.pyramid(level)
        pyramid.forget_above(place.x, place.y)
        pyramid.tile_path(place.x, place.y).unlink(missing_ok=True)
        seeds = {**self.redrawn(), (level, place): seed}
        write_json(self.path / REDRAWN, [[at, *where, s] for (at, where), s in seeds.items()])

    def document(self) -> dict[str, Any]:
        """What the manifest holds: the settings, the model, and the digest of all that changes pixels."""
        settings = self.settings.to_dict()
        return {"mosaic": settings, "model": self.model, "digest": _digest(settings, self.model)}

    def bytes_for(self, tiles: int) -> int:
        """What so many tiles take on disk, more or less."""
        return int(tiles * self.tile**2 * (PNG_BYTES if self.settings.jpeg is None else JPEG_BYTES))

    def check_room(self) -> tuple[int, int]:
        """Tiles that are still to be drawn, and the bytes that they take, more or less.

        Raises:
            TiledError: the disk has less room.
        """
        missing = sum(self.tiles - len(self.done(level)) for level in range(1, self.settings.depth + 1))
        needed = self.bytes_for(missing)
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise TiledError(
                f"{self.path}: about {gigabytes(needed)} are needed, and {gigabytes(free)} are free; JPEG needs a third"
            )
        return missing, needed


def gigabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:.2f} GB"


def _digest(settings: object, model: str) -> str:
    return hashlib.sha256(json.dumps([settings, model], sort_keys=True).encode()).hexdigest()


def named_folder(base: Path, name: str) -> Path:
    """The folder of a mosaic that is called by a name, within the folder of all of them.

    Raises:
        TiledError: it is no plain name: nothing outside of the folder can be named.
    """
    name = name.strip()
    if not NAME.fullmatch(name):
        raise TiledError(f"name: got {name[:80]!r}, allowed are 1 to 64 letters, digits, spaces and hyphens")
    return base / name


def mosaics_in(base: Path) -> list[str]:
    """Names of the mosaics in a folder, the latest first."""
    manifests = sorted(base.glob(f"*/{MANIFEST}"), key=lambda p: p.stat().st_mtime, reverse=True)
    return [p.parent.name for p in manifests]


def opened_folder(path: Path) -> MosaicFolder:
    """The mosaic in a folder.

    Raises:
        TiledError: there is none, or its manifest cannot be read.
    """
    manifest = read_json(path / MANIFEST)
    if manifest is None:
        raise TiledError(f"{path}: there is no mosaic in this folder, it has no {MANIFEST}")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("model"), str):
        raise TiledError(f"{path / MANIFEST}: this is no manifest of a mosaic")
    if manifest.get("digest") != _digest(manifest.get("mosaic"), manifest["model"]):
        raise TiledError(f"{path / MANIFEST}: this is not what was written: its digest does not fit its settings")
    try:
        return MosaicFolder(path, mosaic_from_dict(manifest.get("mosaic")), manifest["model"])
    except TiledError as e:
        raise TiledError(f"{path / MANIFEST}: {e}") from e


def make_folder(path: Path) -> None:
    """Makes the folder of a mosaic, unless it is there.

    Raises:
        TiledError: it cannot be made, or holds other things than a mosaic.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        others = sorted(p.name for p in path.iterdir() if not _passing(p.name))
    except OSError as e:
        raise TiledError(f"{path}: this folder cannot be made ({e.strerror})") from e
    if others and not (path / MANIFEST).is_file():
        raise TiledError(f"{path}: this folder holds {others[0]} and no mosaic: take a new or an empty one")


def _passing(name: str) -> bool:
    """Whether a file of that name tells nothing: work that ended early left it."""
    return name in (LOCK, RUNNING) or name.endswith(UNFINISHED)


def settled(path: Path, settings: Mosaic, model: str) -> MosaicFolder:
    """The folder with its manifest: written where there is none, else that of the same mosaic.

    Args:
        path: a folder that `make_folder` has seen.
        settings: with tile, the grid's rows and the picture's digest.
        model: name of the model.

    Raises:
        TiledError: names the first field in which the folder's mosaic is another one.
    """
    if not (path / MANIFEST).is_file():
        folder = MosaicFolder(path, settings, model)
        write_json(path / MANIFEST, folder.document())
        return folder
    there = opened_folder(path)
    differences = [*_differences(there.settings, settings), *_model_differs(there.model, model)]
    if differences:
        name, before, now = differences[0]
        raise TiledError(
            f"{name}: the mosaic in {path} has {_short(before)}, and this is {_short(now)}: take another folder"
        )
    return there


def _model_differs(before: str, now: str) -> list[tuple[str, Any, Any]]:
    return [("model", before, now)] if before != now else []


def _differences(before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    for row in rows(type(now)):
        a, b = getattr(before, row.name), getattr(now, row.name)
        if row.name in ("request", "tiling"):
            yield from _differences(a, b)
        elif a != b and row.name not in FREE_TO_CHANGE:
            yield row.name, row.to_json(a), row.to_json(b)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
