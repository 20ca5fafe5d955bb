"""What the trainings of the U-Net and of the ControlNet have in common: noise, timesteps, the average of weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def alphas_bar() -> Tensor:
    """[1000]: the share of the signal's variance at each timestep, SD 1's scaled-linear schedule."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def noised(z: Tensor, signal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy latents, their timesteps [n], spread evenly over all, and the noise; `signal` is alphas_bar()."""
    n = len(z)
    t = ((torch.arange(n) + torch.rand(1)) / n * 1000).long().clamp(0, 999).to(z.device)
    noise = torch.randn_like(z)
    s = signal[t][:, None, None, None]
    return s.sqrt() * z + (1 - s).sqrt() * noise, t, noise


@torch.no_grad()
def update_average(average: Sequence[Tensor], params: Sequence[nn.Parameter], keep: float) -> None:
    """Exponential moving average of the weights, in place."""
    torch._foreach_lerp_(average, [p.detach() for p in params], 1 - keep)


@torch.no_grad()
def load_average(params: Sequence[nn.Parameter], average: Sequence[Tensor]) -> None:
    """Puts the averaged weights into a model."""
    for p, averaged in zip(params, average, strict=True):
        p.copy_(averaged)
