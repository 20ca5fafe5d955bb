"""Tells how far a run is: steps, tiles and the time that is left."""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor
from tqdm import tqdm


class Progress:
    """Says nothing; the methods are what a run calls, in this order."""

    def start(self, steps: int, tiles: int) -> None:
        """Called once: `steps` denoiser calls are to come, the first of `tiles` tiles."""

    def tiles(self, done: int) -> None:
        """Called after each batch: `done` tiles of the present call are done. May raise to stop the run."""

    def step(self, i: int) -> None:
        """Called after denoiser call number i (from 0)."""

    def denoised(self, latents: Tensor) -> None:
        """Called after each step with the picture as the model sees it now, [B, C, H, W]: for previews."""

    def finish(self) -> None:
        """Called at the end, also after an exception."""


class BarProgress(Progress):
    """A bar on stderr: calls done, tiles done within the call, time left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._of = 0

    def start(self, steps: int, tiles: int) -> None:
        """Shows the bar."""
        self._of = tiles
        self._bar = tqdm(total=steps, unit="step", file=sys.stderr, dynamic_ncols=True)

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
