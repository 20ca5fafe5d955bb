"""A pull on means alone: areas keep the colours of a target, and everything within them is free.

D <- D + m L(T - D), L the mean over blocks: where a `Pull` holds every pixel, this holds the mean of each block. L is
linear and predictions are affine in D, so it acts on whatever the model predicts.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from tiled_diffusion.engine.model import Level
from tiled_diffusion.engine.tiles import Plan

from .pull import Pull


def block_means(values: Tensor, block: int) -> Tensor:
    """Values [B, C, H, W] with the mean of each block of about block x block pixels in the place of its pixels."""
    height, width = values.shape[-2:]
    blocks = (max(1, round(height / block)), max(1, round(width / block)))
    return interpolate(adaptive_avg_pool2d(values, blocks), size=(height, width), mode="nearest-exact")


@dataclass
class MeanPull(Pull):
    """A pull on the means of blocks.

    Attributes:
        block: side of a block in pixels of the latent.
    """

    block: int = 4

    def plan(self, plan: Plan) -> Plan:
        """All of it: no pixel is held by itself."""
        return plan

    def mixed(self, prediction: Tensor, wanted: Tensor, strength: Tensor) -> Tensor:
        """A prediction with the target's means, as far as the strength says."""
        return prediction + strength * block_means(wanted - prediction, self.block)

    def start(self, latent: Tensor, noise: Tensor, level: Level) -> Tensor:  # noqa: ARG002
        """As it is: its means are those of the start picture already."""
        return latent

    def finish(self, latent: Tensor) -> Tensor:
        """As it is: what the sampler left is finished."""
        return latent
