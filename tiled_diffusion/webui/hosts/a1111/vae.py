"""AUTOMATIC1111: the VAE of the model, what decodes with it, and where it works."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from modules import devices, lowvram, processing, sd_models, sd_vae_approx, shared
from torch import Tensor

from .page import option
from .sampling import LATENT_PX


class Undecodable:
    """Stands for pictures that could not be decoded: the host, which asks it first of all, gets the error.

    A hook cannot stop a job: what it raises is only reported, and the host would decode once more by itself.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    @property
    def already_decoded(self) -> bool:
        """Raises what went wrong."""
        raise self._error


def in_use() -> Any:
    """Of the model in use, which the refiner or a hires checkpoint may change within a job."""
    return getattr(shared.sd_model, "first_stage_model", None)


def loaded() -> Any:
    """Loads nothing."""
    return getattr(sd_models.model_data.sd_model, "first_stage_model", None)


def decoding_owner() -> Any:
    """The model."""
    return shared.sd_model


def interrupted() -> bool:
    """Skip lets the VAE finish, as it does in the host's own decoding."""
    return bool(shared.state.interrupted)


def show(line: str | None) -> None:
    """As text of the job's state."""
    shared.state.textinfo = line


def decodes_fully() -> bool:
    """By the settings."""
    return bool(option("sd_vae_decode_method", "Full") == "Full")


def is_decoded(samples: Any) -> bool:
    """By the mark that the host itself asks for."""
    return bool(getattr(samples, "already_decoded", False))


def decode(p: Any, samples: Tensor) -> Any:
    """One picture after the other."""
    return processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)


def decoded(pictures: Iterable[Tensor]) -> Any:
    """A marked list."""
    return processing.DecodedSamples(pictures)


def undecodable(error: Exception) -> Any:
    """Something that cannot be asked whether it is decoded."""
    return Undecodable(error)


def cheap_pictures(latents: Tensor) -> Tensor:
    """Three numbers for each latent pixel, enlarged."""
    small = sd_vae_approx.cheap_approximation(latents.float())
    return torch.nn.functional.interpolate(small, scale_factor=LATENT_PX, mode="bilinear").to(latents)


def device() -> torch.device:
    """As the command line and the machine decide."""
    return torch.device(shared.device)


def for_tiles(decoder_lp: int, encoder_px: int) -> AbstractContextManager[None]:  # noqa: ARG001 the protocol's
    """It keeps none free."""
    return nullcontext()


def tiles_itself() -> None:
    """Nothing does."""


def moves_models() -> bool:
    """--medvram and --lowvram."""
    return bool(lowvram.is_enabled(shared.sd_model))


def number_type() -> torch.dtype:
    """float16 unless the command line or a NaN has changed that."""
    kind: torch.dtype = devices.dtype_vae
    return kind
