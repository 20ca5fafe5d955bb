"""A ControlNet's hints: brought to the canvas's size once, and cut out for each tile."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tiled_diffusion.engine.dilated import Dilated
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.view import Reference, View


def fitted_hint(hint: Tensor, canvas: Extent, factor: int) -> Tensor:
    """The hint [.., C, h, w] in the canvas's size, [.., C, factor H, factor W]; the very same tensor where it fits.

    Args:
        hint: numbers of any range.
        canvas: in latent pixels.
        factor: pixels of the hint for each latent pixel.
    """
    size = (canvas.h * factor, canvas.w * factor)
    if tuple(hint.shape[-2:]) == size:
        return hint
    return interpolate(hint.float(), size=size, mode="bilinear", antialias=True).to(hint.dtype)


def hint_crops(hint: Tensor, views: Sequence[View], images: Sequence[int], factor: int) -> Tensor:
    """A cut-out for each row of a model call.

    Args:
        hint: [1 or B, C, factor H, factor W] on the canvas; with B of them each picture of a batch has its own.
        views: of each row, all of one size; on a ring a box may reach past the canvas's end.
        images: number of each row's picture in the batch.
        factor: pixels of the hint for each latent pixel; 1 where it is itself a latent.

    Returns:
        [rows, C, factor h, factor w] on the hint's device.
    """
    rows = [hint[i % hint.shape[0]][None] for i in images]
    return torch.cat([_cut_out(row, view, factor) for row, view in zip(rows, views, strict=True)])


def _cut_out(row: Tensor, view: View, factor: int) -> Tensor:
    """Of a small picture of the whole, or every n-th pixel of it, all of the hint, shrunk: not torn into pixels."""
    return view.shrunk(row, factor) if isinstance(view, (Reference, Dilated)) else view.scaled(factor).gather(row)


def acts_at(start: float, end: float, progress: float) -> bool:
    """Whether a ControlNet that guides from `start` to `end` (fractions of the sampling) acts at `progress`."""
    return start <= progress < end
