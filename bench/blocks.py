"""Pictures enlarged in blocks: what memory that takes, and whether it shows where blocks meet.

`memory_mb` is how far the resident memory of a process with the shipped model rises while it draws the first `blocks`
blocks of a picture of 2048 x 2048 px enlarged to 16384 x 16384 (Linux alone tells). `put_together_mb` is the same for
all blocks of that picture, by a host that enlarges and draws nothing.

For the rest, landscapes are drawn twice from the same noise, in two blocks and in one piece, with 1, 2 or 3 tiles in
what the blocks share. `apart` is the root mean square difference of the two blocks in the part in which one gives way
to the other, in levels of 255; `own_noise` is what it is where each block has noise of its own. `seam` is that of
bench/quality.py in that part: 1 means that nothing shows; `cut` is its figure where blocks with noise of their own meet
in one line.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.recipes.blocks.layout import RAMP, Area, Axis
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import load_model

from .quality import Lines, Sums, drawn_landscapes, standard_error, total

SEEDS = 6
TILE, STRIDE, TILES, HEIGHT = 128, 88, 6, 256
BLOCK = TILE + (TILES - 1) * STRIDE
SHARED = (1, 2, 3)
FIRST = 6
TILING = Settings(tile_width=TILE, tile_height=TILE, overlap=TILE - STRIDE)
REQUEST = Request("", steps=20, sampler="DDIM", denoising_strength=0.35, cfg_scale=4.5, tiling=TILING)
LARGE = """
import re, sys
from itertools import islice
from pathlib import Path
from PIL import Image
from tiled_diffusion.recipes.blocks.draw import enlarge_in_blocks, enlargement
from tiled_diffusion.recipes.host import Picture
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import load_model

class Enlarging(DiffusersHost):
    def draw(self, tasks, progress=None):
        return [Picture(task.start, 0) for task in tasks]

kind = DiffusersHost if int(sys.argv[2]) else Enlarging
host = kind(load_model(device="cpu"))
source = Image.effect_mandelbrot((2048, 2048), (-2, -1.5, 1, 1.5), 90).convert("RGB").rotate(30)
mb = lambda name: int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3
before = mb("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
request = Request("mountains, sunset", steps=3, sampler="DDIM", denoising_strength=0.35)
blocks = enlarge_in_blocks(host, enlargement(host, request, source, 8), Path(sys.argv[1]), source)
count = sum(1 for _ in islice(blocks, int(sys.argv[2]) or None))
print(count, mb("VmHWM") - before)
"""


def memory(blocks: int) -> tuple[int, float]:
    """Blocks that a process has drawn, and by how many MB its memory rose; 0 draws none, and puts all together."""
    with tempfile.TemporaryDirectory() as place:
        words = [sys.executable, "-c", LARGE, place, str(blocks)]
        count, rise = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return int(count), float(rise)


def drawn(host: DiffusersHost, picture: Image.Image, prompt: str, area: Area, origin: int, seed: int) -> np.ndarray:
    """A part of a picture, [H, W, 3] in -1..1, drawn with the noise of the place `origin`."""
    request = replace(REQUEST, prompt=prompt, width=area.size[0], height=area.size[1], seed=seed)
    image = host.draw([Task(request, picture.crop(area), origin=(origin, 0))])[0].image
    return np.asarray(image, dtype=float) / 127.5 - 1


def joined(axis: Axis, blocks: list[np.ndarray]) -> np.ndarray:
    """Two blocks put together."""
    out = np.zeros((HEIGHT, axis.length, 3))
    for i, pixels in enumerate(blocks):
        start, stop = axis.span(i)
        out[:, start:stop] += axis.weights(i, start, stop)[None, :, None] * pixels
    return out


def cut(axis: Axis) -> int:
    """The border of latent pixels that is nearest to the middle of what blocks share, image pixels."""
    return (axis.starts[1] + axis.span(0)[1]) // 16 * 8


def middle(axis: Axis) -> tuple[int, int]:
    """Where one block gives way to the other, image pixels."""
    shared, stop = axis.starts[1], axis.span(0)[1]
    half = max(8, round((stop - shared) * RAMP / 2))
    return (shared + stop) // 2 - half, (shared + stop) // 2 + half


def lines(axis: Axis) -> Lines:
    """Columns (latent pixels) in which one gives way to the other."""
    first, end = middle(axis)
    return Counter(), Counter(range(-(-first // 8), end // 8 + 1))


def apart(axis: Axis, a: np.ndarray, b: np.ndarray) -> float:
    """Mean square difference of two blocks there, levels of 255."""
    first, end = middle(axis)
    start = axis.starts[1]
    return float(np.square((a[:, first:end] - b[:, first - start : end - start]) * 127.5).mean())


def where_blocks_meet() -> dict[str, dict[str, float]]:
    """Of landscapes, by the tiles that blocks share."""
    host = DiffusersHost(load_model(device="cpu"))
    steps = {shared: (TILES - shared) * STRIDE for shared in SHARED}
    axes = {shared: Axis(step + BLOCK, BLOCK, BLOCK - step, STRIDE) for shared, step in steps.items()}
    width = axes[min(SHARED)].length
    band = (0, width // 2 - HEIGHT // 2, width, width // 2 + HEIGHT // 2)
    sums: dict[str, dict[int, list[Sums]]] = {name: {n: [] for n in SHARED} for name in ("seam", "cut")}
    squares: dict[str, dict[int, list[float]]] = {name: {n: [] for n in SHARED} for name in ("apart", "own_noise")}
    for seed, (image, prompt) in enumerate(drawn_landscapes(90_000_000, SEEDS, 256, 256)):
        picture = image.resize((width, width), Image.Resampling.LANCZOS).crop(band)
        whole = drawn(host, picture, prompt, Area(0, 0, width, HEIGHT), 0, seed)
        first = drawn(host, picture, prompt, Area(0, 0, BLOCK, HEIGHT), 0, seed)
        for shared, axis in axes.items():
            start, stop = axis.span(1)
            area = Area(start, 0, stop, HEIGHT)
            own, other = (drawn(host, picture, prompt, area, at, seed) for at in (start, 8 * width))
            piece = whole[:, :stop]
            side_by_side = np.concatenate([first[:, : cut(axis)], other[:, cut(axis) - start :]], axis=1)
            at_cut: Lines = (Counter(), Counter([cut(axis) // 8]))
            for name, made, places in (
                ("seam", joined(axis, [first, own]), lines(axis)), ("cut", side_by_side, at_cut)
            ):  # fmt: skip
                pair = Sums()
                pair.add(made, piece, places)
                sums[name][shared].append(pair)
            squares["apart"][shared].append(apart(axis, first, own))
            squares["own_noise"][shared].append(apart(axis, first, other))
    out = {name: {str(n): float(np.sqrt(np.mean(v))) for n, v in by.items()} for name, by in squares.items()}
    for name, by in sums.items():
        out[name] = {str(n): total(v).ratio for n, v in by.items()}
    out["seam_error"] = {str(n): standard_error(v) for n, v in sums["seam"].items()}
    return out


def run() -> dict[str, Any]:
    """The section `blocks` of the report."""
    blocks, rise = memory(FIRST)
    return {"blocks": blocks, "memory_mb": rise, "put_together_mb": memory(0)[1], **where_blocks_meet()}
