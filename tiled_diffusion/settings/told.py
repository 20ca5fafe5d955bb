"""What a model is told of a tile beside its text: its size (SDXL), and its place (SD 3 and Flux)."""

from __future__ import annotations

from .kinds import Choice, Choices

TOLD_SIZES = Choices((
    Choice("canvas", "Whole canvas", "An SDXL model is told the size of the whole canvas."),
    Choice("tile", "Each tile", "An SDXL model is told the size and place of each tile."),
))  # fmt: skip
POSITIONS = Choices((
    Choice("tile", "In each tile", "For SD 3 and Flux each tile is a picture of its own."),
    Choice("canvas", "In the whole canvas", "SD 3 and Flux are told where in the whole picture a tile lies."),
))  # fmt: skip
