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


def check_box(box: FractionBox, name: str = "", wrap_x: bool = False, wrap_y: bool = False) -> None:
    """Raises SettingsError unless a box, in fractions, lies within the canvas; on a ring it may reach past the end."""
    for side, size, start, ring, axis in (("w", box.w, box.x, wrap_x, "wrap_x"), ("h", box.h, box.y, wrap_y, "wrap_y")):
        if start + size > 1.0001 and not ring:
            allowed = f"at most {1 - start:g}, so that it ends within the canvas (on a ring, {axis}, it may go on)"
            raise SettingsError(f"{name}{side}: got {size:g}, allowed is {allowed}")
