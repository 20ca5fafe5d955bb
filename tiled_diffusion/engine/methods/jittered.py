"""Jittered tiles: a small feathered overlap on a grid that is drawn anew at every step.

Between MultiDiffusion and SpotDiffusion: tiles overlap by a few pixels only, as far as the feather needs it, and the
cuts between them move from step to step within the room that the tiles leave, so that no border is seen twice at the
same place. On a ring the whole grid turns freely.
"""

from __future__ import annotations

from tiled_diffusion.engine.geometry import check_axis
from tiled_diffusion.engine.windows import AxisTiles, normalised, uniform

from .cells import flat_cells, ring_cells
from .method import Method


def most_overlap(tile: int) -> int:
    """The largest overlap: beyond half a tile the cuts would have no room to move in."""
    return tile // 2


def axis(length: int, tile: int, overlap: int, ring: bool, draw: float) -> AxisTiles:
    """As many tiles as leave the cuts at least an eighth of a tile to move in.

    All inner cells are as long as a tile allows (tile - overlap); the first cell's length follows the draw.
    """
    check_axis(length, tile, overlap, most_overlap(tile))
    if ring:
        return _ring_axis(length, min(tile, length), overlap, draw)
    if tile >= length:
        return AxisTiles((0,), length, lambda: normalised(length, (0,), [uniform(length)]))
    inner, half = tile - overlap, overlap - overlap // 2
    longest = tile - half  # of the first and the last cell, which have a soft edge on one side only
    room = min(tile // 8, inner)
    n = max(2, -(-(length - 2 * longest + room) // inner) + 2)
    low = max(half, length - (n - 2) * inner - longest)
    high = min(longest, length - (n - 2) * inner - half)
    first = low + int(draw * (high - low + 1))
    return flat_cells(length, tile, [first + i * inner for i in range(n - 1)], overlap)


def _ring_axis(length: int, tile: int, overlap: int, draw: float) -> AxisTiles:
    overlap = min(overlap, tile // 2)
    n = max(2, -(-length // (tile - overlap))) if length > 1 else 1
    offset = int(draw * length)
    return ring_cells(length, tile, [offset + i * length // n for i in range(n)], overlap)


METHOD = Method(
    axis=axis,
    overlap=lambda tile: min(max(6, tile // 12), tile // 2),
    moves=True,
    most_overlap=most_overlap,
)
