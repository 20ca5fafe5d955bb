"""Regions of other shapes than `bench.regions`: `python -m bench.layouts [--only NAME ...] [--count N]`.

For each layout, over N regions or more at the defaults: `right`, the share whose ground, sky and coloured object are
found in their own box; `there`, of those where something of the object's colour is found in it; `whole`, of those in
which no blob of that colour reaches the left or right edge; `objects`, how many things of the colour a region has. Each
for `regions` and for `single`, the same prompts as pictures of the box's size, and their ratios.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from bench.regions import BASE, columns, judged
from tiled_diffusion import Region, Settings
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate

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
    """One of 96 to 128 px, in multiples of 8, over the ground and sky of its own prompt."""
    prompt = next(prompts)
    w, h = (draw.randrange(96, 129, 8) for _ in range(2))
    x, y = draw.randrange(0, 3 * side - w + 1, 8), draw.randrange(0, HEIGHT - h + 1, 8)
    size = 3 * side, HEIGHT
    box = (x / size[0], y / size[1], w / size[0], h / size[1])
    scene = prompt.text.split(" on ")[-1].split(" over ")[-1]
    return Layout(*size, (Region(prompt.text, *box, layer="foreground"),), scene, (prompt,))


KINDS = {
    "columns of 160 px": (wide_columns, 160),
    "columns of 192 px": (wide_columns, 192),
    "two by two of 128 px": (squares, 128),
    "foregrounds of 96 to 128 px": (foregrounds, 128),
}


def seen(evaluate: Any, picture: Image.Image, prompt: Any, tools: tuple[Any, Any]) -> tuple[bool, bool, bool, int]:
    """Whether a picture is right, has something of the colour, has it whole, and how many things there are."""
    right, whole, count = judged(evaluate, picture, prompt, tools)
    return right, count > 0, whole, count


def measured(model: Model, kind: str, count: int) -> dict[str, Any]:
    """The figures of a kind of layout."""
    from training import detector as evaluate

    tools = (evaluate.centroids(), evaluate.templates())
    make, side = KINDS[kind]
    prompts, draw = iter(evaluate.prompt_list(4 * count, 3)), random.Random(5)
    rows: dict[str, list[tuple[bool, bool, bool, int]]] = {"regions": [], "single": []}
    while len(rows["regions"]) < count:
        layout, number = make(side, prompts, draw), len(rows["regions"])
        asked = {**BASE, "width": layout.width, "height": layout.height, "seed": 3000 + number}
        [picture] = generate(model, Request(layout.main, **asked, tiling=Settings(regions=layout.regions)))
        for k, (prompt, box) in enumerate(zip(layout.prompts, layout.boxes, strict=True)):
            alone = {**BASE, "width": box[2] - box[0], "height": box[3] - box[1], "seed": 9000 + number + k}
            rows["regions"].append(seen(evaluate, picture.crop(box), prompt, tools))
            [single] = generate(model, Request(prompt.text, **alone))
            rows["single"].append(seen(evaluate, single, prompt, tools))
    means = {way: np.mean(rows[way], axis=0) for way in rows}
    out: dict[str, Any] = {"n": len(rows["regions"])}
    for k, name in enumerate(("right", "there", "whole", "objects")):
        own, single = float(means["regions"][k]), float(means["single"][k])
        out[name] = {"regions": round(own, 3), "single": round(single, 3), "ratio": round(own / single, 3)}
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--count", type=int, default=COUNT)
    args = parser.parse_args()
    shipped = load_model(device="cpu")
    for name in args.only:
        print(name, json.dumps(measured(shipped, name, args.count)), flush=True)
