"""Makes a picture larger: first by an upscaler, then by drawing its details anew, tile by tile."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

from PIL import Image

from tiled_diffusion.settings.kinds import Number
from tiled_diffusion.settings.request import Request

from .host import Host, Picture, Task
from .progress import Progress

SCALE = Number(1, 16)
SMALLEST_SIDE = 64
"""What a request allows, image pixels."""


def upscaled_request(host: Host, request: Request, image: Image.Image, scale: float) -> Request:
    """The request with the enlarged picture's canvas: each side to the nearest multiple of the model's unit.

    Args:
        host: names the unit.
        request: what it says of its size does not count.
        image: the picture that is to be enlarged.
        scale: 1 to 16, how many times as wide and high.

    Raises:
        TiledError: the scale is out of its range, or the canvas too large for a request.
    """
    SCALE.check("scale", scale)
    width, height = enlarged_size(host, image, scale)
    return replace(request, width=width, height=height)


def enlarged_size(host: Host, image: Image.Image, scale: float) -> tuple[int, int]:
    """Width and height of the enlarged picture, each the nearest multiple of the model's unit."""
    unit = host.unit_px
    least = -(-SMALLEST_SIDE // unit) * unit
    width, height = (max(least, round(side * scale / unit) * unit) for side in image.size)
    return width, height


def upscale(
    host: Host,
    request: Request,
    image: Image.Image,
    scale: float,
    upscaler: str = "lanczos",
    progress: Progress | None = None,
) -> list[Picture]:
    """Enlarges a picture and draws it anew, tile by tile, as far as request.denoising_strength says.

    Args:
        host: where it is done.
        request: prompt, strength, tiling and the rest; its canvas is upscaled_request's, its start the picture.
        image: any size and mode.
        scale: 1 to 16, how many times as wide and high.
        upscaler: one that the host knows; "lanczos" is on every host.
        progress: is told of the drawing.

    Returns:
        request.batch_size pictures with the DPI of the one they were made of, where that tells any; at strength 0 each
        is the enlarged picture, encoded and decoded.

    Raises:
        TiledError: the scale is out of its range, there is no such upscaler, or the host cannot draw the request.
        Interrupted: the user stopped it.
    """
    canvas = upscaled_request(host, request, image, scale)
    enlarged = host.upscale(image, (canvas.width, canvas.height), upscaler)
    pictures = host.draw([Task(canvas, start=enlarged)], progress)
    for picture in pictures:
        picture.image.info.update(dpi_of(image))
    return pictures


def dpi_of(image: Image.Image) -> dict[str, Any]:
    """A picture's dots per inch, as {"dpi": (across, down)}; empty where its file tells none."""
    across, down = (float(dpi) for dpi in image.info.get("dpi", (0, 0)))
    return {"dpi": (across, down)} if all(isfinite(dpi) and dpi > 0 for dpi in (across, down)) else {}
