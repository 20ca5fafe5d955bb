"""A scene as a picture."""

from __future__ import annotations

from PIL import Image

from training.dataset.canvas import SUPERSAMPLING, Canvas
from training.dataset.grounds import GROUND_PAINTERS
from training.dataset.scenes import WINDOW, Scene
from training.dataset.sky import SKY_PAINTERS, paint_clouds, paint_stars
from training.dataset.things import THING_PAINTERS


def render(scene: Scene) -> Image.Image:
    """Paints from far to near: sky, clouds, ground, then the things in the order of their feet."""
    canvas = Canvas(scene)
    things = scene.get("drawn", scene["objects"])
    paint_stars(canvas)
    for thing in things:
        if thing["kind"] in SKY_PAINTERS:
            SKY_PAINTERS[thing["kind"]](canvas, thing)
    paint_clouds(canvas)
    GROUND_PAINTERS[scene["ground"]](canvas)
    for thing in sorted(things, key=lambda t: t["y"]):
        if thing["kind"] in THING_PAINTERS:
            THING_PAINTERS[thing["kind"]](canvas, thing)
    size = canvas.width // SUPERSAMPLING, canvas.height // SUPERSAMPLING
    picture = canvas.image.resize(size, Image.Resampling.BOX)
    if "window" not in scene:
        return picture
    x, y = scene["window"]
    return picture.crop((x, y, x + WINDOW, y + WINDOW))
