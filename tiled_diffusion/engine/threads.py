"""Workers that are threads of this process: one for each device that holds a copy of the model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import torch

from .runner import Job

DEVICE_KINDS = ("cuda", "cpu")
"""For which autocast is a thread's own."""


def autocast_of(kind: str) -> tuple[bool, torch.dtype]:
    """Whether autocast is on in this thread for a kind of DEVICE_KINDS, and its dtype."""
    if hasattr(torch, "get_autocast_dtype"):  # since PyTorch 2.4
        return torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
    if kind == "cpu":
        return torch.is_autocast_cpu_enabled(), torch.get_autocast_cpu_dtype()
    return torch.is_autocast_enabled(), torch.get_autocast_gpu_dtype()


def as_here() -> Callable[[], ExitStack]:
    """What opens the modes of PyTorch that this thread is in, gradients and autocast, in another thread."""
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    casts = [(kind, *autocast_of(kind)) for kind in DEVICE_KINDS]

    def opened() -> ExitStack:
        stack = ExitStack()
        stack.enter_context(torch.inference_mode(inference))
        stack.enter_context(torch.set_grad_enabled(grad))
        for kind, enabled, dtype in casts:
            stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled))
        return stack

    return opened


class ThreadWorker:
    """A Worker of pool.py with a thread of its own.

    Args:
        name: for people.
        replica: is handed to its jobs.
    """

    def __init__(self, name: str, replica: Any) -> None:
        self.name, self.replica = name, replica
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"tiled-diffusion {name}")

    def start(self, job: Job) -> Future[Any]:
        """See Worker; in the modes of the thread that calls."""
        opened = as_here()

        def does() -> Any:
            with opened():
                return job(self.replica)

        return self._thread.submit(does)

    def ready(self) -> Future[Any]:
        """At once."""
        return self._thread.submit(lambda: None)

    def stop(self) -> None:
        """What is under way comes to its end, for a thread cannot be killed; nothing else begins."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.replica = None
