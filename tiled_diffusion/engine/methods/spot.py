"""SpotDiffusion (arXiv 2407.15507): tiles that do not overlap, on a grid that jumps at every step.

On a ring this is the paper's rolled canvas, rolled back. On a flat axis no tile joins the two ends: the first and the
last cell are cut short, and their tiles lie flush with the border, so that they see as much as all others.
"""

from __future__ import annotations

from tiled_diffusion.engine.windows import AxisTiles, normalised, uniform

from .cells import flat_cells, ring_cells
from .method import Method


def axis(length: int, tile: int, overlap: int, ring: bool, draw: float) -> AxisTiles:  # noqa: ARG001 cells do not overlap
    """Disjoint cells of one tile each, shifted by `draw` tiles."""
    if ring:
        tile = min(tile, length)
        n = max(2, -(-length // tile)) if length > 1 else 1
        offset = int(draw * length)
        return ring_cells(length, tile, [offset + i * length // n for i in range(n)], feather=0)
    if tile >= length:
        return AxisTiles((0,), length, lambda: normalised(length, (0,), [uniform(length)]))
    shift = int(draw * tile)
    return flat_cells(length, tile, list(range(shift or tile, length, tile)), feather=0)


METHOD = Method(
    axis=axis,
    overlap=lambda tile: 0,  # noqa: ARG005 the table gives every method the tile
    moves=True,
)
