"""Jobs of the standalone program on a stage, and the U-Net calls that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.gpu.stage import Stage
from tiled_diffusion import Settings
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.sampling import denoise, make_planner, start_noise

Call = tuple[tuple[Any, ...], dict[str, Any]]


def scene(stage: Stage, **tiling: Any) -> Request:
    """4096 x 3200 px in tiles of 96 latent pixels that share 32, eight at once, 20 steps; in small a few tiles."""
    if stage.small:
        own = {"tile_width": 64, "tile_height": 64, "overlap": 16, "tile_batch": 4}
        return Request("a house", width=192, height=128, steps=4, sampler="Euler a", tiling=Settings(**own | tiling))
    own = {"tile_width": 768, "tile_height": 768, "overlap": 256, "tile_batch": 8}
    return Request("a house", width=4096, height=3200, steps=20, sampler="Euler a", tiling=Settings(**own | tiling))


def square(request: Request, side: int, steps: int = 1, **tiling: Any) -> Request:
    """The same on another canvas."""
    return replace(request, width=side, height=side, steps=steps, tiling=replace(request.tiling, **tiling))


@torch.no_grad()
def drawn(model: Model, request: Request) -> Tensor:
    """The latents of a job, as the program makes them."""
    return denoise(model, request, start_noise(model, request), None, Progress())


def tiles_of(model: Model, request: Request) -> int:
    """Tiles of a step."""
    return len(make_planner(model, request).plan().tiles)


@contextmanager
def recorded(network: Any) -> Iterator[list[Call]]:
    """Within the block the arguments of all calls of a network are kept."""
    calls: list[Call] = []

    def keep(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))

    handle = network.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


def replayed(network: Any, calls: list[Call], times: int) -> Callable[[], None]:
    """The same calls and nothing else, so many times."""

    @torch.no_grad()
    def run() -> None:
        for _ in range(times):
            for args, kwargs in calls:
                network(*args, **kwargs)

    return run
