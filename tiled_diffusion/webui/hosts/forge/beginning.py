"""Forge and reForge: the model asked before a sampling begins, at the levels and with the rows that it will have.

Samplers of timesteps (DDIM, PLMS, UniPC) begin with latents of timesteps, but ask the model in sigmas as all others do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from modules import prompt_parser, sd_samplers_common

from tiled_diffusion.webui.hosts.a1111 import sampling as a1111
from tiled_diffusion.webui.hosts.values import Beginning, Forward

from .library import sampling_module
from .patcher import transformer_options, untiled


def model_call(p: Any) -> Forward:
    """By the patcher, with the wrapper that others have set; ControlNets act by `before_img2img`."""
    return untiled(p.sd_model.forge_objects.unet)


def before_img2img(p: Any, change: Callable[[Beginning], None]) -> None:
    """With the model where it works: the sampler itself only brings it there afterwards."""

    def prepared(begin: Beginning) -> None:
        library, unet = sampling_module(), p.sd_model.forge_objects.unet
        library.sampling_prepare(unet, x=begin.x)
        try:
            change(begin)
        finally:
            library.sampling_cleanup(unet)

    a1111.before_img2img(p, prepared)


def noise_values(p: Any, steps: int | None, *, from_picture: bool = True) -> list[float]:
    """Sigmas without the last 0, whatever the sampler."""
    every, last = sd_samplers_common.setup_img2img_steps(p, steps) if from_picture else (p.steps, None)
    if hasattr(p.sampler, "get_sigmas"):
        values = p.sampler.get_sigmas(p, every)[0 if last is None else every - last - 1 :]
    else:
        product = p.sd_model.alphas_cumprod.cpu()[p.sampler.get_timesteps(p, every)[:last].cpu()]
        values = ((1 - product) / product).sqrt()
    return sorted({float(value) for value in values if value > 0})


def rows_at_first(p: Any, begin: Beginning) -> tuple[list[list[float]], dict[str, Any]]:
    """As the sampler's denoiser makes them; a picture that the model sees counts where it is as large as the latent."""
    every, text = prompt_parser.reconstruct_multicond_batch(begin.cond, 0)
    cond: dict[str, Any] = dict(text) if isinstance(text, dict) else {"c_crossattn": [text]}
    cond["transformer_options"] = transformer_options(p.sd_model.forge_objects.unet)
    image = getattr(p.sd_model.forge_objects.unet, "extra_concat_condition", None)
    image = begin.image if image is None else image
    if isinstance(image, torch.Tensor) and image.shape[0] == len(every) and image.shape[2:] == begin.x.shape[2:]:
        cond["c_concat"] = [image[[i for i, parts in enumerate(every) for _ in parts]]]
    return [[weight for _, weight in parts] for parts in every], cond
