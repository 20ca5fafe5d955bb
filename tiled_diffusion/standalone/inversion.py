"""Noise inversion in the standalone program: the start noise of img2img, from the start picture itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching
from tiled_diffusion.engine.guides import Guides, Moment
from tiled_diffusion.engine.inversion import Recent, digest, freedom_map, mixed, stepped
from tiled_diffusion.engine.model import Level, noise_in
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request

from .control import ControlNets
from .denoiser import Denoiser
from .flow import FLOW_TIMES, FlowSchedule
from .model import Model
from .samplers import noise_levels

RECENT = Recent()
"""Of this process."""


class Rung(NamedTuple):
    """A step of the inversion: how noisy the latent is, and the time that the model is told."""

    level: Level
    time: float


class Sampling(NamedTuple):
    """What an inversion shares with the sampling to come."""

    model: Model
    request: Request
    planner: Planner
    batching: Batching
    controls: ControlNets
    context: Tensor | None


def kept_noise(
    sampling: Sampling, fresh: Tensor, clean: Tensor | None, scheduler: Any, first: int, progress: Progress
) -> Tensor:
    """The start noise, [B, C, H, W]: the picture's own, with as much of the fresh noise as the request says.

    Args:
        sampling: the one to come.
        fresh: [B, C, H, W], standard normal; comes back where the request does not invert.
        clean: [1, C, H, W], the start picture's latent.
        scheduler: after set_timesteps.
        first: number of the call at which the sampling begins.
        progress: is told of steps and tiles.

    Raises:
        TiledError: there is no start picture, or the numbers broke (NaN).
    """
    inversion = sampling.request.inversion
    if inversion is None:
        return fresh
    if sampling.planner.reference() is not None:
        raise TiledError("inversion: it does not go with elastic, which draws by guidance alone: take another method")
    if clean is None:
        raise TiledError("inversion: there is no picture to keep, the canvas begins as noise: give init_image")
    rungs = ladder(scheduler, first, inversion.steps)
    if not rungs or not inversion.acts:
        return fresh
    own = inverted(sampling, inversion, clean.float(), rungs, progress).to(fresh)
    freedom = freedom_map(clean.float(), inversion.freedom) if inversion.detail_map else inversion.freedom
    return mixed(own, fresh, freedom)


def inverted(
    sampling: Sampling, inversion: Inversion, clean: Tensor, rungs: Sequence[Rung], progress: Progress
) -> Tensor:
    """The picture's own noise, [1, C, H, W]; see `kept_noise`."""
    asked = as_inverted(sampling.request)
    denoiser = Denoiser.of(sampling.model, asked, sampling.context)
    tiling = replace(asked.tiling, tile_batch=None).to_dict()
    key = (
        sampling.model.name,
        asked.prompt,
        tiling,
        sampling.planner.seed if sampling.planner.method.moves else None,
        [rung.time for rung in rungs],
        controls_key(sampling.controls),
    )
    progress.start(len(rungs) * inversion.rounds, len(sampling.planner.plan(0).tiles))
    calls = iter(range(len(rungs) * inversion.rounds))

    def noise_of(x: Tensor, number: int) -> Tensor:
        rung, done = rungs[number], (len(rungs) - 1 - number) / len(rungs)
        moment = Moment(number, done, rung.level, sampling.model.traits.prediction)
        time = torch.full((), rung.time, device=x.device)
        plan = sampling.planner.plan(0, done)
        said = denoiser.predict(x, time, plan, sampling.batching, moment, Guides((sampling.controls,)))
        progress.step(next(calls))
        return noise_in(said.float(), x, rung.level, sampling.model.traits.prediction)

    try:
        return RECENT.noise(key, clean, [rung.level for rung in rungs], noise_of, inversion.rounds)
    finally:
        progress.finish()


def as_inverted(request: Request) -> Request:
    """The request without guidance, which is how a picture's noise is looked for."""
    inversion = request.inversion or Inversion()
    regions = tuple(replace(r, negative_prompt=None, cfg_scale=None) for r in request.tiling.regions)
    prompt = request.prompt if inversion.prompt == "own" else ""
    tiling = replace(request.tiling, regions=regions)
    return replace(request, prompt=prompt, negative_prompt="", cfg_scale=1.0, tiling=tiling)


def ladder(scheduler: Any, first: int, steps: int | None) -> list[Rung]:
    """The steps of an inversion, upwards: those of the sampling in reverse, or so many over the same range.

    Args:
        scheduler: after set_timesteps.
        first: number of the call at which the sampling begins.
        steps: None for the sampling's own.
    """
    own: dict[float, Rung] = {}
    for index in reversed(range(first, len(scheduler.timesteps))):
        level = noise_levels(scheduler, index)[0]
        if float(level.sigma) > 0:  # schedulers of second order have each level twice
            own[float(level.sigma)] = Rung(level, float(scheduler.timesteps[index]))
    rungs = [own[sigma] for sigma in sorted(own)]
    if steps is None or steps == len(rungs):
        return rungs
    return [rung_at(scheduler, time) for time in stepped([rung.time for rung in rungs], steps)]


def rung_at(scheduler: Any, time: float) -> Rung:
    """At any time from 0 on; between whole times of a U-Net the logarithm of sigma is interpolated."""
    if isinstance(scheduler, FlowSchedule):
        return Rung(Level.of_flow(torch.tensor([time / FLOW_TIMES])), time)
    product = scheduler.alphas_cumprod.double().cpu().numpy().clip(1e-8, 1)
    log_sigma = np.interp(time, np.arange(len(product)), np.log((1 - product) / product) / 2)
    return Rung(Level.of_alphas_cumprod(torch.tensor([1 / (1 + np.exp(2 * log_sigma))], dtype=torch.float32)), time)


def controls_key(controls: ControlNets) -> list[Any]:
    """What tells ControlNets and their hints apart: of the networks themselves, the last part that was trained."""
    return [(n.weight, n.start, n.end, digest(n.hint, *list(n.net.parameters())[-2:])) for n in controls.nets]
