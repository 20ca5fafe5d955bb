"""Jobs at several workers that may be slow, break or vanish: each job is done, and told of once.

A free worker takes the next job. What a worker fails at goes to another one, and after MOST_TRIES to this process,
whose errors are then the job's own. A worker that fails twice in a row is dropped; where none is left, this process
goes on alone. When no job waits any more, one that takes long is done a second time by a free worker, and the first
result counts ("backup tasks", Dean and Ghemawat, "MapReduce", OSDI 2004, section 3.6).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from tiled_diffusion.errors import OutOfMemoryError, TiledError

from .runner import Job, Shared

log = logging.getLogger("tiled_diffusion")

MOST_TRIES = 3
"""Of a job at workers."""
MOST_FAILURES = 2
"""In a row, of a worker."""
LATE = 2.0
"""A job is late when it takes so many times what a free worker takes for one."""
POLL, CLOSE_POLL = 0.1, 0.02
"""Seconds between two looks around; the shorter while a worker is free and jobs are out."""


class WorkerLost(Exception):  # noqa: N818 it is what happened, like KeyboardInterrupt
    """A worker vanished with what it was doing."""


class Worker(Protocol):
    """One place that does jobs, one at a time.

    Attributes:
        name: for people.
    """

    name: str

    def start(self, job: Job) -> Future[Any]:
        """Begins a job; the future ends with its result, its exception, or WorkerLost."""

    def ready(self) -> Future[Any]:
        """Ends when the worker is there, again where it was lost."""

    def stop(self) -> None:
        """Ends it at once, with all that it does."""


@dataclass(eq=False)
class Piece:
    """A job on its way.

    Attributes:
        number, job: as submitted.
        tries: how often workers failed at it.
        failed: workers that did.
        places: how many workers are at it now.
        done: there is a result.
    """

    number: int
    job: Job
    tries: int = 0
    failed: set[int] = field(default_factory=set)
    places: int = 0
    done: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether one worker alone is at it, and nobody has done it."""
        return self.places == 1 and not self.done


@dataclass(eq=False)
class Seat:
    """A worker and what it does.

    Attributes:
        worker: does it.
        future: of what it does, also of what nobody waits for any more.
        piece: what it is at; None where nobody waits for it.
        begun: when it began, seconds.
        failures: in a row.
        pace: seconds for a job in the present run; None before the first.
        lost: it has vanished, and may come back.
    """

    worker: Worker
    future: Future[Any] | None = None
    piece: Piece | None = None
    begun: float = 0.0
    failures: int = 0
    pace: float | None = None
    lost: bool = False

    @property
    def is_away(self) -> bool:
        """Whether nobody knows when it will be free: it has vanished, or is at what nobody waits for any more."""
        return self.future is not None and (self.piece is None or self.piece.done)

    def begin(self, piece: Piece) -> None:
        """Starts a piece."""
        piece.places += 1
        self.piece, self.begun, self.future = piece, time.monotonic(), self.worker.start(piece.job)


class Pool:
    """A Runner over workers.

    Args:
        workers: one or more.
        replica: the model in this process, for when none is left.
        share: makes the handle of a value that all workers can open.
    """

    def __init__(self, workers: Sequence[Worker], replica: Any, share: Callable[[Any], Shared]) -> None:
        self.seats = [Seat(worker) for worker in workers]
        self.replica = replica
        self.share = share
        self._told_alone = False
        self._run: _Run | None = None

    @property
    def width(self) -> int:
        """Workers that are left; 1 where this process is alone."""
        return max(1, len(self.seats))

    def submit(self, jobs: Iterable[Job], idle: Callable[[], None] = lambda: None) -> Iterator[tuple[int, Any]]:
        """See Runner."""
        self._run = run = _Run(self, (Piece(number, job) for number, job in enumerate(jobs)))
        self._forget()
        try:
            yield from run.results(idle)
        finally:
            if self._run is run:  # one that was left behind ends when its last frame does
                self._forget()

    def _forget(self) -> None:
        """Waits for nothing any more of what workers are at."""
        for seat in self.seats:
            seat.piece = seat.pace = None

    def fail(self, seat: Seat, error: BaseException) -> None:
        """Notes a worker's failure, and drops it after too many."""
        seat.failures += 1
        seat.lost = isinstance(error, WorkerLost)
        if seat.failures >= MOST_FAILURES:
            self.seats.remove(seat)
            seat.worker.stop()
            log.warning("%s failed twice and is left out from now on: %s", seat.worker.name, _line(error))
        elif seat.lost:
            seat.future = seat.worker.ready()

    def alone(self) -> None:
        """Says once that this process goes on by itself."""
        if not self._told_alone and not self.seats:
            self._told_alone = True
            log.warning("No worker is left: going on in this process alone")

    def close(self) -> None:
        """Stops all workers at once."""
        for seat in self.seats:
            seat.worker.stop()
        self.seats = []


@dataclass
class _Run:
    """One call of `submit`."""

    pool: Pool
    source: Iterator[Piece]
    again: deque[Piece] = field(default_factory=deque)
    at_home: deque[Piece] = field(default_factory=deque)
    out: list[Piece] = field(default_factory=list)
    ended: bool = False

    def results(self, idle: Callable[[], None]) -> Iterator[tuple[int, Any]]:
        while True:
            idle()
            self._feed()
            here = self._for_here()
            if here is not None:
                yield here.number, here.job(self.pool.replica)
            elif not self.out and not self.again and self._exhausted():
                return
            else:
                self._wait()
            come = list(self._settled())
            self._feed()  # before the results are used, which takes time
            yield from come

    def _free(self) -> list[Seat]:
        return [seat for seat in self.pool.seats if seat.future is None]

    def _exhausted(self) -> bool:
        """Whether no further job comes; one that does waits first in line."""
        if not self.ended and not self.again:
            following = next(self.source, None)
            self.ended = following is None
            if following is not None:
                self.again.append(following)
        return not self.again

    def _feed(self) -> None:
        """Gives each free worker something to do."""
        for seat in self._free():
            piece = self._next(seat)
            if piece is not None:
                self.out.append(piece)
            else:
                piece = self._late(seat)
            if piece is not None:
                seat.begin(piece)

    def _next(self, seat: Seat) -> Piece | None:
        """The next that waits and did not fail here, or failed wherever it could go."""
        if self._exhausted():
            return None
        everywhere = {id(other) for other in self.pool.seats if not other.is_away}
        for piece in self.again:
            if id(seat) not in piece.failed or piece.failed >= everywhere:
                self.again.remove(piece)
                return piece
        return None

    def _late(self, seat: Seat) -> Piece | None:
        """One that one other worker alone is at, for too long."""
        if seat.pace is None:
            return None
        now = time.monotonic()
        late = [
            other
            for other in self.pool.seats
            if other.piece is not None and other.piece.is_alone and now - other.begun > LATE * seat.pace
        ]
        return min(late, key=lambda other: other.begun).piece if late else None

    def _for_here(self) -> Piece | None:
        """What is to be done in this process: what workers failed at, and all where none of them is there."""
        if self.at_home:
            return self.at_home.popleft()
        if any(not seat.lost for seat in self.pool.seats) or self._exhausted():
            return None
        self.pool.alone()
        return self.again.popleft()

    def _wait(self) -> None:
        busy = [seat.future for seat in self.pool.seats if seat.future is not None]
        if busy:
            wait(busy, CLOSE_POLL if self._free() else POLL, FIRST_COMPLETED)

    def _settled(self) -> Iterator[tuple[int, Any]]:
        """What has come in."""
        for seat in list(self.pool.seats):
            if seat.future is None or not seat.future.done():
                continue
            future, piece = seat.future, seat.piece
            seat.future = seat.piece = None
            if piece is None:
                self._unawaited(seat, future)
                continue
            piece.places -= 1
            try:
                result = future.result()
                piece.job.check(result)
            except Exception as error:  # noqa: BLE001 whatever a worker fails at
                self._failed(seat, piece, error)
                continue
            seat.failures, seat.pace = 0, _mean(seat.pace, time.monotonic() - seat.begun)
            if not piece.done:
                piece.done = True
                self.out.remove(piece)
                yield piece.number, result

    def _unawaited(self, seat: Seat, future: Future[Any]) -> None:
        """The end of what nobody waits for: a worker came back, or did a job whose run is over."""
        error = future.exception()
        if error is not None and (seat.lost or isinstance(error, WorkerLost)):
            self.pool.fail(seat, error)
        else:
            seat.lost = False

    def _failed(self, seat: Seat, piece: Piece, error: BaseException) -> None:
        if isinstance(error, TiledError) and not isinstance(error, OutOfMemoryError):
            if piece.done:
                return
            raise error
        log.debug("%s failed at a job", seat.worker.name, exc_info=error)
        self.pool.fail(seat, error)
        piece.tries += 1
        piece.failed.add(id(seat))
        if piece.done or piece.places:
            return
        self.out.remove(piece)
        (self.at_home if piece.tries >= MOST_TRIES else self.again).append(piece)


def _mean(before: float | None, seconds: float) -> float:
    return seconds if before is None else (before + seconds) / 2


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
