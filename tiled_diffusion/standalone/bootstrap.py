"""Sketches of bootstrapped regions in the standalone program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.engine.guidance import Wanted, guided
from tiled_diffusion.engine.guides import Guide
from tiled_diffusion.engine.guides.bootstrap import STEPS, Sketcher, bootstrap_pulls, wants_bootstrap
from tiled_diffusion.engine.guides.pull import Pull
from tiled_diffusion.engine.model import cleaned
from tiled_diffusion.engine.tiles import Tile

from .denoiser import Denoiser
from .inversion import Sampling, ladder


def bootstrapped(sampling: Sampling, denoiser: Denoiser, noise: Tensor, scheduler: Any) -> tuple[Pull, ...]:
    """What draws small regions to sketches of their own.

    Args:
        sampling: the one to come, which begins with noise alone.
        denoiser: its prompts.
        noise: [B, C, H, W], standard normal.
        scheduler: after set_timesteps.
    """
    if not wants_bootstrap(sampling.request.tiling):
        return ()
    rungs = ladder(scheduler, 0, STEPS)[::-1]
    alone = [replace(how, scale=1.0, always=False) for how in denoiser.guidances]

    def clean(tile: Tile, x: Tensor, number: int, guidance: bool) -> Tensor:
        rung = rungs[number]
        time = torch.full((), rung.time, device=x.device)

        def rows(wanted: Sequence[Wanted]) -> Sequence[Tensor]:
            return denoiser.evaluate(wanted, time, Guide())

        said = guided(x, [tile], denoiser.guidances if guidance else alone, rows)
        return cleaned(said.float(), x, rung.level, sampling.model.traits.prediction)

    return bootstrap_pulls(sampling.planner, noise, Sketcher([rung.level for rung in rungs], clean))
