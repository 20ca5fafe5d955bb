"""Draws a part of a photo anew, or what lies around it; all the rest comes back as it was."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request

from .host import Host, Picture, Task
from .progress import Progress
from .upscale import SMALLEST_SIDE


def inpaint_request(host: Host, request: Request, photo: Image.Image) -> Request:
    """The request with the photo's canvas: the photo and what it is extended by, rounded up to the model's unit.

    Args:
        host: names the unit.
        request: what it says of its size does not count.
        photo: any size.

    Raises:
        TiledError: the canvas is too large for a request.
    """
    unit, sides = host.unit_px, request.extend
    least = -(-SMALLEST_SIDE // unit) * unit
    wide, high = photo.width + sides.left + sides.right, photo.height + sides.top + sides.bottom
    width, height = (max(least, -(-side // unit) * unit) for side in (wide, high))
    return replace(request, width=width, height=height)


def inpaint(
    host: Host,
    request: Request,
    photo: Image.Image,
    mask: Image.Image | None = None,
    progress: Progress | None = None,
) -> list[Picture]:
    """Draws what the mask shows, and what request.extend adds around the photo.

    Args:
        host: where it is done.
        request: prompt, strength, tiling and the rest; its canvas is inpaint_request's.
        photo: any size and mode.
        mask: of the photo's size: white is drawn, and black stays as it is.
        progress: is told of the drawing.

    Returns:
        request.batch_size pictures of the photo's size, with what it is extended by.

    Raises:
        TiledError: there is nothing to draw, the mask is of another size, or the host cannot draw the request.
        Interrupted: the user stopped it.
    """
    if mask is None and not request.inpaints:
        raise TiledError("mask: nothing to draw: give a mask, or sides to extend the photo by")
    return host.draw([Task(inpaint_request(host, request, photo), start=photo, mask=mask)], progress)
