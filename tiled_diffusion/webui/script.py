"""The script that the WebUI runs for every job: the order of events."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tiled_diffusion.bootstrap import Bootstrap, plain_colours
from tiled_diffusion.errors import TiledError
from tiled_diffusion.fuse import Batching
from tiled_diffusion.geometry import Extent
from tiled_diffusion.methods import METHODS
from tiled_diffusion.noise import region_noise
from tiled_diffusion.plan import Planner
from tiled_diffusion.settings import Settings
from tiled_diffusion.ui.job import PanelJob, merge
from tiled_diffusion.ui.panel import Panel, PanelHost, build_panel

from . import host, infotext, upscale, xyz
from .controlnet import ControlTiles
from .denoiser import Tiling
from .prompts import RegionPrompts, encode_regions, networks_of_regions
from .scope import unwrap, wrap

log = logging.getLogger("tiled_diffusion")
TITLE = "Tiled Diffusion"
PEER = "multidiffusion-upscaler-for-automatic1111"
WRAPPED = ("init", "sample")
RUN = "_tiled_diffusion_run"


class JobError(TiledError):
    """Stops a job before it draws; the API answers with its text and status 422."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.detail, self.status_code = message, 422


@dataclass
class Run:
    """What one job keeps between its events.

    Attributes:
        job: what the panel asks for.
        tiling: of the present sampling.
        denoiser: the sampler's CFG denoiser that it belongs to.
        controls: the ControlNets' hints.
        checkpoint: whose text encoder made the regions' conditioning.
    """

    job: PanelJob
    tiling: Tiling | None = None
    denoiser: Callable[[], Any] = lambda: None
    controls: ControlTiles | None = None
    checkpoint: str = ""

    def end(self) -> None:
        """Takes everything off the sampler."""
        denoiser = self.denoiser()
        if self.tiling is not None and denoiser is not None:
            wrapper = getattr(denoiser, "model_wrap", None)
            if wrapper is not None:
                self.tiling.disarm(wrapper)
        if self.controls is not None:
            self.controls.restore()
        if self.tiling is not None:
            self.tiling.step = None
        self.tiling, self.controls = None, None
        self.denoiser = lambda: None


class TiledDiffusionScript(host.Script):  # type: ignore[misc]
    """Tiled Diffusion's panel and its part in every job."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 in both tabs
        """Always there."""
        return host.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Builds the panel; its components are the script's arguments."""
        tab = "img2img" if is_img2img else "txt2img"
        method = host.option("tiled_diffusion_method", "mixture")
        panel = build_panel(
            tab, PanelHost(host.accordion, host.upscalers(), method if method in METHODS else "mixture")
        )
        self.control_names = tuple(panel.controls)
        self._paste_fields(panel)
        return panel.args

    def _paste_fields(self, panel: Panel) -> None:
        self.infotext_fields = infotext.fields(panel)
        self.paste_field_names = [infotext.KEY]

    def before_process(self, p: Any, *args: Any) -> None:  # noqa: ARG002
        """Drops what a copy of a job brought along."""
        p.__dict__.pop(RUN, None)
        for name in WRAPPED:
            unwrap(p, name, TITLE)

    def process(self, p: Any, enabled: Any = False, value: Any = None, *controls: Any) -> None:
        """Reads the settings and prepares the job; a wrong one stops it as soon as it begins."""
        if not enabled:
            return
        try:
            run = Run(self._job(p, value, controls))
            self._prepare(p, run)
        except TiledError as e:
            _refuse(p, str(e))
            return
        p.__dict__[RUN] = run
        for name in WRAPPED:
            wrap(p, name, TITLE, partial(_ending, run))

    def _job(self, p: Any, value: Any, controls: tuple[Any, ...]) -> PanelJob:
        job = merge(value, dict(zip(self.control_names, controls, strict=False)))
        return xyz.applied(p, job)

    def _prepare(self, p: Any, run: Run) -> None:
        peer = _peer(p)
        if peer is not None:
            raise TiledError(f"{peer} is switched on too, and would tile these tiles again: switch one of the two off")
        if self.is_img2img:
            upscale.enlarge_input(p, run.job)
        else:
            upscale.set_size(p, run.job)
        tags = networks_of_regions(run.job.tiling)
        if tags:
            names = ", ".join(f"{kind}:{tag.items[0]}" for kind, found in tags.items() for tag in found)
            p.comment(f"{TITLE}: {names} stands in a region's prompt, but acts on the whole picture")
        infotext.write(p, run.job)

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Adds the regions' LoRAs to the batch."""
        run = p.__dict__.get(RUN)
        if run is None or not p.prompts:
            return
        tags = networks_of_regions(run.job.tiling)
        p.prompts[0] += "".join(f" <{kind}:{':'.join(t.items)}>" for kind, found in tags.items() for t in found)

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Adds the regions' LoRAs to the hires pass."""
        run = p.__dict__.get(RUN)
        data = getattr(p, "hr_extra_network_data", None)
        if run is None or data is None or data is getattr(p, "extra_network_data", None):
            return
        for kind, found in networks_of_regions(run.job.tiling).items():
            data.setdefault(kind, []).extend(found)

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Puts tiles under a sampler that is about to begin."""
        run = p.__dict__.get(RUN)
        if run is None:
            return
        run.end()
        try:
            _attach(p, run, kwargs["x"], kwargs["noise"])
        except TiledError as e:
            run.end()
            _refuse_sampling(p, str(e))


def _attach(p: Any, run: Run, x: Any, noise: Any) -> None:
    if x.dim() != 4:
        raise TiledError(f"{TITLE} draws pictures; this model's latent has {x.dim()} axes and not 4")
    hires = bool(getattr(p, "is_hr_pass", False))
    if run.job.passes not in ("both", "hires" if hires else "first"):
        return
    settings, canvas = run.job.tiling, Extent(int(x.shape[-2]), int(x.shape[-1]))
    planner = Planner(canvas, settings, host.model_size(), _grid_seed(p, settings))
    first = planner.plan()
    if settings.regions and host.is_edit_model():
        raise TiledError("regions: an instruct-pix2pix model has no place for them: remove them or take another model")
    if settings.regions or settings.rerolls:
        noise.copy_(region_noise(noise, settings, host.draw_noise))
    active = [r for r in settings.regions if r.enabled]
    if first.is_whole and not active:
        return
    denoiser = p.sampler.model_wrap_cfg
    tiling = Tiling(
        planner,
        Batching(settings.tile_batch or _auto_batch(planner, int(x.shape[0])), _stop_if_wanted),
        _encoded(p, planner) if active else {},
        _bootstrap(p, settings, noise),
        lambda sigma: host.noising(p.sampler, sigma),
    )
    run.controls = ControlTiles.find(p)
    if run.controls is not None:
        run.controls.begin(canvas)
        if run.controls.whole:
            p.comment(f"{TITLE}: these ControlNet units act on the whole picture: {', '.join(run.controls.whole)}")
    tiling.controls = run.controls
    run.tiling, run.denoiser, run.checkpoint = tiling, weakref.ref(denoiser), host.checkpoint()
    _LIVE[denoiser] = run
    tiling.arm(denoiser.inner_model)


def _encoded(p: Any, planner: Planner) -> dict[int, RegionPrompts]:
    height, width = (side * host.LATENT_PX for side in planner.canvas)
    return encode_regions(p, planner.settings, (width, height))


_LIVE: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()


def on_cfg_denoiser(params: Any) -> None:
    """Called before each denoiser call of every sampler; does nothing for those that are not ours."""
    denoiser = params.denoiser
    run = _LIVE.get(denoiser)
    if run is None or run.tiling is None:
        return
    run.tiling.arm(denoiser.inner_model)  # the refiner makes a new wrapper
    if run.tiling.regions and run.checkpoint != host.checkpoint():  # and has its own text encoder
        run.tiling.regions = _encoded(denoiser.p, run.tiling.planner)
        run.checkpoint = host.checkpoint()
    extra = denoiser.sampler.sampler_extra_args
    weights = [[part.weight for part in parts] for parts in extra["cond"].batch]
    scale = extra["cond_scale"] * denoiser.cond_scale_miltiplier
    run.tiling.begin_step(
        denoiser.step, denoiser.total_steps, weights, scale, unguided=host.skips_negatives(denoiser, params.sigma)
    )


def _stop_if_wanted(done: int) -> None:  # noqa: ARG001
    if host.stop_wanted():
        raise host.INTERRUPT


def _auto_batch(planner: Planner, images: int) -> int:
    """As many tiles as a third of the free memory takes, by a rough figure; halved when that is too much."""
    free = host.free_bytes()
    if free is None:
        return planner.settings.first_batch
    tile = planner.tile_size()
    per_tile = 2 * images * tile.h * tile.w * BYTES_PER_LATENT_PIXEL
    return max(1, min(64, free // 3 // per_tile))


BYTES_PER_LATENT_PIXEL = 128 * 1024
"""Activations of an SD 1 U-Net in float16 with an attention that keeps no matrix, for one row."""


def _grid_seed(p: Any, settings: Settings) -> int:
    return int(p.all_seeds[0]) if settings.grid_seed is None else settings.grid_seed


def _bootstrap(p: Any, settings: Settings, noise: Any) -> Bootstrap | None:
    if not any(r.enabled and r.bootstrap > 0 for r in settings.regions):
        return None
    return Bootstrap(settings, int(p.all_seeds[0]), noise.clone(), host.encoded_colours(p.sd_model, plain_colours()))


def _ending(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    """A job's method, after which nothing of ours is left on the sampler."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        finally:
            run.end()

    return wrapper


def _refuse(p: Any, message: str) -> None:
    """Lets the job fail with a message when it begins."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG001
        def init(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
            unwrap(p, "init", TITLE)
            raise JobError(f"{TITLE}: {message}")

        return init

    wrap(p, "init", TITLE, around)


def _refuse_sampling(p: Any, message: str) -> None:
    """Lets the sampler that is about to begin fail: hooks cannot, what they raise is only reported."""
    sampler = p.sampler

    def fail(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        for name in ("sample", "sample_img2img"):
            sampler.__dict__.pop(name, None)
        raise JobError(f"{TITLE}: {message}")

    sampler.sample = sampler.sample_img2img = fail


def _peer(p: Any) -> str | None:
    """The name of another tiling extension that is switched on in this job."""
    for script in getattr(p.scripts, "alwayson_scripts", []):
        folder = str(getattr(script, "filename", "")).lower()
        if PEER in folder and "tilediffusion" in folder:
            args = (p.script_args or ())[script.args_from : script.args_to]
            if args and args[0] is True:
                return PEER
    return None
