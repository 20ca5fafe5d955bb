"""A ControlNet's hints: brought to the canvas's size once, and cut out for each tile."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tiled_diffusion.engine.fuse import ring_crop
from tiled_diffusion.engine.geometry import Box, Extent

HINT_PX = 8
"""Pixels of a hint for each latent pixel."""


def fitted_hint(hint: Tensor, canvas: Extent) -> Tensor:
    """The hint [.., C, h, w] in the canvas's size, [.., C, 8 H, 8 W]; the very same tensor where it fits already.

    Args:
        hint: numbers of any range.
        canvas: in latent pixels.
    """
    size = (canvas.h * HINT_PX, canvas.w * HINT_PX)
    if tuple(hint.shape[-2:]) == size:
        return hint
    return interpolate(hint.float(), size=size, mode="bilinear", antialias=True).to(hint.dtype)


def hint_crops(hint: Tensor, boxes: Sequence[Box], images: Sequence[int], px: int = HINT_PX) -> Tensor:
    """A cut-out for each row of a model call.

    Args:
        hint: [1 or B, C, px H, px W] on the canvas; with B of them each picture of a batch has its own.
        boxes: of each row, latent pixels, all of one size; on a ring they may reach past the canvas's end.
        images: number of each row's picture in the batch.
        px: of the hint for each latent pixel; 1 where it is itself a latent.

    Returns:
        [rows, C, px h, px w] on the hint's device.
    """
    rows = [hint[i % hint.shape[0]][None] for i in images]
    return torch.cat([ring_crop(row, box.scaled(px)) for row, box in zip(rows, boxes, strict=True)])


def acts_at(start: float, end: float, progress: float) -> bool:
    """Whether a ControlNet that guides from `start` to `end` (fractions of the sampling) acts at `progress`."""
    return start <= progress < end
