"""Keep the picture, in the WebUI: a loop of our own over the model before the host's sampler, which changes the noise.

The rows of a call are the prompts' alone, one for each part, and are combined as the host does where it leaves the
negative prompts out. Grids that move stand still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.engine.geometry import Box
from tiled_diffusion.engine.guidance import Rows, Scale, combine
from tiled_diffusion.engine.inversion import Recent, digest, freedom_map, mixed, stepped
from tiled_diffusion.engine.model import noise_in
from tiled_diffusion.settings.inversion import Inversion

from .conditioning import Cond, of_rows, with_texts
from .denoiser import Step, Tiling
from .hosts import host
from .hosts.port import Job
from .hosts.values import Beginning, Forward
from .rows import RowCounter

RECENT = Recent()
"""Of this process."""
SHOWN = "Keep the picture"


def kept_noise(p: Job, inversion: Inversion, tiling: Tiling, model: Forward, begin: Beginning) -> Tensor:
    """The start noise, [B, C, H, W]: the pictures' own, with as much of the fresh noise as is asked for.

    Args:
        p: the host's job.
        inversion: what is asked for.
        tiling: of the sampling to come.
        model: the host's model, without our tiles.
        begin: what the sampling begins with. Its noise comes back where the user stops the job, or nothing is drawn.

    Raises:
        TiledError: the numbers broke (NaN), or it cannot be done with this model.
    """
    values = stepped(host.sampling.noise_values(p, begin.steps), inversion.steps)
    if not values:
        return begin.noise
    clean = begin.x.float()
    try:
        own = _as_begun(p, clean, _inverted(p, inversion, tiling, model, begin, values), values[-1])
    except host.jobs.INTERRUPT:
        return begin.noise
    finally:
        host.vae.show(None)
    freedom = freedom_map(clean, inversion.freedom) if inversion.detail_map else inversion.freedom
    return mixed(own, begin.noise.float(), freedom).to(begin.noise)


def _as_begun(p: Job, clean: Tensor, own: Tensor, value: float) -> Tensor:
    """The noise with which the host's start is what `own` is at the sampler's first step.

    Samplers of timesteps put the noise on at the step before their first one, and in Forge have latents of which the
    variance is preserved where the model is asked in sigmas.
    """
    first, _ = host.sampling.noise_level(p, torch.tensor([value]))
    begun, _ = host.sampling.start_level(p, from_picture=True)
    if begun.preserves and not first.preserves:
        first = first.preserving()
    if float(first.sigma) == float(begun.sigma):
        return own
    alpha, sigma = begun.broadcast(clean)
    return (first.noised(clean, own) - alpha * clean) / sigma


def _inverted(
    p: Job, inversion: Inversion, tiling: Tiling, model: Forward, begin: Beginning, values: Sequence[float]
) -> Tensor:
    calls = replace(tiling, pulls=(), terms=(), sketches=None, step=None)
    weights, cond = host.sampling.rows_at_first(p, begin)
    if inversion.prompt == "empty":
        weights, cond = _without_prompt(p, tiling, weights, cond)
    levels = [host.sampling.noise_level(p, torch.tensor([value])) for value in values]
    of_image = torch.tensor([i for i, parts in enumerate(weights) for _ in parts])

    def noise_of(x: Tensor, number: int) -> Tensor:
        if host.jobs.stop_wanted():
            raise host.jobs.INTERRUPT
        host.vae.show(f"{SHOWN}: step {number + 1} of {len(values)}")
        done = (len(values) - 1 - number) / len(values)
        counter = RowCounter([len(parts) for parts in weights])
        calls.step = Step(calls.planner.plan(0, done), number, 0, done, counter, weights, 1.0, unguided=True)
        rows = x.to(begin.x)[of_image.to(x.device)]
        said = calls.denoise(model, rows, rows.new_full((len(rows),), values[number]), cond).float()
        level, prediction = levels[number]
        return noise_in(_of_pictures(said, weights), x, level, prediction)

    tiles = replace(tiling.planner.settings, tile_batch=None).to_dict()
    seed = tiling.planner.seed if tiling.planner.method.moves else None
    key = (host.sampling.checkpoint(), tiles, seed, values, weights, _digests(cond), _of_regions(tiling))
    clean = begin.x.float()
    return RECENT.noise(key, clean, [level for level, _ in levels], noise_of, inversion.rounds)


def _of_pictures(rows: Tensor, weights: Sequence[Sequence[float]]) -> Tensor:
    """[pictures, C, H, W] of the rows of their prompts' parts."""
    out, first = [], 0
    for parts in weights:
        own = tuple(rows[first + k : first + k + 1] for k in range(len(parts)))
        out.append(combine(Rows(None, own), Scale(tuple(parts), 1.0)))
        first += len(parts)
    return torch.cat(out)


def _without_prompt(p: Job, tiling: Tiling, weights: list[list[float]], cond: Cond) -> tuple[list[list[float]], Cond]:
    """One row a picture, of the empty prompt."""
    canvas, px = tiling.planner.canvas, host.sampling.LATENT_PX
    rows = sum(map(len, weights))
    first = [sum(map(len, weights[:i])) for i in range(len(weights))]
    whole = [Box(0, 0, *canvas)] * len(first)
    ((schedules, _),) = host.texts.encode(p, [""], (canvas.w * px, canvas.h * px), negative=False)[0]
    plain = of_rows(cond, rows, first, whole, canvas)
    return [[1.0] for _ in weights], with_texts(plain, [schedules[0].cond] * len(first), plain)


def _digests(cond: Cond) -> list[bytes]:
    return [digest(name, value) for name, value in sorted(_tensors(cond))]


def _tensors(value: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """All tensors in a conditioning, by where they are."""
    if isinstance(value, Tensor):
        return [(name, value)]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for key, part in inner for pair in _tensors(part, f"{name}.{key}")]


def _of_regions(tiling: Tiling) -> list[bytes]:
    """What the regions' prompts are encoded to."""
    texts = [prompts.texts(image, 0)[0] for prompts in tiling.regions.values() for image in range(len(prompts.parts))]
    return [digest(name, value) for name, value in sorted(_tensors(texts), key=lambda pair: pair[0])]
