"""Mixture of Diffusers (arXiv 2302.02412): tiles weighted by a gaussian, so that each rules around its middle."""

from __future__ import annotations

from tiled_diffusion.engine.geometry import flat_starts, ring_starts
from tiled_diffusion.engine.windows import AxisTiles, gaussian, normalised

from .method import Method


def axis(length: int, tile: int, overlap: int, ring: bool, draw: float) -> AxisTiles:  # noqa: ARG001 the grid stands still
    """Evenly spread tiles with gaussian weights."""
    starts = (ring_starts if ring else flat_starts)(length, tile, overlap)
    tile = min(tile, length)
    return AxisTiles(starts, tile, lambda: normalised(length, starts, [gaussian(tile)] * len(starts)))


METHOD = Method(
    axis=axis,
    overlap=lambda tile: tile // 3,
)
