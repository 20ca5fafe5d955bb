"""How long the last jobs took and what memory they needed, so that a panel can tell it of the next one like them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MOST = 100
GIB = 2**30


@dataclass(frozen=True)
class JobKind:
    """What decides how long a step of a job takes.

    Attributes:
        size: width and height of the picture, image pixels.
        tile: width and height of a tile, image pixels.
        rows: images that the model sees at each step.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    rows: int


@dataclass(frozen=True)
class FinishedJob:
    """A job that is done.

    Attributes:
        kind: what it was.
        steps: of the sampling.
        seconds: from its beginning to its end.
        peak: the most memory of the graphics card that it held at once, in bytes; None where there is none.
    """

    kind: JobKind
    steps: int
    seconds: float
    peak: int | None = None

    def line(self) -> str:
        """What a panel says of it."""
        width, height = self.kind.size
        memory = "" if self.peak is None else f" and {self.peak / GIB:.1f} GiB"
        return f"the last job like it ({width} x {height} px, {self.steps} steps) took {self.seconds:.0f} s{memory}"


@dataclass(frozen=True)
class LastJobs:
    """The last jobs of this process, the newest first."""

    jobs: deque[FinishedJob] = field(default_factory=lambda: deque(maxlen=MOST))

    def add(self, job: FinishedJob) -> None:
        """Remembers a job."""
        self.jobs.appendleft(job)

    def like(self, kind: JobKind) -> FinishedJob | None:
        """The last job with tiles of this size, and with at most twice or half as many rows; None where none was."""
        return next(
            (job for job in self.jobs if job.kind.tile == kind.tile and 0.5 <= job.kind.rows / kind.rows <= 2), None
        )
