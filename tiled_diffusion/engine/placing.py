"""What a run needs on its device beside the model: brought there once, and without making the host wait."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .tiles import Tile
    from .view import View


def moved(x: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; itself where it lies there.

    A copy from ordinary memory to a graphics card waits for all the work that the card was given before, one from
    page-locked memory does not. Apple's devices get a plain copy: PyTorch does not keep its source alive for them.

    Args:
        x: any tensor.
        device: of another tensor, so with its number.
    """
    if x.device == device:
        return x
    if x.device.type == "cpu" and device.type == "cuda":
        x = x.pin_memory()
    return x.to(device, non_blocking=x.device.type == "cpu" and device.type != "mps")


class Placed:
    """Views and weights of tiles on the device of a run, each for as long as its tile lives."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Tile, tuple[View, Tensor]] = WeakKeyDictionary()

    def of(self, tile: Tile, device: torch.device) -> tuple[View, Tensor]:
        """View and weight of a tile; its own where that is the device."""
        if tile.weight.device == device:
            return tile.view, tile.weight
        kept = self._kept.get(tile)
        if kept is None or kept[1].device != device:
            kept = self._kept[tile] = tile.view.on(device), moved(tile.weight, device)
        return kept
