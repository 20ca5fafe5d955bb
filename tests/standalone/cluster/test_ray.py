"""Processes of Ray on this machine: killed, stopped, replaced, refused; the picture is always the same.

They listen to 127.0.0.1 alone. One pool serves all tests, and each test leaves it with both workers.
"""

import os
import random
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import psutil
import pytest

from bench.cluster import is_actor
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.cluster.workers import workers
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.sampling import generate

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is an extra"),  # not imported: how depends on what it reads
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform == "win32", reason="Ray is in beta on Windows, and signals are others there"),
]

TILES = Settings(tile_width=64, tile_height=64, overlap=16, tile_batch=1)
REQUEST = Request("a red house on grass", width=256, height=64, steps=4, seed=3, sampler="Euler", tiling=TILES)

KILLS = int(os.environ.get("CLUSTER_KILLS", "10"))
"""Each costs the start of a process: on a busy machine one may want fewer."""


@dataclass(frozen=True)
class Nothing:
    """A job that takes no time, so that the pool looks after its workers."""

    def __call__(self, replica):
        return None

    def check(self, result):
        assert result is None


@pytest.fixture(scope="module")
def model():
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def runner(model):
    with workers(2, model) as runner:
        yield runner


@pytest.fixture(autouse=True)
def both(request):
    """Each test begins with both workers."""
    if "runner" in request.fixturenames:
        until_back(request.getfixturevalue("runner"), 2)


@pytest.fixture(scope="module")
def expected(model):
    return digest(generate(model, REQUEST))


def digest(images):
    return b"".join(image.tobytes() for image in images)


def until_back(runner, count, seconds=300):
    ends = time.monotonic() + seconds
    while sum(not seat.lost for seat in runner.seats) < count:
        assert len(runner.seats) >= count, "a worker was dropped"
        assert time.monotonic() < ends, "a worker did not come back"
        list(runner.submit([Nothing()]))
        time.sleep(0.2)
    for seat in runner.seats:
        seat.failures = 0


def processes():
    """Those of the actors, by their name."""
    return [p for p in psutil.Process().children(recursive=True) if is_actor(p)]


class At(Progress):
    """Does something when so many batches have come in."""

    def __init__(self, count, does):
        self.left, self.does = count, does

    def tiles(self, done):
        self.left -= 1
        if self.left == 0:
            self.does()


def test_two_processes_draw_the_same_picture_and_both_of_them_draw(model, runner, expected):
    assert digest(generate(model, REQUEST, runner=runner)) == expected
    assert [seat.worker.name for seat in runner.seats] == [f"worker {k} on 127.0.0.1 (cpu)" for k in (1, 2)]
    assert all(seat.begun > 0 for seat in runner.seats)


def test_whole_pictures_are_the_same_too(model, runner):
    tasks = [Task(replace(REQUEST, width=64, seed=seed, steps=2)) for seed in range(3)]
    there, here = (DiffusersHost(model, runner=r).draw(tasks) for r in (runner, None))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(there, here, strict=True))


def test_it_listens_to_this_machine_alone_and_shows_no_dashboard(runner):
    own = psutil.Process()
    listening = [
        connection.laddr
        for process in [own, *own.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {address.ip for address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert 8265 not in {address.port for address in listening}


def test_how_workers_are_can_be_asked_while_they_work(model, runner):
    from tiled_diffusion.standalone.cluster.ray_workers import told_of

    seen = []
    generate(model, REQUEST, runner=runner, progress=At(6, lambda: seen.extend(told_of())))
    assert {facts["device"] for facts in seen} == {"cpu"}
    assert {facts["model"] for facts in seen} == {"tiny-landscapes"}
    assert sum(facts["jobs"] for facts in seen) > 5
    assert {facts["pid"] for facts in seen} == {process.pid for process in processes()}


def test_killed_at_ten_random_moments_the_picture_is_the_same(model, runner, expected):
    chance, done = random.Random(7), 0
    for _ in range(KILLS):
        until_back(runner, 1)
        moment, killed = chance.randrange(1, 18), []

        def kill():
            victim = chance.choice(processes())
            killed.append(victim.pid)  # noqa: B023 used up within the round
            victim.kill()

        assert digest(generate(model, REQUEST, runner=runner, progress=At(moment, kill))) == expected
        assert killed
        done += 1
    assert done == KILLS


def test_all_killed_it_goes_on_in_this_process(model, runner, expected):
    def kill():
        for process in processes():
            process.kill()

    assert digest(generate(model, REQUEST, runner=runner, progress=At(5, kill))) == expected


@contextmanager
def stopped(process):
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_one_that_hangs_is_not_waited_for(model, runner, expected):
    with stopped(processes()[0]):
        assert digest(generate(model, REQUEST, runner=runner)) == expected
    assert len(runner.seats) == 2


def test_thirty_runs_keep_nothing(model, runner):
    short = replace(REQUEST, steps=1)
    own = [psutil.Process(), *processes()]
    for run in range(30):
        generate(model, short, runner=runner)
        if run == 9:
            before = [process.memory_info().rss for process in own]
    grown = [process.memory_info().rss - old for process, old in zip(own, before, strict=True)]
    assert max(grown) < 30 << 20


def test_what_is_left_in_the_middle_is_given_up(model, runner, expected):
    class Stop(Exception):  # noqa: N818
        pass

    def stop():
        raise Stop

    with pytest.raises(Stop):
        generate(model, REQUEST, runner=runner, progress=At(4, stop))
    assert digest(generate(model, REQUEST, runner=runner)) == expected


def test_a_users_error_comes_back_as_it_is(model, runner):
    bad = replace(REQUEST, tiling=replace(TILES, tile_prompts="captions"))
    with pytest.raises(TiledError, match="nobody captions here"):
        DiffusersHost(model, runner=runner).draw([Task(replace(bad, seed=seed)) for seed in (1, 2)])
