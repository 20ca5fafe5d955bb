"""Random numbers by key: start noise of the canvas, and everything else that is drawn.

Nothing here reads or changes torch's global generator. The same key gives the same numbers on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def keyed_seed(seed: int, purpose: str, *index: int) -> int:
    """A 63-bit seed for one purpose, e.g. ("grid", step, axis); different keys give independent seeds."""
    key = ":".join([str(seed), purpose, *map(str, index)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def keyed_generator(seed: int, purpose: str, *index: int) -> torch.Generator:
    """A CPU generator of its own for one purpose."""
    return torch.Generator("cpu").manual_seed(keyed_seed(seed, purpose, *index))


def uniform_draw(seed: int, purpose: str, *index: int) -> float:
    """One number in [0, 1)."""
    return keyed_seed(seed, purpose, *index) / 2**63


def canvas_noise(shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """Start noise on the canvas, float32 on the CPU.

    Args:
        shape: (C, H, W) of one image.
        seeds: one for each image of the batch; image k depends on seeds[k] alone, not on the batch around it.

    Returns:
        [len(seeds), C, H, W], standard normal.
    """
    return torch.stack([torch.randn(tuple(shape), generator=torch.Generator("cpu").manual_seed(s)) for s in seeds])
