"""Small regions that begin as a sketch of their own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from bench.small import BASE as LAYOUT
from bench.small import SIDE, WIDTH, Try, share_inside, sheet, tries

from .client import Webui, encoded
from .registry import case
from .tiling_cases import TILES, drawn

SMALL = {"prompt": "a red tower on grass, blue sky", "x": 0.3, "y": 0.3, "w": 0.15, "h": 0.5, "layer": "foreground"}
MOST_SAMPLERS = 30
"""reForge has 76."""
JOB = {"width": WIDTH, "height": SIDE, "prompt": "grass, blue sky"}


def of_try(asked: Try, bootstrap: float) -> dict:
    """The settings of a small box of the bench."""
    x, y, w, h = asked.box
    box = {"x": x / WIDTH, "y": y / SIDE, "w": w / WIDTH, "h": h / SIDE}
    region = {"prompt": asked.kind.prompt, **box, "layer": "foreground", "bootstrap": bootstrap}
    return {"version": 2, "regions": [region]}


@case("bootstrap: small shapes hold their objects")
def _(w: Webui):
    asked = list(tries(12))
    shares: dict[float, list[float]] = {}
    for bootstrap in (0.0, 0.5):
        pictures = []
        for each in asked:
            job = {"prompt": each.kind.scene, "seed": each.seed, "steps": LAYOUT["steps"], "sampler_name": "Euler"}
            result = w.txt2img(tiled=of_try(each, bootstrap), width=WIDTH, height=SIDE, **job)
            pictures.append(Image.fromarray(result.pictures[0]))
        shares[bootstrap] = [share_inside(p, a) for p, a in zip(pictures, asked, strict=True)]
        if folder := os.environ.get("WEBUI_SUITE_PICTURES"):
            sheet(pictures).save(Path(folder) / f"bootstrap-{bootstrap:g}.png")
    hits = {b: sum(share > 0.6 for share in own) for b, own in shares.items()}
    assert hits[0.5] >= 10, hits
    return f"of {len(asked)} shapes {hits[0.5]} hold their object, {hits[0.0]} without a sketch"


@case("bootstrap: with samplers of every kind, and it repeats")
def _(w: Webui):
    every, differ, unheld = w.names("/sdapi/v1/samplers", "name"), [], []
    samplers = every[:: -(-len(every) // MOST_SAMPLERS)]
    for name in samplers:
        first, again, without = (
            w.txt2img(tiled={**TILES, "regions": [{**SMALL, "bootstrap": b}]}, sampler_name=name, **JOB)
            for b in (0.5, 0.5, 0.0)
        )
        if first.difference(again) > 2:
            differ.append(f"{name} {first.difference(again)}")
        if first.difference(without) <= 8:
            assert "ODE" in name, f"{name}: the sketch changes nothing"
            unheld.append(name)  # it asks hundreds of times, and each call counts as a step
    assert not differ, differ
    return f"{len(samplers)} of {len(every)} samplers" + (f"; no trace of it in {', '.join(unheld)}" if unheld else "")


@case("bootstrap: batch, AND, hires pass and img2img")
def _(w: Webui):
    own = [
        {**SMALL, "bootstrap": 0.5},
        {**SMALL, "prompt": "a tree AND snow :0.4", "x": 0.6, "bootstrap": 1, "cfg_scale": 7},
    ]
    tiled = {**TILES, "regions": own}
    batch = w.txt2img(tiled=tiled, batch_size=2, **JOB)
    assert np.abs(batch.pictures[-1].astype(int) - batch.pictures[-2]).max() > 20, "both images are the same"
    drawn(w.txt2img(tiled=tiled, enable_hr=True, hr_scale=1.5, denoising_strength=0.5, **JOB))
    start = encoded(batch.pictures[-1])
    first, second = (
        w.img2img(tiled={**TILES, "regions": [{**SMALL, "bootstrap": b}]}, init_images=[start], **JOB)
        for b in (0.5, 0.0)
    )
    assert first.difference(second) <= 2, "a sketch where the sampling begins with a picture"
    return f"img2img with and without: difference {first.difference(second)}"
