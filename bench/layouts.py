"""Regions of other shapes than `bench.regions`: `python -m bench.layouts [--only NAME ...] [--count N]`.

For each layout, over N regions or more: `right`, the share whose ground, sky and coloured object are found in their own
box; `there`, of those where something of the object's colour is found in it; `whole`, of those in which no blob of that
colour reaches the left or right edge; `objects`, how many things of the colour a region has. `single` are the same
prompts as pictures of the box's size, from the very noise that lies in the box; then each value of `--compose` and
`--bootstrap`. Of columns also `haze` (see bench.regions) and `seam`, the contrast of neighbouring pixels at the borders
between regions / elsewhere.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from bench.regions import BASE, columns, haze, judged
from tiled_diffusion import Region, Settings
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.images import to_images
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import denoise, generate, start_noise
from tiled_diffusion.standalone.vae import decode

COUNT = 120
HEIGHT = 128


@dataclass(frozen=True)
class Layout:
    """A picture of several regions.

    Attributes:
        width, height: image pixels.
        regions: with a prompt each.
        main: the main prompt.
        prompts: what each region is to show.
    """

    width: int
    height: int
    regions: tuple[Region, ...]
    main: str
    prompts: tuple[Any, ...]

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Left, top, right, bottom of each region, image pixels."""
        size = (self.width, self.height) * 2
        edges = ((r.x, r.y, r.x + r.w, r.y + r.h) for r in self.regions)
        return [tuple(round(e * n) for e, n in zip(edge, size, strict=True)) for edge in edges]  # type: ignore[misc]


def wide_columns(side: int, prompts: Iterator[Any], draw: random.Random) -> Layout:
    """Two to four columns of a width."""
    here = tuple(next(prompts) for _ in range(draw.choice((2, 3, 4))))
    return Layout(side * len(here), HEIGHT, columns(list(here)), ", ".join(p.text for p in here), here)


def squares(side: int, prompts: Iterator[Any], draw: random.Random) -> Layout:  # noqa: ARG001 as its fellow
    """Two by two."""
    here = tuple(next(prompts) for _ in range(4))
    regions = tuple(Region(p.text, k % 2 / 2, k // 2 / 2, 0.5, 0.5) for k, p in enumerate(here))
    return Layout(2 * side, 2 * side, regions, ", ".join(p.text for p in here), here)


def foregrounds(side: int, prompts: Iterator[Any], draw: random.Random) -> Layout:
    """One of 96, 112 or 128 px, which pictures of their own can be too, over the ground and sky of its own prompt."""
    prompt = next(prompts)
    w, h = (draw.randrange(96, 129, 16) for _ in range(2))
    x, y = draw.randrange(0, 3 * side - w + 1, 8), draw.randrange(0, HEIGHT - h + 1, 8)
    size = 3 * side, HEIGHT
    box = (x / size[0], y / size[1], w / size[0], h / size[1])
    scene = prompt.text.split(" on ")[-1].split(" over ")[-1]
    return Layout(*size, (Region(prompt.text, *box, layer="foreground"),), scene, (prompt,))


KINDS = {
    "columns of 128 px": (wide_columns, 128),
    "columns of 160 px": (wide_columns, 160),
    "columns of 192 px": (wide_columns, 192),
    "two by two of 128 px": (squares, 128),
    "foregrounds of 96 to 128 px": (foregrounds, 128),
}


def seen(evaluate: Any, picture: Image.Image, prompt: Any, tools: tuple[Any, Any]) -> tuple[bool, bool, bool, int]:
    """Whether a picture is right, has something of the colour, has it whole, and how many things there are."""
    right, whole, count = judged(evaluate, picture, prompt, tools)
    return right, count > 0, whole, count


def single(model: Model, layout: Layout, number: int) -> list[Image.Image]:
    """The prompts as pictures of their own, from the noise of their boxes."""
    factor = model.traits.factor
    noise = start_noise(model, Request(layout.main, **asked(layout, number)))
    out = []
    for prompt, (left, top, right, bottom) in zip(layout.prompts, layout.boxes, strict=True):
        alone = Request(prompt.text, **BASE, width=right - left, height=bottom - top)
        own = noise[..., top // factor : bottom // factor, left // factor : right // factor].contiguous()
        out += to_images(decode(model, denoise(model, alone, own, None, Progress()), Settings()))
    return out


def asked(layout: Layout, number: int) -> dict[str, Any]:
    """What the requests of a layout share."""
    return {**BASE, "width": layout.width, "height": layout.height, "seed": 3000 + number}


def seam(pictures: Sequence[Image.Image], side: int) -> float:
    """Mean contrast of neighbouring pixels at borders between columns / elsewhere."""
    at, rest = [], []
    for picture in pictures:
        contrast = np.abs(np.diff(np.asarray(picture.convert("L"), np.float32), axis=1)).mean(axis=0)
        border = (np.arange(len(contrast)) + 1) % side == 0
        at += contrast[border].tolist()
        rest += contrast[~border].tolist()
    return float(np.mean(at) / np.mean(rest))


def measured(model: Model, kind: str, count: int, ways: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The figures of a kind of layout, of each (compose, bootstrap)."""
    from training import detector as evaluate

    tools = (evaluate.centroids(), evaluate.templates())
    make, side = KINDS[kind]
    prompts, draw = iter(evaluate.prompt_list(4 * count, 3)), random.Random(5)
    rows: dict[str, list[tuple[bool, bool, bool, int]]] = {}
    wholes: dict[str, list[Image.Image]] = {}
    for number in itertools.count():
        if len(rows.get("single", [])) >= count:
            break
        layout = make(side, prompts, draw)
        parts = {"single": single(model, layout, number)}
        for compose, bootstrap in ways:
            regions = tuple(replace(region, bootstrap=bootstrap) for region in layout.regions)
            tiling = Settings(regions=regions, compose=compose)
            [picture] = generate(model, Request(layout.main, **asked(layout, number), tiling=tiling))
            name = f"compose {compose:g}, bootstrap {bootstrap:g}"
            parts[name] = [picture.crop(box) for box in layout.boxes]
            wholes.setdefault(name, []).append(picture)
        for name, pictures in parts.items():
            pairs = zip(pictures, layout.prompts, strict=True)
            rows.setdefault(name, []).extend(seen(evaluate, part, prompt, tools) for part, prompt in pairs)
    figures = ("right", "there", "whole", "objects")
    out = {name: dict(zip(figures, np.mean(own, axis=0).round(3).tolist(), strict=True)) for name, own in rows.items()}
    if make is wide_columns:
        for name, pictures in wholes.items():
            out[name] |= {"haze": round(haze(pictures, side), 3), "seam": round(seam(pictures, side), 3)}
    return {"n": len(rows["single"]), **out}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--compose", nargs="+", type=float, default=(Settings().compose,))
    parser.add_argument("--bootstrap", nargs="+", type=float, default=(0.0,))
    args = parser.parse_args()
    shipped = load_model(device="cpu")
    for name in args.only:
        print(
            name,
            json.dumps(measured(shipped, name, args.count, list(itertools.product(args.compose, args.bootstrap)))),
            flush=True,
        )
