"""Workers for a model: where they are, whether they hold the same model, and the runner over them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from tiled_diffusion.engine.pool import Pool, WorkerLost
from tiled_diffusion.engine.runner import Local, Runner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.model import Model, checkpoint_folder

from .replica import Card, Replica
from .where import checked, known_cluster, require_ray

if TYPE_CHECKING:
    from .ray_workers import RayWorker, Session

log = logging.getLogger("tiled_diffusion")

LOAD_SECONDS = 900.0
"""How long all workers together may take to load their models, tens of gigabytes from a slow disk."""
LATE = f"not ready within {LOAD_SECONDS / 60:.0f} minutes: another program draws there, or its model is slow to load"


@contextmanager
def workers(where: str | int, model: Model, token: str | None = None) -> Iterator[Runner]:
    """Workers that draw with a model, for `generate(..., runner=...)` and DiffusersHost.

    Args:
        where: so many on this machine, for this process alone; "HOST:PORT", all of a cluster that this machine belongs
            to; or "auto": the cluster that this machine belongs to, else one for each of its graphics cards, where
            there are several. On the processor "auto" without a cluster is no worker at all: all is drawn here.
        model: loaded from a file or folder that lies at the same place on all machines.
        token: of the cluster; None takes the one that `cluster start` or `cluster join` has noted here.

    Yields:
        A runner; where workers are lost it goes on with the others, and in the end in this process.

    Raises:
        TiledError: Ray is not installed, the cluster cannot be reached, or no worker has the same program and model;
            the message has both values.
    """
    where, known = checked(where), known_cluster()
    if where == "auto":
        where = _cards() if known is None else known.address
    replica = Replica(model)
    if where == 0:
        log.warning("workers: there is no cluster and but one device here: drawing in this process alone")
        yield Local(replica)
        return
    if model.path is None:
        raise TiledError("workers: this model was not loaded from a file, so that no other process can load it")
    require_ray()
    from . import ray_workers

    if isinstance(where, int):
        session = ray_workers.Session.alone(where)
    else:
        noted = known.token if known is not None and known.address == where else os.environ.get("RAY_AUTH_TOKEN", "")
        session = ray_workers.Session.joined(where, token or noted)
    try:
        pool = Pool(_joined(session, model, here=isinstance(where, int)), replica, ray_workers.share)
        yield pool
    finally:
        session.close()


def _cards() -> int:
    """Graphics cards of this machine, where there are several; else 0."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return count if count > 1 else 0


def _joined(session: Session, model: Model, *, here: bool) -> list[RayWorker]:
    """The workers that have the same program and model; the others are told of."""
    dtype = {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(model.dtype, "fp32")
    device = "cpu" if here and model.device.type == "cpu" else "auto"
    path = None if model.path == checkpoint_folder() or model.path is None else model.path.resolve()
    started = []
    for place in session.places():
        threads = max(1, (os.cpu_count() or 1 if here else place.processors) // place.seats)
        started += [session.start(place, path, device, dtype, threads) for _ in range(place.seats)]
    own, joined, reasons = Card.of(model), [], list[str]()
    ends = time.monotonic() + LOAD_SECONDS
    for worker, ready in [(worker, worker.ready()) for worker in started]:
        try:
            card = _card(own, ready, ends)
        except TiledError as e:
            reasons.append(f"{worker.name} is refused: {e}")
            worker.stop()
            continue
        worker.name += f" ({card.device})"
        joined.append(worker)
    if not joined:
        raise TiledError("workers: none can draw with this model. " + "; ".join(dict.fromkeys(reasons)))
    for line in reasons:
        log.warning("%s", line)
    return joined


def _card(own: Card, ready: Future[Card], ends: float) -> Card:
    """What a worker says of itself until a moment; raises TiledError that says why it cannot draw."""
    try:
        card = ready.result(max(0.0, ends - time.monotonic()))
    except LateError:
        raise TiledError(LATE) from None
    except (WorkerLost, RuntimeError, OSError, ImportError, AttributeError) as e:
        raise TiledError(str(e) or type(e).__name__) from e
    reason = own.refusal(card)
    if reason is not None:
        raise TiledError(reason)
    return card
