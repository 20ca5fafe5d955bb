"""Whether seams can be seen where tiles meet, judged against untiled pictures of the same kind.

Pairs of pictures are made from the same drawn landscape, prompt and seed by img2img, once tiled and once in one piece,
so that both have the same things in the same places. What is looked at are lines of pixels where tiles meet, on both
axes. Along a line the second difference across it is averaged over stretches of 16 px: a faint streak adds up, texture
does not. Only smooth stretches count: those around which the untiled picture has no edge. The figure is the mean of the
absolute values over all smooth stretches, tiled / untiled. 1 means that nothing is to be seen there.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tiled_diffusion import METHODS, Planner, Settings
from tiled_diffusion.standalone.generate import make_planner, sample_latents
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.request import Request
from tiled_diffusion.windows import AxisTiles

SEEDS = 20
STRETCH = 16
SMOOTH = 1.0
"""Most coherent second difference around a smooth stretch, levels of 255."""
AROUND = (-8, -7, -6, -5, -4, 3, 4, 5, 6, 7)
CANVAS = {"width": 384, "height": 256, "steps": 20, "cfg_scale": 4.5, "denoising_strength": 0.6}

Lines = tuple[Counter[int], Counter[int]]
"""Rows and columns (lp) at whose upper or left side tiles meet, counted over the steps."""


def lines(planner: Planner, steps: int) -> Lines:
    """Where tiles meet on the planner's canvas."""
    found: Lines = (Counter(), Counter())
    for step in range(steps if planner.method.moves else 1):
        for axis, tiles in enumerate(planner.axes(planner.canvas, step)):
            found[axis].update(meeting_points(tiles, planner.canvas[axis]))
    return found


def meeting_points(tiles: AxisTiles, length: int) -> set[int]:
    """Where the set of tiles with a weight changes, and where another tile begins to weigh most."""
    weights = np.zeros((len(tiles.starts), length))
    for row, start, w in zip(weights, tiles.starts, tiles.weights, strict=True):
        row[start : start + tiles.tile] = w
    support, best = weights > 0, weights.argmax(axis=0)
    changed = (support[:, 1:] != support[:, :-1]).any(axis=0) | (best[1:] != best[:-1])
    return {int(i) + 1 for i in np.flatnonzero(changed)}


def breaks(image: np.ndarray, axis: int) -> np.ndarray:
    """[rows - 2, stretches]: coherent second difference across `axis` of [H, W, 3] in -1..1, levels of 255."""
    a = image if axis == 0 else image.swapaxes(0, 1)
    second = a[2:] - 2 * a[1:-1] + a[:-2]
    n = a.shape[1] // STRETCH
    coherent = np.abs(second[:, : n * STRETCH].reshape(len(second), n, STRETCH, 3).mean(axis=2)).max(axis=2)
    return np.asarray(coherent * 127.5)


@dataclass
class Sums:
    """Sums over smooth stretches of tiled and untiled pictures."""

    tiled: float = 0.0
    untiled: float = 0.0
    count: int = 0

    def add(self, tiled: np.ndarray, untiled: np.ndarray, places: Lines) -> None:
        """Adds one pair of pictures [H, W, 3] in -1..1."""
        for axis in (0, 1):
            ours, theirs = breaks(tiled, axis), breaks(untiled, axis)
            for place, times in places[axis].items():
                at = place * 8 - 1  # the second difference around pixel p stands in row p - 1
                if at + max(AROUND) >= len(theirs):
                    continue
                smooth = np.stack([theirs[at + k] for k in AROUND]).max(axis=0) < SMOOTH
                self.tiled += times * float((ours[at - 1 : at + 1, smooth]).sum())
                self.untiled += times * float((theirs[at - 1 : at + 1, smooth]).sum())
                self.count += times * int(smooth.sum())

    @property
    def ratio(self) -> float:
        """Tiled / untiled."""
        return self.tiled / self.untiled


def drawn_landscapes() -> list[tuple[Image.Image, str]]:
    """Landscapes and captions as the checkpoint was trained on, drawn larger; none of them was in its training."""
    path = Path(__file__).parent.parent / "training" / "dataset.py"
    spec = importlib.util.spec_from_file_location("landscapes", path)
    assert spec is not None
    assert spec.loader is not None
    dataset = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dataset)
    samples = (dataset.make_sample(90_000_000 + i, CANVAS["width"], CANVAS["height"]) for i in range(SEEDS))
    return [(image, caption) for image, caption, *_ in samples]


def pictures(model: Model, settings: Settings, landscapes: list[tuple[Image.Image, str]]) -> list[np.ndarray]:
    """Unrounded pictures [H, W, 3] in -1..1, decoded in one piece."""
    out = []
    for seed, (image, caption) in enumerate(landscapes):
        request = Request(caption, seed=1000 + seed, tiling=settings, **CANVAS)  # type: ignore[arg-type]
        latents = sample_latents(model, request, init_image=image)
        with torch.no_grad():
            pixels = model.vae.decode(latents / model.vae.config.scaling_factor).sample
        out.append(pixels[0].permute(1, 2, 0).float().numpy())
    return out


def run() -> dict[str, Any]:
    """The section `quality` of the report."""
    model, landscapes = load_model(), drawn_landscapes()
    canvas = make_planner(model, Request("", **CANVAS)).canvas  # type: ignore[arg-type]
    untiled = pictures(model, Settings(tile_width_lp=canvas.w, tile_height_lp=canvas.h), landscapes)
    kinds = {name: Settings(method=name) for name in METHODS}
    side = model.size.native
    kinds["disjoint_control"] = Settings(
        method="multidiffusion", tile_width_lp=side, tile_height_lp=side, overlap_lp=0
    )  # 16 lp tiles side by side on 48 x 32 lp
    seam: dict[str, float] = {}
    for name, settings in kinds.items():
        sums = Sums()
        for seed, (ours, theirs) in enumerate(zip(pictures(model, settings, landscapes), untiled, strict=True)):
            request = Request("", seed=1000 + seed, tiling=settings, **CANVAS)  # type: ignore[arg-type]
            steps = int(request.steps * request.denoising_strength)
            sums.add(ours, theirs, lines(make_planner(model, request), steps))
        seam[name] = sums.ratio
    return {"seam": seam}
