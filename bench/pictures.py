"""Whether a picture that is kept as a region stays what it was, and joins what is drawn around it.

On canvases of 384 x 128 with the shipped checkpoint a drawing lies in the middle third. The outer thirds are regions
with another object in the same place, and the main prompt is the place alone. `psnr_keep_05`, `psnr_keep_08`: of the
drawing's inner part against its passage through the VAE, decibels. `gain_db`: over the way in which Mixture of
Diffusers' canvas was published (pasted after each step at that step's level of noise), both at keep 0.5. `seam`:
differences of neighbouring columns at the drawing's edges / elsewhere, 1 is perfect; at keep 0.5, `seam_keep_08` at
0.8, `seam_published_05` of the published way, `seam_free` without a picture. `kept_05`, `kept_08`, `kept_09`: the share
in which the detector of training/detector.py still finds the drawing's object in its box; `kept_ceiling` in the drawing
itself after the VAE. `own_09`: where the picture's region has the drawing's prompt too. `rows`: tiles evaluated with a
picture in half of a canvas of 1024 x 256 to the end / without, and `seconds` likewise.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion import Region, Settings
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone import sampling
from tiled_diffusion.standalone.images import to_images
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.pictures import region_pulls
from tiled_diffusion.standalone.vae import decode

COUNT = 24
SIDE = 128
INNER = slice(16, SIDE - 16)
TILING = Settings(tile_width=SIDE, tile_height=SIDE, overlap=64)
BASE = Request("", width=3 * SIDE, height=SIDE, steps=25, cfg_scale=4.5, sampler="DDIM", tiling=TILING)


@dataclass(frozen=True)
class Case:
    """A drawing, what is in it, and what is asked for around it.

    Attributes:
        drawing: 128 x 128.
        inside: the detector's prompt of the drawing.
        request: of the canvas without it.
    """

    drawing: Image.Image
    inside: Any
    request: Request


def cases(detector: Any, tools: tuple[Any, Any], count: int) -> list[Case]:
    """Drawings in which the detector finds their object, with prompts of another object in the same place."""
    from training.dataset import render

    out: list[Case] = []
    for i, p in enumerate(detector.prompt_list(20 * count, 11)):
        drawing = render(detector.scene_of(91_000_000 + i, p.sky, p.ground, [(p.kind, p.colour)]))
        if detector.detect(drawing, p.colour, p.sky, *tools)["kind"] != p.kind:
            continue
        other = next(kind for kind in ("tower", "house", "balloon") if kind != p.kind)
        colour = "red" if p.colour != "red" else "white"
        place = p.text.split(p.kind, 1)[1].strip()
        around = tuple(Region(f"a {colour} {other} {place}", x=x, w=1 / 3) for x in (0, 2 / 3))
        main = place.removeprefix("on ").removeprefix("over ")
        tiling = replace(TILING, regions=around)
        out.append(Case(drawing, p, replace(BASE, prompt=main, seed=7000 + i, tiling=tiling)))
        if len(out) == count:
            break
    return out


def url(image: Image.Image) -> str:
    """As a data URL."""
    data = io.BytesIO()
    image.save(data, format="PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def kept(case: Case, keep: float, prompt: str = "") -> Request:
    """The request with the drawing in its middle third."""
    feather = 0.2 if prompt else 0.0
    region = Region(prompt, x=1 / 3, w=1 / 3, picture=url(case.drawing), keep=keep, feather=feather)
    return replace(case.request, tiling=replace(TILING, regions=(*case.request.tiling.regions, region)))


def ours(model: Model, request: Request) -> np.ndarray:
    """[H, W, 3] in 0..255."""
    return np.asarray(sampling.generate(model, request)[0], dtype=np.float64)


@contextmanager
def pasting(target: Tensor, noise: Tensor, strength: float) -> Iterator[None]:
    """The published way: after each step that is early enough the middle is the drawing at that step's level."""
    original: Callable[..., Any] = sampling.make_scheduler
    width = target.shape[-1] // 3

    def make(*args: Any) -> Any:
        scheduler = original(*args)
        step, calls = scheduler.step, iter(range(10**6))

        def pasted(prediction: Tensor, t: Tensor, x: Tensor, **options: Any) -> Any:
            out, steps = step(prediction, t, x, **options), len(scheduler.timesteps)
            if next(calls) < min(steps - int(steps * (1 - strength)), steps - 1):
                noised = scheduler.add_noise(target, noise, t.reshape(1))
                out.prev_sample[..., width : 2 * width] = noised[..., width : 2 * width]
            return out

        scheduler.step = pasted
        return scheduler

    sampling.make_scheduler = make
    try:
        yield
    finally:
        sampling.make_scheduler = original


def published(model: Model, case: Case, strength: float, target: Tensor) -> np.ndarray:
    """[H, W, 3] in 0..255, the drawing pasted between the steps."""
    with pasting(target, sampling.start_noise(model, case.request), strength):
        return ours(model, case.request)


def psnr(picture: np.ndarray, reference: np.ndarray) -> float:
    """Of the drawing's inner part."""
    middle = picture[:, SIDE : 2 * SIDE][INNER, INNER]
    return float(10 * np.log10(255**2 / ((middle - reference[INNER, INNER]) ** 2).mean()))


def seam(picture: np.ndarray) -> np.ndarray:
    """(at the drawing's two edges, elsewhere): mean differences of neighbouring columns."""
    difference = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2))
    edges = [SIDE - 1, 2 * SIDE - 1]
    return np.array([difference[edges].mean(), np.delete(difference, edges).mean()])


def saved(model: Model) -> dict[str, float]:
    """What a picture to the end saves, in half of a canvas."""
    request = replace(BASE, prompt="grass, blue sky", width=1024, height=256, steps=10)
    picture = Region("", w=0.5, picture=url(Image.new("RGB", (64, 32), "green")), keep=1.0, feather=0)
    counts, seconds = [], []
    for tiling in (TILING, replace(TILING, regions=(picture,))):
        calls: list[int] = []
        handle = model.unet.register_forward_pre_hook(lambda _, args, calls=calls: calls.append(len(args[0])))
        start = time.perf_counter()
        sampling.generate(model, replace(request, tiling=tiling))
        seconds.append(time.perf_counter() - start)
        handle.remove()
        counts.append(sum(calls))
    return {"rows": counts[1] / counts[0], "seconds": seconds[1] / seconds[0]}


WAYS: dict[str, Callable[[Model, Case, Tensor], np.ndarray]] = {
    "free": lambda model, case, _: ours(model, case.request),
    "published_05": lambda model, case, target: published(model, case, 0.5, target),
    "keep_05": lambda model, case, _: ours(model, kept(case, 0.5)),
    "keep_08": lambda model, case, _: ours(model, kept(case, 0.8)),
    "keep_09": lambda model, case, _: ours(model, kept(case, 0.9)),
    "own_09": lambda model, case, _: ours(model, kept(case, 0.9, case.inside.text)),
}


@torch.no_grad()
def measured(model: Model, count: int = COUNT) -> dict[str, Any]:
    """All figures but what is saved."""
    from training import detector

    tools = (detector.centroids(), detector.templates())
    quality: dict[str, list[float]] = {name: [] for name in WAYS}
    seams: dict[str, np.ndarray] = {name: np.zeros(2) for name in WAYS}
    found: dict[str, list[bool]] = {name: [] for name in (*WAYS, "ceiling")}
    for case in cases(detector, tools, count):
        (pull,) = region_pulls(model, kept(case, 1.0))
        whole = decode(model, pull.target[..., SIDE // 8 : SIDE // 4], TILING)
        reference = np.asarray(to_images(whole)[0], dtype=np.float64)

        def sees(picture: np.ndarray, p: Any = case.inside) -> bool:
            image = Image.fromarray(picture.astype(np.uint8))
            return bool(detector.detect(image, p.colour, p.sky, *tools)["kind"] == p.kind)

        found["ceiling"].append(sees(reference))
        for name, draw in WAYS.items():
            picture = draw(model, case, pull.target)
            quality[name].append(psnr(picture, reference))
            seams[name] += seam(picture)
            found[name].append(sees(picture[:, SIDE : 2 * SIDE]))
    return summary(quality, {name: float(s[0] / s[1]) for name, s in seams.items()}, found)


def summary(quality: dict[str, list[float]], seams: dict[str, float], found: dict[str, list[bool]]) -> dict[str, Any]:
    """The figures' names."""
    decibels = {name: float(np.mean(values)) for name, values in quality.items()}
    share = {name: float(np.mean(values)) for name, values in found.items()}
    return {
        "gain_db": decibels["keep_05"] - decibels["published_05"],
        **{f"psnr_{name}": value for name, value in decibels.items()},
        "seam": seams["keep_05"],
        **{f"seam_{name}": seams[name] for name in ("keep_08", "keep_09", "published_05", "free", "own_09")},
        **{f"kept_{name.removeprefix('keep_')}": value for name, value in share.items()},
    }


def run() -> dict[str, Any]:
    """The section `pictures` of the report."""
    model = load_model(device="cpu")
    return {**measured(model), **saved(model)}
