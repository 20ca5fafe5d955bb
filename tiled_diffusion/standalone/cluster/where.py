"""Where workers may be: what a user says of it, and the cluster that this machine belongs to. Loads no model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tiled_diffusion.errors import TiledError

MOST = 64
ALLOWED = f"auto, a number of workers from 1 to {MOST}, or HOST:PORT of a cluster"
MISSING = 'workers: the library Ray is not installed: pip install -e ".[cluster]"'


class Cluster(NamedTuple):
    """A cluster: HOST:PORT, and the token that its machines show each other."""

    address: str
    token: str


def checked(where: str | int) -> str | int:
    """What `workers` takes: "auto", a number or "HOST:PORT".

    Raises:
        TiledError: it is something else, or needs Ray, which is not installed.
    """
    if isinstance(where, str) and where.isdecimal():
        where = int(where)
    right = 1 <= where <= MOST if isinstance(where, int) else where == "auto" or is_address(where)
    if not right:
        raise TiledError(f"workers: got {where!r}, allowed is {ALLOWED}")
    if where != "auto":
        require_ray()
    return where


def is_address(text: str) -> bool:
    """Whether a text is HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host != "" and port.isdecimal() and 0 < int(port) < 65536


def require_ray() -> None:
    """Raises TiledError that names the extra where Ray is not installed."""
    if find_spec("ray") is None:
        raise TiledError(MISSING)


def state_path() -> Path:
    """Where this machine's cluster is noted."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiled_diffusion" / "cluster.json"


def known_cluster() -> Cluster | None:
    """The cluster that this machine belongs to, as far as it is noted."""
    try:
        state = json.loads(state_path().read_text(encoding="utf-8"))
        return Cluster(str(state["address"]), str(state["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def noted(cluster: Cluster) -> Iterator[None]:
    """Within, this machine belongs to a cluster; the note can be read by this user alone."""
    path, before = state_path(), known_cluster()
    path.parent.mkdir(parents=True, exist_ok=True)
    _note(path, cluster)
    try:
        yield
    finally:
        if known_cluster() == cluster:
            _note(path, before)


def _note(path: Path, cluster: Cluster | None) -> None:
    path.unlink(missing_ok=True)
    if cluster is not None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(cluster._asdict(), file)
