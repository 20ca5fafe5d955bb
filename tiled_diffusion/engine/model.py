"""What a model is, as far as tiles are concerned: its latents, the sizes that it likes, what it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Prediction = Literal["eps", "v", "x0", "flow"]
"""What a model says of a noisy latent: its noise, v (Salimans and Ho, arXiv 2202.00512, section 4), the clean latent,
or a rectified flow's velocity noise - clean (arXiv 2209.03003)."""


@dataclass(frozen=True)
class ModelTraits:
    """One value for everything that differs from model to model.

    Attributes:
        native: side of the pictures it was trained on, latent pixels (64 for SD 1.x, 128 for SDXL).
        multiple: sides of what it is given are multiples of this, latent pixels (8 for SD 1.x and 2.x, 4 for SDXL).
        factor: image pixels of a latent pixel's side.
        channels: of a latent.
        prediction: what it predicts.
        scaling: what the VAE's numbers are multiplied by, after `shift` was taken off, to get latents.
        shift: see scaling; 0 for all U-Nets, not for SD 3 and Flux.
    """

    native: int = 64
    multiple: int = 8
    factor: int = 8
    channels: int = 4
    prediction: Prediction = "eps"
    scaling: float = 0.18215
    shift: float = 0.0

    @property
    def token(self) -> int:
        """Side of what a model sees as one, latent pixels: a transformer's patch, and 1 of a U-Net."""
        return self.multiple if self.prediction == "flow" else 1

    @property
    def unit_px(self) -> int:
        """Sides of a picture in one piece, and of every tile, are multiples of this, image pixels."""
        return self.multiple * self.factor

    def tile_choices(self) -> list[int]:
        """Tile sides worth trying, latent pixels: from the native size to one and a half times it."""
        return list(range(self.native, self.native * 3 // 2 + 1, self.multiple))

    def latents(self, encoded: Tensor) -> Tensor:
        """The VAE's numbers as latents."""
        return (encoded - self.shift) * self.scaling if self.shift else encoded * self.scaling

    def encoded(self, latents: Tensor) -> Tensor:
        """Latents as the VAE's numbers."""
        return latents / self.scaling + self.shift if self.shift else latents / self.scaling


class Level(NamedTuple):
    """A noise level: x = alpha * clean + sigma * noise.

    Variance preserving models have alpha^2 + sigma^2 = 1, k-diffusion's coordinates alpha = 1, and rectified flows
    alpha = 1 - sigma.
    """

    alpha: Tensor
    sigma: Tensor

    @classmethod
    def of_sigma(cls, sigma: Tensor) -> Level:
        """k-diffusion's coordinates: x = clean + sigma * noise."""
        return cls(torch.ones_like(sigma), sigma)

    @classmethod
    def of_alphas_cumprod(cls, product: Tensor) -> Level:
        """From the cumulative product of a variance preserving schedule's alphas."""
        return cls(product.sqrt(), (1 - product).sqrt())

    @classmethod
    def of_flow(cls, time: Tensor) -> Level:
        """A rectified flow's time, from 0 (clean) to 1 (noise)."""
        return cls(1 - time, time)

    @property
    def preserves(self) -> bool:
        """Whether variance is preserved, alpha^2 + sigma^2 = 1."""
        return bool(((self.alpha**2 + self.sigma**2 - 1).abs() < 1e-4).all())

    def preserving(self) -> Level:
        """The same share of noise in variance preserving coordinates."""
        length = (self.alpha**2 + self.sigma**2).sqrt()
        return Level(self.alpha / length, self.sigma / length)

    def broadcast(self, like: Tensor) -> Level:
        """With axes added, so that a number for each row meets [rows, C, h, w]; in `like`'s type.

        One number for all rows stays where it lies: devices take it without a copy.
        """
        if all(n.numel() == 1 and n.device.type == "cpu" for n in self):
            return Level(*(n.to(like.dtype).reshape(()) for n in self))
        return Level(*(n.to(like).reshape(-1, *[1] * (like.dim() - 1)) for n in self))

    def noised(self, clean: Tensor, noise: Tensor) -> Tensor:
        """A clean latent at this level."""
        alpha, sigma = self.broadcast(clean)
        return alpha * clean + sigma * noise


def predicted(clean: Tensor, x: Tensor, level: Level, prediction: Prediction) -> Tensor:
    """What a model would predict of x, were `clean` the clean latent in it.

    Args:
        clean: [B, C, H, W], or what broadcasts to it.
        x: [B, C, H, W], noisy, in the coordinates of `level`.
        level: of x; its sigma is above 0 unless the prediction is x0.
        prediction: of the model.

    At a fixed x all of them are affine in the clean latent.
    """
    if prediction == "x0":
        return clean.expand_as(x)
    alpha, sigma = level.broadcast(x)
    noise = (x - alpha * clean) / sigma
    if prediction == "eps":
        return noise
    return alpha * noise - sigma * clean if prediction == "v" else noise - clean


def cleaned(prediction: Tensor, x: Tensor, level: Level, kind: Prediction) -> Tensor:
    """The clean latent in x by what a model predicted of it: the inverse of `predicted`.

    Args:
        prediction: [B, C, h, w].
        x: [B, C, h, w], noisy, in the coordinates of `level`.
        level: of x; its alpha is above 0 where the noise was predicted.
        kind: what was predicted.
    """
    if kind == "x0":
        return prediction
    alpha, sigma = level.broadcast(x)
    if kind == "eps":
        return (x - sigma * prediction) / alpha
    if kind == "v":
        return (alpha * x - sigma * prediction) / (alpha**2 + sigma**2)
    return (x - sigma * prediction) / (alpha + sigma)


def noise_in(prediction: Tensor, x: Tensor, level: Level, kind: Prediction) -> Tensor:
    """The noise in x that a model's prediction of it means, [B, C, H, W]: the inverse of `predicted`.

    Args:
        prediction: [B, C, H, W], of the given kind.
        x: [B, C, H, W], noisy, in the coordinates of `level`.
        level: of x; its sigma is above 0 where the prediction is x0.
        kind: of the prediction.
    """
    alpha, sigma = level.broadcast(x)
    if kind == "eps":
        return prediction
    if kind == "x0":
        return (x - alpha * prediction) / sigma
    if kind == "v":
        return (alpha * prediction + sigma * x) / (alpha**2 + sigma**2)
    return (x + alpha * prediction) / (alpha + sigma)
