"""Layouts that cut an axis into cells, each drawn by one tile that sees a little more than its cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tiled_diffusion.engine.windows import AxisTiles, Weights, cell, normalised


def flat_cells(length: int, tile: int, cuts: Sequence[int], feather: int) -> AxisTiles:
    """Tiles for the cells between the given inner cuts of a flat axis.

    Each tile is centred on its cell as far as the ends of the axis allow. A cell and half the feather on either side
    must fit into a tile.
    """
    cells = list(pairwise([0, *cuts, length]))
    starts = tuple(max(0, min((begin + end - tile) // 2, length - tile)) for begin, end in cells)

    def weights() -> Weights:
        windows = [
            cell(tile, begin - s if begin > 0 else None, end - s if end < length else None, feather)
            for s, (begin, end) in zip(starts, cells, strict=True)
        ]
        return normalised(length, starts, windows)

    return AxisTiles(starts, tile, weights)


def ring_cells(length: int, tile: int, edges: Sequence[int], feather: int) -> AxisTiles:
    """Tiles for the cells between the given edges (ascending, less than one turn apart) of a ring."""
    cells = list(zip(edges, [*edges[1:], edges[0] + length], strict=True))
    starts = tuple((begin + end - tile) // 2 for begin, end in cells)

    def weights() -> Weights:
        windows = [cell(tile, begin - s, end - s, feather) for s, (begin, end) in zip(starts, cells, strict=True)]
        return normalised(length, [s % length for s in starts], windows)

    return AxisTiles(tuple(s % length for s in starts), tile, weights)
