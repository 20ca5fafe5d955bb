"""Small foregrounds: `python -m bench.small [--bootstrap N ...] [--count N] [--sheet FILE]`.

A box of 0.35 to 0.6 native sides, every third one a tight polygon, lies anywhere on a canvas of three native pictures,
over the ground and sky of its own prompt. `drawn`: the share of boxes that hold a thing of the object's colour, with at
least 0.6 of its pixels within 2 px of the box; and of each kind of object. For each value of `bootstrap`, from the same
noise.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from bench.regions import LEAST_BLOB
from tiled_diffusion import Region, Settings
from tiled_diffusion.settings.masks import Mask
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate
from training import detector

COUNT = 96
WIDTH, SIDE = 384, 128
BASE = {"width": WIDTH, "height": SIDE, "steps": 14, "cfg_scale": 5.0, "sampler": "DDIM"}
PENTAGON = Mask(polygons=(((0.5, 0), (1, 0.35), (1, 1), (0, 1), (0, 0.35)),))
BEYOND = 2
"""A thing may reach so far beyond its box, px."""
COLUMNS = 4
"""Of a sheet."""


class Kind(NamedTuple):
    """A prompt, the colour and sky by which its object is found, and what lies around it."""

    prompt: str
    colour: str
    sky: str
    scene: str


class Try(NamedTuple):
    """A kind, its box (left, top, width, height in px), whether it is a polygon, and the picture's seed."""

    kind: Kind
    box: tuple[float, float, float, float]
    polygon: bool
    seed: int


KINDS = (
    Kind("a red tower on grass, blue sky", "red", "day", "grass, blue sky"),
    Kind("a white house on grass, sunset", "white", "sunset", "grass, sunset"),
    Kind("an orange balloon over mountains, blue sky", "orange", "day", "mountains, blue sky"),
    Kind("a green tree on snow, blue sky", "green", "day", "snow, blue sky"),
)


def tries(count: int) -> Iterator[Try]:
    """The same ones always; balloons lie in the upper part."""
    draw = random.Random(11)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        w, h = (draw.uniform(0.35, 0.6) * SIDE for _ in range(2))
        x, y = draw.uniform(0, WIDTH - w), draw.uniform(0.1, 1) * (SIDE - h)
        if kind.colour == "orange":
            y = draw.uniform(0, 0.6) * (SIDE - h)
        yield Try(kind, (x, y, w, h), number % 3 == 2, 100 + number)


def share_inside(picture: Image.Image, asked: Try) -> float:
    """How much of the thing of the object's colour that lies best lies in its box; 0 where there is none."""
    x, y, w, h = asked.box
    labels = detector.components(detector.coloured(picture, asked.kind.colour, asked.kind.sky))
    rows, columns = np.indices(labels.shape)
    inside = (columns >= x - BEYOND) & (columns < x + w + BEYOND) & (rows >= y - BEYOND) & (rows < y + h + BEYOND)
    things = [labels == k for k in np.unique(labels[labels > 0])]
    return max((float(inside[thing].mean()) for thing in things if thing.sum() >= LEAST_BLOB), default=0.0)


def drawn(model: Model, asked: Try, bootstrap: float) -> Image.Image:
    """The picture of a try."""
    x, y, w, h = asked.box
    shape = {"mask": PENTAGON} if asked.polygon else {}
    region = Region(
        asked.kind.prompt, x / WIDTH, y / SIDE, w / WIDTH, h / SIDE, layer="foreground", bootstrap=bootstrap, **shape
    )
    [picture] = generate(model, Request(asked.kind.scene, **BASE, seed=asked.seed, tiling=Settings(regions=(region,))))
    return picture


def measured(model: Model, bootstrap: float, count: int) -> tuple[dict[str, Any], list[Image.Image]]:
    """The figures, and the pictures with their boxes."""
    shares, pictures = [], []
    for asked in tries(count):
        picture = drawn(model, asked, bootstrap)
        shares.append(share_inside(picture, asked))
        x, y, w, h = asked.box
        ImageDraw.Draw(picture).rectangle((x, y, x + w, y + h), outline="blue" if asked.kind.colour == "red" else "red")
        pictures.append(picture)
    inside = np.array(shares) > 0.6
    kinds = {kind.prompt: float(inside[k :: len(KINDS)].mean()) for k, kind in enumerate(KINDS)}
    return {"n": count, "drawn": float(inside.mean()), **kinds}, pictures


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Pictures in rows."""
    out = Image.new("RGB", (WIDTH * COLUMNS, SIDE * -(-len(pictures) // COLUMNS)))
    for number, picture in enumerate(pictures):
        out.paste(picture, (WIDTH * (number % COLUMNS), SIDE * (number // COLUMNS)))
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", nargs="+", type=float, default=(0.0, 0.5))
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--sheet", type=Path, help="PNG of the last value's pictures")
    args = parser.parse_args()
    shipped = load_model(device="cpu")
    for value in args.bootstrap:
        figures, last = measured(shipped, value, args.count)
        print(f"bootstrap {value:g}", json.dumps(figures), flush=True)
    if args.sheet:
        sheet(last).save(args.sheet)
