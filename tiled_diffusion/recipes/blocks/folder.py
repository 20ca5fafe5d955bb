"""The folder of a picture that is enlarged in blocks: what it is made of, finished blocks, and its Deep Zoom tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.recipes.mosaic.files import check_space, picture_bytes, write_kept
from tiled_diffusion.recipes.mosaic.manifest import Manifest
from tiled_diffusion.recipes.mosaic.page import Shown, write_viewer
from tiled_diffusion.recipes.mosaic.pyramid import Pyramid, check_picture, opened, pyramid_bytes
from tiled_diffusion.recipes.upscale import dpi_of
from tiled_diffusion.settings.enlargement import Enlargement, enlargement_from_dict

from .layout import Area, Axis, Layout, axis

MANIFEST = Manifest("upscale.json", "enlarged picture", "upscale", enlargement_from_dict)
SOURCE = "0.png"
TILE = 512
"""Side of a Deep Zoom tile, image pixels."""
FACTOR = 8
"""What `overlap` of tiles is a multiple of, image pixels."""
Place = tuple[int, int]


@dataclass(frozen=True)
class BlockFolder:
    """An enlarged picture on disk.

    Attributes:
        path: the folder.
        settings: with the tiles' sizes and overlap as numbers.
        model: name of the model that draws it.
    """

    path: Path
    settings: Enlargement
    model: str

    @property
    def source_path(self) -> Path:
        """The picture that is enlarged."""
        return self.path / SOURCE

    def source(self) -> Image.Image:
        """The picture that is enlarged, RGB; raises TiledError where it cannot be read."""
        with opened(self.source_path) as image:
            flat = image.convert("RGB")
            flat.info.update(dpi_of(image))
            return flat

    def dpi(self) -> tuple[float, float] | None:
        """Across and down, where the picture that is enlarged tells any."""
        with opened(self.source_path) as image:
            return dpi_of(image).get("dpi")

    @cached_property
    def pyramid(self) -> Pyramid:
        """The enlarged picture."""
        size = (self.settings.width, self.settings.height)
        return Pyramid(self.path / "1_files", size, TILE, self.settings.jpeg)

    @cached_property
    def layout(self) -> Layout:
        """Its blocks; raises TiledError where they cannot be."""
        return layout_of(self.settings)

    def block_path(self, place: Place) -> Path:
        """The file of a block, which is there from when it is drawn until its pixels are in the picture."""
        return self.path / "blocks" / f"{place[0]}_{place[1]}.png"

    def block(self, place: Place) -> Image.Image:
        """A block, RGB; raises TiledError where it cannot be read."""
        with opened(self.block_path(place)) as image:
            return image.convert("RGB")

    def has_block(self, place: Place) -> bool:
        """Whether a block's file is there; raises TiledError where it is no such block."""
        path = self.block_path(place)
        if not path.is_file():
            return False
        check_picture(path, self.layout.area(*place).size)
        return True

    def keep_block(self, place: Place, image: Image.Image) -> None:
        """Writes a block."""
        write_kept(self.block_path(place), picture_bytes(image, None))

    def tiles_of(self, place: Place) -> list[Place]:
        """(x, y) of the Deep Zoom tiles that a block counts in."""
        columns = _tiles_along(self.layout.columns, place[0])
        return [(x, y) for y in _tiles_along(self.layout.rows, place[1]) for x in columns]

    def blocks_of(self, tile: Place) -> list[Place]:
        """(x, y) of the blocks that a Deep Zoom tile is made of."""
        return self.layout.places_over(Area(*self.pyramid.box(*tile)))

    def missing(self) -> list[Place]:
        """(x, y) of the blocks that are still to be drawn, row by row.

        Raises:
            TiledError: a file of a block or a tile is none.
        """
        return [place for place in self.layout.places() if not self.has_block(place) and not self._used(place)]

    def _used(self, place: Place) -> bool:
        return all(self.pyramid.has(*tile) for tile in self.tiles_of(place))

    def bytes_for(self, missing: int) -> int:
        """What so many blocks take on disk, more or less: their part of the picture, and two rows of blocks."""
        layout, (width, height) = self.layout, self.pyramid.size
        waiting = min(missing, 2 * len(layout.columns.starts)) * layout.columns.block * layout.rows.block
        pixels = width * height * missing // layout.count
        return pyramid_bytes(pixels, self.settings.jpeg) + pyramid_bytes(waiting, None)

    def check_room(self) -> tuple[list[Place], int]:
        """The blocks that are still to be drawn, and the bytes that it takes, more or less.

        Raises:
            TiledError: the disk has less room, or a file of a block or a tile is none.
        """
        missing = self.missing()
        needed = self.bytes_for(len(missing))
        check_space(self.path, needed)
        return missing, needed

    def write_page(self) -> Path:
        """Writes the page that shows it; returns its path."""
        return write_viewer(self.path, self.settings.request.prompt or "An enlarged picture", [Shown(self.pyramid)])


def _tiles_along(blocks: Axis, i: int) -> list[int]:
    """The numbers of the Deep Zoom tiles along an axis that its block i counts in."""
    start, stop = blocks.span(i)
    numbers = range(start // TILE, (stop - 1) // TILE + 1)
    return [n for n in numbers if blocks.weights(i, n * TILE, min((n + 1) * TILE, blocks.length)).any()]


def layout_of(settings: Enlargement) -> Layout:
    """The blocks of settings with the tiles' sizes and overlap; raises TiledError where they cannot be."""
    tiling = settings.request.tiling
    assert tiling.tile_width is not None
    assert tiling.tile_height is not None
    assert tiling.overlap is not None
    more = (tiling.overlap, settings.block, settings.block_overlap)
    return Layout(axis(settings.width, tiling.tile_width, *more), axis(settings.height, tiling.tile_height, *more))


def tile_overlap(method: str, tile: int) -> int:
    """What a method's tiles of a side share by themselves, image pixels."""
    return METHODS[method].overlap(tile // FACTOR) * FACTOR


def opened_folder(path: Path) -> BlockFolder:
    """The enlarged picture in a folder; raises TiledError where there is none, or its manifest cannot be read."""
    return BlockFolder(path, *MANIFEST.opened(path))
