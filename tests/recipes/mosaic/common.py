"""Small mosaics on the host without diffusers, which draws at once."""

import hashlib
from dataclasses import replace

from PIL import Image

from tests.recipes.plain_host import PlainHost
from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.settings.mosaic import TILE_REQUEST, Grid, Mosaic

TILE = 72
REQUEST = replace(TILE_REQUEST, prompt="a tree", width=96, height=96, steps=5, seed=7)


def settings(grid=4, **values):
    return Mosaic(**{"request": REQUEST, "grid": Grid(grid), "tile": TILE, **values})


def photo(width=96, height=96):
    return Image.effect_mandelbrot((width, height), (-2, -1.5, 1, 1.5), 50).convert("RGB")


class Host(PlainHost):
    """Counts what it draws; `stop_at` so many tasks it raises."""

    def __init__(self, stop_at=None, error=KeyboardInterrupt):
        self.tasks, self.calls, self.stop_at, self.error = [], [], stop_at, error

    def draw(self, tasks, progress=None):
        self.calls.append(len(tasks))
        self.tasks += tasks
        if self.stop_at is not None and len(self.tasks) > self.stop_at:
            raise self.error
        return super().draw(tasks, progress)


def drawn(path, asked=None, *, host=None, batch=3, picture="photo", **more):
    picture = photo() if picture == "photo" else picture
    return list(mosaic(host or Host(), asked or settings(), path, picture, How(batch, **more)))


def digests(path):
    """Of every tile, of every level of the Deep Zoom pictures, and of the first picture."""
    files = [*path.glob("*_files/*/*"), path / "0.png"]
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
