"""A picture brought to the exact pixels of a print."""

from __future__ import annotations

import math
from dataclasses import replace

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.print_size import Print
from tiled_diffusion.settings.request import Request

from .host import Host
from .progress import Progress
from .upscale import SCALE, upscale

SOFT = 8
"""Times a picture may be enlarged before its print looks soft."""


def enlargement(size: tuple[int, int], sheet: Print) -> float:
    """How many times as wide and high a picture of this size becomes on the sheet."""
    target, choose = (sheet.px, max) if sheet.fit == "cover" else (sheet.trim_px, min)
    return choose(have / need for have, need in zip(target, size, strict=True))


def draws_details(request: Request, size: tuple[int, int], sheet: Print) -> bool:
    """Whether details of a picture of this size are drawn anew for the print: where it is enlarged, and that asked."""
    return request.denoising_strength > 0 and enlargement(size, sheet) > 1


def printed(
    host: Host,
    request: Request,
    picture: Image.Image,
    sheet: Print,
    upscaler: str = "lanczos",
    progress: Progress | None = None,
) -> Image.Image:
    """A picture of exactly sheet.px pixels.

    Args:
        host: where it is done.
        request: prompt, tiling and the rest; with a denoising_strength above 0 details are drawn anew, tile by tile,
            where the picture is enlarged.
        picture: any size and mode.
        sheet: the paper.
        upscaler: how it is enlarged before; "lanczos" is on every host.
        progress: is told of the drawing.

    Returns:
        RGB.

    Raises:
        TiledError: it shall be drawn, and is enlarged more than the host draws; there is no such upscaler; or as for
            `upscale`.
        Interrupted: the user stopped it.
    """
    scale = enlargement(picture.size, sheet)
    size = (math.ceil(picture.width * scale - 1e-6), math.ceil(picture.height * scale - 1e-6))
    if draws_details(request, picture.size, sheet):
        if scale > SCALE.high:
            raise TiledError(
                f"print: {sheet.px[0]}x{sheet.px[1]} px is {scale:.1f} times the picture of {picture.width}x"
                f"{picture.height}; allowed is up to {SCALE.high:g} times: take fewer DPI, or a larger picture"
            )
        asked = replace(request, batch_size=1)
        picture = upscale(host, asked, picture, scale, upscaler, progress)[0].image
        upscaler = "lanczos"
    return _on_sheet(host.upscale(picture, size, upscaler), sheet)


def _on_sheet(picture: Image.Image, sheet: Print) -> Image.Image:
    """The picture in the middle of the sheet, what reaches beyond it cut off, white where it does not reach."""
    paper = Image.new("RGB", sheet.px, "white")
    left, top = ((have - need) // 2 for have, need in zip(sheet.px, picture.size, strict=True))
    paper.paste(picture, (left, top))
    return paper


def print_notes(size: tuple[int, int], sheet: Print) -> list[str]:
    """What a user wants to know of a print: paper and pixels, and whether it is soft."""
    scale = enlargement(size, sheet)
    lines = [f"print: {sheet.to_text()}, {scale:.1f} times the picture of {size[0]} x {size[1]} px"]
    if scale > SOFT:
        lines.append(f"print: beyond {SOFT} times it looks soft: draw the picture larger, or take fewer DPI")
    return lines
