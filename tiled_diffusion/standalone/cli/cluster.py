"""`cluster`, and what `--workers` means: processes of Ray are begun and joined, and the work is handed to them."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.cluster.where import Cluster, is_address, known_cluster, noted, require_ray

from .flags import UsageError
from .helps import PROGRAM
from .hosting import say

if TYPE_CHECKING:
    from tiled_diffusion.engine.runner import Runner
    from tiled_diffusion.standalone.model import Model

REACH_SECONDS = 5.0
TRUST = (
    "Whoever reaches this port and has the token runs code on these machines, and what is sent is not encrypted: "
    "only in networks that you trust."
)


@contextmanager
def workers_of(args: argparse.Namespace, model: Model) -> Iterator[Runner | None]:
    """The workers that --workers asks for; None where it does not."""
    if args.workers is None:
        yield None
        return
    from tiled_diffusion.standalone.cluster.workers import workers

    with workers(args.workers, model, args.token) as runner:
        yield runner


def run_cluster(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """`cluster start`, `cluster join` and `cluster status`.

    Returns:
        The result for JSON, and the report's lines.
    """
    require_ray()
    return {"start": _start, "join": _join, "status": _status}[args.action](args)


def _start(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    host, token = args.host or own_address(), args.token or secrets.token_hex(16)
    cluster = Cluster(f"{host}:{args.port}", token)
    say(
        args,
        f"The cluster's first machine is {host}, until Ctrl+C. On each of the others, with the same version:\n"
        f"  {PROGRAM} cluster join {cluster.address} --token {token}\n"
        f"Then draw on this one, in another window, with --workers auto.\n{TRUST}",
    )
    words = ["--head", f"--port={args.port}", "--include-dashboard=false"]
    return _serve(args, cluster, host, words)


def _join(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    if not is_address(args.address):
        raise UsageError(f"cluster join: got {args.address!r}, allowed is HOST:PORT, as `cluster start` prints it")
    token = args.token or os.environ.get("RAY_AUTH_TOKEN")
    if not token:
        raise UsageError("--token: give the one that `cluster start` has printed")
    host, _, port = args.address.rpartition(":")
    if host in ("127.0.0.1", "localhost"):
        raise TiledError(
            f"cluster join: {args.address} is a cluster of one machine alone: start it there with its address in the "
            "network, which `cluster start` takes by itself"
        )
    try:
        with socket.create_connection((host, int(port)), REACH_SECONDS) as connection:
            own = args.host or connection.getsockname()[0]
    except OSError as e:
        raise TiledError(
            f"cluster join: port {port} of {host} cannot be reached ({e}): is `cluster start` running there, and does "
            "its firewall let this machine in?"
        ) from e
    say(args, f"This machine, {own}, works for the cluster at {args.address} until Ctrl+C.\n{TRUST}")
    return _serve(args, Cluster(args.address, token), own, [f"--address={args.address}"])


def _serve(
    args: argparse.Namespace, cluster: Cluster, host: str, words: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Runs Ray's processes of this machine until they end, or Ctrl+C ends them."""
    from tiled_diffusion.standalone.cluster.ray_workers import LOOPBACK, SEAT, environment

    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", *words, f"--node-ip-address={host}",
        f'--resources={{"{SEAT}": {_seats(args.workers)}}}', "--disable-usage-stats", "--block",
    ]  # fmt: skip
    variables = {**os.environ, **environment(cluster.token, alone=host == LOOPBACK)}
    quiet = None if args.debug else subprocess.DEVNULL
    with noted(cluster), subprocess.Popen(command, env=variables, stdout=quiet, stderr=subprocess.PIPE) as process:
        try:
            _, errors = process.communicate()
        finally:
            process.terminate()
    if process.returncode:
        lines = (errors or b"").decode(errors="replace").strip().splitlines() or ["no reason was given"]
        raise TiledError(f"cluster {args.action}: Ray did not start at {host} ({lines[-1]})")
    return {"address": cluster.address}, []


def _status(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from tiled_diffusion.standalone.cluster.ray_workers import Session, told_of

    known = known_cluster()
    if known is None:
        raise TiledError("cluster status: this machine belongs to no cluster: `cluster start` or `cluster join` first")
    session = Session.joined(known.address, args.token or known.token)
    try:
        machines = [{"address": p.address, "workers": p.seats, "cards": p.cards} for p in session.places()]
        workers = told_of()
    finally:
        session.close()
    lines = [f"cluster    {known.address}"]
    lines += [f"machine    {m['address']}: room for {m['workers']} worker(s), {m['cards']:g} GPU(s)" for m in machines]
    lines += [_line(worker) for worker in workers] or ["workers    none: they come with a command that has --workers"]
    return {"address": known.address, "machines": machines, "workers": workers}, lines


def _line(worker: dict[str, Any]) -> str:
    pace = worker["jobs"] / worker["seconds"] if worker["seconds"] else 0.0
    error = f", last error: {worker['error']}" if worker["error"] else ""
    return f"{worker['name']:10} {worker['device']}, {worker['model']}: {worker['jobs']} jobs, {pace:.1f}/s{error}"


def _seats(workers: int | None) -> int:
    """How many workers this machine holds: as many as it has graphics cards, or one."""
    import torch

    return workers or (torch.cuda.device_count() if torch.cuda.is_available() else 0) or 1


def own_address() -> str:
    """The address of this machine in its network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
