"""Whether a picture drawn in a frame suits the room around it, and how close a frame that is looked for is found.

The "photo" is a drawing of a landscape at sunset, 256 x 256, with a grey square of half its width in the middle; "a
red house on grass", without a word of the sky, is drawn in the square. `sunset`: the share of drawings in which the
detector of training/detector.py sees the sky inside as sunset, by how much of the room the model sees (`context`);
`house`: in which it finds the house. `corners`: of rendered frames, the share that is found, and the largest error of
a corner of those, in pixels of a photo of 640 x 480.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.recipes.frame.find import find_frame
from tiled_diffusion.recipes.frame.quad import ordered_corners
from tiled_diffusion.recipes.frame.steps import make_frame
from tiled_diffusion.settings.frame import Frame, Framing
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import load_model

COUNT = 24
CONTEXTS = (0.0, 0.5)
MIDDLE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def room(seed: int) -> Image.Image:
    """A landscape at sunset around a grey square."""
    from training.dataset import render
    from training.detector import scene_of

    image = render(scene_of(93_000_000 + seed, "sunset", "grass")).resize((256, 256), Image.Resampling.LANCZOS)
    image.paste((150, 150, 150), (64, 64, 192, 192))
    return image


def suits(host: DiffusersHost, context: float, count: int = COUNT, side: int = 64) -> dict[str, float]:
    """What the detector sees in the frame; with a side of 64 px frame and room fit into one tile."""
    from training import detector

    tools, seen = (detector.centroids(), detector.templates()), []
    for seed in range(count):
        request = Request("a red house on grass", steps=16, sampler="Euler", seed=seed, inpaint_from="noise")
        framing = Framing(Frame("room", MIDDLE, shape=1.0, context=context, side_px=side, light=0), request)
        picture = make_frame(host, framing, room(seed)).tries[0].image
        large = picture.resize((128, 128), Image.Resampling.LANCZOS)
        seen.append(detector.detect(large, "red", "sunset", *tools))
    return {
        "sunset": float(np.mean([d["sky"] == "sunset" for d in seen])),
        "house": float(np.mean([d["kind"] == "house" for d in seen])),
    }


def corners(count: int = 20) -> dict[str, float]:
    """How frames are found."""
    from tests.recipes.frame.rendered import camera, photo_of_frame

    rng, errors, size = np.random.default_rng(1), [], (640, 480)
    for seed in range(count):
        turn, roll = rng.uniform(-25, 25, 2), rng.uniform(-6, 6)
        lens = camera(*turn, roll, 480 * rng.uniform(0.9, 1.4), rng.uniform(1.9, 3), size, rng.uniform(-0.15, 0.15, 2))
        photo, true = photo_of_frame(rng.uniform(0.6, 1.5), size, lens, seed, noise=6)
        seen = find_frame(photo)
        if seen is not None:
            errors.append(float(np.abs(ordered_corners(seen, size) - true).max()))
    return {"found": len(errors) / count, "error_px": max(errors)}


def run() -> dict[str, Any]:
    """The section `frame` of the report."""
    host = DiffusersHost(load_model(device="cpu"))
    return {"corners": corners(), **{f"context {c:g}": suits(host, c) for c in CONTEXTS}}
