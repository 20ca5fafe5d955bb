"""Weight of each pixel along one axis of a tile, before and after normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]

GAUSSIAN_WIDTH = 0.1
"""Standard deviation of the gaussian window in tile lengths: variance 0.01 in Mixture of Diffusers, section 3."""
LEAST_GAUSSIAN_WIDTH = 4.0
"""Standard deviation of the gaussian window of small tiles, latent pixels."""


@dataclass(frozen=True)
class AxisTiles:
    """The tiles of one axis.

    Attributes:
        starts: first pixel of each tile; on a ring a tile may reach past the end.
        tile: length of every tile.
        weigh: makes the weights; they are not needed to count tiles.
    """

    starts: tuple[int, ...]
    tile: int
    weigh: Callable[[], Weights]

    @cached_property
    def weights(self) -> Weights:
        """[n, tile], normalised: at every pixel of the axis the weights of the tiles that cover it sum to 1."""
        return self.weigh()

    def scaled(self, unit: int) -> AxisTiles:
        """The same tiles, where what was a pixel is `unit` pixels."""
        if unit == 1:
            return self
        starts = tuple(start * unit for start in self.starts)
        return AxisTiles(starts, self.tile * unit, lambda: np.repeat(self.weights, unit, axis=1))


def uniform(tile: int) -> Weights:
    """1 everywhere (MultiDiffusion, arXiv 2302.08113, eq. 5 with W = 1)."""
    return np.ones(tile)


def gaussian(tile: int) -> Weights:
    """exp(-(i - m)^2 / (2 s^2)), m = (tile - 1) / 2, s = 0.1 tile (Mixture of Diffusers, arXiv 2302.02412).

    Symmetric, and each axis by its own length. Ends are exp(-12.5) = 3.7e-6 of the middle, so that corners stay far
    above what float32 can hold. In tiles of less than 40 latent pixels the paper's s would make neighbours change over
    within a pixel or two, which can be seen as a line: there s is 4 latent pixels, though at most a sixth of the tile
    (ends exp(-4.5) = 0.011).
    """
    s = max(GAUSSIAN_WIDTH * tile, min(LEAST_GAUSSIAN_WIDTH, tile / 6))
    offset = np.arange(tile) - (tile - 1) / 2
    return np.asarray(np.exp(-(offset**2) / (2 * s**2)), dtype=np.float64)


RISES: dict[str, Callable[[Weights], Weights]] = {
    "smooth": lambda t: 0.5 - 0.5 * np.cos(math.pi * t),
    "linear": lambda t: t,
    "quadratic": lambda t: t**2,
}
"""How a soft edge goes from 0 to 1 while t does: half a cosine, a line, a parabola."""


def ramp(position: npt.NDArray[np.floating], width: float, shape: str = "smooth") -> Weights:
    """From 0 to 1 over `width` pixels around position 0, in one of RISES; a step where width is 0."""
    if width < 1e-6:
        return (position >= 0).astype(np.float64)
    return np.asarray(RISES[shape](np.clip(position / width + 0.5, 0.0, 1.0)), dtype=np.float64)


def cell(tile: int, begin: float | None, end: float | None, feather: float, shape: str = "smooth") -> Weights:
    """1 between `begin` and `end` (pixel edges within the tile), soft over `feather` pixels around both.

    None: the weight reaches to that end of the tile without a soft edge.
    """
    centre: Weights = np.arange(tile, dtype=np.float64) + 0.5
    w: Weights = np.ones(tile)
    if begin is not None:
        w = w * ramp(centre - begin, feather, shape)
    if end is not None:
        w = w * ramp(end - centre, feather, shape)
    return w


def normalised(length: int, starts: Sequence[int], windows: Sequence[Weights]) -> Weights:
    """Divides by the sum over all tiles at each pixel of the (ring) axis, in float64.

    Where one tile alone has a weight the result is exactly 1.

    Raises:
        ValueError: a pixel that no tile gives a weight to: the method's layout is wrong.
    """
    total = np.zeros(length)
    places = [(np.arange(len(w)) + s) % length for s, w in zip(starts, windows, strict=True)]
    for place, w in zip(places, windows, strict=True):
        np.add.at(total, place, w)
    if not (total > 0).all():
        raise ValueError(f"pixel {int(np.argmin(total))} of the axis has no tile")
    return np.stack([w / total[place] for place, w in zip(places, windows, strict=True)])
