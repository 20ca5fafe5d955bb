"""What tiling costs beyond the U-Net calls that it makes, and how cost grows with the canvas."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.memory import peak_bytes
from tiled_diffusion import METHODS, Batching, Extent, ModelTraits, Planner, Settings, fuse
from tiled_diffusion.standalone.model import load_model

SD1 = ModelTraits(native=64, multiple=8)
WIDE = Extent(128, 512)  # 4096 x 1024 px


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired_ratio(a: Callable[[], Any], b: Callable[[], Any], pairs: int) -> float:
    """Median of a's time / b's time over pairs run in turn, so that a slow spell of the machine hits both."""
    a(), b()
    return statistics.median(seconds(a) / seconds(b) for _ in range(pairs))


def denoiser() -> tuple[Callable[..., Tensor], ModelTraits]:
    """The shipped checkpoint's U-Net as (crops, jobs) -> eps with a fixed prompt."""
    model = load_model()
    text = torch.randn(1, 77, model.unet.config.cross_attention_dim, generator=torch.Generator().manual_seed(0))

    def evaluate(x: Tensor, jobs: object) -> Tensor:  # noqa: ARG001
        return model.unet(x, 500, text.expand(x.shape[0], -1, -1)).sample

    return evaluate, model.traits


def latent(canvas: Extent) -> Tensor:
    """[1, 4, H, W] of noise."""
    return torch.randn(1, 4, *canvas, generator=torch.Generator().manual_seed(1))


def overhead_ratio(evaluate: Callable[..., Tensor], size: ModelTraits) -> dict[str, float]:
    """Wall time of a tiled call / the sum of the same U-Net calls made directly, by canvas in px."""
    out = {}
    for canvas in (Extent(32, 64), Extent(64, 128), Extent(64, 256)):
        plan = Planner(canvas, Settings(), size).plan()
        x = latent(canvas)
        inputs = [torch.cat([tile.view.gather(x) for tile in tiles]) for tiles in plan.batches(4)]

        def tiled(x: Tensor = x, plan: Any = plan) -> None:
            fuse(x, plan, evaluate, Batching(4))

        def direct(inputs: list[Tensor] = inputs) -> None:
            for crops in inputs:
                evaluate(crops, ())

        out[f"{canvas.w * 8}x{canvas.h * 8}"] = paired_ratio(tiled, direct, 9)
    return out


def growth(evaluate: Callable[..., Tensor], size: ModelTraits) -> dict[str, dict[str, float]]:
    """Time per canvas pixel at 16 times the area / at once the area, the same tile for both, per method.

    `growth_by_grid` is how the number of U-Net pixels per canvas pixel grows, by the grids alone (tiles are whole, and
    on a small canvas the borders weigh more); `growth` contains it.
    """
    out: dict[str, dict[str, float]] = {"growth": {}, "growth_by_grid": {}}
    small, large = Extent(64, 128), Extent(256, 512)
    for name in METHODS:
        tile = {"tile_width": size.native * 12, "tile_height": size.native * 12}
        plans = [Planner(c, Settings(method=name, **tile), size).plan() for c in (small, large)]
        xs = [latent(c) for c in (small, large)]

        def one(i: int, plans: list[Any] = plans, xs: list[Tensor] = xs) -> None:
            for _ in range(16 if i == 0 else 1):
                fuse(xs[i], plans[i], evaluate, Batching(4))

        out["growth"][name] = paired_ratio(lambda one=one: one(1), lambda one=one: one(0), 2)
        out["growth_by_grid"][name] = plans[1].work_ratio / plans[0].work_ratio
    return out


def memory_growth(evaluate: Callable[..., Tensor], size: ModelTraits) -> float:
    """Peak of live tensor bytes beyond canvas-sized buffers, at 16 times the area / at once the area."""
    peaks = []
    for canvas in (Extent(64, 128), Extent(256, 512)):
        tile = size.native * 12  # one and a half times the native size, in image pixels
        plan = Planner(canvas, Settings(tile_width=tile, tile_height=tile), size).plan()
        x = latent(canvas)

        def beyond(t: Tensor, canvas: Extent = canvas) -> bool:
            return t.dim() < 2 or t.shape[-2] < canvas.h or t.shape[-1] < canvas.w

        peaks.append(peak_bytes(lambda x=x, plan=plan: fuse(x, plan, evaluate, Batching(4)), beyond))
    return peaks[1] / peaks[0]


def work_ratio() -> dict[str, float]:
    """U-Net pixels / canvas pixels per step, mean of 50 steps at the defaults on a 4096 x 1024 px SD 1.x canvas."""
    return {
        name: statistics.mean(Planner(WIDE, Settings(method=name), SD1).plan(step).work_ratio for step in range(50))
        for name in METHODS
    }


def run() -> dict[str, Any]:
    """The section `engine` of the report."""
    with torch.no_grad():
        evaluate, size = denoiser()
        return {
            "overhead_ratio": overhead_ratio(evaluate, size),
            "work_ratio": work_ratio(),
            **growth(evaluate, size),
            "memory_growth": memory_growth(evaluate, size),
        }
