"""All that only a graphics card can show, in nine minutes and without the internet; in small on a processor."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.gpu import sampling, vaes, variants
from bench.gpu.stage import Stage

Part = Callable[[Stage], Iterator[tuple[str, Any]]]
PARTS: dict[str, Part] = {
    "overhead": sampling.overhead,
    "waits": sampling.waits,
    "equality": sampling.equality,
    "canvases": sampling.canvases,
    "batches": sampling.batches,
    "halving": sampling.halving,
    "vae": vaes.vae,
    "vae_error": vaes.vae_error,
    "vae_stores": vaes.vae_stores,
    "methods": sampling.methods,
    "hints": variants.hints,
    "layouts": variants.layouts,
}
"""In the order in which they run: what matters most comes first, should time be short."""
PART_SECONDS, SECONDS = 110.0, 450.0
"""After these a part, and the whole, begins nothing further."""
REPORT = Path(__file__).parent.parent / "out" / "gpu.json"


def run(
    parts: Sequence[str] = (), report: Path = REPORT, seconds: float = SECONDS, part_seconds: float = PART_SECONDS
) -> dict[str, Any]:
    """The section `gpu` of the report, which is also written to a file of its own after every part.

    Args:
        parts: names in PARTS; none: all.
        report: the file.
        seconds: for all of them.
        part_seconds: for each.
    """
    if not set(parts) <= set(PARTS):
        raise SystemExit(f"--parts: got {' '.join(parts)}, allowed are {', '.join(PARTS)}")
    stage, began = Stage.here(), time.monotonic()
    out: dict[str, Any] = {"on": stage.told(), "parts": {}, "seconds": {}, "cut_off": []}
    report.parent.mkdir(parents=True, exist_ok=True)
    for name in parts or PARTS:
        left = min(part_seconds, seconds - (time.monotonic() - began))
        start = time.monotonic()
        out["parts"][name], cut = measured(PARTS[name], stage, left)
        out["seconds"][name] = round(time.monotonic() - start, 1)
        out["cut_off"] += [f"{name} after {cut}"] if cut else []
        stage.clear()
        report.write_text(json.dumps(out, indent=2), encoding="utf-8")
        print(f"gpu {name}: {out['seconds'][name]} s{', cut off' if cut else ''}", flush=True)
    return out


def measured(part: Part, stage: Stage, seconds: float) -> tuple[dict[str, Any], str]:
    """The figures of a part, and where time cut it off: after which figure, or after nothing; empty where it did not.

    An error ends the part and stands among its figures, for the others are still worth having.
    """
    out: dict[str, Any] = {}
    last, end, rows = "nothing", time.monotonic() + seconds, part(stage)
    try:
        while time.monotonic() < end:
            row = next(rows, None)
            if row is None:
                return out, ""
            last, value = row
            out[last] = value
    except Exception as e:  # noqa: BLE001 a card may be had only once
        out["error"] = f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"
        return out, ""
    return out, last
