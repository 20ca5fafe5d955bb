"""Makes a picture larger: first by a resampling filter or an upscaler model, then by drawing detail tile by tile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.kinds import Number
from tiled_diffusion.settings.request import Request

from .model import Model
from .sampling import generate


def enlarge(image: Image.Image, scale: float, upscaler: str | Path = "lanczos") -> Image.Image:
    """The picture `scale` (1 to 16) times as wide and high.

    Args:
        image: any mode.
        scale: 1 to 16.
        upscaler: "lanczos", or the path of an upscaler model that the library spandrel can load (ESRGAN and others);
            it is applied until the picture is large enough, and the result brought to size by Lanczos.
    """
    Number(1, 16).check("scale", scale)
    size = (round(image.width * scale), round(image.height * scale))
    image = image.convert("RGB")
    if str(upscaler) != "lanczos":
        image = _by_model(image, size, Path(upscaler))
    return image.resize(size, Image.Resampling.LANCZOS)


def upscaled_request(model: Model, request: Request, image: Image.Image, scale: float) -> Request:
    """The request with the canvas of the enlarged picture, rounded to what the model can make in one tile."""
    Number(1, 16).check("scale", scale)
    least = max(64, model.unit_px)
    width, height = (max(least, round(side * scale / model.unit_px) * model.unit_px) for side in image.size)
    return replace(request, width=width, height=height)


def upscale(
    model: Model,
    request: Request,
    image: Image.Image,
    scale: float,
    upscaler: str | Path = "lanczos",
    progress: Progress | None = None,
) -> list[Image.Image]:
    """Enlarges the picture and draws it anew, tile by tile, as far as request.denoising_strength says.

    The canvas is upscaled_request's; what the request says of its size does not count.
    """
    large = enlarge(image, scale, upscaler)
    return generate(model, upscaled_request(model, request, image, scale), init_image=large, progress=progress)


def _by_model(image: Image.Image, size: tuple[int, int], path: Path) -> Image.Image:
    network = _load_upscaler(path)
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        while pixels.shape[-1] < size[0] or pixels.shape[-2] < size[1]:
            pixels = network(pixels)
    rounded = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(rounded)


def _load_upscaler(path: Path) -> Any:
    if not path.is_file():
        raise TiledError(f"upscaler: there is no file {path}; allowed is lanczos or a file of an upscaler model")
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
