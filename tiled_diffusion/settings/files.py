"""Writes files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, in place of an older one; whatever interrupts it, a reader sees the old one or the new one.

    Its permissions are those that the user's umask asks for, as for any new file.

    Raises:
        OSError: the folder is not there, or the disk refuses; nothing is left behind.
    """
    # Not tempfile: its files can be read by their owner alone, and stay so under their new name.
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
