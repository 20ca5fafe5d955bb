"""SD 3, SD 3.5 and Flux: transformers that predict the velocity of a rectified flow (arXiv 2403.03206).

A crop is cut into patches of 2 x 2 latent pixels from its own corner on, and its tokens have the places that they have
in a picture of the crop's size: so a tile is a picture of its own for the model, as it is for a U-Net.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.placing import moved

if TYPE_CHECKING:
    from .model import Model

KINDS = ("sd3", "flux")
PATCH = 2
"""Latent pixels of a token's side, for all of these models."""
FLOW_TIMES = 1000
"""What a flow's time from 0 to 1 is counted in by its models and schedulers."""
NATIVE = 128
"""Side of the pictures that they were trained on, latent pixels, where the model does not say."""

log = logging.getLogger("tiled_diffusion")


def kind_of(pipe: Any) -> str | None:
    """The kind of such a pipeline; None for others."""
    if getattr(pipe, "transformer", None) is None:
        return None
    return "flux" if is_flux(pipe.transformer) else "sd3"


def is_flux(network: Any) -> bool:
    """Whether a transformer or a ControlNet is Flux's, which takes packed tokens and their places."""
    return "Flux" in type(network).__name__


def traits_of(pipe: Any) -> ModelTraits:
    """What the engine has to know of it."""
    vae = pipe.vae.config
    return ModelTraits(
        native=pipe.transformer.config.get("sample_size") or NATIVE,
        multiple=PATCH,
        factor=2 ** (len(vae.block_out_channels) - 1),
        channels=vae.latent_channels,
        prediction="flow",
        scaling=vae.scaling_factor,
        shift=vae.get("shift_factor") or 0.0,
    )


def is_distilled(model: Model) -> bool:
    """Whether guidance is in the model: then there is no negative prompt, and the CFG scale is told to the model."""
    return model.kind == "flux"


def encoded(model: Model, texts: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
    """([tokens, channels], pooled [channels]) of each text, by the pipeline's own encoders, all of one length."""
    out = []
    for text in texts:
        if model.kind == "flux":
            embeds, pooled, _ = model.pipe.encode_prompt(prompt=text, prompt_2=None, device=model.device)
        else:
            embeds, _, pooled, _ = model.pipe.encode_prompt(
                prompt=text, prompt_2=None, prompt_3=None, device=model.device, do_classifier_free_guidance=False
            )
        out.append((embeds[0], pooled[0]))
    return out


def predicted(
    network: Any,
    x: Tensor,
    t: Tensor,
    text: Tensor,
    pooled: Tensor,
    scales: Tensor,
    more: Mapping[str, Any] | None = None,
) -> Tensor:
    """Velocities [rows, C, h, w], without any guidance but what is in the model.

    Args:
        network: the transformer.
        x: [rows, C, h, w], h and w multiples of the patch.
        t: the time, 0 to 1000.
        text: [rows, tokens, channels].
        pooled: [rows, channels].
        scales: [rows], the CFG scale of each row, for models that are told it.
        more: further inputs of the transformer, by name: what ControlNets add.
    """
    out: Tensor = network(**arguments(network, x, t, text, pooled, scales), **(more or {}))[0]
    return unpacked(out, Extent(*x.shape[-2:])) if is_flux(network) else out


def arguments(network: Any, x: Tensor, t: Tensor, text: Tensor, pooled: Tensor, scales: Tensor) -> dict[str, Any]:
    """What a transformer, or a ControlNet of its kind, is called with. See `predicted`."""
    inputs = {"encoder_hidden_states": text, "pooled_projections": pooled, "return_dict": False}
    time = t.expand(x.shape[0])
    if not is_flux(network):
        return {"hidden_states": x, "timestep": time, **inputs}
    return {
        "hidden_states": packed(x),
        "timestep": time.to(x.dtype) / FLOW_TIMES,
        "guidance": moved(scales, x.device) if network.config.guidance_embeds else None,
        "txt_ids": torch.zeros(text.shape[1], 3, device=x.device, dtype=text.dtype),
        "img_ids": moved(places(Extent(*x.shape[-2:])).to(text.dtype), x.device),
        **inputs,
    }


def packed(x: Tensor) -> Tensor:
    """[B, C, h, w] to tokens [B, h / 2 * w / 2, 4 C]: row by row, channel before place in the patch."""
    b, c, h, w = x.shape
    patches = x.reshape(b, c, h // PATCH, PATCH, w // PATCH, PATCH).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(b, (h // PATCH) * (w // PATCH), c * PATCH * PATCH)


def unpacked(tokens: Tensor, size: Extent) -> Tensor:
    """The other way round."""
    h, w = size.h // PATCH, size.w // PATCH
    patches = tokens.reshape(tokens.shape[0], h, w, -1, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(tokens.shape[0], -1, *size)


def places(size: Extent) -> Tensor:
    """[tokens, 3]: 0, row and column of each token of a picture."""
    h, w = size.h // PATCH, size.w // PATCH
    rows, columns = torch.arange(h)[:, None].expand(h, w), torch.arange(w)[None].expand(h, w)
    return torch.stack([torch.zeros(h, w, dtype=torch.long), rows, columns], dim=-1).reshape(-1, 3).float()


def blank_call(
    network: Any, rows: int, tile: Extent, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x, t, text, pooled) of a model call, without numbers: 77 tokens of CLIP and 256 of T5, or Flux's 512 of T5."""
    config, flux = network.config, is_flux(network)
    channels = config["in_channels"] // PATCH**2 if flux else config["in_channels"]
    return (
        torch.empty(rows, channels, *tile, dtype=dtype),
        torch.empty(1),
        torch.empty(rows, 512 if flux else 333, config["joint_attention_dim"], dtype=dtype),
        torch.empty(rows, config["pooled_projection_dim"], dtype=dtype),
    )


def dynamic_shift(config: Any, size: Extent) -> float | None:
    """Mu of schedules that depend on the number of tokens, of a picture of this size; None for others.

    A line through (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift), as Black Forest Labs' code has
    it; `size` is the largest crop's, since that is the picture that the model sees.
    """
    if not config.get("use_dynamic_shifting"):
        return None
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    bottom, top = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (top - bottom) / (high - low)
    return float((size.h // PATCH) * (size.w // PATCH) * slope + (bottom - slope * low))


class FlowSchedule:
    """A scheduler of diffusers for flows, with the methods that the loop of this program asks of all schedulers.

    Args:
        scheduler: of diffusers.
        mu: see dynamic_shift.
        linear: its noise levels are 1, (n - 1) / n, ..., 1 / n before they are shifted, as Flux's pipeline has them.
    """

    init_noise_sigma = 1.0

    def __init__(self, scheduler: Any, mu: float | None, *, linear: bool) -> None:
        self.inner, self.mu, self.linear = scheduler, mu, linear

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @staticmethod
    def scale_model_input(x: Tensor, t: Tensor) -> Tensor:  # noqa: ARG004
        """As it is."""
        return x

    def begin(self, steps: int, device: torch.device) -> None:
        """Sets the times as the models' own pipelines do."""
        if not type(self.inner).__name__.startswith("FlowMatchEuler"):
            self.inner.set_timesteps(steps, device=device)
        elif self.linear:
            sigmas = np.linspace(1.0, 1 / steps, steps)
            self.inner.set_timesteps(sigmas=sigmas, mu=self.mu, device=device)
        else:
            self.inner.set_timesteps(steps, mu=self.mu, device=device)

    def sigma_at(self, t: Tensor) -> Tensor:
        """How noisy the latent is at one of the times."""
        index = int((self.inner.timesteps == t.to(self.inner.timesteps)).nonzero()[0])
        return self.inner.sigmas[index].float()  # type: ignore[no-any-return]

    def add_noise(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """(1 - sigma) * clean + sigma * noise; t has the same time for all rows."""
        sigma = self.sigma_at(t.reshape(-1)[0]).to(clean)
        return (1 - sigma) * clean + sigma * noise


def static_shift(config: Any, mu: float | None) -> float:
    """What schedules without a mu of their own are shifted by."""
    return math.exp(mu) if mu is not None else float(config.get("shift") or 1.0)
