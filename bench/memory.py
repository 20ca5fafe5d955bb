"""Counts the bytes of live tensors exactly, by watching every operator, not the operating system."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveBytes(TorchDispatchMode):
    """Within the block: bytes of all storages that operators made and that still live, and their peak.

    Args:
        counts: which tensors count; by default all. A storage counts or not by the tensor that was seen with it first.
    """

    def __init__(self, counts: Callable[[Tensor], bool] = lambda t: True) -> None:  # noqa: ARG005
        super().__init__()
        self.counts = counts
        self.live = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operator and takes note of its results."""
        given = {t.untyped_storage()._cdata for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for t in tree_iter(out):
            if isinstance(t, Tensor) and t.untyped_storage()._cdata not in given:
                self._add(t)
        return out

    def _add(self, t: Tensor) -> None:
        storage = t.untyped_storage()
        key = storage._cdata
        if key in self._seen or not self.counts(t):
            return
        size = storage.nbytes()
        self._seen[key] = weakref.finalize(storage, self._drop, key, size)
        self.live += size
        self.peak = max(self.peak, self.live)

    def _drop(self, key: int, size: int) -> None:
        self._seen.pop(key, None)
        self.live -= size


def peak_bytes(run: Callable[[], Any], counts: Callable[[Tensor], bool] = lambda t: True) -> int:  # noqa: ARG005
    """Peak of live bytes while `run` runs, without gradients."""
    with torch.no_grad(), LiveBytes(counts) as counter:
        run()
    return counter.peak
