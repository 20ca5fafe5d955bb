"""Forge and reForge: what lies in other places in the one than in the other."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

REFORGE = "ldm_patched"
"""A package of reForge alone."""


def is_reforge() -> bool:
    """Whether it is reForge that runs, and not Forge."""
    return find_spec(REFORGE) is not None


def sampling_module() -> Any:
    """Where `sampling_prepare` and `sampling_cleanup` are."""
    return import_module("modules_forge.forge_sampler" if is_reforge() else "backend.sampling.sampling_function")


def memory_module() -> Any:
    """Where memory is managed."""
    return import_module("ldm_patched.modules.model_management" if is_reforge() else "backend.memory_management")


def remarks_on_texts() -> tuple[Any, str]:
    """Which attribute, of what, holds what a record says of the texts that are encoded, such as their embeddings."""
    if is_reforge():
        return import_module("modules.sd_hijack").model_hijack, "extra_generation_params"
    return import_module("backend.text_processing.classic_engine"), "last_extra_generation_params"


def noising_of(model: Any) -> Any:
    """What a model is noised by: its predictor, in reForge its model_sampling."""
    inner = model.forge_objects.unet.model
    return getattr(inner, "predictor", None) or inner.model_sampling


def is_flow(model: Any) -> bool:
    """Whether latents are noised along a straight line, as those of Stable Diffusion 3 and Flux are."""
    half = torch.tensor([0.5])
    return float(noising_of(model).noise_scaling(half, torch.zeros(1), torch.ones(1))) < 1.0
