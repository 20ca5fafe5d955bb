"""Workers that are actors of Ray, each a process with a copy of the model: the only file that knows Ray.

Ray itself would send a lost task to the same actor again; which worker takes what is engine/pool.py's to decide. Ray
starts a process anew that died.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiled_diffusion.engine.pool import WorkerLost
from tiled_diffusion.engine.runner import Job, Shared
from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.model import load_model

from .replica import Card, Replica

LOOPBACK = "127.0.0.1"
NAMESPACE = "tiled_diffusion"
SEAT = "tiled_worker"
"""Name of the resource of which a machine has as many as it holds workers."""
STORE_BYTES = 512 << 20
"""Of a store of objects that is this process's own; what does not fit goes to disk."""
RESTARTS = -1
"""Without end: the pool drops a worker that fails too often."""
TOKEN = secrets.token_hex(32)
"""Of clusters that are this process's own."""


def environment(token: str, *, alone: bool) -> dict[str, str]:
    """Variables of the environment for Ray's processes.

    Args:
        token: that all of them show each other.
        alone: they listen on this machine's loopback address alone.
    """
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0" if alone else "1",  # what its name does not say: see the test
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_worker_niceness": "0",  # else they wait for everything else on the machine: they are what the user started
    }


@contextlib.contextmanager
def _within(variables: dict[str, str]) -> Iterator[None]:
    """Variables of the environment, for as long as Ray reads them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


with _within(environment(TOKEN, alone=True)):
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class Actor:
    """What runs in a worker's process.

    Args:
        path: of the model there; None: the shipped one.
        device, dtype: as for load_model.
        threads: of the processor.
    """

    def __init__(self, path: str | None, device: str, dtype: str, threads: int) -> None:
        self._model, self._threads = (path, device, dtype), threads
        self._replica: Replica | None = None
        self._facts: dict[str, Any] = {"jobs": 0, "seconds": 0.0, "error": "", "device": device, "model": str(path)}

    def card(self) -> Card:
        """Loads the model, and says what it is."""
        card = Card.of(self._loaded().model)
        self._facts |= {"device": card.device, "model": self._loaded().model.name}
        return card

    def run(self, job: Job) -> Any:
        """Does a job."""
        begun = time.monotonic()
        try:
            result = job(self._loaded())
        except Exception as error:
            self._facts["error"] = f"{type(error).__name__}: {error}"[:200]
            if "CUDA error" in str(error):
                os._exit(1)  # the process cannot use the card any more: Ray starts another one
            raise
        self._facts["jobs"] += 1
        self._facts["seconds"] += time.monotonic() - begun
        return result

    def facts(self) -> dict[str, Any]:
        """How it is, also while it works: device, model, jobs, the seconds that they took, pid, last error."""
        return {**self._facts, "pid": os.getpid()}

    def _loaded(self) -> Replica:
        import torch

        torch.set_num_threads(self._threads)  # holds for one thread, and Ray may take another
        if self._replica is None:
            self._replica = Replica(load_model(*self._model))
        return self._replica


@dataclass(frozen=True)
class RayShared:
    """A value in Ray's store of objects, which brings it to each machine once."""

    key: str
    ref: Any

    def value(self) -> Any:
        """Fetches it."""
        return ray.get(self.ref)


def share(value: Any) -> Shared:
    """Puts a value into the store."""
    return RayShared(secrets.token_hex(16), ray.put(value))


@dataclass(eq=False)
class RayWorker:
    """A Worker of engine/pool.py.

    Attributes:
        name: for people.
        actor: Ray's handle.
    """

    name: str
    actor: Any

    def start(self, job: Job) -> Future[Any]:
        """See Worker."""
        return _future(lambda: self.actor.run.remote(job))

    def ready(self) -> Future[Any]:
        """Ends with the worker's Card."""
        return _future(self.actor.card.remote)

    def stop(self) -> None:
        """See Worker."""
        with contextlib.suppress(RayError, RuntimeError, ValueError):  # it is gone already
            ray.kill(self.actor)


def _future(call: Any) -> Future[Any]:
    """What a call of an actor comes to, with errors that the pool knows."""
    out: Future[Any] = Future()

    def finish(done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            out.set_result(done.result())
        elif isinstance(error, RayTaskError):
            out.set_exception(error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error)))
        else:
            out.set_exception(WorkerLost(str(error).strip().splitlines()[0] if str(error).strip() else repr(error)))

    try:
        call().future().add_done_callback(finish)
    except RayError as error:
        out.set_exception(WorkerLost(str(error)))
    return out


@dataclass
class Place:
    """A machine, as far as workers go.

    Attributes:
        node: Ray's name of it.
        address: its own.
        seats: how many workers it holds.
        processors: how many it has.
        cards: graphics cards.
    """

    node: str
    address: str
    seats: int
    processors: int
    cards: float


@dataclass
class Session:
    """A connection to Ray, that is closed at the end where it was opened here."""

    own: bool
    _workers: list[RayWorker] = field(default_factory=list)

    @classmethod
    def alone(cls, count: int) -> Session:
        """Ray on this machine for this process alone, with room for so many workers.

        Raises:
            TiledError: it would listen to other machines.
        """
        with _within(environment(TOKEN, alone=True)):
            ray.init(
                address="local",  # else it joins any cluster that it sees
                num_cpus=max(count, 1),
                resources={SEAT: count},
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                **_QUIETLY,
            )
        session = cls(own=True)
        if any(node["NodeManagerAddress"] != LOOPBACK for node in ray.nodes()):
            session.close()
            raise TiledError("workers: Ray listens to other machines here: import tiled_diffusion before ray")
        return session

    @classmethod
    def joined(cls, address: str, token: str) -> Session:
        """The cluster at HOST:PORT, of which this machine is a part.

        Raises:
            TiledError: it cannot be reached, or the token is wrong.
        """
        if ray.is_initialized():
            return cls(own=False)
        try:
            with _within(environment(token, alone=address.startswith(LOOPBACK))):
                ray.init(address=address, **_QUIETLY)
        except (ConnectionError, RayError, RuntimeError, ValueError) as e:
            line = (str(e).strip().splitlines() or [type(e).__name__])[0]
            raise TiledError(
                f"workers: this machine is no part of a cluster at {address}, or has another token: "
                f"run `cluster start` or `cluster join` on it ({line})"
            ) from e
        return cls(own=True)

    @staticmethod
    def places() -> list[Place]:
        """The machines that hold workers."""
        out = []
        for node in ray.nodes():
            has = node["Resources"]
            if node["Alive"] and has.get(SEAT):
                processors, cards = int(has.get("CPU", 1)), float(has.get("GPU", 0))
                out.append(Place(node["NodeID"], node["NodeManagerAddress"], int(has[SEAT]), processors, cards))
        return out

    def start(self, place: Place, path: Path | None, device: str, dtype: str, threads: int) -> RayWorker:
        """A worker on a machine; it loads its model when it is asked for its card."""
        number = len(self._workers) + 1
        options: dict[str, Any] = {
            "num_cpus": 0,
            "num_gpus": min(1.0, place.cards / place.seats),
            "resources": {SEAT: 1},
            "scheduling_strategy": NodeAffinitySchedulingStrategy(place.node, soft=False),
            "max_restarts": RESTARTS,
            "max_task_retries": 0,
            "name": f"worker-{os.getpid()}-{number}",
        }
        there = None if path is None else str(path)
        actor = _ACTOR.options(**options).remote(there, device, dtype, threads)
        worker = RayWorker(f"worker {number} on {place.address}", actor)
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        """Ends the workers, and Ray where it is this process's own."""
        for worker in self._workers:
            worker.stop()
        if self.own:
            ray.shutdown()


def told_of(seconds: float = 5.0) -> list[dict[str, Any]]:
    """The facts of all workers of the cluster, those of other processes too."""
    out = []
    for entry in ray.util.list_named_actors(all_namespaces=True):
        if entry["namespace"] != NAMESPACE:
            continue
        with contextlib.suppress(RayError, ValueError):  # it has just gone
            actor = ray.get_actor(entry["name"], NAMESPACE)
            out.append({"name": entry["name"], **ray.get(actor.facts.remote(), timeout=seconds)})
    return out


_QUIETLY: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": NAMESPACE}
Actor.card = ray.method(max_task_retries=-1)(Actor.card)  # type: ignore[method-assign] # asked while it comes back
Actor.facts = ray.method(concurrency_group="telling")(Actor.facts)  # type: ignore[method-assign]
_ACTOR = ray.remote(concurrency_groups={"telling": 1})(Actor)
