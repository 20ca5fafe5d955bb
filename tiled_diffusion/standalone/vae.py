"""From pictures to latents and back, by the tiled VAE: any size, and rings that close."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings import Settings
from tiled_vae import TiledVaeError, TiledVaeSettings, swapped

from .model import Model


@contextmanager
def _tiled(model: Model, tiling: Settings) -> Iterator[None]:
    """Within the block the model's VAE is tiled where it needs to be, and goes around the canvas's rings."""
    try:
        with swapped(model.vae, TiledVaeSettings(wrap_x=tiling.wrap_x, wrap_y=tiling.wrap_y)):
            yield
    except TiledVaeError as e:
        raise TiledError(f"VAE: {e}") from e


@torch.no_grad()
def encode(model: Model, pixels: Tensor, tiling: Settings) -> Tensor:
    """[B, 3, H, W] in -1..1 to scaled latents [B, 4, H / 8, W / 8], float32: the mean, so that nothing is drawn."""
    vae = model.vae
    with _tiled(model, tiling):
        mean: Tensor = vae.encode(pixels.to(model.device, vae.dtype)).latent_dist.mode()
    return (mean * vae.config.scaling_factor).float()


@torch.no_grad()
def decode(model: Model, latents: Tensor, tiling: Settings) -> Tensor:
    """Scaled latents [B, 4, H, W] to pixels [B, 3, 8 H, 8 W], about -1..1, float32.

    Raises:
        TiledError: the VAE gave numbers that are not finite, or not even a small tile fits into memory.
    """
    vae = model.vae
    with _tiled(model, tiling):
        pixels: Tensor = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0].float()
    if not torch.isfinite(pixels).all():
        raise TiledError("the VAE gave numbers that are not finite (NaN): take --dtype bf16 or fp32")
    return pixels
