"""The drawing that the demo's ControlNet picture is made from: white lines on black, as by a pen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

Line = Sequence[tuple[float, float]]

SIZE = (1024, 256)
HORIZON = 150


def drawing() -> Image.Image:
    """Mountains behind a meadow with houses, trees and a tower; 1024 x 256 pixels."""
    image = Image.new("RGB", SIZE, "black")
    pen = ImageDraw.Draw(image)
    for line in (_mountains(), [(0, HORIZON), (SIZE[0], HORIZON)], *_things()):
        pen.line([tuple(p) for p in line], fill="white", width=1)
    return image


def _mountains() -> Line:
    """A ragged crest: three waves that do not fit into each other."""
    return [
        (x, 116 + 14 * math.sin(x / 61) + 9 * math.sin(x / 23 + 1) + (7 if k % 2 else -7))
        for k, x in enumerate(range(0, SIZE[0] + 12, 12))
    ]


def _things() -> list[Line]:
    lines: list[Line] = []
    for x, y, size in ((110, 214, 48), (610, 206, 44), (885, 220, 52)):
        lines += _house(x, y, size)
    for x, y, size in ((215, 204, 46), (290, 232, 60), (505, 218, 52), (700, 236, 60), (960, 208, 44)):
        lines += _tree(x, y, size)
    lines += _tower(410, 218, 74)
    return lines


def _circle(x: float, y: float, radius: float) -> Line:
    return [(x + radius * math.cos(a * math.pi / 24), y + radius * math.sin(a * math.pi / 24)) for a in range(49)]


def _box(x: float, y: float, width: float, height: float) -> Line:
    """A rectangle that stands on the point (x, y)."""
    left, right, top = x - width / 2, x + width / 2, y - height
    return [(left, y), (left, top), (right, top), (right, y), (left, y)]


def _house(x: float, y: float, size: float) -> list[Line]:
    wall, half = size * 0.55, size * 0.5
    roof = [(x - half * 1.15, y - wall), (x, y - size), (x + half * 1.15, y - wall), (x - half * 1.15, y - wall)]
    return [_box(x, y, size, wall), roof, _box(x, y, size * 0.2, wall * 0.6)]


def _tree(x: float, y: float, size: float) -> list[Line]:
    return [_box(x, y, size * 0.14, size * 0.42), _circle(x, y - size * 0.66, size * 0.32)]


def _tower(x: float, y: float, size: float) -> list[Line]:
    width = size * 0.3
    roof = [(x - width * 0.7, y - size * 0.72), (x, y - size), (x + width * 0.7, y - size * 0.72)]
    return [_box(x, y, width, size * 0.72), [*roof, roof[0]], _box(x, y - size * 0.45, width * 0.3, size * 0.12)]
