"""Pictures from files, fitted to the canvas, and as numbers: in and out."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request


def open_image(path: str) -> Image.Image:
    """Opens a picture, upright as its camera says; raises TiledError that names the file."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise TiledError(f"init_image: {path} cannot be read as a picture ({e})") from e


def opaque(image: Image.Image) -> Image.Image:
    """The picture in RGB, its transparent parts on white."""
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
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
