"""Enlarges a picture in overlapping blocks, each an ordinary job, and puts them together on disk.

No more than a few blocks are ever in memory, whatever the picture's size. Blocks that overlap begin with the same noise
and the same enlarged picture there, and are cut into the same tiles but for the last column and row (see layout.py), so
that they agree but for what each sees beyond; in the middle of what they share one gives way to the other. What is
drawn is kept at once; whatever ends the work, the same call goes on with what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Host, Task
from tiled_diffusion.recipes.mosaic.files import gigabytes, locked, picture_bytes, write_kept
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.recipes.upscale import dpi_of, enlarged_size
from tiled_diffusion.settings.enlargement import Enlargement
from tiled_diffusion.settings.kinds import Number
from tiled_diffusion.settings.request import Request

from .folder import FACTOR, MANIFEST, BlockFolder, Place, layout_of, tile_overlap
from .layout import Area
from .start import LANCZOS, check_upscaler, enlarged_part, upscaler_digest

SCALE = Number(1, 64)
LARGE = 100_000_000
"""Pixels beyond which a picture is enlarged in blocks."""
IN_MEMORY = 4
"""Blocks; more do not meet in a tile that is smaller than they are."""


@dataclass(frozen=True)
class Finished:
    """A block that has just been drawn and is on disk.

    Attributes:
        place: column and row of the block.
        image: RGB.
        done, total: blocks.
    """

    place: Place
    image: Image.Image
    done: int
    total: int


@dataclass(frozen=True)
class How:
    """What does not change the picture.

    Attributes:
        progress: is told of each block's drawing, and the place to stop it.
        say: is told in a line what is to come.
    """

    progress: Progress | None = None
    say: Callable[[str], None] = lambda _: None


def enlarge_in_blocks(
    host: Host, settings: Enlargement, path: Path, picture: Image.Image, how: How | None = None
) -> Iterator[Finished]:
    """Draws what is missing of an enlarged picture.

    A block depends on the settings, the picture and its place alone: not on how often the work was interrupted.

    Args:
        host: draws; its tasks have an origin.
        settings: from `enlargement`.
        path: its folder: new, empty, or that of the same job.
        picture: what is enlarged, of any mode.
        how: what does not change it.

    Yields:
        Blocks as they are finished; those that were there are not drawn again and not told of.

    Raises:
        TiledError: the folder is another picture's, or something else's, or in use; the disk is full; the settings are
            of another picture or another upscaler's file; the model cannot draw a block.
        Interrupted: the user stopped it.
    """
    how = how or How()
    MANIFEST.make_folder(path)
    with locked(path):
        source = _flat(host, picture)
        if _digest(source) != settings.picture_sha256:
            raise TiledError("picture_sha256: the settings are of another picture: make them of this one")
        MANIFEST.settle(path, settings, host.name)
        folder = BlockFolder(path, settings, host.name)
        missing, needed = folder.check_room()
        if missing:
            check_upscaler(settings)
        how.say(
            f"{len(missing)} of {folder.layout.count} blocks of about {folder.layout.columns.block} px are to be "
            f"drawn, about {gigabytes(needed)} on disk, into {path}"
        )
        if not folder.source_path.is_file():
            write_kept(folder.source_path, picture_bytes(source, None))
        folder.write_page()
        yield from _Work(host, folder, source, how).drawn(missing)


def enlargement(
    host: Host, request: Request, picture: Image.Image, scale: float, upscaler: str = LANCZOS, **kept: Any
) -> Enlargement:
    """The settings of a job.

    Args:
        host: names the model's sizes.
        request: prompt, strength, tiling and the rest; its size and start picture do not count.
        picture: what is to be enlarged, of any mode.
        scale: 1 to 64, how many times as wide and high; sides are rounded to what the model can make.
        upscaler: how it is enlarged before: "lanczos", or one that the host knows.
        kept: block, block_overlap and jpeg, as in Enlargement.

    Raises:
        TiledError: the scale is out of its range, the request has what needs to see the picture as a whole, or the
            blocks cannot be.
    """
    SCALE.check("scale", scale)
    tiling = request.tiling
    width, height = tiling.tile_width or host.native_px, tiling.tile_height or host.native_px
    overlap = tile_overlap(tiling.method, min(width, height)) if tiling.overlap is None else tiling.overlap
    tiling = replace(tiling, tile_width=width, tile_height=height, overlap=overlap // FACTOR * FACTOR)
    one = replace(request, width=width, height=height, init_image=None, init_image_sha256=None, tiling=tiling)
    sides = enlarged_size(host, picture, scale)
    digest = _digest(_flat(host, picture))
    settings = Enlargement(one, *sides, digest, upscaler, upscaler_digest(upscaler), **kept)
    layout_of(settings)
    return settings


def _flat(host: Host, picture: Image.Image) -> Image.Image:
    """In RGB, with its DPI."""
    flat = host.upscale(picture, picture.size)
    flat.info.update(dpi_of(picture))
    return flat


def _digest(picture: Image.Image) -> str:
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()


@dataclass
class _Work:
    """A folder being drawn."""

    host: Host
    folder: BlockFolder
    picture: Image.Image
    how: How

    @cached_property
    def _block(self) -> Callable[[Place], Image.Image]:
        return lru_cache(IN_MEMORY)(self.folder.block)

    def drawn(self, missing: Sequence[Place]) -> Iterator[Finished]:
        """Draws blocks, and makes of them what can be made."""
        folder, total = self.folder, self.folder.layout.count
        folder.pyramid.complete()
        for place in sorted(set(folder.layout.places()) - set(missing)):
            self._put_together(place)
        for done, place in enumerate(missing, start=total - len(missing) + 1):
            image = self._draw(place)
            folder.keep_block(place, image)
            self._put_together(place)
            yield Finished(place, image, done, total)

    def _draw(self, place: Place) -> Image.Image:
        settings, area = self.folder.settings, self.folder.layout.area(*place)
        width, height = area.size
        start = enlarged_part(self.host, self.picture, self.folder.pyramid.size, area, settings.upscaler)
        request = replace(settings.request, width=width, height=height)
        return self.host.draw([Task(request, start, origin=(area.left, area.top))], self.how.progress)[0].image

    def _put_together(self, place: Place) -> None:
        """Makes the tiles for which this block was what was missing, and removes blocks that no tile needs any more."""
        folder = self.folder
        for tile in folder.tiles_of(place):
            needed = folder.blocks_of(tile)
            if folder.pyramid.tile_path(*tile).is_file() or not all(map(self._is_there, needed)):
                continue
            folder.pyramid.put(*tile, self._tile(Area(*folder.pyramid.box(*tile))))
        beside = {other for tile in folder.tiles_of(place) for other in folder.blocks_of(tile)}
        for other in beside | {place}:
            if self._is_there(other) and self._is_used(other):
                folder.block_path(other).unlink()

    def _is_there(self, place: Place) -> bool:
        return self.folder.block_path(place).is_file()

    def _is_used(self, place: Place) -> bool:
        return all(self.folder.pyramid.tile_path(*tile).is_file() for tile in self.folder.tiles_of(place))

    def _tile(self, area: Area) -> Image.Image:
        """A part of the picture, of the blocks that count there."""
        pixels = np.zeros((area.bottom - area.top, area.right - area.left, 3), dtype=np.float32)
        for x, y, weights in self.folder.layout.over(area):
            left, top = self.folder.layout.area(x, y)[:2]
            part = self._block((x, y)).crop((area.left - left, area.top - top, area.right - left, area.bottom - top))
            pixels += weights[:, :, None] * np.asarray(part)
        return Image.fromarray(np.rint(pixels).astype(np.uint8))
