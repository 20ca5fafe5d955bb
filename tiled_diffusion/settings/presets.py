"""Presets: region documents as files in one folder, by names that users choose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiled_diffusion.errors import TiledError

from .document import parse_json
from .files import write_whole
from .quoting import quoted
from .values import settings_from_dict

MAX_NAME = 80
SUFFIX = ".json"
FORBIDDEN = '<>:"/\\|?*'
RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{i}" for p in ("com", "lpt") for i in range(1, 10))}


class PresetError(TiledError):
    """A preset cannot be read, saved or named so."""


class NotFoundError(PresetError):
    """There is no preset of that name."""


def checked_name(name: object) -> str:
    """The name, if it can be a file's on every system.

    Raises:
        PresetError: says what is wrong with it.
    """
    if not isinstance(name, str) or not name.strip():
        raise PresetError(f"preset: got the name {quoted(name)}, allowed is some text")
    if len(name) > MAX_NAME:
        raise PresetError(f"preset: the name has {len(name)} characters, allowed are at most {MAX_NAME}")
    bad = sorted({c for c in name if c in FORBIDDEN or not c.isprintable()})
    if bad:
        raise PresetError(f"preset: the name {name!r} holds {' '.join(map(repr, bad[:8]))}, which file names may not")
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        raise PresetError(f"preset: the name {name!r} may not begin or end with a space or a dot")
    if name.split(".")[0].lower() in RESERVED:
        raise PresetError(f"preset: the name {name!r} is taken by Windows")
    return name


@dataclass(frozen=True)
class Presets:
    """The presets in a folder; it is made when the first one is saved."""

    folder: Path

    def _path(self, name: object) -> Path:
        return self.folder / (checked_name(name) + SUFFIX)

    def listing(self) -> dict[str, Any]:
        """{"presets": [{"name", "modified" in seconds since 1970}], "broken": [{"file", "error"}]}, by name."""
        good, broken = [], []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                self.read(path.stem)
                good.append({"name": path.stem, "modified": path.stat().st_mtime})
            except (PresetError, OSError) as e:
                broken.append({"file": path.name, "error": str(e)})
        return {"presets": good, "broken": broken}

    def read(self, name: object) -> dict[str, Any]:
        """The region document of a preset.

        Raises:
            NotFoundError: there is none of that name.
            PresetError: its file cannot be used; it is left as it is.
        """
        path = self._path(name)
        try:
            data = parse_json(path.read_text(encoding="utf-8"), f"preset {name!r}")
            return settings_from_dict(data, f"preset {name!r}").to_dict()
        except FileNotFoundError:
            raise NotFoundError(f"preset: there is none named {name!r}") from None
        except (OSError, UnicodeDecodeError) as e:
            raise PresetError(f"preset {name!r} cannot be read ({e})") from e
        except PresetError:
            raise
        except TiledError as e:
            raise PresetError(str(e)) from e

    def save(self, name: object, document: Mapping[str, Any]) -> None:
        """Saves a region document, in place of an older one; the file is there whole or not at all.

        Raises:
            PresetError: the name or the document is wrong, or the disk refuses.
        """
        path = self._path(name)
        try:
            data = settings_from_dict(document, "preset").to_dict()
        except TiledError as e:
            raise PresetError(str(e)) from e
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(data, ensure_ascii=False, indent=1).encode())
        except OSError as e:
            raise PresetError(f"preset {name!r} cannot be saved ({e})") from e

    def rename(self, name: object, to: object) -> None:
        """Gives a preset another name.

        Raises:
            NotFoundError: there is none of that name.
            PresetError: the new name is wrong, or taken.
        """
        source, target = self._path(name), self._path(to)
        if not source.exists():
            raise NotFoundError(f"preset: there is none named {name!r}")
        if target.exists() and not target.samefile(source):
            raise PresetError(f"preset: there is one named {to!r} already")
        source.rename(target)

    def delete(self, name: object) -> None:
        """Removes a preset.

        Raises:
            NotFoundError: there is none of that name.
        """
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise NotFoundError(f"preset: there is none named {name!r}") from None
