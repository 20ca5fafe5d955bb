"""Puts tiles under one sampling: everything is built first, then hung in the place of the sampler's model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, automatic_batch, fitted_batch
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.dilated import demofusion_guides
from tiled_diffusion.engine.guides.means import MeanPull
from tiled_diffusion.engine.guides.pull import Pull, hold
from tiled_diffusion.engine.noise import region_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.structure import check_structure, plain_colours
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.values import Settings

from .bootstrap import Sketches
from .denoiser import Tiling
from .hosts import host, require_known_model
from .hosts.port import Job
from .hosts.values import Beginning, DenoiserCall, Forward
from .inversion import kept_noise
from .other_sizes import at_size
from .pictures import job_pulls, noise_towards
from .places import Places
from .prompts import MainPrompts, encode_main, encode_regions
from .rows import Row
from .run import TITLE, Run
from .tile_prompts import JobPrompts

HINTS_OPTION = "tiled_diffusion_hints_in_main_memory"
"""Setting of the WebUI: whole hints of ControlNets do not lie on the device that draws."""


def attach(p: Job, run: Run, x: Tensor, noise: Tensor) -> None:
    """Prepares the sampler that is about to begin.

    Args:
        p: the host's job.
        run: what it keeps of ours.
        x: [B, C, H, W], the latent that is drawn on; its size is the canvas's.
        noise: the start noise; regions' own is written into it.

    Raises:
        TiledError: the settings do not fit this canvas or this model.
    """
    run.begun = True
    if x.dim() != 4:
        raise TiledError(f"{TITLE} draws pictures; this model's latent has {x.dim()} axes and not 4")
    require_known_model()
    if run.job.passes not in ("both", "hires" if host.jobs.is_hires(p) else "first"):
        return
    settings, canvas = run.job.tiling, Extent(int(x.shape[-2]), int(x.shape[-1]))
    active = any(r.draws for r in settings.regions)
    of_regions = job_pulls(p, settings, canvas)
    pulls = (*of_regions, *_held(run, x, noise))
    if active and host.sampling.is_edit_model():
        raise TiledError("regions: an instruct-pix2pix model has no place for them: remove them or take another model")
    planner = Planner(canvas, settings, host.sampling.model_size(), grid_seed(p, settings))
    if planner.reference() is not None and active:
        check_structure(settings, 2.0)
    terms = demofusion_guides(planner, None if x is noise else x.clone())
    whole = planner.plan().is_whole and not active and not pulls and not terms
    start = _start_noise(p, settings, noise)
    kept = _kept(p, run, from_picture=x is not noise)
    if kept is not None and planner.reference() is not None:
        raise TiledError("inversion: it does not go with elastic, which draws by guidance alone: take another method")
    model = None if kept is None else host.sampling.model_call(p)
    tiling = Tiling(planner, Batching(1)) if whole else _tiling(p, run, planner, start, pulls)
    tiling.terms = terms
    if not whole:
        tiling.sketches = Sketches.of(p, planner, start) if x is noise else None
        clean = None if x is noise else x.clone()
        tiling.prompts = JobPrompts.of(p, planner, clean, controlled=tiling.controls is not None)
        _keep_captions(p, run, tiling.prompts)
        _hang(p, run, tiling)
    if kept is None or model is None:
        noise.copy_(noise_towards(p, of_regions, x, start, from_picture=x is not noise))
    else:
        noise.copy_(start)
        host.sampling.before_img2img(p, _keeping(p, kept, tiling, model, of_regions))


def _held(run: Run, x: Tensor, noise: Tensor) -> tuple[Pull, ...]:
    """What holds the means of an input picture's latent, in blocks of a quarter of its shorter side."""
    if run.hold == 0 or x is noise:
        return ()
    block = max(1, min(host.sampling.model_size().native, *x.shape[-2:]) // 4)
    return (MeanPull(x.clone(), x.new_ones((1, 1, *x.shape[-2:])), hold(run.hold), block),)


def _keep_captions(p: Job, run: Run, prompts: JobPrompts | None) -> None:
    """What a captioner said goes to the records, so that a picture repeats without it; of a hires pass it cannot."""
    if prompts is not None and prompts.captions and not host.jobs.is_hires(p):
        run.captions |= enumerate(prompts.captions, start=p.iteration * p.batch_size)
        run.write_record()


def _keeping(
    p: Job, inversion: Inversion, tiling: Tiling, model: Forward, pulls: tuple[Pull, ...]
) -> Callable[[Beginning], None]:
    """Writes the pictures' own noise into what the sampler begins with."""

    def change(begin: Beginning) -> None:
        own = kept_noise(p, inversion, tiling, model, begin)
        begin.noise.copy_(noise_towards(p, pulls, begin.x, own, from_picture=True))

    return change


def _kept(p: Job, run: Run, *, from_picture: bool) -> Inversion | None:
    """How the noise is found of the picture that the sampling begins with; None where it is fresh."""
    kept = run.job.kept
    if kept is not None and not from_picture and not host.jobs.is_hires(p) and not getattr(p, "enable_hr", False):
        p.comment(f"{TITLE}: there is no picture to keep in txt2img without hires fix")
    return kept if from_picture else None


def grid_seed(p: Job, settings: Settings) -> int:
    """Key of the grids that move: as set, or the first picture's seed."""
    return int(p.all_seeds[0]) if settings.grid_seed is None else settings.grid_seed


def _start_noise(p: Job, settings: Settings, noise: Tensor) -> Tensor:
    """With the regions' seeds; they count up from picture to picture, over all batches."""
    if not settings.regions and not settings.rerolls:
        return noise
    before = p.iteration * p.batch_size
    return region_noise(
        noise, settings, lambda seed, shape, image: host.sampling.draw_noise(seed, shape, before + image)
    )


def _tiling(p: Job, run: Run, planner: Planner, noise: Tensor, pulls: tuple[Pull, ...]) -> Tiling:
    settings = planner.settings
    controls = host.sampling.controls(p, on_cpu=bool(host.page.option(HINTS_OPTION, False)))
    if planner.model.prediction == "flow" and (controls is not None or _has_units(p)):
        raise TiledError("ControlNet: Stable Diffusion 3 and Flux are not drawn in tiles with it here: switch it off")
    tile_batch = settings.tile_batch or automatic_batch(planner, int(noise.shape[0]), host.sampling.free_bytes())
    tiling = Tiling(
        planner,
        Batching(1 if controls and controls.one_tile else tile_batch, _stop_if_wanted),
        _encoded(p, run, planner.canvas),
        lambda sigma: host.sampling.noise_level(p, sigma),
        controls,
        pulls,
        _main(p, planner),
        _colours(p) if planner.reference() is not None and settings.elastic_reference == "pad" else None,
        networks=run.networks,
    )
    if host.sampling.hypertile_is_on(hires=host.jobs.is_hires(p)):
        p.comment(f"{TITLE}: Hypertile takes every tile to have the picture's shape; switch it off if tiles look torn")
    return tiling


def _has_units(p: Job) -> bool:
    """Whether ControlNet units are on; the extension does not get to work where it does not know the model."""
    units = [unit for s in host.jobs.scripts_of(p) if s.title.lower() == "controlnet" for unit in s.values]
    return any(unit.get("enabled") if isinstance(unit, dict) else getattr(unit, "enabled", False) for unit in units)


def _hang(p: Job, run: Run, tiling: Tiling) -> None:
    run.tiling, run.checkpoint, run.controls = tiling, host.sampling.checkpoint(), tiling.controls
    if run.controls is not None:
        run.controls.begin(tiling.planner.canvas, tiling.planner.largest_crop())
        if run.controls.whole:
            p.comment(f"{TITLE}: these ControlNet units act on the whole picture: {', '.join(run.controls.whole)}")

    def denoise(
        original: Forward, x: Tensor, sigma: Tensor, cond: dict[str, Any], rows: list[Row] | None = None
    ) -> Tensor:
        size, own = Extent(int(x.shape[-2]), int(x.shape[-1])), None if tiling.step is None else tiling
        if own is not None and size != tiling.planner.canvas:
            own = at_size(p, tiling, size)
        return original(x, sigma, cond=cond) if own is None else own.denoise(original, x, sigma, cond, rows)

    shape = (tiling.batching.size, *tiling.planner.largest_crop())
    run.hung = host.sampling.hang(p, lambda call: _begin_step(p, run, tiling, call), denoise, shape, tiling.controls)
    run.sampler = p.sampler
    tiling.places = Places.wanted(p, tiling)
    if tiling.places is not None:
        tiling.batching.size = fitted_batch(tiling.batching.size, tiling.planner, tiling.places.pool.width)


def _encoded(p: Job, run: Run, canvas: Extent) -> dict[int, Any]:
    if not any(r.draws for r in run.job.tiling.regions):
        return {}
    px = host.sampling.LATENT_PX
    return encode_regions(p, run.texts, (canvas.w * px, canvas.h * px), run.networks)


def _main(p: Job, planner: Planner) -> MainPrompts | None:
    if planner.reference() is None:
        return None
    px = host.sampling.LATENT_PX
    return encode_main(p, planner.settings.elastic_local_prompt, (planner.canvas.w * px, planner.canvas.h * px))


def _begin_step(p: Job, run: Run, tiling: Tiling, call: DenoiserCall) -> None:
    checkpoint = host.sampling.checkpoint()
    if tiling.main is not None and tiling.calls == 0:
        check_structure(tiling.planner.settings, call.scale)
    if (tiling.regions or tiling.main) and run.checkpoint != checkpoint:  # the refiner has its own text encoder
        tiling.regions, tiling.main = _encoded(p, run, tiling.planner.canvas), _main(p, tiling.planner)
        run.checkpoint = checkpoint
    tiling.begin_step(call.step, call.total, call.weights, call.scale, unguided=call.unguided)


def _stop_if_wanted(done: int) -> None:  # noqa: ARG001
    if host.jobs.stop_wanted():
        raise host.jobs.INTERRUPT


def _colours(p: Job) -> Tensor:
    """[n, C]: plain colours, encoded."""
    return host.sampling.encoded_colours(p, plain_colours())
