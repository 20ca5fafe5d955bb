"""What one job of the WebUI keeps between its events, and how a job is made to fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiled_diffusion.errors import OutOfMemoryError, TiledError
from tiled_diffusion.settings.panel import PanelSettings

from .controlnet.tiles import ControlTiles
from .denoiser import Tiling
from .region_texts import RegionTexts
from .scope import unwrap, wrap

TITLE = "Tiled Diffusion"
WRAPPED = ("setup_prompts", "init", "sample")
RUN = "_tiled_diffusion_run"
WRONG, NO_MEMORY = 422, 500


class JobError(TiledError):
    """Stops a job; the API answers with its text and its status."""

    def __init__(self, message: str, status: int = WRONG) -> None:
        super().__init__(message)
        self.detail, self.status_code = message, status


@dataclass
class Run:
    """What one job keeps between its events.

    Attributes:
        job: what the panel asks for.
        texts: the regions' own prompts, picture by picture.
        tiling: of the present sampling.
        denoiser: the sampler's CFG denoiser that it belongs to.
        controls: the ControlNets' hints.
        checkpoint: whose text encoder made the regions' conditioning.
    """

    job: PanelSettings
    texts: RegionTexts
    tiling: Tiling | None = None
    denoiser: Callable[[], Any] = lambda: None
    controls: ControlTiles | None = None
    checkpoint: str = ""

    def end(self) -> None:
        """Takes everything off the sampler."""
        denoiser = self.denoiser()
        if self.tiling is not None:
            self.tiling.step = None
            wrapper = getattr(denoiser, "model_wrap", None)
            if wrapper is not None:
                self.tiling.disarm(wrapper)
        if self.controls is not None:
            self.controls.restore()
        self.tiling, self.controls = None, None
        self.denoiser = lambda: None


def run_of(p: Any) -> Run | None:
    """What a job of the host keeps of ours, if anything."""
    run = p.__dict__.get(RUN)
    return run if isinstance(run, Run) else None


def as_job_error(error: Exception) -> Exception:
    """The error as it leaves the job: ours with their text and an HTTP status, others as they are."""
    if isinstance(error, JobError) or not isinstance(error, TiledError):
        return error
    return JobError(f"{TITLE}: {error}", NO_MEMORY if isinstance(error, OutOfMemoryError) else WRONG)


def guard(p: Any) -> None:
    """Whatever happens while a job draws, nothing of ours is left on its sampler afterwards."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def sample(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except TiledError as e:
                raise as_job_error(e) from e
            finally:
                run = run_of(p)  # the present one: other extensions keep old wrappers
                if run is not None:
                    run.end()

        return sample

    wrap(p, "sample", TITLE, around)


def refuse(p: Any, error: Exception) -> None:
    """Lets the job fail when it begins: hooks cannot, what they raise is only reported."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG001
        def init(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
            unwrap(p, "init", TITLE)
            raise as_job_error(error)

        return init

    wrap(p, "init", TITLE, around)


def refuse_sampling(p: Any, error: Exception) -> None:
    """Lets the sampler that is about to begin fail."""
    sampler = p.sampler

    def fail(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        for name in ("sample", "sample_img2img"):
            sampler.__dict__.pop(name, None)
        raise as_job_error(error)

    sampler.sample = sampler.sample_img2img = fail
