"""Whether seams can be seen where tiles meet, judged against untiled pictures of the same kind.

What is looked at: lines of pixels where tiles meet, on both axes. Along a line the second difference across it is
averaged over stretches of 16 px (a faint streak adds up, texture does not), and of the stretches' absolute values the
median is taken, so that smooth areas such as a plain sky decide. A figure is the geometric mean over all lines and
pictures, divided by the same lines of untiled pictures; both are first divided by the same picture's figure over all
lines, so that a picture with more or less in it does not count as a seam.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tiled_diffusion.standalone.generate import make_planner, sample_latents
from tiled_diffusion.standalone.model import Model, load_model
from torch import Tensor

from tiled_diffusion import METHODS, Planner, Settings
from tiled_diffusion.standalone.request import Request
from tiled_diffusion.windows import AxisTiles

SEEDS = 20
STRETCH = 16
PROMPTS = (
    "grass, blue sky",
    "the sea, sunset",
    "snow, stormy sky",
    "a lavender field, pink sky",
    "a red house on grass, blue sky",
)
CANVAS = {"width": 384, "height": 256, "steps": 20, "cfg_scale": 4.5}


def lines(planner: Planner, steps: int) -> tuple[Counter[int], Counter[int]]:
    """Rows and columns (lp) at whose upper or left side tiles meet, counted over the steps."""
    found: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
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


def line_figures(image: np.ndarray, axis: int) -> np.ndarray:
    """For every lp line > 0 across `axis` of [H, W, 3]: how much the picture breaks there."""
    a = image if axis == 0 else image.swapaxes(0, 1)
    second = a[2:] - 2 * a[1:-1] + a[:-2]
    n = a.shape[1] // STRETCH
    coherent = np.abs(second[:, : n * STRETCH].reshape(len(second), n, STRETCH, 3).mean(axis=2))
    each = np.median(coherent, axis=(1, 2)) + 1e-6
    at = np.arange(8, a.shape[0], 8)
    return np.log(np.stack([each[at + k - 1] for k in (-2, -1, 0, 1)])).mean(axis=0)


def contrast(image: np.ndarray, places: tuple[Counter[int], Counter[int]]) -> float:
    """Mean log figure on the lines / on all lines."""
    on, everywhere = [], []
    for axis in (0, 1):
        figures = line_figures(image, axis)
        on += [figures[p - 1] for p, n in places[axis].items() for _ in range(n)]
        everywhere += list(figures)
    return float(np.mean(on) - np.mean(everywhere))


def pictures(model: Model, settings: Settings) -> list[np.ndarray]:
    """Unrounded pictures [H, W, 3] in -1..1, decoded untiled."""
    out = []
    for seed in range(SEEDS):
        request = Request(PROMPTS[seed % len(PROMPTS)], seed=1000 + seed, tiling=settings, **CANVAS)  # type: ignore[arg-type]
        latents: Tensor = sample_latents(model, request)
        with torch.no_grad():
            image = model.vae.decode(latents / model.vae.config.scaling_factor).sample
        out.append(image[0].permute(1, 2, 0).float().numpy())
    return out


def run() -> dict[str, Any]:
    """The section `quality` of the report."""
    model = load_model()
    canvas = make_planner(model, Request("", **CANVAS)).canvas  # type: ignore[arg-type]
    untiled = pictures(model, Settings(tile_width_lp=canvas.w, tile_height_lp=canvas.h))
    kinds = {name: Settings(method=name) for name in METHODS}
    kinds["disjoint_control"] = Settings(method="multidiffusion", overlap_lp=0)
    seam = {}
    for name, settings in kinds.items():
        request = Request("", tiling=settings, **CANVAS)  # type: ignore[arg-type]
        places = lines(make_planner(model, replace(request, seed=1000)), request.steps)
        tiled = [contrast(p, places) for p in pictures(model, settings)]
        plain = [contrast(p, places) for p in untiled]
        seam[name] = float(np.exp(np.mean(tiled) - np.mean(plain)))
    return {"seam": seam}
