"""The script that the WebUI runs for every job: the tiled VAE, as long as the job uses the VAE."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import gradio as gr

from tiled_diffusion.webui.scope import unwrap, wrap
from tiled_vae import Callbacks, Interrupted, TiledVaeError, swapped
from tiled_vae.ui.panel import Panel, VaeJob, build_panel, job_from

from . import host

log = logging.getLogger("tiled_vae")
TITLE = "Tiled VAE"
WRAPPED = ("init", "sample", "sample_hr_pass")
JOB = "_tiled_vae_job"
PEER_HOOK = "VAEHook"


class JobError(TiledVaeError):
    """Stops a job before it draws; the API answers with its text and status 422."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.detail, self.status_code = message, 422


class TiledVaeScript(host.Script):  # type: ignore[misc]
    """The tiled VAE's panel and its part in every job."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 in both tabs
        """Always there."""
        return host.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Builds the panel; its components are the script's arguments."""
        panel = build_panel("img2img" if is_img2img else "txt2img", host.accordion)
        self.control_names = tuple(panel.controls)
        self.infotext_fields = paste_fields(panel)
        self.paste_field_names = [TITLE]
        return panel.args

    def before_process(self, p: Any, *args: Any) -> None:  # noqa: ARG002
        """Drops what a copy of a job brought along."""
        p.__dict__.pop(JOB, None)
        for name in WRAPPED:
            unwrap(p, name, TITLE)

    def process(self, p: Any, enabled: Any = False, value: Any = None, *controls: Any) -> None:
        """Reads the settings and wraps the job's methods that use the VAE."""
        if not enabled:
            return
        try:
            job = job_from(value, dict(zip(self.control_names, controls, strict=False)))
        except TiledVaeError as e:
            wrap(p, "init", TITLE, partial(_refusing, p, str(e)))
            return
        if _peer_works():
            p.comment(f"{TITLE}: another extension tiles this VAE already; this one steps aside")
            return
        p.__dict__[JOB] = job
        p.extra_generation_params[TITLE] = job.to_json()
        for name in WRAPPED:
            if hasattr(p, name):
                wrap(p, name, TITLE, partial(_tiling, job, name == "init"))

    def post_sample(self, p: Any, ps: Any, *args: Any) -> None:  # noqa: ARG002
        """The final decoding; the host leaves out its own when it finds decoded pictures."""
        job = p.__dict__.get(JOB)
        if job is None or getattr(ps.samples, "already_decoded", False) or not host.decodes_fully():
            return
        try:
            with tiled(job, stoppable=True):
                ps.samples = host.decode(p, ps.samples)
        except Interrupted:
            ps.samples = host.cheap_pictures(ps.samples)


def paste_fields(panel: Panel) -> list[tuple[Any, Any]]:
    """What a paste does to each component: the record's values; without a record the panel is switched off."""

    def switched(params: dict[str, Any]) -> Any:
        return gr.update(value=_read(params) is not None)

    def control(name: str) -> Any:
        def value(params: dict[str, Any]) -> Any:
            job = _read(params)
            if job is None:
                return gr.update()
            return gr.update(value=job.move_to_gpu if name == "move_to_gpu" else getattr(job.settings, name))

        return value

    return [(panel.enabled, switched), *((component, control(name)) for name, component in panel.controls.items())]


def _read(params: dict[str, Any]) -> VaeJob | None:
    text = params.get(TITLE)
    if not isinstance(text, str):
        return None
    try:
        return job_from(text)
    except TiledVaeError:
        return None


@contextmanager
def tiled(job: VaeJob, *, stoppable: bool = False) -> Iterator[None]:
    """The present VAE tiled in this thread; live previews are drawn in another one, and stay as they are.

    Args:
        job: how.
        stoppable: whether Interrupt ends the work on the VAE by raising Interrupted.
    """
    vae = host.vae()
    if vae is None:
        yield
        return
    stopped_before = host.interrupted()
    callbacks = Callbacks(
        on_progress=lambda done, total: host.say(f"Tiled VAE: tile {done} of {total}"),
        should_stop=lambda: stoppable and host.interrupted() and not stopped_before,
        say=_say,
    )
    with _on_device(vae, job), swapped(vae, job.settings, callbacks, this_thread_only=True):
        yield
    host.say("")


def _say(line: str) -> None:
    log.info(line)
    host.say(line)


@contextmanager
def _on_device(vae: Any, job: VaeJob) -> Iterator[None]:
    """Moves a VAE that lies in host memory, where the WebUI does not do so itself."""
    before = next(vae.parameters()).device
    moved = job.move_to_gpu and not host.moves_models() and before.type != host.device().type
    if moved:
        vae.to(host.device())
    try:
        yield
    finally:
        if moved:
            vae.to(before)


def _tiling(job: VaeJob, stoppable: bool, original: Callable[..., Any]) -> Callable[..., Any]:
    """A job's method with the VAE tiled; where it was stopped, the host goes on, and stops by itself."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with tiled(job, stoppable=stoppable):
                return original(*args, **kwargs)
        except Interrupted:
            return None

    return wrapper


def _refusing(p: Any, message: str, original: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG001
    def init(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        unwrap(p, "init", TITLE)
        raise JobError(f"{TITLE}: {message}")

    return init


def _peer_works() -> bool:
    """Whether another extension has put its own forward on the VAE."""
    vae = host.vae()
    nets = (getattr(vae, "encoder", None), getattr(vae, "decoder", None))
    return any(type(getattr(net, "forward", None)).__name__ == PEER_HOOK for net in nets)
