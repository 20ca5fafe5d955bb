"""Run by the WebUI at every launch: says in one line what this extension cannot work with, and installs nothing.

The host prints what comes out and reports any exit status but 0 as an error of its own, so this always ends with 0.
It is plain enough for the Pythons that it calls too old, and imports no library that it looks at: torch takes seconds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ("tiled_diffusion", "tiled_vae")
PYTHON = (3, 10)
LEAST = {"torch": (2, 1), "gradio": (3, 41)}


def too_old(name: str, version: str | None, least: tuple[int, int]) -> str | None:
    """What is wrong with a version such as "2.1.2+cu121".

    None where nothing is, and for what does not begin with two numbers: people build their own.
    """
    numbers = re.match(r"(\d+)\.(\d+)[\w.+-]{,80}", version or "")
    if not numbers or (int(numbers[1]), int(numbers[2])) >= least:
        return None
    return f"{name} {numbers[0]} is too old, {least[0]}.{least[1]} or newer is needed"


def unfit(name: str, least: tuple[int, int]) -> str | None:
    """What is wrong with an installed library: it is too old or missing."""
    try:
        return too_old(name, metadata.version(name), least)
    except metadata.PackageNotFoundError:
        return None if util.find_spec(name) else f"{name} is missing, {least[0]}.{least[1]} or newer is needed"


def foreign(package: str) -> str | None:
    """Where a package of this name lies that is not the one beside this file."""
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != HERE]
    for finder in sys.meta_path:
        spec = finder.find_spec(package, elsewhere)
        if spec and spec.origin and HERE not in Path(spec.origin).resolve().parents:
            return spec.origin
    return None


def attempt(check: Callable[..., str | None], *args: object) -> str | None:
    """What a check gives; None where it breaks."""
    try:
        return check(*args)
    except Exception:  # noqa: BLE001 whatever a broken installation or a stranger's finder raises, the WebUI must start
        return None


def complaints() -> list[str]:
    """All that is wrong, most fundamental first."""
    libraries = [attempt(unfit, name, least) for name, least in LEAST.items()]
    places = [place for place in (attempt(foreign, package) for package in PACKAGES) if place]
    # Python keeps one package of a name, the first that anybody imports
    shadow = f"{' and '.join(places)} may be loaded in place of this extension's own: uninstall it" if places else None
    return [text for text in (attempt(too_old, "Python", sys.version, PYTHON), *libraries, shadow) if text]


def main() -> None:
    """Prints what is wrong, if anything is."""
    wrong = complaints()
    if wrong:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # as the host reads it, whatever the path
        sys.stdout.write("Tiled Diffusion & VAE: " + "; ".join(wrong) + "\n")


if __name__ == "__main__":
    main()
