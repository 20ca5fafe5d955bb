"""What says in a folder whose it is: the settings of a job, the model, and the digest of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.fields import rows
from tiled_diffusion.settings.files import UNFINISHED

from .files import LOCK, RUNNING, read_json, write_json

FREE_TO_CHANGE = ("picture", "tile_batch")
"""Fields that may differ when a job goes on: a path, and what changes rounding alone."""
T = TypeVar("T")


@dataclass(frozen=True)
class Manifest(Generic[T]):
    """The manifests of one kind of job.

    Attributes:
        file: its name.
        noun: what such a job makes.
        key: what the settings are called in it.
        read: the settings from their JSON form.
    """

    file: str
    noun: str
    key: str
    read: Callable[[object], T]

    def is_in(self, path: Path) -> bool:
        """Whether a folder has one."""
        return (path / self.file).is_file()

    def document(self, settings: Any, model: str) -> dict[str, Any]:
        """What it holds: the settings, the model, and the digest of all that changes pixels."""
        value = settings.to_dict()
        return {self.key: value, "model": model, "digest": _digest(value, model)}

    def opened(self, path: Path) -> tuple[T, str]:
        """Settings and model of the job in a folder.

        Raises:
            TiledError: there is none, or its manifest cannot be read.
        """
        manifest = read_json(path / self.file)
        if manifest is None:
            raise TiledError(f"{path}: there is no {self.noun} in this folder, it has no {self.file}")
        if not isinstance(manifest, dict) or not isinstance(manifest.get("model"), str):
            raise TiledError(f"{path / self.file}: this is no manifest of a {self.noun}")
        if manifest.get("digest") != _digest(manifest.get(self.key), manifest["model"]):
            raise TiledError(f"{path / self.file}: this is not what was written: its digest does not fit its settings")
        try:
            return self.read(manifest.get(self.key)), manifest["model"]
        except TiledError as e:
            raise TiledError(f"{path / self.file}: {e}") from e

    def make_folder(self, path: Path) -> None:
        """Makes the folder of a job, unless it is there.

        Raises:
            TiledError: it cannot be made, or holds other things than such a job.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            others = sorted(p.name for p in path.iterdir() if not _passing(p.name))
        except OSError as e:
            raise TiledError(f"{path}: this folder cannot be made ({e.strerror})") from e
        if others and not self.is_in(path):
            raise TiledError(f"{path}: this folder holds {others[0]} and no {self.noun}: take a new or an empty one")

    def settle(self, path: Path, settings: Any, model: str) -> None:
        """Writes it where there is none.

        Raises:
            TiledError: there is one; names the first field in which its job is another one.
        """
        if not self.is_in(path):
            write_json(path / self.file, self.document(settings, model))
            return
        there, before = self.opened(path)
        differences = [*_differences(there, settings), *([("model", before, model)] if before != model else [])]
        if differences:
            name, old, new = differences[0]
            raise TiledError(
                f"{name}: the {self.noun} in {path} has {_short(old)}, and this is {_short(new)}: take another folder"
            )


def _digest(settings: object, model: str) -> str:
    return hashlib.sha256(json.dumps([settings, model], sort_keys=True).encode()).hexdigest()


def _passing(name: str) -> bool:
    """Whether a file of that name tells nothing: work that ended early left it."""
    return name in (LOCK, RUNNING) or name.endswith(UNFINISHED)


def _differences(before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    for row in rows(type(now)):
        a, b = getattr(before, row.name), getattr(now, row.name)
        if row.name in ("request", "tiling"):
            yield from _differences(a, b)
        elif a != b and row.name not in FREE_TO_CHANGE:
            yield row.name, row.to_json(a), row.to_json(b)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
