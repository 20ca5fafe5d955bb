"""Mosaics: whether tiles are pictures of their own, whether the whole is there, and memory while it is put together.

Mosaics of 8 x 8 tiles are drawn of the picture that the shipped checkpoint makes of one prompt, by what holds their
colours. `own` is the part of the tiles in which the detector of training/detector.py sees the prompt's object;
`cells_db` the PSNR of the tiles' mean colours against those of their places, `whole_db` that of the mosaic shrunk to
the picture's size, both with a peak of 255. `post` is the recipe of the source: img2img alone. `memory_mb` is how far
the resident memory of a process rises while a mosaic of 64 x 64 tiles of 512 px, 32768 px wide, is put together;
`process_mb` is the whole of that process, most of which is PyTorch's code (Linux alone tells both).
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.recipes.mosaic.cells import block_colours
from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.recipes.mosaic.folder import MosaicFolder, opened_folder
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.settings.mosaic import TILE_REQUEST, Grid, Mosaic
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import load_model

SEEDS = 3
GRID = 8
PROMPT, COLOUR, OBJECT, SKY = "a green tree on mountains, blue sky", "green", "tree", "day"
REQUEST = replace(TILE_REQUEST, prompt=PROMPT, width=128, height=128, steps=20, cfg_scale=4.5, sampler="DDIM")
VARIANTS = {
    "default": Mosaic(REQUEST),
    "held_longer": Mosaic(replace(REQUEST, hold=0.8, denoising_strength=0.8)),
    "no_hold": Mosaic(replace(REQUEST, hold=0.0, denoising_strength=0.8)),
    "weaker": Mosaic(replace(REQUEST, hold=0.0, denoising_strength=0.6)),
    "post": Mosaic(replace(REQUEST, hold=0.0, denoising_strength=0.8), colour="none"),
}
LARGE = (64, 512)
PUT_TOGETHER = """
import re, sys
from pathlib import Path
from tiled_diffusion.recipes.mosaic.pyramid import Pyramid
mb = lambda name: int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3
before = mb("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
side, tile = int(sys.argv[2]) * int(sys.argv[3]), int(sys.argv[3])
Pyramid(Path(sys.argv[1]), (side, side), tile, 85).complete()
print(before, mb("VmHWM"))
"""


def psnr(a: Any, b: Any) -> float:
    """In dB, with a peak of 255."""
    error = float(np.square(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).mean())
    return 10 * math.log10(255**2 / max(error, 1e-9))


def figures(folder: MosaicFolder) -> dict[str, float]:
    """Of one mosaic."""
    from training import detector

    centroids, templates = detector.centroids(), detector.templates()
    pyramid, picture = folder.pyramid(1), folder.picture(1)
    tiles = [pyramid.tile_image(pyramid.top, *place) for place in folder.places()]
    kinds = [detector.detect(tile, COLOUR, SKY, centroids, templates)["kind"] for tile in tiles]
    small = Reader(pyramid).region((0, 0, 1, 1), (GRID * 16, GRID * 16))
    cells = block_colours(picture, folder.grid)
    means = np.stack([np.asarray(tile, dtype=float).mean((0, 1)) for tile in tiles]).reshape(cells.shape)
    return {
        "own": sum(kind == OBJECT for kind in kinds) / len(kinds),
        "cells_db": psnr(means, cells),
        "whole_db": psnr(small, picture.resize(small.size, Image.Resampling.BOX)),
    }


def drawn() -> dict[str, dict[str, float]]:
    """Means of the figures over seeds."""
    host = DiffusersHost(load_model(device="cpu"), batch=8)
    out: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, variant in VARIANTS.items():
            found = []
            for seed in range(SEEDS):
                path = Path(place) / name / str(seed)
                settings = replace(variant, grid=Grid(GRID), request=replace(variant.request, seed=seed))
                for _ in mosaic(host, settings, path, how=How(batch=8)):
                    pass
                found.append(figures(opened_folder(path)))
            out[name] = {key: float(np.mean([f[key] for f in found])) for key in found[0]}
    return out


def memory() -> dict[str, float]:
    """Of a process that puts a large mosaic together."""
    columns, tile = LARGE
    with tempfile.TemporaryDirectory() as place:
        level = Path(place) / str((columns * tile - 1).bit_length())
        level.mkdir()
        first = level / "0_0.jpg"
        Image.effect_mandelbrot((tile, tile), (-2, -1.5, 1, 1.5), 90).convert("RGB").save(first, quality=85)
        for y in range(columns):
            for x in range(columns):
                if x or y:
                    shutil.copy(first, level / f"{x}_{y}.jpg")
        words = [sys.executable, "-c", PUT_TOGETHER, place, str(columns), str(tile)]
        before, after = map(float, subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())
    return {"memory_mb": after - before, "process_mb": after}


def run() -> dict[str, Any]:
    """All figures of this section."""
    by_variant = drawn()
    return {**by_variant.pop("default"), **memory(), "others": by_variant}
