"""How long the last jobs took and what memory they needed, so that a panel can tell it of the next one like them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.inversion import Inversion

MOST = 100
GIB = 2**30


@dataclass(frozen=True)
class JobKind:
    """What decides how long a step of a job takes.

    Attributes:
        size: width and height of the picture, image pixels.
        tile: width and height of a tile, image pixels.
        rows: images that the model sees at each step.
        ways: what else there is to it, in words, see `ways_of`.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    rows: int
    ways: tuple[str, ...] = ()


def ways_of(way: str = "", growth: Growth | None = None, inversion: Inversion | None = None) -> tuple[str, ...]:
    """What makes a job take another time than plain txt2img of its size.

    Args:
        way: "img2img", "hires fix" or the like.
        growth: where it grows in stages.
        inversion: where the noise of a picture is found before.
    """
    ways = [way]
    if growth is not None:
        stages = "stages" if growth.stages is None else f"{growth.stages} stages"
        ways.append(f"grown in {stages} at {growth.stage_strength:g}")
    if inversion is not None:
        ways.append(f"inversion of {inverted_steps(inversion)}")
    return tuple(filter(None, ways))


def inverted_steps(inversion: Inversion) -> str:
    """How many steps an inversion takes."""
    steps = "as many steps" if inversion.steps is None else f"{inversion.steps} steps"
    return steps + (f", each {inversion.rounds} times" if inversion.rounds > 1 else "")


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
        what = ", ".join((f"{width} x {height} px", f"{self.steps} steps", *self.kind.ways))
        return f"the last job like it ({what}) took {self.seconds:.0f} s{memory}"


@dataclass(frozen=True)
class LastJobs:
    """The last jobs of this process, the newest first; jobs may end while they are looked through."""

    jobs: deque[FinishedJob] = field(default_factory=lambda: deque(maxlen=MOST))

    def add(self, job: FinishedJob) -> None:
        """Remembers a job."""
        self.jobs.appendleft(job)

    def like(self, kind: JobKind, steps: int | None = None) -> FinishedJob | None:
        """The last job with tiles of this size, drawn in the same ways, and with at most twice or half as many rows.

        One of as many steps comes before all others. None where no such job was.
        """
        alike = [job for job in tuple(self.jobs) if _is_like(job.kind, kind)]
        return next((job for job in alike if job.steps == steps), alike[0] if alike else None)


def _is_like(a: JobKind, b: JobKind) -> bool:
    return (a.tile, a.ways) == (b.tile, b.ways) and 0.5 <= a.rows / b.rows <= 2
