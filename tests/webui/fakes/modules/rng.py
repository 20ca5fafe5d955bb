"""Random numbers."""

import torch


def randn_local(seed, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed)))
