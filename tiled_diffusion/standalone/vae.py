"""From pictures to latents and back, by the tiled VAE: any size, and rings that close."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings
from tiled_vae import TiledVaeError, TiledVaeSettings, swapped

from .model import Model


@torch.no_grad()
def encode(model: Model, pixels: Tensor, tiling: Settings, settings: TiledVaeSettings | None = None) -> Tensor:
    """[B, 3, H, W] in -1..1 to scaled latents [B, 4, H / 8, W / 8], float32: the mean, so that nothing is drawn.

    Args:
        model: see load_model.
        pixels: the pictures.
        tiling: names the axes that are rings.
        settings: how the VAE is tiled; its rings do not count.

    Raises:
        TiledError: the VAE's settings cannot work, or memory is not enough.
    """
    vae = model.vae
    with _tiled(model, tiling, settings):
        moments = vae.encode(pixels.to(model.device, vae.dtype)).latent_dist
    return (moments.mode() * vae.config.scaling_factor).float()  # type: ignore[no-any-return]


@torch.no_grad()
def decode(model: Model, latents: Tensor, tiling: Settings, settings: TiledVaeSettings | None = None) -> Tensor:
    """Scaled latents [B, 4, H, W] to pixels [B, 3, 8 H, 8 W], about -1..1, float32; arguments as for `encode`.

    Raises:
        TiledError: as for `encode`, or the VAE gave numbers that are not finite.
    """
    vae = model.vae
    with _tiled(model, tiling, settings):
        pixels: Tensor = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0].float()
    if not torch.isfinite(pixels).all():
        raise TiledError("the VAE gave numbers that are not finite (NaN): take --dtype bf16 or fp32")
    return pixels


@contextmanager
def _tiled(model: Model, tiling: Settings, settings: TiledVaeSettings | None) -> Iterator[None]:
    try:
        rings = replace(settings or TiledVaeSettings(), wrap_x=tiling.wrap_x, wrap_y=tiling.wrap_y)
        with swapped(model.vae, rings):
            yield
    except TiledVaeError as e:
        raise TiledError(f"VAE: {e}") from e
