"""What a method is: a layout of tiles along one axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tiled_diffusion.engine.windows import AxisTiles

AxisLayout = Callable[[int, int, int, bool, float], AxisTiles]
"""(length, tile, overlap, ring, draw) -> tiles. Lengths in latent pixels; `draw`, in [0, 1), is new at every step
and axis."""


@dataclass(frozen=True)
class Method:
    """One way to fuse tiles.

    Attributes:
        axis: the layout along one axis; the canvas is the product of two.
        overlap: default overlap in latent pixels for a tile length in latent pixels.
        moves: whether the layout changes from step to step.
        most_overlap: the largest overlap in lp for a tile length in lp.
        structure: whether tiles are drawn without the prompt, whose part comes from a small picture of the whole.
    """

    axis: AxisLayout
    overlap: Callable[[int], int]
    moves: bool = False
    most_overlap: Callable[[int], int] = lambda tile: tile - 1
    structure: bool = False
