"""MultiDiffusion (arXiv 2302.08113): the plain mean of all tiles that cover a pixel."""

from __future__ import annotations

from tiled_diffusion.engine.geometry import flat_starts, ring_starts
from tiled_diffusion.engine.windows import AxisTiles, normalised, uniform

from .method import Method


def axis(length: int, tile: int, overlap: int, ring: bool, draw: float) -> AxisTiles:  # noqa: ARG001 the grid stands still
    """Evenly spread tiles of equal weight."""
    starts = (ring_starts if ring else flat_starts)(length, tile, overlap)
    tile = min(tile, length)
    return AxisTiles(starts, tile, lambda: normalised(length, starts, [uniform(tile)] * len(starts)))


METHOD = Method(
    axis=axis,
    overlap=lambda tile: tile // 2,
)
