"""ElasticDiffusion (arXiv 2311.18822): tiles give the texture, and a small picture of the whole gives the structure.

Tiles are evaluated without the prompt. What the prompt adds comes from the canvas shrunk to the size that the model
was trained on (see engine/structure.py), so that it draws one large picture, and not many small ones side by side.
"""

from __future__ import annotations

from tiled_diffusion.engine.geometry import check_axis
from tiled_diffusion.engine.windows import AxisTiles, normalised, uniform

from .cells import flat_cells, ring_cells
from .method import Method


def axis(length: int, tile: int, overlap: int, ring: bool, draw: float) -> AxisTiles:  # noqa: ARG001 the cells stand still
    """Disjoint cells of equal length, each drawn by a tile that sees half the overlap on either side of it."""
    check_axis(length, tile, overlap)
    if ring:
        tile = min(tile, length)
        n = max(2, -(-length // max(1, tile - overlap))) if length > 1 else 1
        return ring_cells(length, tile, [i * length // n for i in range(n)], feather=0)
    if tile >= length:
        return AxisTiles((0,), length, lambda: normalised(length, (0,), [uniform(length)]))
    n = -(-length // (tile - overlap))
    return flat_cells(length, tile, [i * length // n for i in range(1, n)], feather=0)


METHOD = Method(
    axis=axis,
    overlap=lambda tile: tile // 2,
    moves=True,
    structure=True,
)
