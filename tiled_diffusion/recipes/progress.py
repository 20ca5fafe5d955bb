"""Tells how far a run is: steps, tiles and the time that is left."""

from __future__ import annotations

from torch import Tensor


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
