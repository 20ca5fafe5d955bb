"""A bar that tells how far a run is."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from tiled_diffusion.recipes.progress import Progress, TimeLeft


class BarProgress(Progress):
    """A bar on stderr: calls done, tiles done within the call, time left; of stages also that of all of them."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._of = 0
        self._steps = 1
        self._stage: str | None = None
        self._number = 0
        self._shares = (0.0, 1.0)
        self._left = TimeLeft()

    def stage(self, number: int, count: int, shares: tuple[float, float]) -> None:
        """Names the bars that follow."""
        if number <= self._number:  # the next picture
            self._left = TimeLeft()
        self._stage, self._number, self._shares = f"stage {number} of {count}", number, shares
        self._left.at(shares[0])

    def start(self, steps: int, tiles: int) -> None:
        """Shows the bar."""
        self._of, self._steps = tiles, max(1, steps)
        self._bar = tqdm(total=steps, unit="step", file=sys.stderr, dynamic_ncols=True, desc=self._stage)

    def tiles(self, done: int) -> None:
        """Shows the tiles."""
        if self._bar is not None:
            self._of = max(self._of, done)
            self._bar.set_postfix_str(f"tile {done}/{self._of}{self._in_all(self._bar.n + done / self._of)}")

    def step(self, i: int) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.update(i + 1 - self._bar.n)

    def _in_all(self, steps: float) -> str:
        """What all stages will still take, once this one has done so many steps."""
        if self._stage is None:
            return ""
        begin, end = self._shares
        seconds = self._left.at(begin + (end - begin) * min(1.0, steps / self._steps))
        return "" if seconds is None else f", in all {TimeLeft.text(seconds)} left"

    def finish(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
