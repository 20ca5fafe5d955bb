"""Layouts that cut an axis into cells, each drawn by one tile that sees a little more than its cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tiled_diffusion.engine.windows import AxisTiles, cell, normalised


def flat_cells(length: int, tile: int, cuts: Sequence[int], feather: int) -> AxisTiles:
    """Tiles for the cells between the given inner cuts of a flat axis.

    Each tile is centred on its cell as far as the ends of the axis allow. A cell and half the feather on either side
    must fit into a tile.
    """
    edges = [0, *cuts, length]
    starts, windows = [], []
    for begin, end in pairwise(edges):
        start = max(0, min((begin + end - tile) // 2, length - tile))
        starts.append(start)
        inner_begin = begin - start if begin > 0 else None
        inner_end = end - start if end < length else None
        windows.append(cell(tile, inner_begin, inner_end, feather))
    return AxisTiles(tuple(starts), tile, normalised(length, starts, windows))


def ring_cells(length: int, tile: int, edges: Sequence[int], feather: int) -> AxisTiles:
    """Tiles for the cells between the given edges (ascending, less than one turn apart) of a ring."""
    starts, windows = [], []
    for begin, end in zip(edges, [*edges[1:], edges[0] + length], strict=True):
        start = (begin + end - tile) // 2
        starts.append(start % length)
        windows.append(cell(tile, begin - start, end - start, feather))
    return AxisTiles(tuple(starts), tile, normalised(length, starts, windows))
