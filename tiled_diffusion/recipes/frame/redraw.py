"""A picture drawn anew by a second prompt: filled up to the model's square, drawn, and cut again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from tiled_diffusion.recipes.host import Host, Task
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.recipes.upscale import SMALLEST_SIDE
from tiled_diffusion.settings.frame import Redraw
from tiled_diffusion.settings.request import Request

Box = tuple[int, int, int, int]


def padded(picture: Image.Image, size: tuple[int, int], pad: str) -> tuple[Image.Image, Box]:
    """A picture in the middle of a larger one.

    Args:
        picture: RGB.
        size: width and height of the larger one, at least the picture's.
        pad: see settings.frame.PADS.

    Returns:
        The larger one, and the box that cuts the picture out of it again.
    """
    short = [have - need for have, need in zip(size, picture.size, strict=True)]
    left, top = (px // 2 for px in short)
    box = (left, top, left + picture.width, top + picture.height)
    around = ((top, short[1] - top), (left, short[0] - left), (0, 0))
    pixels = np.asarray(picture)
    if pad == "colour":
        ground = Image.new("RGB", size, tuple(np.rint(pixels.mean(axis=(0, 1))).astype(int).tolist()))
        ground.paste(picture, box)
        return ground, box
    return Image.fromarray(np.pad(pixels, around, mode="edge" if pad == "edge" else "symmetric")), box


def redraw_request(host: Host, request: Request, redraw: Redraw, size: tuple[int, int]) -> Request:
    """What is asked of the host for a picture of this size: a square of the model's unit, and no regions."""
    unit = host.unit_px
    side = -(-max(*size, SMALLEST_SIDE) // unit) * unit
    return replace(
        request,
        prompt=redraw.prompt,
        width=side,
        height=side,
        denoising_strength=redraw.strength,
        inpaint_from="original",
        tiling=replace(request.tiling, regions=()),
    )


def redrawn_size(host: Host, redraw: Redraw, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the redrawn picture; it keeps its shape."""
    longer = redraw.side_px or max(*size, host.native_px)
    width, height = (max(1, round(side * longer / max(size))) for side in size)
    return width, height


def redrawn(
    host: Host, request: Request, redraw: Redraw, picture: Image.Image, progress: Progress | None = None
) -> tuple[Image.Image, Request]:
    """Draws a picture anew.

    Args:
        host: where it is done.
        request: sampler, seed, tiling and the rest; prompt, strength and size are the redraw's.
        redraw: the second prompt, how strongly, at which size.
        picture: RGB.
        progress: is told of the drawing.

    Returns:
        A picture of `redrawn_size`, at strength 0 the enlarged one encoded and decoded; and what was asked of the host.

    Raises:
        TiledError: the host cannot draw it.
        Interrupted: the user stopped it.
    """
    size = redrawn_size(host, redraw, picture.size)
    asked = redraw_request(host, request, redraw, size)
    larger = picture if picture.size == size else host.upscale(picture, size)
    start, box = padded(larger, (asked.width, asked.height), redraw.pad)
    [drawn] = host.draw([Task(asked, start=start)], progress)
    return drawn.image.crop(box), asked
