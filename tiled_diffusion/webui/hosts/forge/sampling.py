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
from tiled_diffusion.webui.controlnet.controls import Controls
from tiled_diffusion.webui.hosts.a1111 import sampling as a1111
from tiled_diffusion.webui.hosts.a1111.sampling import FLOW, traits_of
from tiled_diffusion.webui.hosts.a1111.sampling import LATENT_PX as LATENT_PX
from tiled_diffusion.webui.hosts.a1111.sampling import before_each_call as before_each_call
from tiled_diffusion.webui.hosts.a1111.sampling import checkpoint as checkpoint
from tiled_diffusion.webui.hosts.a1111.sampling import draw_noise as draw_noise
from tiled_diffusion.webui.hosts.a1111.sampling import encoded as encoded
from tiled_diffusion.webui.hosts.a1111.sampling import encoded_colours as encoded_colours
from tiled_diffusion.webui.hosts.a1111.sampling import free_bytes as free_bytes
from tiled_diffusion.webui.hosts.a1111.sampling import hypertile_is_on as hypertile_is_on
from tiled_diffusion.webui.hosts.a1111.sampling import is_edit_model as is_edit_model
from tiled_diffusion.webui.hosts.port import Copies
from tiled_diffusion.webui.hosts.values import DRAW_ON, Denoise, DenoiserCall

from .beginning import before_img2img as before_img2img
from .beginning import model_call as model_call
from .beginning import noise_values as noise_values
from .beginning import rows_at_first as rows_at_first
from .control import ControlChain
from .library import is_flow, is_reforge, noising_of
from .patcher import Hung

_HUNG: weakref.WeakKeyDictionary[Any, Hung] = weakref.WeakKeyDictionary()

FLOWS = ("StableDiffusion3", "Flux")
"""Classes of Forge's engines whose models are noised along a straight line, and were seen drawn in tiles."""


def start() -> None:
    """The one callback that what is hung lives by."""
    script_callbacks.on_cfg_denoiser(before_call)


def hang(
    p: Any,
    begin: Callable[[DenoiserCall], None],
    denoise: Denoise,
    call_shape: tuple[int, int, int],
    controls: Controls | None = None,
) -> Hung:
    """On a clone of the patcher of the model in use."""
    denoiser = p.sampler.model_wrap_cfg
    hung = _HUNG[denoiser] = Hung(denoiser, begin, denoise, call_shape, controls)
    hung.put_on(p.sd_model.forge_objects)
    return hung


def controls(p: Any, *, on_cpu: bool) -> Controls | None:
    """The built-in ones."""
    return ControlChain.find(p, on_cpu=on_cpu)


def before_call(params: Any) -> None:
    """Called before each denoiser call of every sampler; the refiner may have brought another model."""
    hung = _HUNG.get(params.denoiser)
    if hung is not None:
        hung.put_on(shared.sd_model.forge_objects)


def unseen_model() -> str | None:
    """Other models of flows, by the way that latents are noised; in reForge all of them."""
    name = type(shared.sd_model).__name__
    if not _is_flow() or (name in FLOWS and not is_reforge()):
        return None
    return name


def _is_flow() -> bool:
    model = shared.sd_model
    return getattr(model, "forge_objects", None) is not None and is_flow(model)


def copies(p: Any, names: Sequence[str]) -> Copies:  # noqa: ARG001 the protocol's
    """Not here, where the WebUI itself moves its models between memories; raises TiledError."""
    raise TiledError(f"{DRAW_ON}: Forge and reForge place their models themselves: leave the setting empty")


def model_size() -> ModelTraits:
    """Read off the model itself."""
    if _is_flow():
        return FLOW
    return traits_of(shared.sd_model, network())


def network() -> Any:
    """Of the loaded checkpoint."""
    patcher = getattr(getattr(shared.sd_model, "forge_objects", None), "unet", None)
    return getattr(getattr(patcher, "model", None), "diffusion_model", None)


def noise_level(p: Any, sigma: Tensor) -> tuple[Level, Prediction]:
    """By the model's own way of noising, which for all samplers is in the same sigmas; it gives the clean latent.

    Samplers of timesteps (DDIM) know of no flows, and noise their latents as they do all others.
    """
    if not hasattr(p.sampler, "get_sigmas"):
        return Level.of_sigma(sigma), "x0"
    noising = noising_of(p.sd_model)
    one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
    return Level(noising.noise_scaling(sigma, zero.clone(), one), noising.noise_scaling(sigma, one.clone(), zero)), "x0"


def start_level(p: Any, *, from_picture: bool) -> tuple[Level, Tensor]:
    """As in AUTOMATIC1111, but flows begin with noise of the first step's level."""
    level, factor = a1111.start_level(p, from_picture=from_picture)
    if not _is_flow() or not hasattr(p.sampler, "get_sigmas"):
        return level, factor
    return Level.of_flow(level.sigma), level.sigma
