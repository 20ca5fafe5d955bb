"""The WebUI, as far as the tiled VAE uses it: everything imported from `modules` is named here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from modules import devices, lowvram, processing, script_callbacks, scripts, sd_models, sd_vae_approx, shared
from modules.ui_components import InputAccordion
from torch import Tensor

Script = scripts.Script
ALWAYS_VISIBLE = scripts.AlwaysVisible
LATENT_PX = 8


def accordion(label: str, elem_id: str) -> Any:
    """An accordion with a tick box in its header."""
    return InputAccordion(False, label=label, elem_id=elem_id)


def model() -> Any:
    """The model that is in use now; asking for it may load one."""
    return shared.sd_model


def loaded_model() -> Any:
    """The model that is loaded, or None."""
    return sd_models.model_data.sd_model


def interrupted() -> bool:
    """Whether the user pressed Interrupt."""
    return bool(shared.state.interrupted)


def show(line: str | None) -> None:
    """A line in the progress bar."""
    shared.state.textinfo = line


def decodes_fully() -> bool:
    """Whether the VAE decodes, and not one of its small stand-ins."""
    return bool(getattr(shared.opts, "sd_vae_decode_method", "Full") == "Full")


def decode(p: Any, samples: Tensor) -> Any:
    """The host's own decoding of a batch, with its second try in a wider type."""
    return processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)


def decoded(pictures: Iterable[Tensor]) -> Any:
    """Pictures [3, H, W] in -1 .. 1 as the host keeps those that need no decoding any more."""
    return processing.DecodedSamples(pictures)


def cheap_pictures(latents: Tensor) -> Tensor:
    """What the host shows of pictures that were stopped: three numbers for each latent pixel, enlarged."""
    small = sd_vae_approx.cheap_approximation(latents.float())
    return torch.nn.functional.interpolate(small, scale_factor=LATENT_PX, mode="bilinear").to(latents)


def device() -> torch.device:
    """Where models work."""
    return torch.device(shared.device)


def moves_models(sd_model: Any) -> bool:
    """Whether the WebUI moves this model's parts in and out itself (medvram, lowvram)."""
    return bool(lowvram.is_enabled(sd_model))


def vae_type() -> torch.dtype:
    """The number type in which the VAE works."""
    found: torch.dtype = devices.dtype_vae
    return found


def on_cfg_denoiser(callback: Callable[[Any], None]) -> None:
    """Registers what is called before each denoiser call of every sampler."""
    script_callbacks.on_cfg_denoiser(callback)


def before_ui(callback: Callable[[], None]) -> None:
    """Registers what is called before the page is built."""
    script_callbacks.on_before_ui(callback)


def xyz_module() -> Any:
    """The module of the X/Y/Z plot script, or None."""
    found = (s.module for s in scripts.scripts_data if str(s.path).endswith("xyz_grid.py"))
    return next(found, None)
