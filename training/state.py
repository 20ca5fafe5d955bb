"""Where a training's state lives, and how it is written so that a cut leaves the last one whole."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch

WORK = Path(os.environ.get("TINY_WORK", Path(__file__).resolve().parent / "work"))


def log(*parts: object) -> None:
    """A line with the time of day."""
    print(time.strftime("%H:%M:%S"), *parts, flush=True)


def save_state(state: dict[str, Any], path: Path) -> None:
    """Replaces the file at once."""
    new = path.with_name(path.name + ".tmp")
    torch.save(state, new)
    new.replace(path)
