"""Data-parallel training over processes on one machine (gloo), and a schedule that follows the clock.

Learning rates follow elapsed time, not steps, so that a run ends when its minutes are over however busy the machine is.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

Work = Callable[[int, argparse.Namespace, int], None]
"""What one process does: (rank, options, port)."""


def launch(work: Work, options: argparse.Namespace, port: int) -> None:
    """Runs the work in options.procs processes; a single one is this process."""
    port += os.getpid() % 1000
    if options.procs == 1:
        work(0, options, port)
    else:
        mp.spawn(work, (options, port), nprocs=options.procs, join=True)


def join_processes(rank: int, options: argparse.Namespace, port: int) -> None:
    """Called first by each process of a training: threads, seed, and the way to the others."""
    torch.set_num_threads(max(1, options.threads))
    torch.manual_seed(1000 * options.seed + rank)
    if options.procs > 1:
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", str(port)
        dist.init_process_group("gloo", rank=rank, world_size=options.procs)


def share_weights(params: Sequence[nn.Parameter], procs: int) -> None:
    """All processes begin with the first one's weights."""
    if procs > 1:
        for p in params:
            dist.broadcast(p.data, 0)


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each tensor's sum over all processes, in one exchange."""
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    parts = flat.split([t.numel() for t in tensors])
    return [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)]


def average_gradients(params: Sequence[nn.Parameter], procs: int) -> None:
    """Over all processes, in place."""
    if procs > 1:
        for p, total in zip(params, summed([p.grad for p in params]), strict=True):
            p.grad.copy_(total / procs)


def shared_progress(start: float, minutes: float, procs: int, done: float = 0.0) -> float:
    """Fraction of the schedule that is over, the same number in all processes; `done` was over before this run."""
    v = torch.tensor([done + (1 - done) * (time.time() - start) / 60 / minutes])
    if procs > 1:
        dist.broadcast(v, 0)
    return float(v)


def learning_rate(progress: float, step: int, peak: float, warm: int, floor: float = 0.02) -> float:
    """A linear rise over `warm` steps, then half a cosine down to the floor's share of the peak."""
    return peak * min(1, (step + 1) / warm) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, progress))))


def blended(old: tuple[float, ...], new: tuple[float, ...], share: float) -> tuple[float, ...]:
    """Running means after one more value of each; empty before the first."""
    if not old:
        return new
    return tuple((1 - share) * a + share * b for a, b in zip(old, new, strict=True))
