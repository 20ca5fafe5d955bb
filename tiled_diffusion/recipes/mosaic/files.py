"""Files that are whole at every moment, and a folder that one program works in at a time."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from filelock import FileLock, Timeout
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.files import UNFINISHED, write_whole

LOCK, RUNNING = "lock", "running.json"
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class DiskFullError(TiledError):
    """There is no room for a file; what was finished before is whole."""


def write_kept(path: Path, data: bytes) -> None:
    """Writes a file that is whole or not there, and makes the folders that it lies in.

    Raises:
        DiskFullError: names the folder.
        TiledError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as e:
        if e.errno in FULL:
            raise DiskFullError(
                f"{path.parent}: the disk is full. All that is finished is kept: make room and run the same line again"
            ) from e
        raise TiledError(f"{path}: cannot be written ({e.strerror or e})") from e


def picture_bytes(image: Image.Image, jpeg: int | None) -> bytes:
    """A picture as the bytes of a PNG, or of a JPEG of a quality."""
    out = BytesIO()
    if jpeg is None:
        image.save(out, "PNG", compress_level=4, dpi=image.info.get("dpi"))
    else:
        image.save(out, "JPEG", quality=jpeg, subsampling=0)
    return out.getvalue()


def write_json(path: Path, value: object) -> None:
    """Writes JSON whole."""
    write_kept(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def read_json(path: Path) -> object:
    """What a JSON file holds; None where there is no such file.

    Raises:
        TiledError: names the file that cannot be read.
    """
    if not path.is_file():
        return None
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise TiledError(f"{path}: cannot be read ({e})") from e
    return value


def gigabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:.2f} GB"


def check_space(path: Path, needed: int) -> None:
    """Raises TiledError where a folder's disk has less than so many bytes free."""
    free = shutil.disk_usage(path).free
    if needed > free:
        raise TiledError(
            f"{path}: about {gigabytes(needed)} are needed, and {gigabytes(free)} are free; JPEG needs a third"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other programs out of a folder, for as long as this process lives; files left unfinished are removed.

    Raises:
        TiledError: another program works in it; names its process.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        running = read_json(folder / RUNNING)
        pid = running.get("pid") if isinstance(running, dict) else None
        raise TiledError(f"{folder}: process {pid or '?'} works in this folder; wait for it or stop it") from None
    try:
        for left in folder.rglob(f"*{UNFINISHED}"):
            left.unlink(missing_ok=True)
        write_json(folder / RUNNING, {"pid": os.getpid()})
        yield
    finally:
        (folder / RUNNING).unlink(missing_ok=True)
        lock.release()
