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
    """[B, 3, H, W] in -1..1 to latents [B, C, H / factor, W / factor], float32: the mean, so that nothing is drawn.

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
    return model.traits.latents(moments.mode()).float()


@torch.no_grad()
def decode(model: Model, latents: Tensor, tiling: Settings, settings: TiledVaeSettings | None = None) -> Tensor:
    """Latents [B, C, H, W] to pixels [B, 3, factor H, factor W], about -1..1, float32; arguments as for `encode`.

    Raises:
        TiledError: as for `encode`, or the VAE gave numbers that are not finite.
    """
    vae = model.vae
    with _tiled(model, tiling, settings):
        pixels: Tensor = vae.decode(model.traits.encoded(latents).to(vae.dtype), return_dict=False)[0].float()
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
