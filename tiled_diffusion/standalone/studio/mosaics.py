"""The studio's mosaics: each a folder with a name, drawn one at a time, that can be stopped and gone on with."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.recipes.mosaic.files import locked
from tiled_diffusion.recipes.mosaic.folder import MosaicFolder, named_folder, opened_folder
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.recipes.mosaic.video import write_video, zoom_file
from tiled_diffusion.recipes.mosaic.zoom import Zoom
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.mosaic import Mosaic, Place
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_vae import Interrupted

from .studio import Studio

SHOWN_SECONDS = 0.5
"""Least time between two pictures of a run."""
SHOWN_PX = 1024


@dataclass(frozen=True)
class MosaicUpdate:
    """What a run says while it goes on.

    Attributes:
        text: one line.
        picture: the level as far as it is drawn; None where there is no new one.
    """

    text: str
    picture: Image.Image | None = None


class Stop(Progress):
    """Raises Interrupted in a batch of tiles once an event is set."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled

    def tiles(self, done: int) -> None:  # noqa: ARG002
        """After each call of the model."""
        if self._cancelled.is_set():
            raise Interrupted


@dataclass(frozen=True)
class Mosaics:
    """The mosaics of a studio."""

    studio: Studio

    @property
    def folder(self) -> Path:
        """Where they all are."""
        return self.studio.folder / "mosaics"

    def path(self, name: str) -> Path:
        """The folder of a name; raises TiledError where it is no plain name."""
        return named_folder(self.folder, name)

    def draw(self, name: str, settings: Mosaic, picture: Image.Image | None, batch: int) -> Iterator[MosaicUpdate]:
        """Draws a mosaic, or goes on with it.

        Raises:
            TiledError: as `mosaic` does, or for the name.
            Interrupted: it was stopped; all finished tiles are kept.
        """
        path = self.path(name)
        with self.studio.turn() as cancelled:
            host = DiffusersHost(self.studio.model, (self.studio.folder,), batch)
            yield MosaicUpdate("Starting")
            start, shown, first = time.monotonic(), 0.0, None
            for tile in mosaic(host, settings, path, picture, How(batch, progress=Stop(cancelled))):
                first = tile.done - 1 if first is None else first
                now = time.monotonic()
                left = (now - start) / (tile.done - first) * (tile.total - tile.done)
                new = now - shown >= SHOWN_SECONDS
                shown = now if new else shown
                yield MosaicUpdate(
                    f"Level {tile.level}: {tile.done} of {tile.total} tiles, about {left:.0f} s left",
                    tile.overview.resize(self.shown_size(name)) if new else None,
                )
        yield MosaicUpdate(f"{name}: all tiles are drawn", self.picture(name))

    def go_on(self, name: str, batch: int) -> Iterator[MosaicUpdate]:
        """Draws what is missing of a mosaic, by its own settings; raises as `draw`."""
        folder = self._opened(name)
        picture = None if folder.settings.picture_sha256 is None else folder.picture(1)
        yield from self.draw(name, folder.settings, picture, batch)

    def redo(self, name: str, place: Place, batch: int) -> Iterator[MosaicUpdate]:
        """Draws one tile of the first level anew, with another seed; raises as `draw`."""
        path = self.path(name)
        with locked(opened_folder(path).path):
            opened_folder(path).redraw(1, place, secrets.randbelow(2**32))
        yield from self.go_on(name, batch)

    def picture(self, name: str) -> Image.Image:
        """The first level, small.

        Raises:
            TiledError: it is not finished.
        """
        return Reader(self._opened(name).pyramid(1)).region((0, 0, 1, 1), self.shown_size(name))

    def shown_size(self, name: str) -> tuple[int, int]:
        """Width and height of all pictures that are shown of a mosaic."""
        width, height = self._opened(name).pyramid(1).size
        scale = SHOWN_PX / max(width, height)
        return round(width * scale), round(height * scale)

    def tile(self, name: str, place: Place) -> Image.Image:
        """A tile of the first level; raises TiledError where it is not there."""
        pyramid = self._opened(name).pyramid(1)
        return pyramid.tile_image(pyramid.top, *place)

    def place(self, name: str, x: int, y: int) -> Place:
        """The tile at a pixel of the shown picture."""
        grid, (width, height) = self._opened(name).grid, self.shown_size(name)
        return Place(min(grid.columns - 1, x * grid.columns // width), min(grid.rows - 1, y * grid.rows // height))

    def zoom(self, name: str, seconds: float) -> Path:
        """Writes a zoom into the mosaic's folder; a GIF where the library for videos is missing.

        Raises:
            TiledError: the mosaic is not finished, or not square.
        """
        folder = self._opened(name)
        path = zoom_file(folder.path)
        write_video(Zoom(folder, 512), path, seconds)
        return path

    def _opened(self, name: str) -> MosaicFolder:
        return opened_folder(self.path(name))
