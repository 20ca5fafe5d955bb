"""The demo's mosaic: 8 x 8 pictures that are one picture, a page to look into it, and a zoom without end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.recipes.mosaic.folder import MANIFEST, opened_folder
from tiled_diffusion.recipes.mosaic.page import PAGE
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.recipes.mosaic.video import write_video, zoom_file
from tiled_diffusion.recipes.mosaic.zoom import Zoom
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.mosaic import TILE_REQUEST, Grid, Mosaic
from tiled_diffusion.standalone.cli.helps import PROGRAM
from tiled_diffusion.standalone.cli.words import quoted
from tiled_diffusion.standalone.host import DiffusersHost

from .page import Figure

FOLDER, PICTURE = "demo-mosaic", "mosaic.png"
SECONDS, ZOOM_PX, SHOWN_PX = 3, 384, 1024
REQUEST = replace(
    TILE_REQUEST, prompt="a green tree on mountains, blue sky", width=128, height=128, steps=16, cfg_scale=4.5,
    sampler="DDIM", seed=3,
)  # fmt: skip
SETTINGS = Mosaic(REQUEST, grid=Grid(8), loop=True)
TEXT = (
    "Each cell of a picture is the start of a picture of its own, with the same prompt, so that the whole is still "
    "there from afar. One of the tiles is the first picture again: the zoom never ends."
)


def mosaic_figure(host: DiffusersHost, out: Path, new_progress: Callable[[], Progress], shrink: int) -> Figure:
    """Draws the mosaic with its page and zoom; `shrink` above 1 makes it smaller, of two steps, for tests."""
    settings = SETTINGS
    if shrink > 1:
        settings = replace(settings, grid=Grid(2), request=replace(REQUEST, steps=2))
    path, start = out / FOLDER, time.monotonic()
    if MANIFEST.is_in(path):
        shutil.rmtree(path)
    progress = new_progress()
    progress.start(settings.grid.columns**2, 1)
    try:
        for tile in mosaic(replace(host, batch=8), settings, path, how=How(8)):
            progress.step(tile.done - 1)
    finally:
        progress.finish()
    Reader(opened_folder(path).pyramid(1)).region((0, 0, 1, 1), (SHOWN_PX, SHOWN_PX)).save(out / PICTURE)
    zoom = zoom_file(path)
    write_video(Zoom(opened_folder(path), ZOOM_PX), zoom, SECONDS)
    return _figure(settings, zoom.name, time.monotonic() - start)


def _figure(settings: Mosaic, zoom: str, seconds: float) -> Figure:
    request, columns = settings.request, settings.grid.columns
    words = [
        *PROGRAM.split(), "mosaic", request.prompt, "--grid", str(columns), "--loop", "--steps", str(request.steps),
        "--cfg-scale", f"{request.cfg_scale:g}", "--sampler", request.sampler, "--seed", str(request.seed),
        "--zoom", f"{FOLDER}/{zoom}", "--seconds", str(SECONDS), "--out", FOLDER,
    ]  # fmt: skip
    facts = (
        ("size", f"{columns * request.width} x {columns * request.height} px"),
        ("time", f"{seconds:.1f} s"),
        ("prompt", request.prompt),
        ("tiles", f"{columns} x {columns}, each drawn by itself"),
    )
    pictures = (PICTURE, f"{FOLDER}/{zoom}")
    return Figure(
        "A picture made of pictures", TEXT, pictures, "", (SHOWN_PX, SHOWN_PX), facts, (quoted(words),),
        f"{FOLDER}/{PAGE}",
    )  # fmt: skip
