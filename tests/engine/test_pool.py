"""Jobs at workers that break, vanish, dawdle or lie: every result once, and never a wrong one."""

import gc
import logging
import threading
import time
import tracemalloc
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass

import pytest

from tiled_diffusion.engine.pool import Pool, WorkerLost
from tiled_diffusion.engine.runner import Local, kept, ordered
from tiled_diffusion.errors import OutOfMemoryError, TiledError

HOME = "home"


@dataclass(frozen=True)
class Double:
    """Doubles a number; says whether it was done at home."""

    number: int

    def __call__(self, replica):
        return (2 * self.number, replica == HOME)

    def check(self, result):
        if not (isinstance(result, tuple) and result[0] == 2 * self.number):
            raise ValueError("not a doubled number")


class Worker:
    """A thread a job; `does(k, job)` is what it makes of its k-th job."""

    def __init__(self, does=lambda k, job: job("there"), back=True, name="w"):
        self.does, self.back, self.name = does, back, name
        self.asked = self.stopped = 0

    def start(self, job):
        self.asked += 1
        return self._thread(self.does, self.asked, job)

    def ready(self):
        if not self.back:
            return self._thread(_raises(WorkerLost("gone")), 0, None)
        return self._thread(lambda k, job: None, 0, None)

    def stop(self):
        self.stopped += 1

    @staticmethod
    def _thread(does, k, job):
        future = Future()

        def run():
            try:
                future.set_result(does(k, job))
            except Exception as e:  # noqa: BLE001
                future.set_exception(e)

        threading.Thread(target=run, daemon=True).start()
        return future


def _raises(error):
    def does(k, job):
        raise error

    return does


def after(seconds, does=lambda k, job: job("there")):
    def late(k, job):
        time.sleep(seconds)
        return does(k, job)

    return late


def pool(*workers):
    return Pool(workers, HOME, kept)


def done(runner, count=20, **more):
    """Results in order, each asserted to come once."""
    results = list(runner.submit((Double(n) for n in range(count)), **more))
    assert sorted(n for n, _ in results) == list(range(count))
    return [result for _, result in sorted(results)]


def doubled(results):
    return [number for number, _ in results]


EVEN = [2 * n for n in range(20)]


@pytest.mark.parametrize("delays", [(0, 0, 0), (0.01, 0, 0.003), (0, 0.02, 0.02), (0.005,), (0, 0.1)])
def test_all_come_back_once_whatever_the_delays(delays):
    results = done(pool(*(Worker(after(s)) for s in delays)))
    assert doubled(results) == EVEN
    assert not any(at_home for _, at_home in results)


def test_results_are_put_in_order():
    assert list(ordered([(2, "c"), (0, "a"), (1, "b"), (3, "d")])) == ["a", "b", "c", "d"]
    workers = (Worker(lambda k, job: after(0.02 if job.number % 3 else 0)(k, job)), Worker())
    assert list(ordered(pool(*workers).submit(Double(n) for n in range(20)))) == [(2 * n, False) for n in range(20)]


def test_jobs_are_taken_only_as_there_is_room():
    taken = []

    def jobs():
        for n in range(10):
            taken.append(n)
            yield Double(n)

    for number, _ in pool(Worker(), Worker()).submit(jobs()):
        assert len(taken) <= number + 2 + 4
    assert len(taken) == 10


BROKEN = {
    "raises": _raises(RuntimeError("broken")),
    "memory": _raises(OutOfMemoryError("too large a tile")),
    "vanishes": _raises(WorkerLost("killed")),
    "lies": lambda k, job: (7, False),
    "says nothing": lambda k, job: None,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_one_worker_fails_at_goes_to_another_and_it_is_dropped_and_told_once(kind, caplog):
    bad, good = Worker(BROKEN[kind], name="bad"), Worker(after(0.002))
    runner = pool(bad, good)
    with caplog.at_level(logging.WARNING, "tiled_diffusion"):
        results = done(runner, 60)
        assert done(runner, 20) == [(2 * n, False) for n in range(20)]
    assert results == [(2 * n, False) for n in range(60)]
    assert (bad.asked, bad.stopped, runner.width) == (2, 1, 1)
    assert [r.message for r in caplog.records if "bad" in r.message] == [caplog.records[0].message]
    assert "left out" in caplog.records[0].message


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("back", [True, False])
def test_where_all_are_dead_this_process_goes_on_alone_and_says_so_once(kind, back, caplog):
    runner = pool(*(Worker(BROKEN[kind], back=back) for _ in range(2)))
    with caplog.at_level(logging.WARNING, "tiled_diffusion"):
        results = done(runner)
        done(runner)
    assert doubled(results) == EVEN
    assert any(at_home for _, at_home in results)
    assert (runner.width, runner.seats) == (1, [])
    assert sum("this process alone" in r.message for r in caplog.records) == 1


def test_one_that_comes_back_works_on_and_is_forgiven():
    once = Worker(lambda k, job: (_raises(WorkerLost("killed")) if k in (3, 9) else after(0.001))(k, job))
    runner = pool(once, Worker(after(0.005)))
    assert doubled(done(runner, 40)) == [2 * n for n in range(40)]
    assert (runner.width, once.stopped) == (2, 0)
    assert once.asked > 9


def test_a_job_that_no_worker_can_do_is_done_here_after_three_tries():
    hard = lambda k, job: (_raises(RuntimeError("hard")) if job.number == 5 else after(0.001))(k, job)  # noqa: E731
    workers = [Worker(hard) for _ in range(4)]
    results = done(pool(*workers))
    assert [n for n, (_, at_home) in enumerate(results) if at_home] == [5]


def test_a_job_that_cannot_be_done_anywhere_gives_its_own_error():
    @dataclass(frozen=True)
    class Hopeless(Double):
        def __call__(self, replica):
            raise KeyError(self.number)

    with pytest.raises(KeyError):
        list(pool(Worker(), Worker(), Worker(), Worker()).submit([Hopeless(3)]))


def test_a_users_error_is_not_tried_again():
    asked = []

    def wrong(k, job):
        asked.append(job.number)
        raise TiledError("steps: got 0")

    with pytest.raises(TiledError, match="steps: got 0"):
        list(pool(Worker(wrong)).submit([Double(1), Double(2)]))
    assert asked == [1]


def test_nothing_waits_for_a_slow_worker_at_the_end():
    release = threading.Event()

    def stuck(k, job):
        release.wait(60)
        return job("there")

    slow, runner = Worker(stuck), None
    try:
        runner = pool(slow, Worker(after(0.005)))
        assert doubled(done(runner)) == EVEN
        assert not release.is_set()
        assert doubled(done(runner)) == EVEN  # it is still at the first one, and nobody minds
        assert slow.asked == 1
    finally:
        release.set()
    assert doubled(done(runner, 200)) == [2 * n for n in range(200)]
    assert slow.asked > 1


def test_a_free_worker_does_the_job_of_every_one_that_hangs_and_each_but_once():
    release, asked = threading.Event(), []

    def stuck(k, job):
        release.wait(60)
        return job("there")

    def quick(k, job):
        asked.append(job.number)
        assert len(asked) < 50
        return after(0.002)(k, job)

    try:
        assert doubled(done(pool(Worker(stuck), Worker(stuck), Worker(quick)))) == EVEN
    finally:
        release.set()
    assert sorted(asked) == list(range(20))


class StopError(Exception):
    pass


def test_what_idle_raises_ends_the_work_and_the_next_work_is_not_disturbed():
    runner = pool(Worker(after(0.05)), Worker(after(0.05)))
    calls = iter(range(1000))

    def idle():
        if next(calls) == 4:
            raise StopError

    with pytest.raises(StopError):
        list(runner.submit((Double(n) for n in range(100)), idle))
    assert doubled(done(runner)) == EVEN


def test_one_that_is_left_in_the_middle_does_not_disturb_the_next():
    runner = pool(Worker(after(0.01)), Worker(after(0.01)))
    left = runner.submit(Double(100 + n) for n in range(10))
    next(left)
    assert doubled(done(runner)) == EVEN
    with closing(left):
        pass
    assert doubled(done(runner)) == EVEN


class Gone(Worker):
    """Is lost, never comes back, and never says that it will not."""

    def __init__(self):
        super().__init__(_raises(WorkerLost("gone")))

    def ready(self):
        return Future()


class Hangs(Worker):
    """Never ends its first job."""

    def start(self, job):
        return Future()


@pytest.mark.parametrize(("other", "fails_at"), [(Gone, 1), (Gone, 2), (Hangs, 2)])
def test_what_the_only_worker_that_is_there_failed_at_is_tried_there_again(other, fails_at):
    begun = time.monotonic()

    def idle():
        assert time.monotonic() - begun < 20, "it waits for what does not come"

    once = Worker(lambda k, job: (BROKEN["raises"] if k == fails_at else after(0.002))(k, job))
    runner = pool(once, other())
    assert done(runner, count=3, idle=idle) == [(0, False), (2, False), (4, False)]
    assert once in [seat.worker for seat in runner.seats]


def test_closing_stops_all():
    workers = [Worker(), Worker()]
    runner = pool(*workers)
    runner.close()
    assert [w.stopped for w in workers] == [1, 1]


def test_thirty_runs_keep_nothing():
    runner = pool(Worker(), Worker())
    done(runner)
    gc.collect()
    tracemalloc.start()
    try:
        before = None
        for run in range(30):
            list(runner.submit(Double(n) for n in range(10)))
            if run == 4:
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_local_does_them_in_their_order():
    runner = Local(HOME)
    assert list(runner.submit(Double(n) for n in range(4))) == [(n, (2 * n, True)) for n in range(4)]
    assert runner.share("x").value() == "x"
    assert runner.width == 1
