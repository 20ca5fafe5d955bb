"""How far a mosaic is, from what lies in its folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from .files import gigabytes
from .folder import MosaicFolder

LATEST = 50
"""Files, the latest ones, whose times say how quickly it goes on."""
D = TypeVar("D")


@dataclass(frozen=True)
class Status(Generic[D]):
    """How far the work in a folder is.

    Attributes:
        done: its parts that are there.
        total: parts.
        seconds_left: at the pace of the latest parts; None where nothing tells.
        bytes_used: of the whole folder.
        bytes_needed: that are still to be written, more or less.
        bytes_free: on its disk.
    """

    done: D
    total: int
    seconds_left: float | None
    bytes_used: int
    bytes_needed: int
    bytes_free: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def counts(self) -> list[str]:
        """What there is, for people."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """For people."""
        seconds = "not known" if self.seconds_left is None else f"about {self.seconds_left / 60:.1f} min"
        used, needed, free = map(gigabytes, (self.bytes_used, self.bytes_needed, self.bytes_free))
        return [*self.counts(), f"time left: {seconds}", f"disk: {used} used, about {needed} more, {free} free"]


class MosaicStatus(Status[tuple[int, ...]]):
    """How far a mosaic is: `done` are the tiles of each level, `total` those of a level."""

    def counts(self) -> list[str]:
        """Level by level."""
        return [f"level {n}: {done} of {self.total} tiles" for n, done in enumerate(self.done, start=1)]


def status(folder: MosaicFolder) -> MosaicStatus:
    """Reads a folder, which may be in work.

    Raises:
        TiledError: a tile's file is no tile.
    """
    levels = range(1, folder.settings.depth + 1)
    done = tuple(len(folder.done(level)) for level in levels)
    missing = len(done) * folder.tiles - sum(done)
    return MosaicStatus(
        done,
        folder.tiles,
        seconds_for(missing, _tiles(folder)),
        used_bytes(folder.path),
        folder.bytes_for(missing),
        shutil.disk_usage(folder.path).free,
    )


def _size(path: Path) -> int:
    """Bytes of a file; of one that has just got its name, and so is another one now, none."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _tiles(folder: MosaicFolder) -> Iterator[Path]:
    for pyramid in (folder.pyramid(level) for level in range(1, folder.settings.depth + 1)):
        yield from (pyramid.folder / str(pyramid.top)).glob("*_*")


def used_bytes(path: Path) -> int:
    """Of all files in a folder."""
    return sum(_size(file) for file in path.rglob("*"))


def seconds_for(missing: int, finished: Iterable[Path]) -> float | None:
    """How long so many files take, at the pace of the latest of those that are there; None where nothing tells."""
    if not missing:
        return 0.0
    times = sorted(path.stat().st_mtime for path in finished)[-LATEST:]
    return None if len(times) < 2 else (times[-1] - times[0]) / (len(times) - 1) * missing
