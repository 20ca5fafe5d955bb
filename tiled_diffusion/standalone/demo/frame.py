"""The demo's frame: a photo of an empty one on a wall, rendered, and the same with a picture in it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tiled_diffusion.recipes.frame.quad import homography, mapped, rectangle
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.frame import Frame, Framing, Redraw
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.cli.helps import PROGRAM
from tiled_diffusion.standalone.cli.words import quoted
from tiled_diffusion.standalone.framing import SETTINGS, FrameFiles, frame
from tiled_diffusion.standalone.host import DiffusersHost

from .page import Figure

WALL, FOLDER = "frame-wall.png", "demo-frame"
SIZE, FINER = (800, 600), 3
"""Of the photo; it is drawn larger by so much, for smooth edges."""
CORNERS = np.array([(237.6, 83.0), (542.6, 109.3), (527.6, 470.6), (242.3, 510.9)])
"""Of the frame's inside in the photo; it is 4 wide and 5 high, and the camera stands beside it."""
REQUEST = Request("a red house on grass, sunset", steps=16, sampler="Euler", cfg_scale=5, seed=2, inpaint_from="noise")
REDRAW = Redraw("a red house on grass, sunset, mountains", strength=0.4, side_px=256)
SIDE_PX = 64
TEXT = (
    "The frame is found, seen from the front together with the wall around it, and a picture is drawn in it that suits "
    "what surrounds it; a second prompt draws it anew, larger. Outside the frame each pixel of the photo is as it was."
)


def wall() -> Image.Image:
    """The photo: a plain wall with light from the left, a dark frame and its shadow; without noise."""
    width, height = (side * FINER for side in SIZE)
    light = np.linspace(1.08, 0.82, width)[None, :, None] * np.linspace(1.04, 0.94, height)[:, None, None]
    image = Image.fromarray(np.clip(light * (196, 186, 170), 0, 255).astype(np.uint8))
    shadow = image.copy()
    _quad(shadow, _grown(0.1) + np.array((14, 20)), (70, 62, 54))
    image = Image.blend(image, shadow.filter(ImageFilter.GaussianBlur(12 * FINER)), 0.6)
    for reach, colour in ((0.08, (58, 38, 26)), (0.065, (92, 62, 40)), (0.015, (44, 28, 18)), (0, (232, 230, 226))):
        _quad(image, _grown(reach), colour)
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def _grown(reach: float) -> np.ndarray:
    """Corners around the inside's in its plane, further out by a part of its sides."""
    to_photo = homography(rectangle(1, 1), CORNERS)
    return mapped(to_photo, rectangle(1 + 2 * reach, 1 + 2 * reach, -reach, -reach))


def _quad(image: Image.Image, corners: np.ndarray, colour: tuple[int, int, int]) -> None:
    ImageDraw.Draw(image).polygon([(x * FINER, y * FINER) for x, y in corners.tolist()], fill=colour)


def frame_figure(host: DiffusersHost, out: Path, new_progress: Callable[[], Progress], shrink: int) -> Figure:
    """Draws the frame into its folder; `shrink` above 1 takes two steps, for tests."""
    photo, path = wall(), out / FOLDER
    photo.save(out / WALL)
    if (path / SETTINGS).is_file():
        shutil.rmtree(path)
    path.mkdir(exist_ok=True)
    request, redraw = REQUEST, REDRAW
    if shrink > 1:
        request, redraw = replace(REQUEST, steps=2), replace(REDRAW, side_px=128)
    framing = Framing(Frame(str(out / WALL), side_px=SIDE_PX), request, redraw=redraw)
    start = time.monotonic()
    files = FrameFiles(path, framing, host.model, photo)
    files.begin()
    frame(host.model, framing, on_result=files.write, progress=new_progress())
    return _figure(framing, time.monotonic() - start)


def _figure(framing: Framing, seconds: float) -> Figure:
    request, redraw = framing.request, framing.redraw or REDRAW
    words = [
        *PROGRAM.split(), "frame", WALL, "--prompt", request.prompt, "--side-px", str(framing.frame.side_px), "--steps",
        str(request.steps), "--sampler", request.sampler, "--seed", str(request.seed), "--redraw", redraw.prompt,
        "--redraw-side-px", str(redraw.side_px), "--out", FOLDER,
    ]  # fmt: skip
    facts = (
        ("size", f"{SIZE[0]} x {SIZE[1]} px"),
        ("time", f"{seconds:.1f} s"),
        ("prompt", request.prompt),
        ("second prompt", redraw.prompt),
    )
    pictures = (WALL, f"{FOLDER}/photo.png")
    return Figure("A picture in an empty frame", TEXT, pictures, "", SIZE, facts, (quoted(words),))
