"""ControlNets of SD 3 and Flux: their hints are latents of the canvas, and they act on the blocks of a transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, zeros_like

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.positions import CanvasPositions
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.values import Settings

from .control_net import Call, ControlNet
from .flow import arguments, is_flux, packed
from .model import Model
from .vae import encode

CLASSES = {"sd3": "SD3ControlNetModel", "flux": "FluxControlNetModel"}
"""Of diffusers, by the kind of the model that they guide."""
_WIDTHS = ("in_channels", "joint_attention_dim", "pooled_projection_dim")


@dataclass(frozen=True)
class FlowControlNet(ControlNet):
    """A loaded ControlNet with its hint, for a transformer.

    Attributes:
        net: diffusers' SD3ControlNetModel or FluxControlNetModel.
        hint: [1, C, H, W], a latent of the whole canvas, and a factor of 1; where a Flux ControlNet encodes hints
            itself, [1, 3, factor H, factor W] in -1..1.
        network: the transformer that it guides.
        positions: what both are told of where tiles lie; None: that each is a picture of its own.
    """

    network: Any = None
    positions: CanvasPositions | None = None

    def residuals(self, call: Call) -> Sequence[Tensor | None]:
        """What each block of the transformer, and then each single block of Flux, gets added."""
        told = arguments(self.net, call.crops, call.t, call.text, **(call.added or {}))
        with ExitStack() as stack:
            if self.positions is not None:
                for network in (self.net, self.network):
                    size = Extent(*call.crops.shape[-2:])
                    stack.enter_context(self.positions.told(network, call.views, size))
            return self._of_flux(call, told) if is_flux(self.net) else self._of_sd3(call, told)

    def inputs(self, residuals: Sequence[Tensor | None]) -> dict[str, Any]:
        """Arguments of the transformer."""
        if not is_flux(self.net):
            return {"block_controlnet_hidden_states": residuals}
        double = len(self.network.transformer_blocks)
        named = {
            "controlnet_block_samples": residuals[:double],
            "controlnet_single_block_samples": residuals[double:],
        }
        return {name: given for name, given in named.items() if given and given[0] is not None}

    def _of_sd3(self, call: Call, told: dict[str, Any]) -> Sequence[Tensor | None]:
        """Those for SD 3.5 Large have neither places of their own nor texts, others are told no pooled text."""
        config = self.net.config
        if self.net.pos_embed is None:
            told["hidden_states"] = self.network.pos_embed(told["hidden_states"])
        if config.joint_attention_dim is None:
            told["encoder_hidden_states"] = None
        if config.force_zeros_for_pooled_projection:
            told["pooled_projections"] = zeros_like(told["pooled_projections"])
        (samples,) = self.net(**told, controlnet_cond=self.seen(call), conditioning_scale=self.weight)
        count = len(self.network.transformer_blocks)
        return [samples[int(i / (count / len(samples)))] for i in range(count)]

    def _of_flux(self, call: Call, told: dict[str, Any]) -> Sequence[Tensor | None]:
        own_encoder = self.net.input_hint_block is not None
        hint = self.seen(call) if own_encoder else packed(self.seen(call))
        double, single = self.net(**told, controlnet_cond=hint, conditioning_scale=self.weight)
        return [
            *_over(double, len(self.network.transformer_blocks), repeated=own_encoder),
            *_over(single, len(self.network.single_transformer_blocks)),
        ]


def _over(samples: Sequence[Tensor] | None, count: int, *, repeated: bool = False) -> list[Tensor | None]:
    """For each of `count` blocks one of fewer samples, as Flux's transformer spreads them."""
    if samples is None:
        return [None] * count
    every = math.ceil(count / len(samples))
    return [samples[i % len(samples) if repeated else i // every] for i in range(count)]


def with_hint(model: Model, net: Any, pixels: Tensor, control: Control, tiling: Settings) -> FlowControlNet:
    """A loaded ControlNet as a Control asks for it.

    The hint is encoded once, on the whole canvas, by the model's VAE: its mean, where diffusers' pipelines draw from
    what the VAE says. As there, SD 3's ControlNets that are told no pooled text have hints without the VAE's shift.

    Args:
        model: see load_model.
        net: see load_controlnet.
        pixels: [1, 3, factor H, factor W] in 0..1.
        control: weight, start and end.
        tiling: names the axes that are rings, and the positions that are told.

    Raises:
        TiledError: see vae.encode.
    """
    hint, factor = 2 * pixels - 1, model.traits.factor
    if not is_flux(net) or net.input_hint_block is None:
        unshifted = not is_flux(net) and net.config.force_zeros_for_pooled_projection
        traits = replace(model.traits, shift=0.0) if unshifted else model.traits
        hint, factor = encode(replace(model, traits=traits), hint, tiling), 1
    canvas = Extent(*(side // model.traits.factor for side in pixels.shape[-2:]))
    positions = CanvasPositions.wanted(tiling.positions, model.traits, canvas)
    return FlowControlNet(net, hint, control.weight, control.start, control.end, factor, model.unet, positions)


def check_inputs(source: Path, config: Mapping[str, Any]) -> None:
    """Refuses ControlNets that see or are told more than a hint.

    Args:
        source: their folder.
        config: its config.json.

    Raises:
        TiledError: names what else it wants.
    """
    more = config.get("extra_conditioning_channels") or config.get("extra_condition_channels")
    if more:
        raise TiledError(
            f"model: {source} is a ControlNet for inpainting, which sees {more} channels beside the hint; supported "
            "are those that see a hint alone"
        )
    if config.get("num_mode") is not None:
        raise TiledError(
            f"model: {source} is a union ControlNet, which is told by controlnet_mode which of {config['num_mode']} "
            "kinds a hint is of; supported are those for one kind"
        )


def shared(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a ControlNet and its transformer have alike; without what the ControlNet does not have at all."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    return {"width": width, **{name: config[name] for name in _WIDTHS if config[name] is not None}}
