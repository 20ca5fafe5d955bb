"""How far an enlarged picture is, from what lies in its folder."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import Any

from tiled_diffusion.recipes.mosaic.status import disk_line, seconds_for, time_line, used_bytes

from .folder import BlockFolder


@dataclass(frozen=True)
class Status:
    """How far an enlarged picture is.

    Attributes:
        done, total: blocks.
        seconds_left: at the pace of the latest blocks; None where nothing tells.
        bytes_used: of the whole folder.
        bytes_needed: that are still to be written, more or less.
        bytes_free: on its disk.
    """

    done: int
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
        disk = disk_line(self.bytes_used, self.bytes_needed, self.bytes_free)
        return [f"{self.done} of {self.total} blocks", time_line(self.seconds_left), disk]


def status(folder: BlockFolder) -> Status:
    """Reads a folder, which may be in work.

    Raises:
        TiledError: a file of a block or a tile is none.
    """
    missing, total = len(folder.missing()), folder.layout.count
    return Status(
        total - missing,
        total,
        seconds_for(missing, (folder.path / "blocks").glob("*.png")),
        used_bytes(folder.path),
        folder.bytes_for(missing),
        shutil.disk_usage(folder.path).free,
    )
