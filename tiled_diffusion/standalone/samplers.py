"""Samplers by their usual names: one diffusers scheduler for the whole canvas, never one per tile."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import diffusers
import torch

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.model import Level
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.fields import row
from tiled_diffusion.settings.request import SAMPLERS, Request

from . import flow

if TYPE_CHECKING:
    from .model import Model

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

_FLOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "Heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LCM": ("FlowMatchLCMScheduler", {}),
}
"""For rectified flows."""

CPU = torch.device("cpu")
_OF_THE_MODEL = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type",
    "timestep_spacing", "steps_offset", "set_alpha_to_one", "rescale_betas_zero_snr",
)  # fmt: skip


def samplers_of(model: Model) -> tuple[str, ...]:
    """Names of those that a model can take."""
    return tuple(_FLOWS) if model.is_flow else SAMPLERS


def default_sampler(model: Model) -> str:
    """The request's own default, or for models without such a sampler the first of theirs."""
    default: str = row(Request, "sampler").default
    return default if default in samplers_of(model) else samplers_of(model)[0]


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


def make_flow_schedule(name: str, config: Mapping[str, Any], crop: Extent, *, linear: bool) -> flow.FlowSchedule:
    """A fresh scheduler of a rectified flow.

    Args:
        name: of the sampler.
        config: of the model's own scheduler.
        crop: size of the pictures that the model sees, latent pixels: some schedules go by it.
        linear: see FlowSchedule.

    Raises:
        SettingsError: a flow has no sampler of this name.
    """
    if name not in _FLOWS:
        raise SettingsError(f"sampler: got {name!r}, allowed for this model is one of {', '.join(_FLOWS)}")
    class_name, options = _FLOWS[name]
    mu = flow.dynamic_shift(config, crop)
    scheduler = getattr(diffusers, class_name)
    if not class_name.startswith("FlowMatch"):
        shift = flow.static_shift(config, mu)
        own = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
        return flow.FlowSchedule(scheduler(**own, **options), mu, linear=linear)
    accepted = inspect.signature(scheduler.__init__).parameters
    own = {k: v for k, v in config.items() if k in accepted and v is not None}
    if class_name == "FlowMatchEulerDiscreteScheduler":
        return flow.FlowSchedule(scheduler(**own), mu, linear=linear)
    own.pop("use_dynamic_shifting", None)
    return flow.FlowSchedule(scheduler(**{**own, "shift": flow.static_shift(config, mu)}), mu, linear=linear)


def set_steps(scheduler: Any, steps: int) -> None:
    """set_timesteps; LCM's grid of 50 training steps grows where more are asked for.

    The times lie in main memory, for schedulers look their numbers up there, and would wait for a device at every step.
    """
    if isinstance(scheduler, flow.FlowSchedule):
        scheduler.begin(steps, CPU)
    elif isinstance(scheduler, diffusers.LCMScheduler):
        scheduler.set_timesteps(steps, device=CPU, original_inference_steps=max(50, steps))
    else:
        scheduler.set_timesteps(steps, device=CPU)


def scheduler_of(model: Model, request: Request, crop: Extent) -> Any:
    """A request's scheduler, with its times set.

    Args:
        model: see load_model.
        request: sampler and steps.
        crop: the largest that the model sees, latent pixels.
    """
    if model.is_flow:
        linear = model.kind == "flux"
        scheduler: Any = make_flow_schedule(request.sampler, model.scheduler_config, crop, linear=linear)
    else:
        scheduler = make_scheduler(request.sampler, model.scheduler_config)
    set_steps(scheduler, request.steps)
    return scheduler


def told_times(scheduler: Any, first: int, device: torch.device) -> torch.Tensor:
    """What models are told of the scheduler's times from a call on, on their device; Apple's knows no float64."""
    times: torch.Tensor = scheduler.timesteps[first:]
    return (times.float() if times.dtype == torch.float64 else times).to(device)


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
    if isinstance(scheduler, flow.FlowSchedule):
        own = Level.of_flow(scheduler.sigmas[index].reshape(1).float())
        return own, own
    if sigmas is None:  # DDIM, PNDM, LCM
        own = Level.of_alphas_cumprod(scheduler.alphas_cumprod[scheduler.timesteps[index].long()].reshape(1))
        return own, own
    sigma = sigmas[index].reshape(1).float()
    seen = Level(1 / (sigma**2 + 1).sqrt(), sigma / (sigma**2 + 1).sqrt())
    variance_preserving = hasattr(scheduler, "_sigma_to_alpha_sigma_t")  # DPM-Solver and UniPC
    return seen, seen if variance_preserving else Level.of_sigma(sigma)
