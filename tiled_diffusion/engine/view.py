"""Views: which pixels of the canvas a tile reads, and to which its prediction is added.

The commonest one is a `Box`, whose pixels are a slice. The others are indices: a ring's box, every n-th pixel
(dilated.py), a shrunk reference of the whole, a window over several pictures of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from .geometry import Box, Extent, add_at
from .placing import moved


class View(Protocol):
    """What every view can do; `Box` can do it too."""

    @property
    def extent(self) -> Extent:
        """Height and width of what it reads."""

    @property
    def box(self) -> Box:
        """The box on the canvas that holds all its pixels."""

    def rows_of(self, images: int) -> int:
        """Rows that it reads of a batch of `images` pictures: one of each, or one of all together."""

    def on(self, device: torch.device) -> View:
        """The same view, with what it holds on a device."""

    def gather(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to what the view reads, [rows, C, h, w]; a slice where that can be."""

    def scatter_add(self, total: Tensor, part: Tensor, weight: Tensor) -> None:
        """Adds part [rows, C, h, w] times weight to total [B, C, H, W] in place, pixel by pixel back to its place."""

    def scaled(self, factor: int) -> View:
        """The same view of a map that has `factor` times as many pixels on each side."""


@dataclass(frozen=True, eq=False)
class Indexed:
    """Pixels by their indices; one that is named twice counts twice.

    Attributes:
        rows: whole numbers, [h, 1] or [h, w].
        cols: whole numbers, [1, w] or [h, w].
        images: number of the picture of each pixel, [h or 1, w or 1]; None reads every picture of the batch alike.
    """

    rows: Tensor
    cols: Tensor
    images: Tensor | None = None

    @property
    def extent(self) -> Extent:
        """Height and width of what it reads."""
        return Extent(max(self.rows.shape[0], self.cols.shape[0]), max(self.rows.shape[1], self.cols.shape[1]))

    @property
    def box(self) -> Box:
        """The box on the canvas that holds all its pixels."""
        y, x = int(self.rows.min()), int(self.cols.min())
        return Box(y, x, int(self.rows.max()) + 1 - y, int(self.cols.max()) + 1 - x)

    def rows_of(self, images: int) -> int:
        """One row of each picture, or one of all of them."""
        return images if self.images is None else 1

    def on(self, device: torch.device) -> Indexed:
        """The same view, with its indices on a device."""
        images = None if self.images is None else moved(self.images, device)
        return replace(self, rows=moved(self.rows, device), cols=moved(self.cols, device), images=images)

    def gather(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [rows, C, h, w], a copy."""
        rows, cols = self.rows.to(x.device), self.cols.to(x.device)
        if self.images is None:
            return x[..., rows, cols]
        return x.movedim(1, -1)[self.images.to(x.device), rows, cols].movedim(-1, 0)[None]

    def scatter_add(self, total: Tensor, part: Tensor, weight: Tensor) -> None:
        """Adds part [rows, C, h, w] times weight [h, w] to total [B, C, H, W] in place."""
        size = total.shape[-2] * total.shape[-1]
        place = (self.rows * total.shape[-1] + self.cols).expand(self.extent)
        weighted = part * weight.to(total)
        if self.images is None:
            add_at(total, place, weighted)
            return
        channels = torch.arange(total.shape[1], device=place.device)[:, None, None]
        place = (self.images * total.shape[1] + channels) * size + place
        total.view(-1).index_add_(0, place.flatten().to(total.device), weighted.to(total.dtype).flatten())

    def scaled(self, factor: int) -> Indexed:
        """Each pixel becomes a block of factor x factor pixels."""
        h, w = self.extent
        inner = torch.arange(factor)
        rows = self.rows.expand(h, w).repeat_interleave(factor, 0).repeat_interleave(factor, 1) * factor
        cols = self.cols.expand(h, w).repeat_interleave(factor, 0).repeat_interleave(factor, 1) * factor
        images = None
        if self.images is not None:
            images = self.images.expand(h, w).repeat_interleave(factor, 0).repeat_interleave(factor, 1)
        return Indexed(rows + inner.repeat(h)[:, None], cols + inner.repeat(w)[None], images)


def ring(box: Box, canvas: Extent) -> Indexed:
    """A box that may reach past the end of the canvas, where it is the beginning again."""
    return Indexed(
        (torch.arange(box.h)[:, None] + box.y) % canvas.h,
        (torch.arange(box.w)[None] + box.x) % canvas.w,
    )


def across_pictures(box: Box, canvas: Extent) -> Indexed:
    """A window over the pictures of a batch laid side by side: column c is column c % W of picture c // W."""
    cols = torch.arange(box.x, box.x + box.w)[None]
    return Indexed(torch.arange(box.y, box.y + box.h)[:, None], cols % canvas.w, cols // canvas.w)


@dataclass(frozen=True, eq=False)
class Reference(Indexed):
    """The whole canvas, shrunk: it reads one pixel of each cell, and is written back to all pixels of the cell.

    A canvas pixel (y, x) lies in the cell (y h // H, x w // W) of a reference of h x w cells (ElasticDiffusion,
    arXiv 2311.18822, with a true map of cells for every factor). Weights are [H, W], on the canvas.

    Attributes:
        canvas: its size.
        offset: on rings, where the first cell begins.
        frame: what is read is this large, and nothing lies right of and below the cells; None: as large as they are.
    """

    canvas: Extent = field(default_factory=lambda: Extent(1, 1))
    offset: Extent = field(default_factory=lambda: Extent(0, 0))
    frame: Extent | None = None

    @classmethod
    def of(cls, canvas: Extent, size: Extent, picks: tuple[Tensor, Tensor] | None = None) -> Reference:
        """A reference of `size` cells, each at most as large as the canvas.

        Args:
            canvas: in latent pixels.
            size: in cells.
            picks: which row and which column of the canvas each cell reads, [h, w] each; None takes the cells' first.
        """
        rows, cols = picks or (
            -(-torch.arange(size.h)[:, None] * canvas.h // size.h),
            -(-torch.arange(size.w)[None] * canvas.w // size.w),
        )
        return cls(rows, cols, None, canvas)

    @property
    def cells(self) -> Extent:
        """Down and across."""
        return super().extent

    @property
    def extent(self) -> Extent:
        """Of what it reads, the frame around it included."""
        return self.frame or self.cells

    @property
    def box(self) -> Box:
        """All of the canvas."""
        return Box(0, 0, *self.canvas)

    def gather(self, x: Tensor) -> Tensor:
        """One pixel of each cell; zeros in the frame."""
        return self._framed(super().gather(x), 1)

    def _framed(self, cells: Tensor, factor: int) -> Tensor:
        if self.frame is None:
            return cells
        height, width = (side * factor for side in self.frame)
        return pad(cells, (0, width - cells.shape[-1], 0, height - cells.shape[-2]))

    def scatter_add(self, total: Tensor, part: Tensor, weight: Tensor) -> None:
        """Adds each cell's number to all its pixels, times the weight [H, W] of each pixel."""
        h, w = self.cells
        y, x = (torch.arange(n, device=part.device) - begin for n, begin in zip(self.canvas, self.offset, strict=True))
        y, x = y % self.canvas.h * h // self.canvas.h, x % self.canvas.w * w // self.canvas.w
        enlarged = part[..., y[:, None], x]
        total[..., : self.canvas.h, : self.canvas.w] += (enlarged * weight.to(total)).to(total.dtype)

    def shrunk(self, fine: Tensor, factor: int) -> Tensor:
        """A map [.., factor H, factor W] of the canvas in the small picture's size, [.., factor h, factor w]."""
        turned = fine.roll((-self.offset.h * factor, -self.offset.w * factor), (-2, -1))
        size = (self.cells.h * factor, self.cells.w * factor)
        return self._framed(interpolate(turned.float(), size=size, mode="area").to(fine.dtype), factor)

    def scaled(self, factor: int) -> Reference:
        """Of a finer map: as many cells, each of more pixels."""
        finer = Extent(self.canvas.h * factor, self.canvas.w * factor)
        return Reference(self.rows * factor, self.cols * factor, None, finer, self.offset, self.frame)
