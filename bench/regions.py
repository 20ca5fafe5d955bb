"""Whether regions hold what their prompts ask for, and what they cost.

`adherence`: over random layouts of 2 to 4 columns of 128 px with the shipped checkpoint, at the default feather, the
share of regions whose ground, sky and coloured object are found in their own box by the detector of
training/detector.py; `whole`: of regions in which no blob of the object's colour reaches the left or right edge; and
`objects`: how many things of the colour a region has. Each for `regions` (the defaults), `soft` (soft edges from the
start: compose 0), `single` (the same prompts as pictures of 128 x 128) and `untiled` (all prompts joined in one plain
picture). `adherence_ratio`, `whole_objects`, `count_ratio`: regions / single. `haze`: contrast between neighbouring
pixels in the 16 px on both sides of a border / elsewhere.
`leak`: one region's prompt is changed; mean |difference| outside its soft edge / inside, at the last latent.
`variance`: of the start noise where four regions with seeds of their own overlap.
`drawn_small`: see bench.small; here of 24 tries.
`rows`: pixels evaluated / those of one evaluation of each whole region's box and a full grid of the main prompt.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from tiled_diffusion import METHODS, Extent, ModelTraits, Planner, Region, Settings
from tiled_diffusion.engine.masks import region_box
from tiled_diffusion.engine.noise import region_noise
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate, sample_latents

LAYOUTS = 50
SMALL_TRIES = 24
SIDE = 128
LEAST_BLOB = 70
"""Pixels of a blob that counts as a thing, as in the detector."""
EDGE, EDGE_ROWS = 2, 4
"""A thing is cut where it comes within so many pixels of an edge, along so many rows."""
HAZE = 16
BASE = {"steps": 20, "cfg_scale": 5.0, "sampler": "DDIM"}


def layouts(evaluate: Any) -> list[list[Any]]:
    """Prompts of each layout, from left to right."""
    draw, prompts = random.Random(5), iter(evaluate.prompt_list(LAYOUTS * 4, 3))
    return [[next(prompts) for _ in range(draw.choice((2, 3, 4)))] for _ in range(LAYOUTS)]


def columns(prompts: list[Any]) -> tuple[Region, ...]:
    """Equal columns."""
    n = len(prompts)
    return tuple(Region(p[0], i / n, 0, 1 / n, 1) for i, p in enumerate(prompts))


def judged(evaluate: Any, picture: Image.Image, prompt: Any, tools: tuple[Any, Any]) -> tuple[bool, bool, int]:
    """Whether a picture has ground, sky and object of its prompt, whether no object is cut, and how many there are."""
    seen = evaluate.detect(picture, prompt.colour, prompt.sky, *tools)
    right = (seen["sky"], seen["ground"], seen["kind"]) == (prompt.sky, prompt.ground, prompt.kind)
    labels = evaluate.components(evaluate.coloured(picture, prompt.colour, prompt.sky))
    blobs = [labels == k for k in np.unique(labels[labels > 0])]
    cut = any(b.sum() >= LEAST_BLOB and (reaches(b[:, :EDGE]) or reaches(b[:, -EDGE:])) for b in blobs)
    return right, not cut, evaluate.count_things(picture, prompt.colour, prompt.sky)


def reaches(edge: np.ndarray) -> bool:
    """Whether a blob lies at an edge, given by its few columns there, along at least as many rows as make it seen."""
    return bool(edge.any(axis=1).sum() >= EDGE_ROWS)


def haze(pictures: list[Image.Image], side: int = SIDE) -> float:
    """Mean contrast of neighbouring pixels around borders between columns of so many pixels / elsewhere."""
    near, rest = [], []
    for picture in pictures:
        contrast = np.abs(np.diff(np.asarray(picture.convert("L"), np.float32), axis=1)).mean(axis=0)
        to_border = np.abs((np.arange(len(contrast)) + 1 + side // 2) % side - side // 2)
        inner = (np.arange(len(contrast)) >= side // 2) & (np.arange(len(contrast)) < len(contrast) - side // 2)
        near += contrast[(to_border < HAZE) & inner].tolist()
        rest += contrast[(to_border >= HAZE) | ~inner].tolist()
    return float(np.mean(near) / np.mean(rest))


def cut(picture: Image.Image, count: int) -> list[Image.Image]:
    """The columns of a picture."""
    return [picture.crop((i * SIDE, 0, (i + 1) * SIDE, SIDE)) for i in range(count)]


def adherence(model: Model) -> dict[str, Any]:
    """The figures of columns."""
    from training import detector as evaluate

    tools = (evaluate.centroids(), evaluate.templates())
    seen: dict[str, list[tuple[bool, bool, int]]] = {}
    whole: dict[str, list[Image.Image]] = {"regions": [], "soft": []}
    for number, prompts in enumerate(layouts(evaluate)):
        pictures = drawn(model, prompts, number)
        for name, boxes in pictures.items():
            seen.setdefault(name, []).extend(
                judged(evaluate, b, p, tools) for b, p in zip(boxes[-len(prompts) :], prompts, strict=True)
            )
            if name in whole:
                whole[name].append(boxes[0])
    means = {name: np.mean(rows, axis=0) for name, rows in seen.items()}
    figures: dict[str, Any] = {
        figure: {name: float(mean[k]) for name, mean in means.items()}
        for k, figure in enumerate(("adherence", "whole", "objects"))
    }
    ratios = (means["regions"] / means["single"]).tolist()
    figures |= dict(zip(("adherence_ratio", "whole_objects", "count_ratio"), ratios, strict=True))
    return {**figures, "haze": {name: haze(pictures) for name, pictures in whole.items()}, "n": len(seen["regions"])}


def drawn(model: Model, prompts: list[Any], number: int) -> dict[str, list[Image.Image]]:
    """A layout in each way: the whole picture, where there is one, and then its columns."""
    wide = {**BASE, "width": SIDE * len(prompts), "height": SIDE, "seed": 3000 + number}
    joined = ", ".join(p.text for p in prompts)
    regions = columns(prompts)
    ways = {
        "regions": Settings(regions=regions),
        "soft": Settings(regions=regions, compose=0.0),
        "untiled": Settings(tile_width=SIDE * len(prompts)),
    }
    pictures = {name: generate(model, Request(joined, **wide, tiling=tiling))[0] for name, tiling in ways.items()}
    single = {**BASE, "width": SIDE, "height": SIDE}
    alone = [generate(model, Request(p.text, **single, seed=9000 + 10 * number + i))[0] for i, p in enumerate(prompts)]
    return {name: [picture, *cut(picture, len(prompts))] for name, picture in pictures.items()} | {"single": alone}


def leak(model: Model, method: str) -> float:
    """Of the middle one of three regions."""
    prompts = ("a red house on grass, blue sky", "a tower on snow, night sky", "a tree on grass, sunset")
    regions = tuple(Region(p, i / 3, 0, 1 / 3, 1, feather=0.2) for i, p in enumerate(prompts))
    changed = (regions[0], replace(regions[1], prompt="a boat on the sea, stormy sky"), regions[2])
    latents = [
        sample_latents(
            model,
            Request("", **BASE, width=768, height=128, seed=4, tiling=Settings(method=method, regions=r)),
        )
        for r in (regions, changed)
    ]
    difference = (latents[0] - latents[1]).abs().mean(dim=(0, 1, 2))
    inside, edge = slice(32, 64), 4
    outside = torch.cat([difference[: 32 - edge], difference[64 + edge :]])
    return float(outside.mean() / difference[inside].mean())


def variance() -> float:
    """Where four seeded regions overlap."""
    regions = tuple(Region("", 0.1 * k, 0.1, 0.6, 0.8, seed=k) for k in range(4))
    noise = torch.randn((16, 4, 128, 128), generator=torch.Generator().manual_seed(0))
    return float(region_noise(noise, Settings(regions=regions))[:, :, 20:100, 50:80].var())


LARGE = {
    "three on 1920x1280": (1920, 1280, ((0, 0, 0.4, 1), (0.3, 0.1, 0.4, 0.9), (0.6, 0, 0.4, 1))),
    "two on 1280x1600": (1280, 1600, ((0, 0, 1, 1), (0.25, 0.1, 0.5, 0.85))),
}


def rows() -> dict[str, float]:
    """For SD 1 at full size; never above 1."""
    out = {}
    for name, (width, height, boxes) in LARGE.items():
        canvas = Extent(height // 8, width // 8)
        regions = tuple(Region("", *box, feather=0.1) for box in boxes)
        planner = Planner(canvas, Settings(regions=regions), ModelTraits(64, 8))
        work = np.mean([planner.plan(0, step / 20).work_ratio for step in range(20)])
        grid = Planner(canvas, Settings(), ModelTraits(64, 8)).plan()
        whole = sum(b.h * b.w for b in (region_box(r, canvas) for r in regions)) + grid.work_ratio * canvas.h * canvas.w
        out[name] = round(float(work) * canvas.h * canvas.w / whole, 3)
    return out


def run() -> dict[str, Any]:
    """All figures of this section."""
    from bench.small import measured as small  # which takes its idea of a thing from here

    model = load_model(device="cpu")
    return {
        **adherence(model),
        "drawn_small": {f"bootstrap {value:g}": small(model, value, SMALL_TRIES)[0]["drawn"] for value in (0.0, 0.5)},
        "leak": {method: leak(model, method) for method in METHODS if not METHODS[method].structure},
        "variance": variance(),
        "rows": rows(),
    }
