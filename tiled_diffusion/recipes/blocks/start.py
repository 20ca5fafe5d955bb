"""What a block begins with: its part of the picture, enlarged, as if all of the picture had been."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Host
from tiled_diffusion.settings.enlargement import Enlargement
from tiled_diffusion.settings.pictures import digest

from .layout import Area

LANCZOS = "lanczos"
AROUND = 32
"""Pixels of the picture around a part that an upscaling network sees besides."""
REACH = 4
"""Pixels around a part that a Lanczos filter, which enlarges, looks at."""


def upscaler_digest(upscaler: str) -> str | None:
    """SHA-256 of the file of an upscaling network; None of one that has no file."""
    path = Path(upscaler)
    return digest(path.read_bytes()) if upscaler != LANCZOS and path.is_file() else None


def check_upscaler(settings: Enlargement) -> None:
    """Raises TiledError where the upscaler's file is not there any more, or is another one."""
    recorded = settings.upscaler_sha256
    if recorded is not None and upscaler_digest(settings.upscaler) != recorded:
        raise TiledError(
            f"upscaler_sha256: the picture was begun with a file {settings.upscaler} of the SHA-256 {recorded}, and "
            "there is no such file now: put it back, or take another folder"
        )


def enlarged_part(
    host: Host, picture: Image.Image, size: tuple[int, int], area: Area, upscaler: str = LANCZOS
) -> Image.Image:
    """A part of an enlarged picture, at no more cost than that part.

    Args:
        host: has the upscalers.
        picture: RGB, what is enlarged.
        size: width and height of the whole enlarged picture, no less than the picture's.
        area: the part, in the enlarged picture.
        upscaler: "lanczos", or one that the host knows.

    Returns:
        RGB, of the area's size.

    Raises:
        TiledError: the host has no such upscaler.
    """
    across, down = picture.width / size[0], picture.height / size[1]
    left, top, right, bottom = area.left * across, area.top * down, area.right * across, area.bottom * down
    margin = REACH if upscaler == LANCZOS else AROUND
    x, y = max(0, math.floor(left) - margin), max(0, math.floor(top) - margin)
    end = min(picture.width, math.ceil(right) + margin), min(picture.height, math.ceil(bottom) + margin)
    part = picture.crop((x, y, *end))
    times = 1
    if upscaler != LANCZOS:
        times = math.ceil(max(1 / across, 1 / down) - 1e-9)
        part = host.upscale(part, (part.width * times, part.height * times), upscaler)
    box = ((left - x) * times, (top - y) * times, (right - x) * times, (bottom - y) * times)
    return part.resize(area.size, Image.Resampling.LANCZOS, box=box)
