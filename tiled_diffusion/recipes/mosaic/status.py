"""How far a mosaic is, from what lies in its folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .files import gigabytes
from .folder import MosaicFolder

LATEST = 50
"""Tiles, the latest ones, whose times say how quickly it goes on."""


@dataclass(frozen=True)
class Status:
    """How far a mosaic is.

    Attributes:
        done: tiles of each level that are there.
        total: tiles of a level.
        seconds_left: at the pace of the latest tiles; None where nothing tells.
        bytes_used: of the whole folder.
        bytes_needed: that are still to be written, more or less.
        bytes_free: on its disk.
    """

    done: tuple[int, ...]
    total: int
    seconds_left: float | None
    bytes_used: int
    bytes_needed: int
    bytes_free: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        levels = [f"level {n}: {done} of {self.total} tiles" for n, done in enumerate(self.done, start=1)]
        disk = disk_line(self.bytes_used, self.bytes_needed, self.bytes_free)
        return [*levels, time_line(self.seconds_left), disk]


def status(folder: MosaicFolder) -> Status:
    """Reads a folder, which may be in work.

    Raises:
        TiledError: a tile's file is no tile.
    """
    levels = range(1, folder.settings.depth + 1)
    done = tuple(len(folder.done(level)) for level in levels)
    missing = len(done) * folder.tiles - sum(done)
    return Status(
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


def time_line(seconds: float | None) -> str:
    """The time left, for people."""
    return "time left: " + ("not known" if seconds is None else f"about {seconds / 60:.1f} min")


def disk_line(used: int, needed: int, free: int) -> str:
    """Bytes of a folder, for people."""
    return f"disk: {gigabytes(used)} used, about {gigabytes(needed)} more, {gigabytes(free)} free"
