"""How the things that stand, swim or fly are painted."""

from __future__ import annotations

from training.dataset.canvas import Canvas
from training.dataset.colours import Rgb, mix
from training.dataset.scenes import Thing

SHADE = (30, 26, 40)


def _lit_window(canvas: Canvas, unlit: Rgb) -> Rgb:
    """Windows shine at night and at sunset."""
    return (255, 230, 120) if canvas.scene["sky"] in ("night", "sunset") else unlit


def paint_house(canvas: Canvas, thing: Thing) -> None:
    """A wall, a roof, a window and a door."""
    x, y, w, h, colour = canvas.box(thing)
    roof = mix(colour, (40, 24, 30), 0.42) if thing["colour"] != "white" else canvas.on_object((150, 70, 62))
    window = _lit_window(canvas, (216, 238, 250))
    canvas.shadow(x, y, w)
    canvas.pen.rectangle((x - w * 0.42, y - h * 0.58, x + w * 0.42, y), fill=colour)
    canvas.pen.polygon([(x - w * 0.52, y - h * 0.56), (x, y - h), (x + w * 0.52, y - h * 0.56)], fill=roof)
    canvas.pen.rectangle((x - w * 0.30, y - h * 0.44, x - w * 0.10, y - h * 0.22), fill=window)
    canvas.pen.rectangle((x + w * 0.08, y - h * 0.36, x + w * 0.28, y), fill=canvas.on_object((96, 62, 44)))


def paint_tree(canvas: Canvas, thing: Thing) -> None:
    """A trunk and a round crown."""
    x, y, w, h, colour = canvas.box(thing)
    canvas.shadow(x, y, w * 0.7)
    canvas.pen.rectangle((x - w * 0.08, y - h * 0.45, x + w * 0.08, y), fill=canvas.on_object((112, 76, 48)))
    canvas.ellipse(x, y - h * 0.66, w * 0.46, h * 0.34, mix(colour, (20, 30, 30), 0.18))
    canvas.ellipse(x - w * 0.08, y - h * 0.70, w * 0.36, h * 0.27, colour)


def paint_tower(canvas: Canvas, thing: Thing) -> None:
    """A shaft, a gallery, a roof and two windows."""
    x, y, w, h, colour = canvas.box(thing)
    shaft = [(x - w * 0.44, y), (x - w * 0.34, y - h * 0.80), (x + w * 0.34, y - h * 0.80), (x + w * 0.44, y)]
    dark = mix(colour, SHADE, 0.45)
    window = _lit_window(canvas, mix(colour, (20, 24, 50), 0.6))
    canvas.shadow(x, y, w)
    canvas.pen.polygon(shaft, fill=colour)
    canvas.pen.rectangle((x - w * 0.46, y - h * 0.86, x + w * 0.46, y - h * 0.78), fill=dark)
    canvas.pen.polygon([(x - w * 0.42, y - h * 0.85), (x, y - h), (x + w * 0.42, y - h * 0.85)], fill=dark)
    for height in (0.62, 0.36):
        low, high = y - h * height - 3 * canvas.unit, y - h * height + 3 * canvas.unit
        canvas.pen.rectangle((x - w * 0.12, low, x + w * 0.12, high), fill=window)


def paint_cactus(canvas: Canvas, thing: Thing) -> None:
    """A stem and two arms."""
    x, y, w, h, colour = canvas.box(thing)
    half = w * 0.15
    canvas.shadow(x, y, w * 0.6)
    for side, low, high in ((-1, 0.42, 0.72), (1, 0.30, 0.62)):
        arm = x + side * w * 0.40
        upright = (arm - half * 0.8, y - h * high, arm + half * 0.8, y - h * low + half * 0.8)
        across = (min(x, arm), y - h * low - half * 0.6, max(x, arm), y - h * low + half * 0.8)
        canvas.pen.rounded_rectangle(upright, half * 0.7, fill=colour)
        canvas.pen.rectangle(across, fill=colour)
    canvas.pen.rounded_rectangle((x - half, y - h, x + half, y), half * 0.9, fill=mix(colour, (255, 255, 255), 0.06))


def paint_boat(canvas: Canvas, thing: Thing) -> None:
    """A hull, a mast and two sails."""
    x, y, w, h, colour = canvas.box(thing)
    sail = canvas.on_object((250, 248, 240) if thing["colour"] != "white" else (236, 232, 222))
    hull = [(x - w * 0.50, y - h * 0.24), (x + w * 0.50, y - h * 0.24), (x + w * 0.34, y), (x - w * 0.34, y)]
    main = [(x + w * 0.06, y - h * 0.98), (x + w * 0.06, y - h * 0.32), (x + w * 0.44, y - h * 0.32)]
    fore = [(x - w * 0.06, y - h * 0.86), (x - w * 0.06, y - h * 0.32), (x - w * 0.36, y - h * 0.32)]
    canvas.ellipse(x, y, w * 0.5, 2 * canvas.unit, canvas.on_ground((14, 60, 120)))
    canvas.pen.polygon(hull, fill=colour)
    canvas.pen.line((x, y - h * 0.2, x, y - h), fill=canvas.on_object((110, 78, 52)), width=canvas.unit * 2)
    canvas.pen.polygon(main, fill=sail)
    canvas.pen.polygon(fore, fill=mix(sail, (150, 160, 180), 0.2))


def paint_balloon(canvas: Canvas, thing: Thing) -> None:
    """An envelope with a bright stripe, ropes and a basket."""
    x, y, w, h, colour = canvas.box(thing)
    middle, rx, ry = y - h * 0.10, w * 0.5, h * 0.40
    ropes = [
        (x - rx * 0.86, middle + ry * 0.45),
        (x + rx * 0.86, middle + ry * 0.45),
        (x + w * 0.12, y + h * 0.42),
        (x - w * 0.12, y + h * 0.42),
    ]
    basket = (x - w * 0.13, y + h * 0.44, x + w * 0.13, y + h * 0.60)
    canvas.pen.polygon(ropes, fill=mix(colour, SHADE, 0.18))
    canvas.ellipse(x, middle, rx, ry, mix(colour, SHADE, 0.10))
    canvas.ellipse(x, middle, rx * 0.55, ry, mix(colour, (255, 255, 255), 0.14))
    canvas.pen.rectangle(basket, fill=canvas.on_object((128, 84, 48)))


THING_PAINTERS = {
    "house": paint_house,
    "tree": paint_tree,
    "tower": paint_tower,
    "cactus": paint_cactus,
    "boat": paint_boat,
    "balloon": paint_balloon,
}
