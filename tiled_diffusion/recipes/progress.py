"""Tells how far a run of a sampler is, and is the place to stop it."""

from __future__ import annotations

from torch import Tensor


class Progress:
    """Says nothing; the methods are what each run of a sampler calls, in this order.

    To stop a run, raise tiled_vae.Interrupted in `tiles` or `step`: nobody catches it but who began the work.
    """

    def stage(self, number: int, count: int) -> None:
        """Called before the runs of each stage (from 1) of a picture that is drawn in `count` of them."""

    def start(self, steps: int, tiles: int) -> None:
        """Called once a run: `steps` denoiser calls are to come, the first of `tiles` tiles."""

    def tiles(self, done: int) -> None:
        """Called after each batch: `done` tiles of the present call are done."""

    def step(self, i: int) -> None:
        """Called after denoiser call number i (from 0)."""

    def denoised(self, latents: Tensor) -> None:
        """Called after each step with the picture as the model sees it now, [B, C, H, W]: for previews."""

    def finish(self) -> None:
        """Called at the end of each run, also after an exception."""
