"""Boxes, sizes and rows of tiles: where each tile of a canvas lies.

All coordinates are latent pixels. A canvas axis may be a ring: then a box may reach past the end of the axis,
and the part beyond it is the beginning of the axis again.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError


class Extent(NamedTuple):
    """Height and width of a canvas or tile."""

    h: int
    w: int


class Box(NamedTuple):
    """A rectangle with its upper left corner at (y, x), h rows high and w columns wide."""

    y: int
    x: int
    h: int
    w: int

    @property
    def extent(self) -> Extent:
        """Height and width."""
        return Extent(self.h, self.w)

    def moved(self, dy: int, dx: int) -> Box:
        """The box shifted by dy rows and dx columns."""
        return Box(self.y + dy, self.x + dx, self.h, self.w)

    def scaled(self, factor: int) -> Box:
        """The same box in units that are `factor` times finer, such as image pixels."""
        return Box(self.y * factor, self.x * factor, self.h * factor, self.w * factor)

    @property
    def box(self) -> Box:
        """Itself: the commonest view (see view.py)."""
        return self

    def rows_of(self, images: int) -> int:
        """Rows that it reads of a batch: one of each picture."""
        return images

    def on(self, device: torch.device) -> Box:  # noqa: ARG002 it has no tensors
        """Itself: it is the same everywhere."""
        return self

    def gather(self, x: Tensor) -> Tensor:
        """What lies in it of [..., H, W]: a slice; what reaches past the end is the beginning again, in a copy."""
        h, w = x.shape[-2:]
        if self.y + self.h <= h and self.x + self.w <= w:
            return x[..., self.y : self.y + self.h, self.x : self.x + self.w]
        rows, cols = (torch.arange(n, device=x.device) for n in (self.h, self.w))
        return x[..., ((rows + self.y) % h)[:, None], (cols + self.x) % w]

    def scatter_add(self, total: Tensor, part: Tensor, weight: Tensor) -> None:
        """Adds part [..., h, w] times weight [h, w] to total [..., H, W] in place."""
        h, w = total.shape[-2:]
        if self.y + self.h <= h and self.x + self.w <= w:
            self.gather(total).add_(part * weight.to(total))
        else:
            rows, cols = ((torch.arange(self.h) + self.y) % h)[:, None], (torch.arange(self.w) + self.x) % w
            add_at(total, rows * w + cols, part * weight.to(total))


def add_at(total: Tensor, place: Tensor, part: Tensor) -> None:
    """Adds part [..., h, w] to total [..., H, W], contiguous, at places y W + x, [h, w]; repeats add up."""
    flat = total.view(-1, total.shape[-2] * total.shape[-1])
    flat.index_add_(1, place.flatten().to(total.device), part.to(total.dtype).reshape(flat.shape[0], -1))


def check_axis(length: int, tile: int, overlap: int, most: int | None = None, *, px: int | None = None) -> None:
    """Refuses numbers that make no sense on one axis.

    Args:
        length: of the axis, latent pixels.
        tile: latent pixels.
        overlap: latent pixels.
        most: the largest overlap that the method can do; by default one less than the tile.
        px: image pixels of a latent pixel; where it is given, the message speaks in them.

    Raises:
        TiledError: length or tile below 1, a negative overlap, or, where more than one tile is needed, an overlap that
            is too large; the message says the largest one that fits.
    """
    if length < 1:
        raise TiledError(f"the canvas must be at least 1 latent pixel long, got {length}")
    if tile < 1:
        raise TiledError(f"the tile must be at least 1 latent pixel long, got {tile}")
    if overlap < 0:
        raise TiledError(f"the overlap must be 0 or more, got {overlap}")
    most = tile - 1 if most is None else most
    if tile < length and overlap > most:
        got, of, fits = (f"{n} latent px" if px is None else f"{n * px} px" for n in (overlap, tile, most))
        raise TiledError(
            f"the overlap is too large: got {got}, and for a tile of {of} the largest one that fits is {fits}"
        )


def flat_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Starts of the fewest tiles that cover an axis with neighbours sharing at least `overlap` latent pixels.

    Evenly spread, the first at 0 and the last flush with the end. A tile at least as long as the axis gives (0,).
    Steps between starts are at most ceil((length - tile) / (n - 1)) <= tile - overlap, hence the overlap holds after
    rounding too.
    """
    check_axis(length, tile, overlap)
    if tile >= length:
        return (0,)
    n = -(-(length - overlap) // (tile - overlap))
    return tuple(i * (length - tile) // (n - 1) for i in range(n))


def ring_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Starts of the fewest tiles that cover a ring with neighbours sharing at least `overlap` latent pixels.

    At least two tiles, even where one would be long enough: a single tile would leave its two ends, which meet on the
    ring, without a common prediction.
    """
    check_axis(length, tile, overlap)
    tile = min(tile, length)
    step = max(1, tile - min(overlap, length // 2 if tile == length else overlap))
    n = max(2, -(-length // step)) if length > 1 else 1
    return tuple(i * length // n for i in range(n))
