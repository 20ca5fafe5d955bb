"""How far an enlarged picture is, from what lies in its folder."""

from __future__ import annotations

import shutil

from tiled_diffusion.recipes.mosaic.status import Status, seconds_for, used_bytes

from .folder import BlockFolder


class BlockStatus(Status[int]):
    """How far an enlarged picture is: `done` and `total` are blocks."""

    def counts(self) -> list[str]:
        """One line."""
        return [f"{self.done} of {self.total} blocks"]


def status(folder: BlockFolder) -> BlockStatus:
    """Reads a folder, which may be in work.

    Raises:
        TiledError: a file of a block or a tile is none.
    """
    missing, total = len(folder.missing()), folder.layout.count
    return BlockStatus(
        total - missing,
        total,
        seconds_for(missing, (folder.path / "blocks").glob("*.png")),
        used_bytes(folder.path),
        folder.bytes_for(missing),
        shutil.disk_usage(folder.path).free,
    )
