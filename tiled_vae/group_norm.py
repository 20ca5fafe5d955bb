"""GroupNorm whose statistics are gathered tile by tile and merged exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Moments(NamedTuple):
    """Statistics of each group [G]: number of values, their mean, and the sum of squared distances from it."""

    values: int
    mean: Tensor
    m2: Tensor

    @property
    def variance(self) -> Tensor:
        """Biased variance [G], as GroupNorm uses it."""
        return self.m2 / self.values

    def merge(self, other: Moments) -> Moments:
        """Statistics of both sets together: Chan, Golub, LeVeque (1979), formula 2.1."""
        count = self.values + other.values
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.values / count)
        m2 = self.m2 + other.m2 + delta.square() * (self.values * other.values / count)
        return Moments(count, mean, m2)


def measure(x: Tensor, groups: int) -> Moments:
    """Statistics of a tile [1, C, h, w] per group, in float32 or better."""
    per_group = x.view(groups, x.shape[1] // groups, *x.shape[2:])
    dtype = x.dtype if x.dtype == torch.float64 else torch.float32
    if x.device.type == "cpu":
        return _measure_in_turn(per_group, dtype)
    variance, mean = torch.var_mean(per_group.to(dtype), dim=(1, 2, 3), correction=0)
    count = x.numel() // groups
    return Moments(count, mean, variance * count)


def _measure_in_turn(per_group: Tensor, dtype: torch.dtype) -> Moments:
    """As `measure`, group after group, so that each stays in the processor's cache: torch.var_mean takes ten times it.

    Args:
        per_group: [G, C / G, h, w].
        dtype: of the sums.
    """
    mean = per_group.mean((1, 2, 3), dtype=dtype)
    m2 = [(values.to(dtype) - centre).square_().sum() for values, centre in zip(per_group, mean, strict=True)]
    return Moments(per_group[0].numel(), mean, torch.stack(m2))


def normalise(x: Tensor, moments: Moments, norm: Any) -> Tensor:
    """GroupNorm of a tile [1, C, ...] with given statistics; a new tensor of x's dtype."""
    per_group = x.shape[1] // moments.mean.numel()
    mean, variance = (s.repeat_interleave(per_group) for s in (moments.mean, moments.variance))
    weight, bias = (None if p is None else p.to(mean) for p in (norm.weight, norm.bias))
    if x.device.type == "mps" and x.dtype != mean.dtype:  # no mixed batch_norm there
        return F.batch_norm(x.float(), mean, variance, weight, bias, eps=norm.eps).to(x.dtype)
    return F.batch_norm(x, mean, variance, weight, bias, eps=norm.eps)


class FixedNorm(nn.Module):
    """Stands in for a GroupNorm inside a copy of a host block: the same affine map, given statistics."""

    def __init__(self, norm: Any, moments: Moments) -> None:
        super().__init__()
        self._norm = [norm]  # in a list: not a sub-module of this one
        self._moments = moments

    def forward(self, x: Tensor) -> Tensor:
        """Normalises x [1, C, ...]."""
        return normalise(x, self._moments, self._norm[0])
