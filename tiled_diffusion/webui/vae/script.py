"""The script that the WebUI runs for every job: the order of events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from tiled_diffusion.settings.vae import VaePanelSettings, vae_settings_from
from tiled_diffusion.ui.vae_panel import build_panel
from tiled_diffusion.webui import xyz
from tiled_diffusion.webui.arguments import arguments
from tiled_diffusion.webui.hosts import Script, host, require_known_host
from tiled_diffusion.webui.hosts.port import Job
from tiled_diffusion.webui.infotext import VAE as RECORD
from tiled_diffusion.webui.infotext import vae_fields
from tiled_diffusion.webui.run import failing, refuse, ring_of
from tiled_diffusion.webui.scope import unwrap, wrap
from tiled_vae import Interrupted, TiledVaeError

from . import plan_line
from .tiling import TITLE, Tiling

TILING = "_tiled_vae"
WRAPPED = ("init", "sample", "sample_hr_pass")


class TiledVaeScript(Script):  # type: ignore[misc]
    """The tiled VAE's panel and its part in every job."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 in both tabs
        """Always there."""
        return host.page.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Builds the panel; its components are the script's arguments."""
        panel = build_panel("img2img" if is_img2img else "txt2img", partial(host.page.accordion, on=False))
        self.controls = tuple(panel.controls)
        self.infotext_fields = vae_fields(panel)
        self.paste_field_names = [RECORD.key]
        self._line().show_on(panel)
        return panel.args

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """Remembers where the host asks for the picture's size."""
        self._line().found(str(kwargs.get("elem_id")), component)

    def _line(self) -> plan_line.PlanLine:
        line: plan_line.PlanLine | None = self.__dict__.get("plan_line")
        if line is None:
            line = self.plan_line = plan_line.PlanLine("img2img" if self.is_img2img else "txt2img")
        return line

    def before_process(self, p: Job, *args: Any) -> None:  # noqa: ARG002
        """Drops what a copy of a job brought along."""
        _let_go(p)
        RECORD.drop(p)

    def process(self, p: Job, enabled: Any = False, value: Any = None, *controls: Any) -> None:
        """Reads the settings and wraps the job's methods that use the VAE; a ring is closed without the panel too."""
        try:
            job = self._asked(p, enabled, value, controls)
            if job is not None or any(ring_of(p)):
                require_known_host()
                _begin(p, with_ring(p, job or VaePanelSettings()))
        except Exception as e:  # noqa: BLE001 the host would only report it, and draw
            refuse(p, TITLE, e)

    def _asked(self, p: Job, enabled: Any, value: Any, controls: tuple[Any, ...]) -> VaePanelSettings | None:
        """What the panel, the API or the cell of a plot asks for, if anything; a mode on an axis switches on or off."""
        on, settings = arguments(p, TITLE, enabled, value)
        mode = xyz.VAE.chosen(p).get("mode")
        if mode == xyz.OFF or not (on or mode):
            if mode is None:
                xyz.VAE.say_if_idle(p)
            return None
        own = vae_settings_from(settings, dict(zip(self.controls, controls, strict=False)))
        return replace(own, **xyz.VAE.values(p))

    def postprocess(self, p: Job, processed: Any, *args: Any) -> None:  # noqa: ARG002
        """The job is done; what an error left behind goes with the job, or before the next process."""
        if TILING in p.__dict__ or xyz.VAE.chosen(p):
            host.jobs.finish(p, processed)
        _let_go(p)

    def post_sample(self, p: Job, ps: Any, *args: Any) -> None:  # noqa: ARG002
        """The final decoding; the host leaves out its own when it finds decoded pictures."""
        tiling = p.__dict__.get(TILING)
        if tiling is None or host.vae.is_decoded(ps.samples) or not host.vae.decodes_fully():
            return
        try:
            with tiling.scope():
                pictures = host.vae.decode(p, ps.samples)
            tiling.require_asked()
            ps.samples = pictures
        except Exception as e:  # noqa: BLE001 whatever it is, the host gets it
            ps.samples = host.vae.undecodable(failing(TITLE, e))


def with_ring(p: Job, job: VaePanelSettings) -> VaePanelSettings:
    """The job, closing what Tiled Diffusion draws as a ring; what the settings say about it themselves holds."""
    ring_x, ring_y = ring_of(p)
    wrap_x = ring_x if job.wrap_x is None else job.wrap_x
    wrap_y = ring_y if job.wrap_y is None else job.wrap_y
    if not (wrap_x or wrap_y):
        return job
    if not host.vae.decodes_fully():
        p.comment(f"{TITLE}: the VAE's small stand-in decodes, as the settings say, and cannot close the ring")
    if job.mode == "untiled":
        p.comment(f"{TITLE}: exact instead of untiled, which cannot close the ring")
        job = replace(job, mode="exact")
    return replace(job, wrap_x=wrap_x or job.wrap_x, wrap_y=wrap_y or job.wrap_y)


def _begin(p: Job, job: VaePanelSettings) -> None:
    tiling = p.__dict__[TILING] = Tiling(job, p)
    RECORD.write(p, [job])
    wrap(p, "init", TITLE, partial(_init, tiling))
    wrap(p, "sample", TITLE, partial(_sample, tiling))
    if hasattr(p, "sample_hr_pass"):
        wrap(p, "sample_hr_pass", TITLE, partial(_sample_hr_pass, tiling))


def _let_go(p: Job) -> None:
    p.__dict__.pop(TILING, None)
    for name in WRAPPED:
        unwrap(p, name, TITLE)


def before_call(p: Job) -> None:
    """Called before each denoiser call: the refiner may have changed the model."""
    tiling = p.__dict__.get(TILING)
    if tiling is not None:
        tiling.arm()


def _init(tiling: Tiling, original: Callable[..., Any]) -> Callable[..., Any]:
    """The job's preparation; where it was stopped there is nothing to draw, and the host ends by itself."""

    def init(*args: Any, **kwargs: Any) -> Any:
        try:
            with tiling.scope(), tiling.stoppable():
                return original(*args, **kwargs)
        except Interrupted:
            return None
        except TiledVaeError as e:
            raise failing(TITLE, e) from None

    return init


def _sample(tiling: Tiling, original: Callable[..., Any]) -> Callable[..., Any]:
    def sample(*args: Any, **kwargs: Any) -> Any:
        try:
            with tiling.scope():
                return original(*args, **kwargs)
        except TiledVaeError as e:
            raise failing(TITLE, e) from None

    return sample


def _sample_hr_pass(tiling: Tiling, original: Callable[..., Any]) -> Callable[..., Any]:
    """The hires pass, perhaps of another model; where its encoding was stopped, the first pass is the result."""

    def sample_hr_pass(samples: Any, decoded_samples: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            with tiling.scope(), tiling.stoppable():
                return original(samples, decoded_samples, *args, **kwargs)
        except Interrupted:
            return samples if samples is not None else host.vae.decoded(decoded_samples)

    return sample_hr_pass
