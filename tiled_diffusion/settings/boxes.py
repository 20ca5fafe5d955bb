"""Boxes on the canvas, in fractions of it."""

from __future__ import annotations

from typing import Protocol

from tiled_diffusion.errors import SettingsError

from .kinds import Number

FRACTION = Number(0, 1)
SIDE = Number(1e-4, 1)


class FractionBox(Protocol):
    """Left and upper edge, width and height, in fractions of the canvas."""

    @property
    def x(self) -> float:
        """Left edge."""

    @property
    def y(self) -> float:
        """Upper edge."""

    @property
    def w(self) -> float:
        """Width."""

    @property
    def h(self) -> float:
        """Height."""


def check_box(box: FractionBox) -> None:
    """Raises SettingsError unless a box lies within the canvas."""
    for name, size, start in (("w", box.w, box.x), ("h", box.h, box.y)):
        if start + size > 1.0001:
            allowed = f"at most {1 - start:g}, so that it ends within the canvas"
            raise SettingsError(f"{name}: got {size:g}, allowed is {allowed}")
