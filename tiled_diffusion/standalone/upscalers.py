"""Enlarges pictures by Lanczos, or by the file of an upscaling network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tiled_diffusion.errors import TiledError

from .images import opaque

LANCZOS = "lanczos"


def enlarge(image: Image.Image, size: tuple[int, int], upscaler: str | Path = LANCZOS) -> Image.Image:
    """The picture in RGB, brought to exactly a size.

    Args:
        image: any mode; its transparent parts are white.
        size: width and height, at least 1 px each.
        upscaler: "lanczos", or the path of a network that the library spandrel can load (ESRGAN and others): it is
            applied until the picture is large enough, and the result brought to size by Lanczos.

    Raises:
        TiledError: the file is not there or no such network, or spandrel is missing.
    """
    image = opaque(image)
    if str(upscaler) != LANCZOS:
        image = _by_network(image, size, Path(upscaler))
    return image.resize(size, Image.Resampling.LANCZOS)


@torch.no_grad()
def _by_network(image: Image.Image, size: tuple[int, int], path: Path) -> Image.Image:
    """The picture, at least as wide and high as `size`."""
    network = _load(path)
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 255
    while pixels.shape[-1] < size[0] or pixels.shape[-2] < size[1]:
        pixels = network(pixels)
    rounded = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(rounded)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise TiledError(f"upscaler: there is no file {path}; allowed is {LANCZOS} or a file of an upscaler model")
    try:
        from spandrel import ImageModelDescriptor, ModelLoader
    except ImportError as e:
        raise TiledError(f"upscaler: for {path.name} the library spandrel is needed: pip install spandrel") from e
    try:
        network = ModelLoader().load_from_file(path)
    except Exception as e:
        raise TiledError(f"upscaler: {path} cannot be loaded ({e})") from e
    if not isinstance(network, ImageModelDescriptor) or network.scale <= 1:
        raise TiledError(f"upscaler: {path} is no model that makes pictures larger")
    return network.eval()
