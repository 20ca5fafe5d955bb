"""Samplers by their usual names: one diffusers scheduler for the whole canvas, never one per tile."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import diffusers
import torch

from tiled_diffusion.engine.model import Level
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.request import SAMPLERS

_CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LCM": ("LCMScheduler", {}),
}
assert tuple(_CLASSES) == SAMPLERS

_OF_THE_MODEL = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type",
    "timestep_spacing", "steps_offset", "set_alpha_to_one", "rescale_betas_zero_snr",
)  # fmt: skip


def make_scheduler(name: str, scheduler_config: Mapping[str, Any]) -> Any:
    """A fresh scheduler with the model's noise schedule and prediction type.

    Only what belongs to the model is taken from its own scheduler's configuration, not that scheduler's habits.

    Raises:
        SettingsError: no sampler has this name.
    """
    if name not in _CLASSES:
        raise SettingsError(f"sampler: got {name!r}, allowed is one of {', '.join(SAMPLERS)}")
    class_name, options = _CLASSES[name]
    scheduler = getattr(diffusers, class_name)
    accepted = inspect.signature(scheduler.__init__).parameters
    own = {k: scheduler_config[k] for k in _OF_THE_MODEL if k in accepted and scheduler_config.get(k) is not None}
    return scheduler(**own, **options)


def set_steps(scheduler: Any, steps: int, device: torch.device) -> None:
    """set_timesteps; LCM's grid of 50 training steps grows where more are asked for."""
    if isinstance(scheduler, diffusers.LCMScheduler):
        scheduler.set_timesteps(steps, device=device, original_inference_steps=max(50, steps))
    else:
        scheduler.set_timesteps(steps, device=device)


def step_options(scheduler: Any, generators: Sequence[torch.Generator]) -> dict[str, Any]:
    """What `scheduler.step` wants besides prediction, time and latent: a generator an image, if it draws noise."""
    accepted = inspect.signature(scheduler.step).parameters
    return {"generator": list(generators)} if "generator" in accepted else {}


def noise_levels(scheduler: Any, index: int) -> tuple[Level, Level]:
    """How noisy the latent is at a call of the scheduler.

    Args:
        scheduler: after set_timesteps.
        index: number of the call in scheduler.timesteps.

    Returns:
        In the coordinates of what the model sees, which are variance preserving, and in those of the scheduler's own
        latent.
    """
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None:  # DDIM, PNDM, LCM
        own = Level.of_alphas_cumprod(scheduler.alphas_cumprod[scheduler.timesteps[index].long().cpu()].reshape(1))
        return own, own
    sigma = sigmas[index].reshape(1).float()
    seen = Level(1 / (sigma**2 + 1).sqrt(), sigma / (sigma**2 + 1).sqrt())
    variance_preserving = hasattr(scheduler, "_sigma_to_alpha_sigma_t")  # DPM-Solver and UniPC
    return seen, seen if variance_preserving else Level.of_sigma(sigma)
