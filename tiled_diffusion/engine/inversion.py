"""Noise inversion: the noise from which a model would draw a picture, found by running its steps backwards.

DDIM's steps, reversed (Song et al., arXiv 2010.02502, section 4.3), at the noise levels of the sampling to come; each
may be repeated to come closer to its fixed point (ReNoise, arXiv 2403.14602). Only the start noise changes, so every
sampler works.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tiled_diffusion.engine.model import Level
from tiled_diffusion.errors import TiledError

Noise = Callable[[Tensor, int], Tensor]
"""(x [B, C, H, W] at a level, its number) -> the noise in x as the model sees it, [B, C, H, W] float32."""
SAME = 1e-3
"""Most by which two predictions of noise differ that are one model's: calls of other shapes are rounded otherwise."""
LEAST_ALPHA = 0.01
"""Levels with less of the picture than this say nothing of its noise."""


def inverted_noise(clean: Tensor, levels: Sequence[Level], noise_of: Noise, rounds: int) -> Tensor:
    """The noise n with alpha * clean + sigma * n = what the model's steps lead to, from the picture up.

    In k-diffusion's coordinates x_i = x_(i-1) + eps(x*, sigma_i) (sigma_i - sigma_(i-1)). In the first round x* is
    where the noise of the step before leads, and in the next ones x_i of the round before.

    Args:
        clean: [B, C, H, W] float32, the picture's latent.
        levels: from the least noisy one, whose sigma is above 0, to the one at which the sampling begins.
        noise_of: the model, without guidance.
        rounds: of each step, 1 or more.

    Returns:
        [B, C, H, W]; in flat pictures its variance is below 1.

    Raises:
        TiledError: there is no level, or the numbers broke (NaN).
    """
    levels = [level for level in levels if float(level.alpha) >= LEAST_ALPHA]
    if not levels:
        raise TiledError("inversion: no step of the sampling has anything of the picture left")
    x, noise, before = clean, torch.zeros_like(clean), Level(torch.ones(()), torch.zeros(()))
    for number, level in enumerate(levels):
        ratio = float(level.alpha / before.alpha)
        length = float(level.sigma) - ratio * float(before.sigma)
        for _ in range(rounds):
            noise = noise_of(ratio * x + length * noise, number)
        x, before = ratio * x + length * noise, level
    noise = (x - float(before.alpha) * clean) / float(before.sigma)
    if not torch.isfinite(noise).all():
        raise TiledError("inversion: the numbers broke (NaN): take fewer rounds, or plain img2img")
    return noise


def mixed(inverted: Tensor, fresh: Tensor, freedom: float | Tensor) -> Tensor:
    """((1 - m) inverted + m fresh) / sqrt((1 - m)^2 + m^2): of variance 1 where both are, and independent.

    Args:
        inverted: [B, C, H, W].
        fresh: [B, C, H, W], standard normal.
        freedom: m, 0 to 1: a number, or [B, 1, H, W].
    """
    m = torch.as_tensor(freedom, dtype=fresh.dtype, device=fresh.device)
    return ((1 - m) * inverted + m * fresh) / ((1 - m) ** 2 + m**2).sqrt()


def freedom_map(clean: Tensor, freedom: float) -> Tensor:
    """[B, 1, H, W]: more freedom in flat areas and less in detailed ones, `freedom` on average; 0 and 1 stay.

    Args:
        clean: [B, C, H, W], the picture's latent.
        freedom: 0 to 1.
    """
    smooth = avg_pool2d(clean, 3, stride=1, padding=1, count_include_pad=False)
    detail = (clean - smooth).square().mean(dim=1, keepdim=True)
    detail = avg_pool2d(detail, 5, stride=1, padding=2, count_include_pad=False)
    flat = detail.flatten(1)
    rank = flat.argsort(dim=1).argsort(dim=1).float() / max(1, flat.shape[1] - 1)
    return freedom + 2 * min(freedom, 1 - freedom) * (0.5 - rank.reshape(detail.shape))


def stepped(values: Sequence[float], steps: int | None) -> list[float]:
    """So many values, evenly spread over the places of others, from the first step to the last value.

    Args:
        values: ascending, of the sampling's steps.
        steps: None for as many as there are.
    """
    if steps is None or steps == len(values):
        return list(values)
    places = np.arange(1, steps + 1) / steps * len(values)
    return [float(v) for v in np.interp(places, np.arange(len(values) + 1), [0.0, *values])]


@dataclass
class Recent:
    """The noises of the last inversions.

    Attributes:
        most: so many are kept, in main memory: twice the latent's size each.
        runs: inversions that were run and not found here.
        kept: by their keys, what the model said first and the noise.
    """

    most: int = 4
    runs: int = 0
    kept: OrderedDict[bytes, tuple[Tensor, Tensor]] = field(default_factory=OrderedDict)

    def noise(self, key: object, clean: Tensor, levels: Sequence[Level], noise_of: Noise, rounds: int) -> Tensor:
        """As `inverted_noise`, or what that gave before.

        The model is asked once in any case: where it says something else than before, it is another one (other weights,
        a LoRA, somebody's patch), though nothing in the key tells.

        Args:
            key: what else matters, of which the `repr` counts.
            clean: see inverted_noise.
            levels: see inverted_noise.
            noise_of: see inverted_noise.
            rounds: see inverted_noise.
        """
        known = digest(key, rounds, [(float(level.alpha), float(level.sigma)) for level in levels], clean)
        first = noise_of(clean * float(levels[0].alpha), 0)
        before, noise = self.kept.get(known, (None, None))
        if before is not None and noise is not None and torch.allclose(before, first.cpu(), rtol=0, atol=SAME):
            self.kept.move_to_end(known)
            return noise.to(clean)
        self.runs += 1
        said = [first]
        noise = inverted_noise(clean, levels, lambda x, k: said.pop() if said else noise_of(x, k), rounds)
        self.kept[known] = first.cpu(), noise.cpu()
        while len(self.kept) > self.most:
            self.kept.popitem(last=False)
        return noise


def digest(*parts: object) -> bytes:
    """SHA-256 of values: tensors by their numbers, others by their `repr`."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            sha.update(repr((tuple(part.shape), part.dtype)).encode())
            sha.update(part.detach().contiguous().cpu().view(torch.uint8).numpy().tobytes())
        else:
            sha.update(repr(part).encode())
    return sha.digest()
