"""The WebUIs: one protocol (`port`), one place for each of them, and the choice of the one that runs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from tiled_diffusion.errors import TiledError

from .port import Host

__all__ = ["Host", "Script", "host", "require_known_host", "require_known_model"]

FORGE = ("modules_forge",)
"""Packages by which Forge and its kin are told."""
UNKNOWN = {"modules.processing_diffusers": "SD.Next"}
"""Modules by which other WebUIs are told, which have `modules` of the same names and do not ask what we hang there."""


def _running() -> Host:
    """By the packages that a WebUI has; they are imported for the one that runs alone."""
    if any(find_spec(package) is not None for package in FORGE):
        from .forge import HOST
    else:
        from .a1111 import HOST
    return HOST


host: Host = _running()
Script: Any = host.page.Script
"""What scripts derive from."""


def require_known_host() -> None:
    """Stops what would be left undone by a WebUI that looks like a known one.

    Raises:
        TiledError: names the WebUI that runs.
    """
    for package, name in UNKNOWN.items():
        if find_spec(package) is not None:
            raise TiledError(f"this WebUI is {name}, which this extension does not know; it knows {host.name}")


def require_known_model() -> None:
    """Stops what nobody has seen drawn in tiles in a WebUI.

    Raises:
        TiledError: names the loaded model.
    """
    unseen = host.sampling.unseen_model()
    if unseen is not None:
        raise TiledError(f"{unseen} is not drawn in tiles in this WebUI yet: take another model")
