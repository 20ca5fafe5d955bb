"""Draws a mosaic: every cell of a picture becomes a picture, and one of them the picture of the next level.

After the section "Hypermosaics" of Jannis Vamvas, "Three Diffusion Digressions" (2022). What is drawn is kept at once;
whatever ends the work, the same call goes on with what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from tiled_diffusion.engine.composition import parts
from tiled_diffusion.engine.noise import keyed_seed
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.captioner import Captioner
from tiled_diffusion.recipes.host import Painter, Task, draw_each
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.mosaic import Grid, Mosaic, Place
from tiled_diffusion.settings.request import Request

from .cells import Pixels, block_colours, coloured, enlarged_cell, fitted_grid
from .enter import entered_after, entered_before
from .files import gigabytes, locked, picture_bytes, write_kept
from .folder import MANIFEST, MosaicFolder, settled
from .overview import Overview
from .page import write_page
from .prompts import tile_requests

BATCH = 4


@dataclass(frozen=True)
class Finished:
    """A tile that has just been drawn and is on disk.

    Attributes:
        level: from 1.
        place: in the level's grid.
        image: RGB.
        done, total: tiles of all levels.
        overview: the level's small picture, as far as it is drawn.
    """

    level: int
    place: Place
    image: Image.Image
    done: int
    total: int
    overview: Image.Image


@dataclass(frozen=True)
class How:
    """What does not change the mosaic.

    Attributes:
        batch: so many tiles are drawn at once.
        caption: names what is to be seen in a cell, for its prompt.
        progress: is told of each batch's drawing, and the place to stop it.
        say: is told in a line what is to come.
    """

    batch: int = BATCH
    caption: Captioner | None = None
    progress: Progress | None = None
    say: Callable[[str], None] = lambda _: None


def tile_seed(seed: int, level: int, place: Place) -> int:
    """A tile's own seed, of 32 bits so that every WebUI takes it."""
    return keyed_seed(seed, "mosaic", level, place.y, place.x) >> 31


def mosaic(
    host: Painter, settings: Mosaic, path: Path, picture: Image.Image | None = None, how: How | None = None
) -> Iterator[Finished]:
    """Draws what is missing of a mosaic.

    A tile depends on the settings, on the picture of its level and on its place alone: not on the order, on how often
    the work was interrupted, or on the tiles beside it in a batch, whose size changes rounding.

    Args:
        host: draws.
        settings: the mosaic.
        path: its folder: new, empty, or that of the same mosaic.
        picture: the first picture, of any size and mode; None draws it from the prompt, at the request's size.
        how: what does not change it.

    Yields:
        Tiles as they are finished; those that were there are not drawn again and not told of.

    Raises:
        TiledError: the folder is another mosaic's, or something else's, or in use; the disk is full; the model cannot
            draw a tile; the picture is smaller than the grid.
        Interrupted: the user stopped it.
    """
    how = how or How()
    MANIFEST.make_folder(path)
    with locked(path):
        first = None if picture is None else host.upscale(picture, picture.size)
        folder = settled(path, _settled_settings(host, settings, first), host.name)
        missing, needed = folder.check_room()
        how.say(
            f"{missing} of {folder.tiles * folder.settings.depth} tiles of {folder.tile} px are to be drawn, about "
            f"{gigabytes(needed)} on disk, into {path}"
        )
        if not folder.first_path.is_file():
            write_kept(folder.first_path, picture_bytes(first or _first(host, folder, how), None))
        work = _Work(host, folder, how)
        for level in range(1, folder.settings.depth + 1):
            yield from work.level(level)
        write_page(folder)


def _settled_settings(host: Painter, settings: Mosaic, first: Image.Image | None) -> Mosaic:
    request = settings.request
    size = (request.width, request.height) if first is None else first.size
    tile, grid = settings.tile or host.native_px, fitted_grid(settings.grid, size)
    if tile % host.unit_px:
        low = max(1, tile // host.unit_px) * host.unit_px
        raise TiledError(f"tile: got {tile}, allowed are multiples of {host.unit_px}: {low} or {low + host.unit_px}")
    deep = settings.depth > 1 or settings.loops
    if deep and (grid.columns != grid.rows or size[0] != size[1]):
        raise TiledError(
            f"{'depth' if settings.depth > 1 else 'loop'}: the picture has {size[0]}x{size[1]} px and the grid "
            f"{grid.columns}x{grid.rows} tiles, but tiles are square: so must picture and grid be, to be entered"
        )
    far = next((p for p in settings.enter if p.x >= grid.columns or p.y >= grid.rows), None)
    if far is not None:
        raise TiledError(f"enter: got {far.x},{far.y}, but the grid has {grid.columns}x{grid.rows} tiles")
    sha256 = None if first is None else hashlib.sha256(repr(first.size).encode() + first.tobytes()).hexdigest()
    return replace(settings, tile=tile, grid=Grid(*grid), picture_sha256=sha256)


def _first(host: Painter, folder: MosaicFolder, how: How) -> Image.Image:
    request = replace(folder.settings.request, hold=0.0)
    return host.draw([Task(request)], how.progress)[0].image


@dataclass(frozen=True)
class _Work:
    """The levels of a folder being drawn."""

    host: Painter
    folder: MosaicFolder
    how: How

    def level(self, level: int) -> Iterator[Finished]:
        """Draws what is missing of a level, and decides on the tile that is entered."""
        folder = self.folder
        entered = entered_before(folder, level)
        if entered is not None and level not in folder.entered():
            folder.enter(level, entered)
        pyramid, there = folder.pyramid(level), folder.done(level)
        pyramid.complete()
        write_page(folder)
        if len(there) < folder.tiles:
            yield from self._missing(level, there)
        if level not in folder.entered():
            folder.enter(level, entered_after(folder, level))

    def _missing(self, level: int, there: Sequence[Place]) -> Iterator[Finished]:
        folder = self.folder
        overview = Overview(folder, level, there)
        overview.write(now=True)
        pyramid, done = folder.pyramid(level), (level - 1) * folder.tiles + len(there)
        for places, images in self._drawn(level, set(there)):
            for place, image in zip(places, images, strict=True):
                pyramid.put(*place, image)
                overview.add(place, image)
                done += 1
                yield Finished(level, place, image, done, folder.settings.depth * folder.tiles, overview.image)
            overview.write()
        overview.write(now=True)

    def _drawn(self, level: int, there: set[Place]) -> Iterator[tuple[list[Place], list[Image.Image]]]:
        folder, settings, picture = self.folder, self.folder.settings, self.folder.picture(level)
        blocks = settings.colour_blocks if settings.colour == "exact" else 1
        colours = block_colours(picture, folder.grid, blocks)
        begun: list[list[Place]] = []

        def batches() -> Iterator[list[Task]]:
            for batch in self._batches(level, picture, there):
                begun.append([place for place, _ in batch])
                tasks = [task for _, task in batch]
                # a batch of another size is rounded in another way: the last one is filled up
                yield tasks + [tasks[-1]] * (self.how.batch - len(tasks))

        for number, pictures in draw_each(self.host, batches(), self.how.progress):
            places = begun[number]
            images = [
                coloured(drawn.image, settings, _of(colours, place, blocks))
                for place, drawn in zip(places, pictures, strict=False)
            ]
            yield places, images

    def _batches(self, level: int, picture: Image.Image, there: set[Place]) -> Iterator[list[tuple[Place, Task]]]:
        """The missing tiles in batches of requests that can be drawn at once."""
        folder, waiting = self.folder, dict[object, list[tuple[Place, Task]]]()
        requests = tile_requests(folder.settings, level, picture, folder.grid, self.how.caption)
        closing_tile = self._closing_tile(level)
        for place, seed in self._seeds(level).items():
            if place in there:
                continue
            request = replace(requests[place], width=folder.tile, height=folder.tile, seed=seed)
            if place == closing_tile:
                task = self._loop_task(request)
            else:
                task = Task(request, enlarged_cell(picture, folder.grid, *place, folder.tile))
            batch = waiting.setdefault(_shape(task.request), [])
            batch.append((place, task))
            if len(batch) == self.how.batch:
                yield waiting.pop(_shape(task.request))
        yield from waiting.values()

    def _seeds(self, level: int) -> dict[Place, int]:
        """The seed of each tile, row by row."""
        seed, redrawn = self.folder.settings.request.seed, self.folder.redrawn()
        return {p: redrawn.get((level, p), tile_seed(seed, level, p)) for p in self.folder.places()}

    def _closing_tile(self, level: int) -> Place | None:
        """The tile that is the first picture again."""
        settings = self.folder.settings
        return self.folder.entered()[level] if settings.loops and level == settings.depth else None

    def _loop_task(self, request: Request) -> Task:
        size = (self.folder.tile, self.folder.tile)
        small = self.folder.picture(1).resize(size, Image.Resampling.LANCZOS)
        return Task(replace(request, denoising_strength=self.folder.settings.loop_strength), small)


def _shape(request: Request) -> object:
    """What requests of one batch have in common: all but words and seeds."""
    weights = tuple(part.weight for part in parts(request.prompt))
    return replace(request, prompt="", negative_prompt="", seed=0), weights


def _of(colours: Pixels, place: Place, blocks: int) -> Pixels:
    y, x = place.y * blocks, place.x * blocks
    return colours[y : y + blocks, x : x + blocks]
