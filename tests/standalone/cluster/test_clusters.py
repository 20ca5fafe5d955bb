"""Clusters that are begun and ended within a test: two machines, and a command that is interrupted."""

import copy
import importlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest
import torch

from bench.cluster import is_actor
from tests.standalone.cluster.test_ray import REQUEST, At, digest, pytestmark  # noqa: F401 the marks are this module's
from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.cluster.where import Cluster, noted
from tiled_diffusion.standalone.cluster.workers import workers
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.sampling import generate


@pytest.fixture(scope="module")
def model():
    return load_model(device="cpu")


def test_a_second_machine_a_wrong_model_and_the_end_of_it_all(model, tmp_path, monkeypatch, capsys):
    """On a cluster of two machines, which are processes here."""
    from tiled_diffusion.standalone.cli.commands import main
    from tiled_diffusion.standalone.cluster.ray_workers import SEAT, TOKEN, environment, ray

    machines_of = importlib.import_module("ray.cluster_utils").Cluster  # after Ray, which reads its token when it comes
    ray.shutdown()
    others = psutil.Process().children(recursive=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in environment(TOKEN, alone=True).items():
        monkeypatch.setenv(name, value)
    first = {"num_cpus": 1, "resources": {SEAT: 1}, "include_dashboard": False, "object_store_memory": 100 << 20}
    machines = machines_of(initialize_head=True, head_node_args=first)
    second = machines.add_node(num_cpus=1, resources={SEAT: 1}, object_store_memory=100 << 20)
    began = [process for process in psutil.Process().children(recursive=True) if process not in others]
    try:
        expected = digest(generate(model, REQUEST))
        with noted(Cluster(machines.address, TOKEN)), workers("auto", model) as runner:
            assert len(runner.seats) == 2
            assert digest(generate(model, REQUEST, runner=runner)) == expected
            assert main(["cluster", "status"]) == 0
            told = capsys.readouterr().out
            assert told.count("machine    127.0.0.1: room for 1 worker(s)") == 2
            assert "cpu, tiny-landscapes:" in told
            goes = At(4, lambda: machines.remove_node(second, allow_graceful=False))
            assert digest(generate(model, REQUEST, runner=runner, progress=goes)) == expected
        other = replace(model, unet=_changed(model.unet))
        refused = pytest.raises(TiledError, match=r"digest of its weights\): [0-9a-f]{16} here, [0-9a-f]{16} there")
        with refused, workers(machines.address, other, TOKEN):
            pass
    finally:
        ray.shutdown()
        machines.shutdown()
    gone, alive = psutil.wait_procs(began, 20)
    assert gone
    assert alive == []


def _changed(unet):
    changed = copy.deepcopy(unet)
    with torch.no_grad():
        next(changed.parameters()).mul_(1.001)
    return changed


def test_interrupted_nothing_is_left(tmp_path):
    """The whole command, as Ctrl+C ends it."""
    command = [sys.executable, "-m", "tiled_diffusion", "generate", "a house", "--size", "1024x1024", "--steps", "100",
               "--tile", "128", "--device", "cpu", "--workers", "2", "--out", str(tmp_path)]  # fmt: skip
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    children = []
    try:
        for line in iter(lambda: process.stderr.read(1), ""):
            if line == "%":  # the bar is there: both draw
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert any(map(is_actor, children))
        os.kill(process.pid, signal.SIGINT)
        told = process.communicate(timeout=120)[1]
        assert process.returncode == 130
        assert "error: interrupted" in told
        assert psutil.wait_procs(children, 20)[1] == []
        assert list(tmp_path.glob("*.png")) == []
    finally:
        for one in (process, *children):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
