"""Whether inpainting leaves alone what it must, and draws what it is asked for.

Photos are drawings of 384 x 128 without an object; of the middle third, which the mask shows, an object is asked for,
with the shipped checkpoint. `outside`: the largest difference to the photo outside of the mask, levels of 255. `full`:
with a full mask, to img2img with the same seed. `empty`: with an empty mask, to the photo. `found`: the share in which
the detector of training/detector.py finds the object in the masked third, by what the masked part begins as (at
denoising strength 0.75, noise always at 1); `before`: in the photo itself. `seam`: differences of neighbouring columns
at the mask's edges / elsewhere; `step`: difference of the means of ten columns on both sides of those edges, over
nine rows each, levels of 255. Both of the photos themselves as `before`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate

from .pictures import BASE, SIDE, seam

COUNT = 24
STRENGTH = 0.75
BEGINNINGS = ("noise", "original", "fill")


def photo(scene: dict[str, Any]) -> Image.Image:
    """A drawing of the canvas's size without an object."""
    from training.dataset import render

    return render({**scene, "width": 3 * SIDE, "objects": []})


def middle() -> Image.Image:
    """The mask of the middle third."""
    mask = Image.new("L", (3 * SIDE, SIDE), 0)
    mask.paste(255, (SIDE, 0, 2 * SIDE, SIDE))
    return mask


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference."""
    return float(np.abs(a.astype(np.int64) - b).max())


def drawn(model: Model, request: Request, start: Image.Image, mask: Image.Image | None) -> np.ndarray:
    """[H, W, 3] in 0..255."""
    return np.asarray(generate(model, request, init_image=start, mask=mask)[0])


def step(picture: np.ndarray) -> float:
    """How much lighter or darker it is on one side of the mask's edges than on the other, levels of 255."""
    around = []
    for edge in (SIDE, 2 * SIDE):
        left, right = picture[:, edge - 14 : edge - 4], picture[:, edge + 4 : edge + 14]
        rows = left.mean(axis=(1, 2)) - right.mean(axis=(1, 2))
        around.append(np.abs(np.convolve(rows, np.full(9, 1 / 9), "valid")).mean())
    return float(np.mean(around))


def measured(model: Model, count: int = COUNT) -> dict[str, Any]:
    """What is drawn of `count` photos."""
    from training import detector

    tools = (detector.centroids(), detector.templates())
    found: dict[str, list[bool]] = {name: [] for name in (*BEGINNINGS, "before")}
    seams = {name: np.zeros(2) for name in (*BEGINNINGS, "before")}
    steps: dict[str, list[float]] = {name: [] for name in (*BEGINNINGS, "before")}
    outside = 0.0
    for i, p in enumerate(detector.prompt_list(count, 17)):
        start = photo(detector.scene_of(92_000_000 + i, p.sky, p.ground))
        before = np.asarray(start)
        pictures = {"before": before}
        for name in BEGINNINGS:
            request = replace(BASE, prompt=p.text, seed=i, inpaint_from=name, denoising_strength=STRENGTH)
            pictures[name] = drawn(model, request, start, middle())
            for part in (slice(0, SIDE), slice(2 * SIDE, None)):
                outside = max(outside, gap(pictures[name][:, part], before[:, part]))
        for name, picture in pictures.items():
            seen = detector.detect(Image.fromarray(picture[:, SIDE : 2 * SIDE]), p.colour, p.sky, *tools)
            found[name].append(seen["kind"] == p.kind)
            seams[name] += seam(picture.astype(np.float64))
            steps[name].append(step(picture))
    return {
        "outside": outside,
        "found": {name: float(np.mean(values)) for name, values in found.items()},
        "seam": {name: float(s[0] / s[1]) for name, s in seams.items()},
        "step": {name: float(np.mean(values)) for name, values in steps.items()},
    }


def limits(model: Model) -> dict[str, float]:
    """Full and empty masks."""
    from training import detector

    start = photo(detector.scene_of(92_500_000, "day", "grass"))
    request = replace(BASE, prompt="a red house on grass, blue sky", seed=3)
    plain = drawn(model, request, start, None)
    full, empty = (drawn(model, request, start, Image.new("L", start.size, grey)) for grey in (255, 0))
    return {"full": gap(full, plain), "empty": gap(empty, np.asarray(start))}


def run() -> dict[str, Any]:
    """The section `inpaint` of the report."""
    model = load_model(device="cpu")
    return {**measured(model), **limits(model)}
