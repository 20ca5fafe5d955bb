"""Runs the measurements, writes bench/out/report.json and prints a table: `python -m bench [--only SECTION ...]`."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path
from typing import Any

SECTIONS = (
    "engine", "quality", "vae", "regions", "controlnet", "editor", "pictures", "inpaint", "inversion", "prompts",
    "creativity", "elastic", "match", "mosaic", "blocks", "frame", "cluster", "gpu",
)  # fmt: skip
REPORT = Path(__file__).parent / "out" / "report.json"


def rows(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Dotted names and their figures."""
    if not isinstance(value, dict):
        return [(name, value)]
    return [row for key, v in value.items() for row in rows(v, f"{name}.{key}" if name else str(key))]


def main() -> None:
    """Measures the sections that are asked for and adds them to the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections to measure")
    parser.add_argument("--parts", nargs="+", default=(), help="of the section gpu; all by default")
    args = parser.parse_args()
    report: dict[str, Any] = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    for section in args.only:
        start = time.perf_counter()
        options = {"parts": args.parts} if section == "gpu" else {}
        report[section] = importlib.import_module(f"bench.{section}").run(**options)
        print(f"{section}: {time.perf_counter() - start:.0f} s", flush=True)
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(report, indent=2), encoding="utf-8")
    for name, value in rows(report):
        print(f"{name:52} {value:.4g}" if isinstance(value, float) else f"{name:52} {value}")
    print(f"written to {REPORT}")


if __name__ == "__main__":
    main()
