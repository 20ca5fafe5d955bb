"""Whether a large picture shows one large thing, and not many small ones, and what that costs.

Prompts of one thing each ("a red house on grass, blue sky") are drawn at 2 and 4 times the shipped checkpoint's size:
`untiled` in one piece, `mixture` in tiles, `elastic` with its defaults, `stages` by growing in stages with its
defaults, and `dilated` by the same with dilated views. For each way and factor: `right`, the share in which the
detector of training/detector.py finds ground, sky and kind in the picture shrunk to 128 px; `duplicates`, the share
in which it finds more than one thing of the colour there; `foreign`, blobs a picture, of 70 pixels or more at full
size, of object colours that neither the prompt nor enlarged renderings of its place have; `rows`, what the U-Net sees
in all, in rows of the model's own size for each of 20 steps. `small` is the same for pictures of the model's own
size: no way can be expected to be better. `duplicates_ratio`, `right`, `rows_ratio` and `foreign` at the top are
elastic's at 2 times, ratios to mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion import Settings
from tiled_diffusion.recipes.progressive import progressive
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate

COUNT = 48
SIDE = 128
LEAST_BLOB = 70
"""Pixels of a blob that counts as a thing, as in the detector."""
STEPS = 20
BASE = Request("", width=SIDE, height=SIDE, steps=STEPS, cfg_scale=4.5, sampler="DDIM")

Draw = Callable[[Model, Request], Image.Image]


def drawn(model: Model, request: Request) -> Image.Image:
    """The request's picture."""
    return generate(model, request)[0]


def in_stages(model: Model, request: Request) -> Image.Image:
    """The picture, grown by the defaults."""
    return progressive(DiffusersHost(model), replace(request, growth=Growth()))[0].image


WAYS: dict[str, Draw] = {
    "untiled": lambda m, r: drawn(m, replace(r, tiling=Settings(tile_width=r.width, tile_height=r.height))),
    "mixture": lambda m, r: drawn(m, replace(r, tiling=Settings(method="mixture"))),
    "elastic": lambda m, r: drawn(m, replace(r, tiling=Settings(method="elastic"))),
    "stages": in_stages,
    "dilated": lambda m, r: in_stages(m, replace(r, tiling=Settings(dilated=True))),
}


@contextmanager
def seen_pixels(model: Model) -> Iterator[list[int]]:
    """Latent pixels of each call of the U-Net, all rows together."""
    calls: list[int] = []
    handle = model.unet.register_forward_pre_hook(
        lambda _, args: calls.append(args[0].shape[0] * args[0].shape[2] * args[0].shape[3])
    )
    try:
        yield calls
    finally:
        handle.remove()


def blobs(detector: Any, picture: Image.Image, colour: str, sky: str) -> int:
    """Connected blobs of a colour that count as things."""
    labels = detector.components(detector.coloured(picture, colour, sky))
    return int((np.unique(labels[labels > 0], return_counts=True)[1] >= LEAST_BLOB).sum())


@cache
def foreign_colours(colour: str, ground: str, sky: str, side: int) -> tuple[str, ...]:
    """Object colours that no rendering of the place shows at a size, with or without a thing of the colour."""
    from training import detector
    from training.dataset import OBJECT_COLOURS

    scenes = [detector.scene_of(500 + i, sky, ground) for i in range(3)]
    things = [(kind, colour) for kind in ("house", "tower", "balloon")]
    scenes += [detector.scene_of(600 + i, sky, ground, [thing]) for i, thing in enumerate(things)]
    renderings = [detector.render(scene).resize((side, side), Image.Resampling.LANCZOS) for scene in scenes]
    every = sorted({name for names in OBJECT_COLOURS.values() for name in names} - {colour})
    return tuple(name for name in every if not any(blobs(detector, r, name, sky) for r in renderings))


def judged(detector: Any, tools: tuple[Any, Any], picture: Image.Image, prompt: Any) -> tuple[float, float, float]:
    """(right, more than one thing, foreign blobs)."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    seen = detector.detect(small, prompt.colour, prompt.sky, *tools)
    right = (seen["sky"], seen["ground"], seen["kind"]) == (prompt.sky, prompt.ground, prompt.kind)
    several = detector.count_things(small, prompt.colour, prompt.sky) > 1
    colours = foreign_colours(prompt.colour, prompt.ground, prompt.sky, picture.width)
    return right, several, sum(blobs(detector, picture, colour, prompt.sky) for colour in colours)


def measured(
    model: Model, draw: Draw, factor: int, prompts: list[Any], folder: Path | None = None
) -> dict[str, float | int]:
    """The figures of one way at one factor; its pictures are kept in a folder, where one is named."""
    from training import detector

    tools, rows = (detector.centroids(), detector.templates()), []
    with seen_pixels(model) as calls:
        for i, prompt in enumerate(prompts):
            request = replace(BASE, prompt=prompt.text, width=SIDE * factor, height=SIDE * factor, seed=100 + i)
            picture = draw(model, request)
            rows.append(judged(detector, tools, picture, prompt))
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                picture.save(folder / f"{i:02}.png")
    right, several, foreign = np.mean(rows, axis=0).tolist()
    seen = sum(calls) / len(prompts) / STEPS / (SIDE // 8) ** 2
    return {"right": right, "duplicates": several, "foreign": foreign, "rows": seen, "n": len(prompts)}


def summary(ways: dict[str, dict[str, float | int]]) -> dict[str, float]:
    """What the defaults of elastic promise, of the figures at one factor."""
    elastic, mixture = ways["elastic"], ways["mixture"]
    return {
        "duplicates_ratio": elastic["duplicates"] / max(mixture["duplicates"], 1 / mixture["n"]),
        "right": elastic["right"],
        "rows_ratio": elastic["rows"] / mixture["rows"],
        "foreign": elastic["foreign"],
    }


def run(count: int = COUNT, factors: tuple[int, ...] = (2, 4), pictures: Path | None = None) -> dict[str, Any]:
    """The section `elastic` of the report."""
    from training.detector import prompt_list

    model, prompts = load_model(device="cpu"), prompt_list(count, 5)
    figures: dict[str, Any] = {"small": measured(model, drawn, 1, prompts)}
    for factor in factors:
        figures[f"x{factor}"] = {
            name: measured(model, draw, factor, prompts, pictures and pictures / f"x{factor}" / name)
            for name, draw in WAYS.items()
        }
    return {**summary(figures[f"x{factors[0]}"]), **figures}
