"""How each ground is painted, from far to near."""

from __future__ import annotations

import numpy as np

from training.dataset.canvas import Canvas
from training.dataset.colours import Rgb, mix


def paint_grass(canvas: Canvas) -> None:
    """A bright ridge and two hills."""
    canvas.below(canvas.wave_line(canvas.horizon - 4 * canvas.unit, 5 * canvas.unit), canvas.on_ground((150, 206, 120)))
    canvas.gradient_ground(canvas.wave_line(canvas.horizon, 2 * canvas.unit))
    canvas.hills([(0.38, 0.55), (0.72, 0.95)], 3)


def paint_sand(canvas: Canvas) -> None:
    """Dunes."""
    canvas.below(canvas.wave_line(canvas.horizon - 4 * canvas.unit, 5 * canvas.unit), canvas.on_ground((234, 204, 140)))
    canvas.gradient_ground(canvas.wave_line(canvas.horizon, 2 * canvas.unit))
    canvas.hills([(0.36, 0.45), (0.70, 0.85)], 4)


def paint_snow(canvas: Canvas) -> None:
    """Smoother than the others."""
    canvas.below(canvas.wave_line(canvas.horizon - 4 * canvas.unit, 5 * canvas.unit), canvas.on_ground((222, 234, 248)))
    canvas.gradient_ground(canvas.wave_line(canvas.horizon, 2 * canvas.unit), 2.0)
    canvas.hills([(0.40, 0.30), (0.74, 0.75)], 3)


def paint_sea(canvas: Canvas) -> None:
    """Level, with bright dashes for waves."""
    r = canvas.random
    canvas.gradient_ground(canvas.level(), 3.0)
    for _ in range(int(20 * canvas.width / (128 * canvas.unit))):
        y = r.uniform(canvas.horizon + 6 * canvas.unit, canvas.height - 3)
        w = r.uniform(6, 14) * canvas.unit
        x = r.uniform(-w, canvas.width)
        canvas.pen.line((x, y, x + w, y), fill=canvas.on_ground((150, 204, 236)), width=canvas.unit + 1)


def paint_lavender(canvas: Canvas) -> None:
    """Rows that grow wider towards the lower edge."""
    canvas.below(canvas.wave_line(canvas.horizon - 3 * canvas.unit, 4 * canvas.unit), canvas.on_ground((120, 170, 100)))
    canvas.gradient_ground(canvas.level(), 4.0)
    y, row = canvas.horizon + 3 * canvas.unit, 3.0 * canvas.unit
    while y < canvas.height:
        nearness = (y - canvas.horizon) / (canvas.height - canvas.horizon + 1)
        colour = canvas.on_ground(mix((132, 88, 184), (86, 52, 140), nearness))
        canvas.pen.line((0, y, canvas.width, y), fill=colour, width=int(row * 0.5))
        y += row * 1.6
        row *= 1.25


def _peak(canvas: Canvas, x: float, w: float, h: float, colour: Rgb, snow: bool) -> None:
    """One mountain around x: a lit and a dark side, and snow on top."""
    top, foot = canvas.horizon - h, canvas.horizon + 4
    dark = canvas.on_ground(mix(colour, (60, 66, 96), 0.3))
    canvas.pen.polygon([(x - w, foot), (x, top), (x + w, foot)], fill=canvas.on_ground(colour))
    canvas.pen.polygon([(x, top), (x + w, foot), (x + w * 0.2, foot)], fill=dark)
    if snow:
        cap = 0.30
        edge = [
            (x - w * cap, top + h * cap),
            (x, top),
            (x + w * cap, top + h * cap),
            (x + w * 0.1, top + h * cap * 0.75),
            (x - w * 0.1, top + h * cap * 1.1),
        ]
        canvas.pen.polygon(edge, fill=canvas.on_ground((246, 248, 255)))


def paint_mountains(canvas: Canvas) -> None:
    """High ones with snow behind lower ones."""
    r = canvas.random
    for low, high, colour, snow in ((30, 46, (126, 136, 172), True), (16, 28, (96, 110, 142), False)):
        x = -r.uniform(0, 40) * canvas.unit
        while x < canvas.width + 20 * canvas.unit:
            w, h = r.uniform(26, 40) * canvas.unit, r.uniform(low, high) * canvas.unit
            _peak(canvas, x + w * 0.5, w, h, colour, snow)
            x += w * r.uniform(0.8, 1.1)
    canvas.gradient_ground(canvas.wave_line(canvas.horizon, 2 * canvas.unit))
    canvas.hills([(0.5, 0.7)], 3)


def paint_forest(canvas: Canvas) -> None:
    """Two rows of firs."""
    r = canvas.random
    for low, high, colour in ((22, 34, (52, 104, 74)), (16, 24, (30, 76, 50))):
        x = -r.uniform(0, 8) * canvas.unit
        while x < canvas.width + 8 * canvas.unit:
            w, h = r.uniform(10, 14) * canvas.unit, r.uniform(low, high) * canvas.unit
            top = canvas.horizon + 3 * canvas.unit - h
            for tier in (0.0, 0.28, 0.55):
                y0, y1, half = top + h * tier, top + h * min(1, tier + 0.5), w * (0.34 + tier * 0.7) * 0.8
                canvas.pen.polygon([(x - half, y1), (x, y0), (x + half, y1)], fill=canvas.on_ground(colour))
            x += w * r.uniform(0.75, 0.95)
    canvas.gradient_ground(canvas.wave_line(canvas.horizon + 2 * canvas.unit, 1 * canvas.unit))
    canvas.hills([(0.5, 0.6)], 3)


def _building(canvas: Canvas, x: float, w: float, h: float, colour: Rgb) -> None:
    """A block from x on, with two columns of windows that are lit at night."""
    unit = canvas.unit
    lit = canvas.scene["sky"] == "night"
    window = (252, 226, 120) if lit else mix(colour, (235, 242, 250), 0.55)
    canvas.pen.rectangle((x, canvas.horizon - h, x + w, canvas.horizon + 2), fill=colour)
    for y in np.arange(canvas.horizon - h + 3 * unit, canvas.horizon - 4 * unit, 7 * unit):
        for column in (0.28, 0.72):
            middle = x + w * column
            canvas.pen.rectangle((middle - 1.6 * unit, y, middle + 1.6 * unit, y + 3.4 * unit), fill=window)


def paint_city(canvas: Canvas) -> None:
    """Two rows of blocks behind a street with a dashed line."""
    r, unit = canvas.random, canvas.unit
    for low, high, base in ((30, 50, (150, 158, 180)), (16, 32, (112, 118, 142))):
        x = -r.uniform(0, 16) * unit
        while x < canvas.width:
            w, h = r.uniform(14, 20) * unit, r.uniform(low, high) * unit
            _building(canvas, x, w, h, canvas.on_ground(mix(base, (190, 150, 130), r.choice([0, 0, 0.45]))))
            x += w + r.uniform(0, 1.5) * unit
    canvas.gradient_ground(canvas.level(), 2.0)
    y = canvas.horizon + (canvas.height - canvas.horizon) * 0.55
    for x in range(int(-r.uniform(0, 20)), canvas.width, 22 * unit):
        canvas.pen.rectangle((x, y, x + 11 * unit, y + 2 * unit), fill=canvas.on_ground((228, 228, 220)))


GROUND_PAINTERS = {
    "grass": paint_grass,
    "sand": paint_sand,
    "snow": paint_snow,
    "sea": paint_sea,
    "city": paint_city,
    "forest": paint_forest,
    "mountains": paint_mountains,
    "lavender": paint_lavender,
}
