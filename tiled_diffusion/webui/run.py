"""What one job of the WebUI keeps between its events, and how a job is made to fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tiled_diffusion.engine.guides.pull import finished
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.panel import PanelSettings
from tiled_diffusion.settings.tile_texts import TileText
from tiled_vae import TiledVaeError

from .controlnet.controls import Controls
from .denoiser import Tiling
from .hosts import host
from .hosts.failure import job_error
from .hosts.port import Hung, Job, NetworkSwitch
from .region_texts import RegionTexts
from .scope import unwrap, wrap

TITLE = "Tiled Diffusion"
WRAPPED = ("setup_prompts", "init", "sample")
RUN = "_tiled_diffusion_run"
HOLD = "_tiled_diffusion_hold"
"""Where a job of a script of ours says for how much of the sampling means of its input hold; it is drawn untiled."""
NOT_ASKED = "this WebUI, or a script in it, did not ask for tiles: the picture is without them"


@dataclass
class Run:
    """What one job keeps between its events.

    Attributes:
        job: what the panel asks for.
        texts: the regions' own prompts, picture by picture.
        tiling: of the present sampling.
        hung: it, in the place of the sampler's model.
        controls: the ControlNets' hints.
        sampler: that it hangs on.
        checkpoint: whose text encoder made the regions' conditioning.
        started: when the job began, in seconds of the monotonic clock.
        begun: a sampling of the present batch was prepared.
        unasked: one that has ended never asked for its tiles.
        added_networks: names of those that stand in regions' prompts alone.
        networks: which networks act, or None where all do everywhere.
        captions: of tiles, by the number of the picture in the job.
        write_record: writes the records of all pictures, with what is known of them.
        hold: for how much of the sampling the means of an input picture's areas hold.
        told: of each picture that grows, what decides it besides its request.
        resumed: some of it was not drawn now, but in a run before.
    """

    job: PanelSettings
    texts: RegionTexts
    tiling: Tiling | None = None
    hung: Hung | None = None
    controls: Controls | None = None
    sampler: Any = None
    checkpoint: str = ""
    started: float = field(default_factory=time.monotonic)
    begun: bool = False
    unasked: bool = False
    added_networks: set[str] = field(default_factory=set)
    networks: NetworkSwitch | None = None
    captions: dict[int, tuple[TileText, ...]] = field(default_factory=dict)
    write_record: Callable[[], None] = lambda: None
    hold: float = 0.0
    told: tuple[tuple[str, str], ...] = ()
    resumed: bool = False

    def finished(self, samples: Any) -> Any:
        """What is kept to the end is exactly that, where a sampler leaves some noise; pictures stay as they are."""
        if self.tiling is None or not isinstance(samples, Tensor) or samples.dim() != 4:
            return samples
        fits = tuple(samples.shape[-2:]) == tuple(self.tiling.planner.canvas)
        return finished(self.tiling.pulls, samples) if fits else samples

    def end(self, following: Any = None) -> None:
        """Takes everything off the sampler.

        Args:
            following: the sampler that is about to begin; some WebUIs announce one and the same twice.
        """
        if self.hung is not None:
            self.unasked |= self.hung.asked == 0 and self.sampler is not following
            self.hung.take_off()
        if self.tiling is not None:
            self.tiling.step = None
            if self.tiling.places is not None:
                self.tiling.places.close()
        if self.controls is not None:
            self.controls.restore()
        self.tiling, self.hung, self.controls, self.sampler = None, None, None, None


def run_of(p: Job) -> Run | None:
    """What a job of the host keeps of ours, if anything."""
    run = p.__dict__.get(RUN)
    return run if isinstance(run, Run) else None


def ring_of(p: Job) -> tuple[bool, bool]:
    """Whether a job's left meets its right, and its top its bottom."""
    run = run_of(p)
    return (False, False) if run is None else (run.job.tiling.wrap_x, run.job.tiling.wrap_y)


def failing(title: str, error: Exception) -> Exception:
    """The error as it leaves a job: ours with a status for the API, told in one line; others as they are."""
    if not isinstance(error, (TiledError, TiledVaeError)):
        return error
    failure = job_error(title, error)
    host.jobs.tell(failure)
    return failure


def guard(p: Job) -> None:
    """Whatever happens while a job draws, nothing of ours is left on its sampler afterwards.

    And where nobody asked for the tiles, the job fails: its record would say what did not happen.
    """

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def sample(*args: Any, **kwargs: Any) -> Any:
            run = run_of(p)  # the present one: other extensions keep old wrappers
            if run is None:
                return original(*args, **kwargs)
            run.begun = run.unasked = False
            try:
                result = run.finished(original(*args, **kwargs))
            except TiledError as e:
                raise failing(TITLE, e) from None
            finally:
                run.end()
            if (run.unasked or not run.begun) and not host.jobs.stop_wanted():
                raise failing(TITLE, TiledError(NOT_ASKED))
            return result

        return sample

    wrap(p, "sample", TITLE, around)


def refuse(p: Job, title: str, error: Exception) -> None:
    """Lets the job fail when it begins: hooks cannot, what they raise is only reported."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG001
        def init(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
            unwrap(p, "init", title)
            raise failing(title, error)

        return init

    wrap(p, "init", title, around)
