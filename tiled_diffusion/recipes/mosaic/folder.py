"""The folder of a mosaic: its settings, the first picture, a Deep Zoom picture for each level, and what is done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.mosaic import Mosaic, Place, mosaic_from_dict

from .cells import Cells
from .files import check_space, read_json, write_json
from .manifest import Manifest
from .pyramid import Pyramid, opened, pyramid_bytes

MANIFEST = Manifest("mosaic.json", "mosaic", "mosaic", mosaic_from_dict)
FIRST, ENTERED, REDRAWN = "0.png", "entered.json", "redrawn.json"
NAME = re.compile(r"\w[\w -]{0,62}\w|\w")


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
        size = (self.grid.columns * self.tile, self.grid.rows * self.tile)
        return Pyramid(self.path / f"{level}_files", size, self.tile, self.settings.jpeg)

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

    def bytes_for(self, tiles: int) -> int:
        """What so many tiles take on disk, more or less."""
        return pyramid_bytes(tiles * self.tile**2, self.settings.jpeg)

    def check_room(self) -> tuple[int, int]:
        """Tiles that are still to be drawn, and the bytes that they take, more or less.

        Raises:
            TiledError: the disk has less room.
        """
        missing = sum(self.tiles - len(self.done(level)) for level in range(1, self.settings.depth + 1))
        needed = self.bytes_for(missing)
        check_space(self.path, needed)
        return missing, needed


def named_folder(base: Path, name: str) -> Path:
    """The folder of a mosaic that is called by a name, within the folder of all of them.

    Raises:
        TiledError: it is no plain name: nothing outside of the folder can be named.
    """
    name = name.strip()
    if not NAME.fullmatch(name):
        raise TiledError(f"name: got {name[:80]!r}, allowed are 1 to 64 letters, digits, spaces and hyphens")
    return base / name


def opened_folder(path: Path) -> MosaicFolder:
    """The mosaic in a folder.

    Raises:
        TiledError: there is none, or its manifest cannot be read.
    """
    return MosaicFolder(path, *MANIFEST.opened(path))


def settled(path: Path, settings: Mosaic, model: str) -> MosaicFolder:
    """The folder with its manifest: written where there is none, else that of the same mosaic.

    Args:
        path: a folder that `MANIFEST.make_folder` has seen.
        settings: with tile, the grid's rows and the picture's digest.
        model: name of the model.

    Raises:
        TiledError: names the first field in which the folder's mosaic is another one.
    """
    MANIFEST.settle(path, settings, model)
    return MosaicFolder(path, settings, model)
