"""Decodes pictures whose edges fit, so that nothing shows where they are laid side by side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tiled_diffusion.engine.matching import BESIDE, MatchedPlanner, groups, with_neighbours
from tiled_diffusion.engine.windows import RISES
from tiled_diffusion.settings.match import Edge
from tiled_vae import TiledVaeSettings

from .model import Model
from .vae import decode


def decode_matched(
    model: Model, latents: Tensor, planner: MatchedPlanner, settings: TiledVaeSettings | None = None
) -> Tensor:
    """Latents [B, C, H, W] to pixels [B, 3, factor H, factor W], about -1..1, float32.

    A decoder sees all of a picture, and gives the same part of two pictures not quite the same colours. So what lies on
    either side of a border is decoded once, and every picture of the border's group has its pixels along that edge.
    """
    factor, tiling = model.traits.factor, planner.planner.settings
    edge = BESIDE * factor
    around = decode(model, with_neighbours(latents, planner.joins), tiling, settings)
    pixels = around[..., edge:-edge, edge:-edge].clone()
    for firsts, seconds in groups(planner.joins):
        upright = firsts[0].side == "bottom"
        strip = _turned(_border(latents, firsts[0], seconds[0]), upright)
        drawn = _turned(decode(model, strip, tiling, settings), upright)[0, :, edge:-edge]
        middle, band = drawn.shape[-1] // 2, planner.bands[0 if upright else 1] * factor
        rise = torch.from_numpy(RISES["smooth"]((np.arange(band) + 0.5) / band)).to(drawn)
        for every, part, weight in (
            (firsts, drawn[..., middle - band : middle], rise),
            (seconds, drawn[..., middle : middle + band], rise.flip(0)),
        ):
            for number, _ in every:
                own = _turned(pixels[number - 1], upright)
                place = own[..., -band:] if every is firsts else own[..., :band]
                place.lerp_(part, weight)
    return pixels


def _border(latents: Tensor, first: Edge, second: Edge) -> Tensor:
    """[1, C, H + 2 BESIDE, 2 w]: what meets at a border, as of a right and a left edge, with its ends repeated."""
    upright = first.side == "bottom"
    a, b = (_turned(latents[edge.picture - 1], upright) for edge in (first, second))
    half = min(2 * BESIDE, a.shape[-1])
    strip = torch.cat([a[..., -half:], b[..., :half]], dim=-1)[None]
    return torch.nn.functional.pad(strip, (0, 0, BESIDE, BESIDE), mode="replicate")


def _turned(x: Tensor, upright: bool) -> Tensor:
    """A view of [.., H, W] in which a border between top and bottom is one between left and right."""
    return x.transpose(-1, -2) if upright else x
