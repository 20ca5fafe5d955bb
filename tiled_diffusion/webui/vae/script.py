"""The script that the WebUI runs for every job: the order of events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.vae import VaePanelSettings, vae_settings_from
from tiled_diffusion.ui.vae_panel import build_panel
from tiled_diffusion.webui.hosts import a1111_vae as host
from tiled_diffusion.webui.scope import unwrap, wrap
from tiled_vae import Interrupted, TiledVaeError

from . import infotext, plan_line, xyz
from .tiling import TITLE, Tiling

TILING = "_tiled_vae"
WRAPPED = ("init", "sample", "sample_hr_pass")


class JobError(TiledVaeError):
    """Stops a job; the API answers with its text and status 422."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.detail, self.status_code = message, 422


class FailedSamples:
    """Stands for pictures that could not be decoded: the host, which asks it first of all, gets the error.

    A hook cannot stop a job: what it raises is only reported, and the host would decode once more by itself.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    @property
    def already_decoded(self) -> bool:
        """Raises what went wrong."""
        raise self._error


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
        self.controls = tuple(panel.controls)
        self.infotext_fields = infotext.fields(panel)
        self.paste_field_names = [TITLE]
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

    def before_process(self, p: Any, *args: Any) -> None:  # noqa: ARG002
        """Drops what a copy of a job brought along."""
        p.__dict__.pop(TILING, None)
        for name in WRAPPED:
            unwrap(p, name, TITLE)

    def process(self, p: Any, enabled: Any = False, value: Any = None, *controls: Any) -> None:
        """Reads the settings and wraps the job's methods that use the VAE."""
        chosen = p.__dict__.get(xyz.VALUES, {})
        if not xyz.is_on(chosen, bool(enabled)):
            return
        try:
            job = xyz.applied(chosen, vae_settings_from(value, dict(zip(self.controls, controls, strict=False))))
        except (SettingsError, TiledVaeError) as e:
            wrap(p, "init", TITLE, partial(_refusing, p, str(e)))
            return
        self._begin(p, job)

    def _begin(self, p: Any, job: VaePanelSettings) -> None:
        tiling = p.__dict__[TILING] = Tiling(job, p)
        infotext.write(p, job)
        wrap(p, "init", TITLE, partial(_init, tiling))
        wrap(p, "sample", TITLE, partial(_sample, tiling))
        if hasattr(p, "sample_hr_pass"):
            wrap(p, "sample_hr_pass", TITLE, partial(_sample_hr_pass, tiling))

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:  # noqa: ARG002
        """The job is done; what an error left behind goes with the job, or before the next process."""
        self.before_process(p)

    def post_sample(self, p: Any, ps: Any, *args: Any) -> None:  # noqa: ARG002
        """The final decoding; the host leaves out its own when it finds decoded pictures."""
        tiling = p.__dict__.get(TILING)
        if tiling is None or getattr(ps.samples, "already_decoded", False) or not host.decodes_fully():
            return
        try:
            with tiling.scope():
                ps.samples = host.decode(p, ps.samples)
        except Exception as e:  # noqa: BLE001 whatever it is, the host gets it
            ps.samples = FailedSamples(_for_the_api(e))


def on_cfg_denoiser(params: Any) -> None:
    """Called before each denoiser call: the refiner may have changed the model."""
    p = getattr(params.denoiser, "p", None)
    tiling = None if p is None else p.__dict__.get(TILING)
    if tiling is not None:
        tiling.arm()


def _for_the_api(error: Exception) -> Exception:
    return JobError(f"{TITLE}: {error}") if isinstance(error, TiledVaeError) else error


def _init(tiling: Tiling, original: Callable[..., Any]) -> Callable[..., Any]:
    """The job's preparation; where it was stopped there is nothing to draw, and the host ends by itself."""

    def init(*args: Any, **kwargs: Any) -> Any:
        try:
            with tiling.scope(), tiling.stoppable():
                return original(*args, **kwargs)
        except Interrupted:
            return None
        except TiledVaeError as e:
            raise _for_the_api(e) from e

    return init


def _sample(tiling: Tiling, original: Callable[..., Any]) -> Callable[..., Any]:
    def sample(*args: Any, **kwargs: Any) -> Any:
        try:
            with tiling.scope():
                return original(*args, **kwargs)
        except TiledVaeError as e:
            raise _for_the_api(e) from e

    return sample


def _sample_hr_pass(tiling: Tiling, original: Callable[..., Any]) -> Callable[..., Any]:
    """The hires pass, perhaps of another model; where its encoding was stopped, the first pass is the result."""

    def sample_hr_pass(samples: Any, decoded_samples: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            with tiling.scope(), tiling.stoppable():
                return original(samples, decoded_samples, *args, **kwargs)
        except Interrupted:
            return samples if samples is not None else host.decoded(decoded_samples)

    return sample_hr_pass


def _refusing(p: Any, message: str, original: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG001
    def init(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        unwrap(p, "init", TITLE)
        raise JobError(f"{TITLE}: {message}")

    return init
