"""Tells how far a run of a sampler is, and is the place to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class TimeLeft:
    """How long a job will still take, a part of which may have been done before this run of it.

    Attributes:
        clock: seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _begun: tuple[float, float] | None = field(default=None, init=False)

    def at(self, done: float) -> float | None:
        """Seconds that are left when a part of the job, 0 to 1, is done; None before anything was done here."""
        if self._begun is None:
            self._begun = self.clock(), done
        since, before = self._begun
        return None if done <= before else (self.clock() - since) * (1 - done) / (done - before)

    @staticmethod
    def text(seconds: float) -> str:
        """For people: "40 s", "2 min"."""
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Progress:
    """Says nothing; the methods are what each run of a sampler calls, in this order.

    To stop a run, raise tiled_vae.Interrupted in `tiles` or `step`: nobody catches it but who began the work.
    """

    def stage(self, number: int, count: int, shares: tuple[float, float]) -> None:
        """Called before the run of each stage that is drawn, of a picture that grows.

        Args:
            number: of the stage, from 1.
            count: of all stages.
            shares: parts of the whole work, 0 to 1, that lie behind the stage's beginning and its end.
        """

    def start(self, steps: int, tiles: int) -> None:
        """Called once a run: `steps` denoiser calls are to come, the first of `tiles` tiles."""

    def tiles(self, done: int) -> None:
        """Called after each batch: `done` tiles of the present call are done."""

    def step(self, i: int) -> None:
        """Called after denoiser call number i (from 0)."""

    def denoised(self, latents: Tensor) -> None:
        """Called after each step with the picture as the model sees it now, [B, C, H, W]: for previews."""

    def finish(self) -> None:
        """Called at the end of each run, also after an exception."""
