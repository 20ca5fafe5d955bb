"""Tensors as they are sent: their bytes, which come back as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parcel:
    """A tensor on its way.

    Attributes:
        data: its numbers, uint8.
        shape: its shape.
        dtype: name of its type, such as "float16".
    """

    data: Any
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, tensor: Tensor) -> Parcel:
        """From a tensor on any device."""
        plain = tensor.detach().cpu().contiguous()
        data = plain.reshape(-1).view(torch.uint8).numpy()
        return cls(data, tuple(plain.shape), str(plain.dtype).removeprefix("torch."))

    def tensor(self, device: torch.device | None = None) -> Tensor:
        """The tensor, a copy: what comes out of a store of objects may not be written to."""
        plain = torch.empty(self.shape, dtype=getattr(torch, self.dtype))
        plain.reshape(-1).view(torch.uint8).numpy()[:] = self.data
        return plain if device is None else plain.to(device)
