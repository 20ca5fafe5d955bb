"""Runs the suite: WEBUI_DIR=... python -m tests.webui_suite [part of a case's name ...]."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path

from . import registry
from .client import Webui
from .server import running

HERE = Path(__file__).parent
HELPER = HERE / "helper"  # an extension for what the API cannot bring about
FURTHER = {"multidiffusion-upscaler-for-automatic1111": HERE / "peer"}
"""Extensions that only some cases want, by the name of their folder."""


def main(words: list[str]) -> int:
    """The exit status: 0 where no case failed."""
    folder = os.environ.get("WEBUI_DIR")
    address = os.environ.get("WEBUI_URL")
    if not folder and not address:
        print("WebUI suite: skipped, neither WEBUI_DIR nor WEBUI_URL is set")
        return 0
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.endswith("_cases"):
            importlib.import_module(f"{__package__}.{module.name}")
    extensions = {"suite-helper": HELPER}
    if os.environ.get("WEBUI_CONTROLNET"):
        extensions["sd-webui-controlnet"] = Path(os.environ["WEBUI_CONTROLNET"])
    chosen = [c for c in registry.CASES if not words or any(w in c.name for w in words)]
    rows = []
    if address:
        log = Path(os.environ.get("WEBUI_LOG", os.devnull))
        rows += registry.run_all(Webui(address, log), [c for c in chosen if not c.flags and not c.extensions])
    else:
        for flags, further in sorted({(c.flags, c.extensions) for c in chosen}):
            with running(Path(folder), list(flags), extensions | {name: FURTHER[name] for name in further}) as (url, log):
                wanted = [c for c in chosen if (c.flags, c.extensions) == (flags, further)]
                rows += registry.run_all(Webui(url, log), wanted)
    print("\n| case | result | seconds |\n|---|---|---|")
    for name, result, seconds in rows:
        print(f"| {name} | {result} | {seconds:.1f} |")
    failed = sum(r.startswith("FAILED") for _, r, _ in rows)
    skipped = sum(r.startswith("skipped") for _, r, _ in rows)
    print(f"\n{len(rows) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
