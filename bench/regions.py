"""Whether regions hold what their prompts ask for, and what they cost.

`adherence`: over random layouts of 2 to 4 columns of 128 px with the shipped checkpoint, the share of regions whose
ground, sky and coloured object are found in their own box by the detector of training/detector.py. Beside it `ceiling`,
the same prompts as single pictures of 128 x 128, and `untiled`, all prompts joined in one plain picture.
`leak`: one region's prompt is changed; mean |difference| outside its soft edge / inside, at the last latent.
`variance`: of the start noise where four regions with seeds of their own overlap.
`rows`: pixels evaluated / those of one evaluation of each whole region's box and a full grid of the main prompt.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from tiled_diffusion import METHODS, Extent, ModelTraits, Planner, Region, Settings
from tiled_diffusion.engine.masks import region_box
from tiled_diffusion.engine.noise import region_noise
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate, sample_latents

LAYOUTS = 50
SIDE = 128
BASE = {"steps": 20, "cfg_scale": 5.0, "sampler": "DDIM"}


def layouts(evaluate: Any) -> list[list[Any]]:
    """Prompts of each layout, from left to right."""
    draw, prompts = random.Random(5), iter(evaluate.prompt_list(LAYOUTS * 4, 3))
    return [[next(prompts) for _ in range(draw.choice((2, 3, 4)))] for _ in range(LAYOUTS)]


def columns(prompts: list[Any]) -> tuple[Region, ...]:
    """Equal columns."""
    n = len(prompts)
    return tuple(Region(p[0], i / n, 0, 1 / n, 1, feather=0.1) for i, p in enumerate(prompts))


def found(evaluate: Any, boxes: list[Image.Image], prompts: list[Any], tools: tuple[Any, Any]) -> list[bool]:
    """Whether each picture holds ground, sky and object of its prompt."""
    seen = [evaluate.detect(im, p[2], p[4], *tools) for im, p in zip(boxes, prompts, strict=True)]
    return [d["sky"] == p[4] and d["ground"] == p[3] and d["kind"] == p[1] for d, p in zip(seen, prompts, strict=True)]


def cut(picture: Image.Image, count: int) -> list[Image.Image]:
    """The columns of a picture."""
    return [picture.crop((i * SIDE, 0, (i + 1) * SIDE, SIDE)) for i in range(count)]


def adherence(model: Model) -> dict[str, float]:
    """The shares of regions that hold what they ask for, three of them."""
    from training import detector as evaluate

    tools = (evaluate.centroids(), evaluate.templates())
    counts: dict[str, list[bool]] = {"adherence": [], "ceiling": [], "untiled": []}
    for number, prompts in enumerate(layouts(evaluate)):
        wide = {**BASE, "width": SIDE * len(prompts), "height": SIDE, "seed": 3000 + number}
        joined = ", ".join(p[0] for p in prompts)
        regional = generate(model, Request(joined, **wide, tiling=Settings(regions=columns(prompts))))[0]
        plain = Settings(tile_width=SIDE * len(prompts))
        untiled = generate(model, Request(joined, **wide, tiling=plain))[0]
        single = {**BASE, "width": SIDE, "height": SIDE}
        alone = [
            generate(model, Request(p[0], **single, seed=9000 + 10 * number + i))[0] for i, p in enumerate(prompts)
        ]
        for name, pictures in (
            ("adherence", cut(regional, len(prompts))),
            ("untiled", cut(untiled, len(prompts))),
            ("ceiling", alone),
        ):
            counts[name] += found(evaluate, pictures, prompts, tools)
    return {name: sum(hits) / len(hits) for name, hits in counts.items()}


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
        ours = Planner(canvas, Settings(regions=regions), ModelTraits(64, 8)).plan()
        grid = Planner(canvas, Settings(), ModelTraits(64, 8)).plan()
        whole = sum(b.h * b.w for b in (region_box(r, canvas) for r in regions)) + grid.work_ratio * canvas.h * canvas.w
        out[name] = round(ours.work_ratio * canvas.h * canvas.w / whole, 3)
    return out


def run() -> dict[str, Any]:
    """All figures of this section."""
    model = load_model(device="cpu")
    return {
        **adherence(model),
        "leak": {method: leak(model, method) for method in METHODS},
        "variance": variance(),
        "rows": rows(),
    }
