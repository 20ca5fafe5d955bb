"""Reads texts, and writes files that are there whole or not at all."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from tiled_diffusion.errors import SettingsError

UNFINISHED = ".part"
"""What the name of a file ends with while it is written."""
TRIES, PAUSE = 10, 0.2
"""Windows does not replace a file that another program reads just now: how often it is tried, seconds between."""


def read_text(path: Path) -> str:
    """A text in UTF-8, with or without the mark that Windows' editors put at its beginning.

    Raises:
        SettingsError: there is no such file, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: cannot be read as text ({e})") from e


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, in place of an older one; whatever interrupts it, a reader sees the old one or the new one.

    Its permissions are those that the user's umask asks for, as for any new file.

    Raises:
        OSError: the folder is not there, or the disk refuses; nothing is left behind.
    """
    # Not tempfile: its files can be read by their owner alone, and stay so under their new name.
    temporary = path.with_name(f".{uuid4().hex}{UNFINISHED}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _replace(temporary: Path, path: Path) -> None:
    for _ in range(TRIES - 1):
        try:
            temporary.replace(path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(PAUSE)
        else:
            return
    temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    """So that the name outlives a power cut too, where a disk can do that: Windows and some networks cannot."""
    if os.name == "nt":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
