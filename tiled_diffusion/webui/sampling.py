"""Puts tiles under one sampling: everything is built first, then hung on the sampler's own objects."""

from __future__ import annotations

import weakref
from typing import Any

from tiled_diffusion.engine.fuse import Batching, automatic_batch
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.bootstrap import Bootstrap, plain_colours, wants_bootstrap
from tiled_diffusion.engine.noise import region_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

from .controlnet.tiles import ControlTiles
from .denoiser import Tiling
from .hosts import a1111 as host
from .prompts import encode_regions
from .run import TITLE, Run

_LIVE: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()
HINTS_OPTION = "tiled_diffusion_hints_in_main_memory"
"""Setting of the WebUI: whole hints of ControlNets do not lie on the device that draws."""


def attach(p: Any, run: Run, x: Any, noise: Any) -> None:
    """Prepares the sampler that is about to begin.

    Args:
        p: the host's job.
        run: what it keeps of ours.
        x: [B, C, H, W], the latent that is drawn on; its size is the canvas's.
        noise: the start noise; regions' own is written into it.

    Raises:
        TiledError: the settings do not fit this canvas or this model.
    """
    if x.dim() != 4:
        raise TiledError(f"{TITLE} draws pictures; this model's latent has {x.dim()} axes and not 4")
    hires = bool(getattr(p, "is_hr_pass", False))
    if run.job.passes not in ("both", "hires" if hires else "first"):
        return
    settings, canvas = run.job.tiling, Extent(int(x.shape[-2]), int(x.shape[-1]))
    active = any(r.enabled for r in settings.regions)
    if active and host.is_edit_model():
        raise TiledError("regions: an instruct-pix2pix model has no place for them: remove them or take another model")
    planner = Planner(canvas, settings, host.model_size(), grid_seed(p, settings))
    whole = planner.plan().is_whole and not active
    start = _start_noise(p, settings, noise)
    if not whole:
        tiling = _tiling(p, run, planner, start)
        _hang(p, run, tiling)
    noise.copy_(start)


def grid_seed(p: Any, settings: Settings) -> int:
    """Key of the grids that move: as set, or the first picture's seed."""
    return int(p.all_seeds[0]) if settings.grid_seed is None else settings.grid_seed


def _start_noise(p: Any, settings: Settings, noise: Any) -> Any:
    """With the regions' seeds; they count up from picture to picture, over all batches."""
    if not settings.regions and not settings.rerolls:
        return noise
    before = p.iteration * p.batch_size
    return region_noise(noise, settings, lambda seed, shape, image: host.draw_noise(seed, shape, before + image))


def _tiling(p: Any, run: Run, planner: Planner, noise: Any) -> Tiling:
    settings = planner.settings
    controls = ControlTiles.find(p, on_cpu=bool(host.option(HINTS_OPTION, False)))
    tile_batch = settings.tile_batch or automatic_batch(planner, int(noise.shape[0]), host.free_bytes())
    tiling = Tiling(
        planner,
        Batching(1 if controls and controls.one_tile else tile_batch, _stop_if_wanted),
        _encoded(p, run, planner.canvas),
        _bootstrap(p, settings, noise),
        lambda sigma: host.noise_level(p.sampler, sigma),
        controls,
    )
    if host.hypertile_is_on(hires=bool(getattr(p, "is_hr_pass", False))):
        p.comment(f"{TITLE}: Hypertile takes every tile to have the picture's shape; switch it off if tiles look torn")
    return tiling


def _hang(p: Any, run: Run, tiling: Tiling) -> None:
    denoiser = p.sampler.model_wrap_cfg
    run.tiling, run.denoiser, run.checkpoint = tiling, weakref.ref(denoiser), host.checkpoint()
    run.controls = tiling.controls
    if run.controls is not None:
        run.controls.begin(tiling.planner.canvas, tiling.planner.tile_size())
        if run.controls.whole:
            p.comment(f"{TITLE}: these ControlNet units act on the whole picture: {', '.join(run.controls.whole)}")
    _LIVE[denoiser] = run
    tiling.arm(denoiser.inner_model)


def _encoded(p: Any, run: Run, canvas: Extent) -> dict[int, Any]:
    if not any(r.enabled for r in run.job.tiling.regions):
        return {}
    return encode_regions(p, run.texts, (canvas.w * host.LATENT_PX, canvas.h * host.LATENT_PX))


def on_cfg_denoiser(params: Any) -> None:
    """Called before each denoiser call of every sampler; does nothing for those that are not ours."""
    denoiser = params.denoiser
    run = _LIVE.get(denoiser)
    if run is None or run.tiling is None:
        return
    run.tiling.arm(denoiser.inner_model)  # the refiner makes a new wrapper
    try:
        _begin_step(run, run.tiling, denoiser, params.sigma)
    except Exception as e:  # noqa: BLE001 the host only reports what a callback raises
        run.tiling.fail(e)


def _begin_step(run: Run, tiling: Tiling, denoiser: Any, sigma: Any) -> None:
    if tiling.regions and run.checkpoint != host.checkpoint():  # the refiner has its own text encoder
        tiling.regions = _encoded(denoiser.p, run, tiling.planner.canvas)
        run.checkpoint = host.checkpoint()
    extra = denoiser.sampler.sampler_extra_args
    weights = [[part.weight for part in parts] for parts in extra["cond"].batch]
    scale = extra["cond_scale"] * denoiser.cond_scale_miltiplier
    unguided = host.skips_negatives(denoiser, sigma)
    tiling.begin_step(denoiser.step, denoiser.total_steps, weights, scale, unguided=unguided)


def _stop_if_wanted(done: int) -> None:  # noqa: ARG001
    if host.stop_wanted():
        raise host.INTERRUPT


def _bootstrap(p: Any, settings: Settings, noise: Any) -> Bootstrap | None:
    if not wants_bootstrap(settings):
        return None
    return Bootstrap(settings, int(p.all_seeds[0]), noise.clone(), host.encoded_colours(p.sd_model, plain_colours()))
