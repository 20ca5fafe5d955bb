"""Forge and reForge: the model, and what hangs on its U-Net's patcher while a sampler runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from modules import script_callbacks, shared
from torch import Tensor

from tiled_diffusion.engine.model import Level, ModelTraits, Prediction
from tiled_diffusion.errors import TiledError
from tiled_diffusion.webui.hosts.a1111.sampling import LATENT_PX as LATENT_PX
from tiled_diffusion.webui.hosts.a1111.sampling import before_each_call as before_each_call
from tiled_diffusion.webui.hosts.a1111.sampling import checkpoint as checkpoint
from tiled_diffusion.webui.hosts.a1111.sampling import draw_noise as draw_noise
from tiled_diffusion.webui.hosts.a1111.sampling import encoded_colours as encoded_colours
from tiled_diffusion.webui.hosts.a1111.sampling import free_bytes as free_bytes
from tiled_diffusion.webui.hosts.a1111.sampling import hypertile_is_on as hypertile_is_on
from tiled_diffusion.webui.hosts.a1111.sampling import is_edit_model as is_edit_model
from tiled_diffusion.webui.hosts.a1111.sampling import traits_of
from tiled_diffusion.webui.hosts.port import Copies
from tiled_diffusion.webui.hosts.values import Beginning, Denoise, DenoiserCall, Forward

from .patcher import Hung

_HUNG: weakref.WeakKeyDictionary[Any, Hung] = weakref.WeakKeyDictionary()


def start() -> None:
    """The one callback that what is hung lives by."""
    script_callbacks.on_cfg_denoiser(before_call)


def hang(p: Any, begin: Callable[[DenoiserCall], None], denoise: Denoise, call_shape: tuple[int, int, int]) -> Hung:
    """On a clone of the patcher of the model in use."""
    denoiser = p.sampler.model_wrap_cfg
    hung = _HUNG[denoiser] = Hung(denoiser, begin, denoise, call_shape)
    hung.put_on(p.sd_model.forge_objects)
    return hung


def before_call(params: Any) -> None:
    """Called before each denoiser call of every sampler; the refiner may have brought another model."""
    hung = _HUNG.get(params.denoiser)
    if hung is not None:
        hung.put_on(shared.sd_model.forge_objects)


def copies(p: Any, names: Sequence[str]) -> Copies:  # noqa: ARG001 the protocol's
    """Not here, where the WebUI itself moves its models between memories; raises TiledError."""
    raise TiledError("Draw tiles on: Forge and reForge place their models themselves: leave the setting empty")


def model_size() -> ModelTraits:
    """Read off the model itself."""
    model = shared.sd_model
    patcher = getattr(getattr(model, "forge_objects", None), "unet", None)
    return traits_of(model, getattr(getattr(patcher, "model", None), "diffusion_model", None))


def noise_level(p: Any, sigma: Tensor) -> tuple[Level, Prediction]:
    """By the model's own way of noising, which for all samplers is in the same sigmas; it gives the clean latent."""
    model = p.sd_model.forge_objects.unet.model
    noising = getattr(model, "predictor", None) or model.model_sampling
    one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
    return Level(noising.noise_scaling(sigma, zero.clone(), one), noising.noise_scaling(sigma, one.clone(), zero)), "x0"


def encoded(p: Any, pixels: Tensor) -> Tensor:  # noqa: ARG001 the protocol's
    """Not here: `start_level` cannot be told, so that a picture would not be kept exactly; raises TiledError."""
    raise TiledError(
        "regions: pictures as regions are not drawn in Forge and reForge yet: take the pictures out, "
        "or use AUTOMATIC1111's WebUI or the standalone program"
    )


def start_level(p: Any, *, from_picture: bool) -> tuple[Level, Tensor]:  # noqa: ARG001 the protocol's
    """Only asked where there are pictures; raises TiledError as `encoded` does."""
    raise TiledError("regions: how noisy a sampler begins is not known in Forge and reForge yet")


def model_call(p: Any) -> Forward:  # noqa: ARG001 the protocol's
    """Not here: the model is loaded by the host when the sampling begins; raises TiledError."""
    raise TiledError(
        "keep_picture: noise inversion is not done in Forge and reForge yet: switch it off, or use AUTOMATIC1111's "
        "WebUI or the standalone program"
    )


def before_img2img(p: Any, change: Callable[[Beginning], None]) -> None:  # noqa: ARG001 the protocol's
    """Only asked after `model_call`; raises as it."""
    model_call(p)


def noise_values(p: Any, steps: int | None) -> list[float]:  # noqa: ARG001 the protocol's
    """Only asked after `model_call`; raises as it."""
    model_call(p)
    return []


def rows_at_first(p: Any, begin: Beginning) -> tuple[list[list[float]], dict[str, Any]]:  # noqa: ARG001 the protocol's
    """Only asked after `model_call`; raises as it."""
    model_call(p)
    return [], {}
