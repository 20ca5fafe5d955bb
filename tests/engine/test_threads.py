"""Workers that are threads: a job runs in the modes of the thread that hands it over, whatever PyTorch there is."""

import pytest
import torch

from tiled_diffusion.engine import threads
from tiled_diffusion.engine.threads import ThreadWorker, autocast_of


class Modes:
    """Tells the modes that it runs in."""

    def __call__(self, replica):
        return replica, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast_of("cpu")

    def check(self, result):
        assert len(result) == 4


class OldTorch:
    """PyTorch before 2.4, which asks by other names."""

    def __getattr__(self, name):
        if name == "get_autocast_dtype":
            raise AttributeError(name)
        return getattr(torch, name)

    def is_autocast_enabled(self):
        return torch.is_autocast_enabled()


@pytest.mark.filterwarnings("ignore:torch.*autocast.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_modes_are_those_of_the_thread_that_calls(old, enabled, monkeypatch):
    if old:
        monkeypatch.setattr(threads, "torch", OldTorch())
    worker = ThreadWorker("w", "replica")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled), torch.no_grad():
            assert worker.start(Modes()).result(60) == ("replica", False, False, (enabled, torch.bfloat16))
        with torch.inference_mode():
            assert worker.start(Modes()).result(60)[2]
        assert autocast_of("cuda")[0] is False
        assert worker.start(Modes()).result(60)[1:] == (True, False, (False, autocast_of("cpu")[1]))
    finally:
        worker.stop()
