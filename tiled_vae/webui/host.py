"""The WebUI, as far as the tiled VAE uses it: everything imported from `modules` is named here."""

from __future__ import annotations

from typing import Any

import torch
from modules import devices, lowvram, processing, scripts, sd_vae_approx, shared
from modules.ui_components import InputAccordion

Script = scripts.Script
ALWAYS_VISIBLE = scripts.AlwaysVisible


def accordion(label: str, elem_id: str) -> Any:
    """An accordion with a tick box in its header."""
    return InputAccordion(False, label=label, elem_id=elem_id)


def vae() -> Any:
    """The VAE of the loaded model."""
    return shared.sd_model.first_stage_model


def interrupted() -> bool:
    """Whether the user pressed Interrupt."""
    return bool(shared.state.interrupted)


def say(line: str) -> None:
    """A line below the progress bar."""
    shared.state.textinfo = line


def decodes_fully() -> bool:
    """Whether the VAE decodes, and not one of its small stand-ins."""
    return bool(getattr(shared.opts, "sd_vae_decode_method", "Full") == "Full")


def decode(p: Any, samples: Any) -> Any:
    """The host's own decoding of a batch, with its second try in a wider type."""
    return processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)


def cheap_pictures(samples: Any) -> Any:
    """What the host shows of a picture that was stopped: three numbers for each latent pixel, enlarged."""
    small = sd_vae_approx.cheap_approximation(samples.float())
    large = torch.nn.functional.interpolate(small, scale_factor=8, mode="bilinear").cpu()
    return processing.DecodedSamples(list(large))


def device() -> Any:
    """Where models work."""
    return shared.device


def moves_models() -> bool:
    """Whether the WebUI moves models in and out itself (medvram, lowvram)."""
    return bool(lowvram.is_enabled(shared.sd_model))
