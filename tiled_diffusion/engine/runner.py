"""Where pieces of work are done: in this process, or at several places at once.

A job is a pure function of what it holds and of a replica of the model, so that it may be done anywhere, and twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Job(Protocol):
    """A piece of work; what it holds can be sent to another process."""

    def __call__(self, replica: Any) -> Any:
        """Does it with a replica of the model; what comes back can be sent too."""

    def check(self, result: Any) -> None:
        """Raises ValueError where a result cannot be this job's: numbers that are not finite, a wrong shape."""


class Shared(Protocol):
    """A value that many jobs use, sent to each place once."""

    @property
    def key(self) -> str:
        """Tells it from all others."""

    def value(self) -> Any:
        """The value."""


class Runner(Protocol):
    """Does jobs."""

    @property
    def width(self) -> int:
        """How many jobs are done at once, 1 or more."""

    def share(self, value: Any) -> Shared:
        """A handle of a value for jobs to hold; it lives as long as the handle."""

    def submit(self, jobs: Iterable[Job], idle: Callable[[], None] = lambda: None) -> Iterator[tuple[int, Any]]:
        """Does jobs, which are taken one after the other as there is room for them.

        Args:
            jobs: any number.
            idle: called at least every half second between results; what it raises ends the work.

        Yields:
            (number of the job from 0, its result), in any order.
        """


@dataclass(frozen=True)
class Kept:
    """A shared value that never leaves the process."""

    key: str
    kept: Any

    def value(self) -> Any:
        """The value."""
        return self.kept


def kept(value: Any) -> Kept:
    """A handle of a value, within this process."""
    return Kept(uuid.uuid4().hex, value)


@dataclass(frozen=True)
class Local:
    """Does jobs in this process, one after the other.

    Attributes:
        replica: the model.
    """

    replica: Any
    width = 1

    def share(self, value: Any) -> Shared:
        """Nothing is sent anywhere."""
        return kept(value)

    def submit(self, jobs: Iterable[Job], idle: Callable[[], None] = lambda: None) -> Iterator[tuple[int, Any]]:
        """In their order."""
        for number, job in enumerate(jobs):
            idle()
            yield number, job(self.replica)


def ordered(results: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Numbered results, which come in any order, in the order of their numbers from 0."""
    early: dict[int, Result] = {}
    wanted = 0
    for number, result in results:
        early[number] = result
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1
