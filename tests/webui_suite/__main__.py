"""Runs the suite: WEBUI_DIR=... python -m tests.webui_suite [part of a case's name ...]."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path

from . import registry
from .client import HOST, Webui
from .left_out import LEFT_OUT
from .server import running

HERE = Path(__file__).parent
HELPER = HERE / "helper"  # an extension for what the API cannot bring about
FURTHER = {"multidiffusion-upscaler-for-automatic1111": HERE / "peer"}
"""Extensions that only some cases want, by the name of their folder."""


def load_cases() -> None:
    """Registers every case.

    Raises:
        SystemExit: a case is left out that there is not.
    """
    for module in pkgutil.iter_modules([str(HERE)]):
        if module.name.endswith("_cases"):
            importlib.import_module(f"{__package__}.{module.name}")
    unknown = {name for names in LEFT_OUT.values() for name in names} - {c.name for c in registry.CASES}
    if unknown:
        raise SystemExit(f"no such cases to be left out: {', '.join(sorted(unknown))}")


def main(words: list[str]) -> int:
    """The exit status: 0 where no case failed."""
    folder = os.environ.get("WEBUI_DIR")
    address = os.environ.get("WEBUI_URL")
    if not folder and not address:
        print("WebUI suite: skipped, neither WEBUI_DIR nor WEBUI_URL is set")
        return 0
    load_cases()
    extensions = {"suite-helper": HELPER}
    if os.environ.get("WEBUI_CONTROLNET") and HOST == "a1111":
        extensions["sd-webui-controlnet"] = Path(os.environ["WEBUI_CONTROLNET"])
    chosen = [c for c in registry.CASES if not words or any(w in c.name for w in words)]
    runs = [c for c in chosen if c.name not in LEFT_OUT[HOST]]
    rows = []
    if address:
        log = Path(os.environ.get("WEBUI_LOG", os.devnull))
        rows += registry.run_all(Webui(address, log), [c for c in runs if not c.flags and not c.extensions])
    else:
        for flags, further in sorted({(c.flags, c.extensions) for c in runs}):
            with running(Path(folder), list(flags), extensions | {name: FURTHER[name] for name in further}) as (url, log):
                wanted = [c for c in runs if (c.flags, c.extensions) == (flags, further)]
                rows += registry.run_all(Webui(url, log), wanted)
    rows += [(c.name, f"left out: {LEFT_OUT[HOST][c.name]}", 0.0) for c in chosen if c.name in LEFT_OUT[HOST]]
    print("\n| case | result | seconds |\n|---|---|---|")
    for name, result, seconds in rows:
        print(f"| {name} | {result} | {seconds:.1f} |")
    failed = sum(r.startswith("FAILED") for _, r, _ in rows)
    skipped = sum(r.startswith("skipped") for _, r, _ in rows)
    left = sum(r.startswith("left out") for _, r, _ in rows)
    print(f"\n{HOST}: {len(rows) - failed - skipped - left} passed, {failed} failed, {skipped} skipped, {left} left out")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
