"""Forge and reForge: the VAE of the model, which its patcher moves and holds."""

from __future__ import annotations

from typing import Any

from modules import sd_models, shared

from tiled_diffusion.webui.hosts.a1111.vae import cheap_pictures as cheap_pictures
from tiled_diffusion.webui.hosts.a1111.vae import decode as decode
from tiled_diffusion.webui.hosts.a1111.vae import decoded as decoded
from tiled_diffusion.webui.hosts.a1111.vae import decodes_fully as decodes_fully
from tiled_diffusion.webui.hosts.a1111.vae import decoding_owner as decoding_owner
from tiled_diffusion.webui.hosts.a1111.vae import device as device
from tiled_diffusion.webui.hosts.a1111.vae import interrupted as interrupted
from tiled_diffusion.webui.hosts.a1111.vae import is_decoded as is_decoded
from tiled_diffusion.webui.hosts.a1111.vae import number_type as number_type
from tiled_diffusion.webui.hosts.a1111.vae import show as show
from tiled_diffusion.webui.hosts.a1111.vae import undecodable as undecodable


def in_use() -> Any:
    """Of the model in use, which the refiner or a hires checkpoint may change within a job."""
    return _vae_of(shared.sd_model)


def loaded() -> Any:
    """Loads nothing."""
    return _vae_of(sd_models.model_data.sd_model)


def moves_models() -> bool:
    """The patchers move every part of a model to where it works."""
    return True


def _vae_of(model: Any) -> Any:
    patcher = getattr(getattr(model, "forge_objects", None), "vae", None)
    return getattr(patcher, "first_stage_model", None)
