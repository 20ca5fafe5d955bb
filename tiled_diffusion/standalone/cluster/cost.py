"""What a picture costs with workers: one batch of tiles is measured here, and the rest is arithmetic."""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Moment
from tiled_diffusion.engine.runner import kept
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.denoiser import Denoiser
from tiled_diffusion.standalone.inpainting import context as context_of
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.samplers import scheduler_of
from tiled_diffusion.standalone.sampling import first_call, make_planner, start_noise, tile_batch

from .replica import Replica
from .tiles import Context, TilesJob
from .wire import Parcel

CALL_SECONDS = 0.001
"""Of Ray, for a call and its answer of 16 KiB within one machine, measured."""
REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """Of the denoiser calls of one picture; the VAE and the text encoders are not counted.

    Attributes:
        calls: of the denoiser on the whole canvas.
        batches: of tiles, in each.
        batch_seconds: for one of them, at a worker.
        here_seconds: for one of them, in this process, which on a processor has the threads of all workers.
        rest_seconds: of each call, that stay with this process: crops, weights, sum.
        sent, received: bytes for a batch.
        shared: bytes that are sent to each worker once.
    """

    calls: int
    batches: int
    batch_seconds: float
    here_seconds: float
    rest_seconds: float
    sent: int
    received: int
    shared: int

    def seconds(self, workers: int, bytes_per_second: float = math.inf) -> float:
        """Seconds with so many equal workers, at a network of so many bytes a second each way.

        Args:
            workers: 1 or more; a call lasts as long as the one that has most to do. 0: all is done in this process.
            bytes_per_second: of this machine's network, which all workers share.
        """
        if workers == 0:
            return self.calls * (self.batches * self.here_seconds + self.rest_seconds)
        most = math.ceil(self.batches / workers)
        each = self.batch_seconds + CALL_SECONDS + (self.sent + self.received) / bytes_per_second
        network = self.batches * max(self.sent, self.received) / bytes_per_second
        return self.calls * (max(most * each, network) + self.rest_seconds) + workers * self.shared / bytes_per_second

    def lines(self, workers: int) -> list[str]:
        """What `inspect` says of it."""
        here, many = self.seconds(0), self.seconds(workers)
        return [
            f"workers    {workers}: {many:.1f} s of sampling, without {here:.1f} s ({here / many:.2f} times as fast)",
            f"           each of {self.batches} calls a step sends {_kib(self.sent)} and gets {_kib(self.received)}",
        ]

    def to_dict(self, workers: int) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "workers": workers,
            "seconds": round(self.seconds(workers), 3),
            "seconds_without": round(self.seconds(0), 3),
            "sent": self.sent,
            "received": self.received,
        }


def cost_of(model: Model, request: Request, workers: int) -> Cost:
    """Measures one batch of a request's tiles on this machine, with the threads that each of its workers would have.

    Raises:
        TiledError: the model cannot draw the request.
    """
    planner = make_planner(model, request)
    plan, noise = planner.plan(), start_noise(model, request)
    size = tile_batch(model, planner, request.batch_size, workers)
    batches = list(plan.batches(size))
    tiles = batches[0]
    rows, channels = len(tiles) * noise.shape[0], noise.shape[1]
    crops = noise.new_zeros((rows, channels, *tiles[0].view.extent)).to(model.dtype)
    calls, first = _times(model, request, planner.largest_crop())
    context = Context.of(Denoiser.of(model, request, context_of(model, request, None)))
    moment = Moment(0, 0.0, prediction=model.traits.prediction)
    job = TilesJob(kept(context), Parcel.of(crops), Parcel.of(first), tiles, moment, model.traits.channels)
    replica = Replica(model)
    with _threads(model, workers):
        result = job(replica)
        batch_seconds = _median_seconds(lambda: job(replica))
    here_seconds = _median_seconds(lambda: job(replica))
    bare = TilesJob(kept(None), job.crops, job.time, (), moment, job.channels)  # Ray sends a reference to the context
    rest = _median_seconds(lambda: fuse(noise, plan, lambda seen, _: seen, Batching(size)))
    sent, received, shared = (len(pickle.dumps(value)) for value in (bare, result, context))
    return Cost(calls, len(batches), batch_seconds, here_seconds, rest, sent, received, shared)


def _times(model: Model, request: Request, crop: Extent) -> tuple[int, Any]:
    """How many denoiser calls there are, and the first one's time."""
    scheduler = scheduler_of(model, request, crop)
    from_picture = request.init_image is not None and not (request.inpaints and request.inpaint_from == "noise")
    times = scheduler.timesteps[first_call(scheduler, request, from_picture=from_picture) :]
    return len(times), scheduler.timesteps[-1]


@contextmanager
def _threads(model: Model, workers: int) -> Iterator[None]:
    """On a processor, the share of one of several workers; see workers.py."""
    before = torch.get_num_threads()
    if model.device.type == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _median_seconds(does: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        does()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _kib(count: int) -> str:
    return f"{count / 1024:.1f} KiB"
