"""Hints for ControlNets: opens pictures, brings them to the canvas's size, and finds their edges."""

from __future__ import annotations

from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.control import fitted_hint
from tiled_diffusion.errors import TiledError

CANNY = (60, 150)
"""Weakest edges that are kept where they continue strong ones, and strong ones: differences of brightness."""


def open_hint(path: str | IO[bytes]) -> Image.Image:
    """Opens a hint, upright as its camera says; raises TiledError that names the file."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise TiledError(f"image: {path} cannot be read as a picture ({e})") from e


def hint_of(image: Image.Image, canvas: Extent, preprocess: str = "none", factor: int = 8) -> Tensor:
    """The hint on the canvas: [1, 3, factor H, factor W] in 0..1.

    Args:
        image: any mode and size; transparent parts are black. It is resized once, before edges are looked for.
        canvas: in latent pixels.
        preprocess: see Control.
        factor: pixels of the hint for each latent pixel.
    """
    rgba = image.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "black" if preprocess != "invert" else "white"), rgba)
    pixels = torch.from_numpy(np.array(flat.convert("RGB"), dtype=np.float32)).permute(2, 0, 1)[None] / 255
    hint = fitted_hint(pixels, canvas, factor).clamp(0, 1)
    if preprocess == "canny":
        return _edges(hint)
    return 1 - hint if preprocess == "invert" else hint


def _edges(pixels: Tensor) -> Tensor:
    try:
        import cv2
    except ImportError as e:
        raise TiledError("preprocess: canny needs the library OpenCV: pip install opencv-python-headless") from e
    picture = (pixels[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    edges = cv2.Canny(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), *CANNY)
    return torch.from_numpy(edges).float()[None, None].expand(1, 3, -1, -1) / 255
