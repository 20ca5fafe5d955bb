"""Whether seams can be seen where tiles meet, judged against untiled pictures of the same kind.

Pairs of pictures are made from the same drawn landscape, prompt and seed by img2img, once tiled and once in one piece,
so that both have the same things in the same places. What is looked at are lines of pixels where tiles meet, on both
axes. Along a line the second difference across it is averaged over stretches of 16 px: a faint streak adds up, texture
does not. Only smooth stretches count, those around which neither picture has an edge, and of a stretch no more than one
level: an edge that happens to run along a line would outweigh everything else.

`seam_raw` is the sum of the absolute values, tiled / untiled. Tiled pictures have more texture all over, since in one
piece this canvas is larger than what the model knows; so `seam` divides by the same ratio over all lines, whether tiles
meet there or not. 1 means that nothing shows where tiles meet. `seam_error` is its standard error over the seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from PIL import Image

from tiled_diffusion import METHODS, Planner, Settings
from tiled_diffusion.engine.windows import AxisTiles
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import make_planner, sample_latents

SEEDS = 20
STRETCH = 16
SMOOTH = 2.0
"""Most coherent second difference around a smooth stretch, levels of 255."""
MOST = 1.0
"""What a stretch counts at most, levels of 255."""
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
    """Sums over smooth stretches of tiled and untiled pictures: where tiles meet, and over all lines."""

    met: float = 0.0
    met_untiled: float = 0.0
    everywhere: float = 0.0
    everywhere_untiled: float = 0.0
    count: int = 0

    def add(self, tiled: np.ndarray, untiled: np.ndarray, places: Lines) -> None:
        """Adds one pair of pictures [H, W, 3] in -1..1."""
        for axis in (0, 1):
            ours, theirs = breaks(tiled, axis), breaks(untiled, axis)
            for place in range(2, len(ours) // 8 - 1):
                at = place * 8 - 1  # the second difference around pixel p stands in row p - 1
                smooth = np.stack([np.maximum(ours[at + k], theirs[at + k]) for k in AROUND]).max(axis=0) < SMOOTH
                a, b = (float(np.minimum(p[at - 1 : at + 1, smooth], MOST).sum()) for p in (ours, theirs))
                times = places[axis][place]
                self.met += times * a
                self.met_untiled += times * b
                self.everywhere += a
                self.everywhere_untiled += b
                self.count += times * int(smooth.sum())

    @property
    def raw(self) -> float:
        """Tiled / untiled where tiles meet."""
        return self.met / self.met_untiled

    @property
    def ratio(self) -> float:
        """The same, divided by what it is over all lines: what is due to the place and not to the picture."""
        return self.raw / (self.everywhere / self.everywhere_untiled)


def total(sums: Sequence[Sums]) -> Sums:
    """All of them added up."""
    return Sums(*(sum(getattr(s, f.name) for s in sums) for f in fields(Sums)))


def standard_error(sums: Sequence[Sums]) -> float:
    """Of the ratio, by drawing as many pictures with replacement 200 times."""
    rng = np.random.default_rng(0)
    draws = (total([sums[i] for i in rng.integers(0, len(sums), len(sums))]) for _ in range(200))
    return float(np.std([d.ratio for d in draws]))


def drawn_landscapes(first: int, count: int, width: int, height: int) -> list[tuple[Image.Image, str]]:
    """Landscapes and captions as the checkpoint was trained on, of any size.

    Those from 90,000,000 on were in no training.
    """
    from training.dataset import make_sample

    samples = (make_sample(first + i, width, height) for i in range(count))
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
    model, landscapes = load_model(), drawn_landscapes(90_000_000, SEEDS, CANVAS["width"], CANVAS["height"])
    canvas = make_planner(model, Request("", **CANVAS)).canvas  # type: ignore[arg-type]
    untiled = pictures(model, Settings(tile_width=canvas.w * 8, tile_height=canvas.h * 8), landscapes)
    kinds = {name: Settings(method=name) for name in METHODS}
    side = model.traits.native * model.traits.factor
    kinds["disjoint_control"] = Settings(
        method="multidiffusion", tile_width=side, tile_height=side, overlap=0
    )  # tiles of 128 px side by side on 384 x 256 px
    figures: dict[str, dict[str, float]] = {"seam": {}, "seam_raw": {}, "seam_error": {}}
    for name, settings in kinds.items():
        each = []
        for seed, pair in enumerate(zip(pictures(model, settings, landscapes), untiled, strict=True)):
            request = Request("", seed=1000 + seed, tiling=settings, **CANVAS)  # type: ignore[arg-type]
            steps = int(request.steps * request.denoising_strength)
            sums = Sums()
            sums.add(*pair, lines(make_planner(model, request), steps))
            each.append(sums)
        whole = total(each)
        figures["seam"][name], figures["seam_raw"][name] = whole.ratio, whole.raw
        figures["seam_error"][name] = standard_error(each)
    return figures
