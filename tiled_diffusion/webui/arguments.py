"""What a request or the page tells a script, under whichever name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.panel import script_arguments
from tiled_diffusion.settings.quoting import quoted

from .hosts import host
from .hosts.port import Job

UNIQUE = "Tiled Diffusion & VAE"
"""Name in the API that no other extension has; its two arguments are the settings of the two scripts."""
SHORT = ("Tiled Diffusion", "Tiled VAE")
"""Names that another extension may have too; in the order of the unique name's arguments."""
ROOT = Path(__file__).resolve().parents[2]


def arguments(p: Job, title: str, enabled: object, value: object) -> tuple[bool, object]:
    """Whether a script is switched on, and its settings; the unique name may have been used instead.

    Raises:
        SettingsError: the arguments are wrong, or were given under both names.
    """
    on, settings = (False, {}) if enabled is None and value in (None, "") else script_arguments(enabled, value)
    by_name = _by_unique_name(p, title)
    if by_name in (None, "", False):
        return on, settings
    if on:
        raise SettingsError(f"settings under two names, {title!r} and {UNIQUE!r}: allowed is one of the two")
    return script_arguments(by_name, None)


def _by_unique_name(p: Job, title: str) -> object:
    place = SHORT.index(title)
    every = [script.values for script in host.jobs.scripts_of(p) if script.title == UNIQUE]
    return every[0][place] if every and place < len(every[0]) else None


def check_request(scripts: Mapping[str, Any]) -> None:
    """Refuses what the API would answer with an internal error, or not see at all.

    Args:
        scripts: by name, what a request says to them.

    Raises:
        SettingsError: what is said to one of ours is not {"args": [...]}.
    """
    for name, said in scripts.items():
        if not _is_ours(name):
            continue
        if not isinstance(said, Mapping) or set(said) - {"args"} or not isinstance(said.get("args", []), list):
            raise SettingsError(f'alwayson_scripts.{name}: got {quoted(said)}, allowed is {{"args": [...]}}')


def _is_ours(name: str) -> bool:
    known = (*SHORT, UNIQUE)
    if name.lower() not in [title.lower() for title in known]:
        return False
    files = host.page.files_by_title(name)
    return bool(files) and _is_here(files[0])


def rivals() -> dict[str, str]:
    """Names in the API by which another extension's script is meant, with its file."""
    first = {title: next(iter(host.page.files_by_title(title)), None) for title in SHORT}
    return {title: file for title, file in first.items() if file is not None and not _is_here(file)}


def _is_here(file: str) -> bool:
    return Path(file).resolve().is_relative_to(ROOT)
