"""A bar that tells how far a run is."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from tiled_diffusion.recipes.progress import Progress


class BarProgress(Progress):
    """A bar on stderr: calls done, tiles done within the call, time left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._of = 0
        self._stage: str | None = None

    def stage(self, number: int, count: int) -> None:
        """Names the bars that follow."""
        self._stage = f"stage {number} of {count}"

    def start(self, steps: int, tiles: int) -> None:
        """Shows the bar."""
        self._of = tiles
        self._bar = tqdm(total=steps, unit="step", file=sys.stderr, dynamic_ncols=True, desc=self._stage)

    def tiles(self, done: int) -> None:
        """Shows the tiles."""
        if self._bar is not None:
            self._of = max(self._of, done)
            self._bar.set_postfix_str(f"tile {done}/{self._of}")

    def step(self, i: int) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.update(i + 1 - self._bar.n)

    def finish(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
