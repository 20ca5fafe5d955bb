"""How far a mosaic is, from what lies in its folder."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .folder import MosaicFolder, gigabytes

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
        left = "not known" if self.seconds_left is None else f"about {self.seconds_left / 60:.1f} min"
        disk = f"{gigabytes(self.bytes_used)} used, about {gigabytes(self.bytes_needed)} more, "
        return [*levels, f"time left: {left}", f"disk: {disk}{gigabytes(self.bytes_free)} free"]


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
        _pace(folder, missing) if missing else 0.0,
        sum(_size(path) for path in folder.path.rglob("*")),
        folder.bytes_for(missing),
        shutil.disk_usage(folder.path).free,
    )


def _size(path: Path) -> int:
    """Bytes of a file; of one that has just got its name, and so is another one now, none."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _pace(folder: MosaicFolder, missing: int) -> float | None:
    """Seconds for so many tiles."""
    pyramids = [folder.pyramid(level) for level in range(1, folder.settings.depth + 1)]
    paths = [path for pyramid in pyramids for path in (pyramid.folder / str(pyramid.top)).glob("*_*")]
    times = sorted(path.stat().st_mtime for path in paths)[-LATEST:]
    return None if len(times) < 2 else (times[-1] - times[0]) / (len(times) - 1) * missing
