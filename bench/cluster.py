"""Two processes on one machine against one: tiles of one picture, tiles of a mosaic, and what `inspect` says before.

This process has as many threads as each of the workers has: the cores / the workers. `speedup` is the time of this
process alone / that of two workers, pair by pair in turn, `overhead` that of one worker / that of this process, minus
1; the start of the workers is not counted, and told as `start_s` and `close_s`. `predicted` is what `inspect
--workers` says / what was measured. `load` is the machine's load average at the beginning: with more than one besides
this bench's own two processes, the ratios are not those of an idle machine. `by_cpu` is the same by seconds of the
processor, which a busy machine changes little: what this process takes alone / (what the busier worker takes + what
this process takes beside it), as if nothing of that overlapped. `ceiling` is what this machine has room for: twice
what one process takes for a picture's tiles while the other core is free / what two processes take that draw the same
at once and have nothing to do with one another. `messages` and `table` are the sizes of messages and what they come
to (docs/cluster.md).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image

from bench.engine import seconds
from tiled_diffusion.engine.runner import Runner
from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.settings.mosaic import Grid, Mosaic
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.cluster.cost import Cost, cost_of
from tiled_diffusion.standalone.cluster.workers import workers
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import sample_latents

PAIRS = 5
CEILING_STEPS = 10
PICTURE = Request(
    "a red house on grass, blue sky", width=512, height=512, steps=20, sampler="DDIM",
    tiling=Settings(tile_width=128, tile_height=128, overlap=48, tile_batch=1),
)  # fmt: skip
LARGE_TILES = replace(
    PICTURE, width=1664, steps=2, tiling=Settings(tile_width=512, tile_height=512, overlap=128, tile_batch=1)
)
TILES = Mosaic(replace(PICTURE, width=128, height=64, steps=10, denoising_strength=0.7), grid=Grid(8, 4), tile=128)
WORKERS, GBITS = (2, 4, 8, 16, 32, 64), (1, 10)
MODELS = {"SD 1, 64 tiles of 512 px": (16384, 64, 0.020), "SDXL, 64 tiles of 1024 px": (65536, 64, 0.120)}
"""(numbers of a tile's latent, tiles, seconds of a guided tile on a fast card, an assumption), of paper."""
SENT, RECEIVED = 1100, 330
"""Bytes of a message besides its numbers, measured; numbers are two bytes each on the way out, four back."""


def median_ratio(first: Callable[[], Any], second: Callable[[], Any], pairs: int) -> tuple[float, float, float]:
    """Median of (first's time / second's), and the medians of both, seconds; each once before that counts."""
    first(), second()
    times = [(seconds(first), seconds(second)) for _ in range(pairs)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return statistics.median(a / b for a, b in times), medians[0], medians[1]


@contextmanager
def threads_of(workers: int) -> Iterator[None]:
    """As many threads for this process as each of so many workers has."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_actor(process: psutil.Process) -> bool:
    """Whether it is one of Ray's workers, and has not ended."""
    try:
        return "ray::Actor" in "".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one, too
        return False


def cpu_ratio(here: Callable[[], Any], there: Callable[[], Any]) -> float:
    """Processor seconds of this process alone / (of the busier worker + of this process beside it)."""
    own = psutil.Process()

    def used(does: Callable[[], Any]) -> tuple[float, float]:
        workers = [p for p in own.children(recursive=True) if is_actor(p)]
        before = [(p, sum(p.cpu_times()[:2])) for p in (own, *workers)]
        does()
        mine, *others = [sum(p.cpu_times()[:2]) - old for p, old in before]
        return mine, max(others)

    return used(here)[0] / sum(used(there))


def _drawing_seconds(times: int) -> float:
    """Of a process of its own: seconds of a picture's sampling, the first of them not counted."""
    with threads_of(2):
        model = load_model(device="cpu")
        request = replace(PICTURE, steps=CEILING_STEPS)
        sample_latents(model, request)
        return seconds(lambda: [sample_latents(model, request) for _ in range(times)])


def ceiling(times: int = 2) -> float:
    """How many times as fast two processes are as one where neither waits for the other."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        alone = processes.submit(_drawing_seconds, times).result()
        both = [future.result() for future in [processes.submit(_drawing_seconds, times) for _ in range(2)]]
    return 2 * alone / max(both)


def drawn_mosaic(model: Model, runner: Runner | None) -> Callable[[], int]:
    """Draws a mosaic of 32 tiles, each by itself, into a folder of its own."""
    first = Image.effect_mandelbrot((128, 64), (-2, -1, 1, 1), 40).convert("RGB")

    def run() -> int:
        with tempfile.TemporaryDirectory() as folder:
            host = DiffusersHost(model, runner=runner)
            return len(list(mosaic(host, TILES, Path(folder) / "mosaic", first, How(batch=1))))

    return run


def figures(model: Model, request: Request, runner: Runner, count: int, pairs: int) -> dict[str, float]:
    """Of one picture's tiles."""
    here, there = (lambda: sample_latents(model, request)), (lambda: sample_latents(model, request, runner=runner))
    ratio, alone, spread = median_ratio(here, there, pairs)
    predicted = cost_of(model, request, count).seconds(count) / spread
    by_cpu = cpu_ratio(here, there)
    named = {"speedup": ratio} if count > 1 else {"overhead": 1 / ratio - 1}
    return {**named, "by_cpu": by_cpu, "here_s": alone, "workers_s": spread, "predicted": predicted}


def of_mosaic(model: Model, runner: Runner, pairs: int) -> dict[str, float]:
    """Of the tiles of a mosaic, each a picture."""
    alone, spread = drawn_mosaic(model, None), drawn_mosaic(model, runner)
    ratio, here, there = median_ratio(alone, spread, pairs)
    return {"speedup": ratio, "by_cpu": cpu_ratio(alone, spread), "here_s": here, "workers_s": there}


def table() -> dict[str, dict[str, float]]:
    """How many times as fast, on paper: equal workers, and a network that all messages share."""
    out: dict[str, dict[str, float]] = {}
    for name, (numbers, tiles, tile_seconds) in MODELS.items():
        cost = Cost(1, tiles, tile_seconds, tile_seconds, 0.002, 2 * numbers + SENT, 4 * numbers + RECEIVED, 0)
        for gbit in GBITS:
            rate = gbit * 1e9 / 8
            out[f"{name}, {gbit} Gbit/s"] = {
                str(count): cost.seconds(0) / cost.seconds(count, rate) for count in WORKERS
            }
    return out


def run(pairs: int = PAIRS, steps: int = PICTURE.steps) -> dict[str, Any]:
    """All figures; fewer steps are for a look."""
    picture, large = replace(PICTURE, steps=steps), replace(LARGE_TILES, steps=max(1, steps // 10))
    model = load_model(device="cpu")
    report: dict[str, Any] = {"load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None, "pairs": pairs}
    report["ceiling"] = ceiling(max(1, pairs // 2))
    for count in (1, 2):
        start = time.perf_counter()
        with threads_of(count), workers(count, model) as runner:
            report[f"start_{count}_s"] = time.perf_counter() - start
            report[f"picture_{count}"] = figures(model, picture, runner, count, pairs)
            report[f"large_tiles_{count}"] = figures(model, large, runner, count, pairs)
            if count > 1:
                report[f"mosaic_{count}"] = of_mosaic(model, runner, pairs)
            start = time.perf_counter()
        report[f"close_{count}_s"] = time.perf_counter() - start
    cost = cost_of(model, PICTURE, 2)
    report["messages"] = {"sent": cost.sent, "received": cost.received, "shared": cost.shared}
    return {**report, "table": table()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--steps", type=int, default=PICTURE.steps)
    args = parser.parse_args()
    print(json.dumps(run(args.pairs, args.steps), indent=2))
