"""Pictures from files, fitted to the canvas, and as numbers: in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.pictures import digest, eight_bit
from tiled_diffusion.settings.request import Request


def open_image(path: str, name: str = "init_image", sha256: str | None = None) -> Image.Image:
    """Opens a picture, upright as its camera says.

    Args:
        path: of the file.
        name: what errors call it.
        sha256: what the file's digest must be, or None.

    Raises:
        TiledError: names the file that is no picture, or another one than was recorded.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise TiledError(f"{name}: {path} cannot be read as a picture ({e})") from e
    if sha256 is not None and digest(Path(path).read_bytes()) != sha256:
        raise TiledError(f"{name}: {path} is not the picture that was recorded, its SHA-256 is not {sha256}")
    return upright


def file_digest(path: str | None) -> str | None:
    """Of a file; None where there is none."""
    try:
        return None if path is None else digest(Path(path).read_bytes())
    except OSError:
        return None


def opaque(image: Image.Image, ground: str = "white") -> Image.Image:
    """The picture in RGB, its transparent parts on a ground."""
    image = eight_bit(image)
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, ground), rgba)
    return image.convert("RGB")


def fitted(image: Image.Image, request: Request) -> Tensor:
    """The picture in the canvas's size: [1, 3, H, W] in -1..1; transparent parts on white."""
    return to_pixels(opaque(image).resize((request.width, request.height), Image.Resampling.LANCZOS))


def to_pixels(image: Image.Image) -> Tensor:
    """An RGB picture as [1, 3, H, W] float32 in -1..1."""
    return torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def to_images(pixels: Tensor) -> list[Image.Image]:
    """RGB pictures of [B, 3, H, W]: -1 is black and 1 white, and what lies beyond is cut off."""
    rounded = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(p) for p in rounded]
