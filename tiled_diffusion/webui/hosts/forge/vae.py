"""Forge and reForge: the VAE of the model, which its patcher moves and holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

from .library import memory_module

ESTIMATES = ("memory_used_decode", "memory_used_encode")
NEVER_OOM = "Never OOM Integrated"


def in_use() -> Any:
    """Of the model in use, which the refiner or a hires checkpoint may change within a job."""
    return _vae_of(shared.sd_model)


def loaded() -> Any:
    """Loads nothing."""
    return _vae_of(sd_models.model_data.sd_model)


@contextmanager
def for_tiles(decoder_lp: int, encoder_px: int) -> Iterator[None]:
    """By the estimates of the VAE's patcher, on this one alone."""
    patcher, sides = shared.sd_model.forge_objects.vae, {ESTIMATES[0]: decoder_lp, ESTIMATES[1]: encoder_px}
    before = {name: getattr(patcher, name) for name in sides}
    ours = {name: _of_tile(before[name], side) for name, side in sides.items()}
    vars(patcher).update(ours)
    try:
        yield
    finally:
        for name, estimate in ours.items():
            if getattr(patcher, name) is estimate:
                setattr(patcher, name, before[name])


def _of_tile(estimate: Callable[..., Any], side: int) -> Callable[..., Any]:
    def of_tile(shape: Sequence[int], *args: Any) -> Any:
        return estimate([*shape[:2], *(min(int(length), side) for length in shape[2:])], *args)

    return of_tile


def tiles_itself() -> str | None:
    """A built-in script may have switched its own tiles on, for good."""
    return NEVER_OOM if memory_module().VAE_ALWAYS_TILED else None


def moves_models() -> bool:
    """The patchers move every part of a model to where it works."""
    return True


def _vae_of(model: Any) -> Any:
    patcher = getattr(getattr(model, "forge_objects", None), "vae", None)
    return getattr(patcher, "first_stage_model", None)
