"""How stars, clouds, sun and moon are painted."""

from __future__ import annotations

from training.dataset.canvas import Canvas
from training.dataset.colours import mix
from training.dataset.scenes import SIZES, Thing

CLOUD_COLOURS = {
    "day": (250, 252, 255),
    "sunset": (255, 170, 130),
    "storm": (84, 88, 100),
    "dawn": (255, 226, 232),
}


def paint_stars(canvas: Canvas) -> None:
    """On night skies."""
    r = canvas.random
    if canvas.scene["sky"] != "night":
        return
    for _ in range(int(r.randint(9, 16) * canvas.width / (128 * canvas.unit))):
        radius = r.uniform(1.2, 2.0)
        x, y = r.uniform(0, canvas.width), r.uniform(0, canvas.horizon * 0.85)
        canvas.ellipse(x, y, radius, radius, (232, 232, 216))


def paint_clouds(canvas: Canvas) -> None:
    """On all skies but night; how many changes with the weather."""
    r, sky = canvas.random, canvas.scene["sky"]
    counts = {  # all are drawn, whatever the sky: the picture of a seed must stay what it was
        "day": r.choice([0, 1, 2]),
        "sunset": r.choice([0, 1]),
        "night": 0,
        "storm": r.choice([3, 4]),
        "dawn": r.choice([0, 1]),
    }
    for _ in range(int(counts[sky] * canvas.width / (128 * canvas.unit) + 0.5)):
        w = r.uniform(16, 26) * canvas.unit * (1.5 if sky == "storm" else 1)
        x, y = r.uniform(0, canvas.width), r.uniform(0.08, 0.55) * canvas.horizon
        h = w * r.uniform(0.20, 0.28)
        colour = mix(CLOUD_COLOURS[sky], canvas.sky["stops"][1], r.uniform(0.05, 0.25))
        for dx, size in ((-0.6, 0.6), (-0.2, 1.0), (0.25, 0.85), (0.65, 0.55)):
            canvas.ellipse(x + dx * w, y - h * (size - 0.5), w * 0.42 * size + w * 0.1, h * size, colour)
        canvas.pen.rounded_rectangle((x - w, y, x + w, y + h * 0.5), h * 0.25, fill=colour)


def _disc(canvas: Canvas, thing: Thing) -> tuple[float, float, float]:
    """Middle and radius."""
    radius = SIZES[thing["kind"]][0] * thing["scale"] * canvas.unit / 2
    return thing["x"] * canvas.unit, thing["y"] * canvas.unit, radius


def paint_sun(canvas: Canvas, thing: Thing) -> None:
    """With a halo that fades into the sky behind it."""
    x, y, radius = _disc(canvas, thing)
    core = {"sunset": (255, 236, 130), "dawn": (255, 238, 150)}.get(canvas.scene["sky"], (255, 226, 64))
    behind = canvas.image.getpixel((int(min(max(x, 0), canvas.width - 1)), int(y)))
    for size, strength in ((1.45, 0.25), (1.2, 0.5)):
        canvas.ellipse(x, y, radius * size, radius * size, mix(behind, core, strength))
    canvas.ellipse(x, y, radius, radius, core)


def paint_moon(canvas: Canvas, thing: Thing) -> None:
    """Full, with two craters."""
    x, y, radius = _disc(canvas, thing)
    canvas.ellipse(x, y, radius, radius, (250, 246, 214))
    canvas.ellipse(x - radius * 0.3, y - radius * 0.25, radius * 0.22, radius * 0.22, (226, 222, 192))
    canvas.ellipse(x + radius * 0.35, y + radius * 0.3, radius * 0.16, radius * 0.16, (226, 222, 192))


SKY_PAINTERS = {"sun": paint_sun, "moon": paint_moon}
