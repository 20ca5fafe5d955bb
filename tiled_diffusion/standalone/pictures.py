"""Pictures of regions in the standalone program: opened, fitted into their boxes, and encoded by the tiled VAE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.pictures import picture_pulls
from tiled_diffusion.engine.guides.pull import Pull
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

from .model import Model
from .vae import encode


def region_pulls(model: Model, request: Request, folders: Sequence[Path] | None = None) -> tuple[Pull, ...]:
    """What the pictures of a request's regions draw its canvas to.

    Args:
        model: see load_model.
        request: the regions and the canvas.
        folders: in which files may lie; None allows the working folder.

    Raises:
        TiledError: names the region whose picture cannot be read.
    """
    factor, where = model.traits.factor, allowed(folders)

    def read(number: int, size: Extent) -> tuple[Any, Any]:
        return request.tiling.regions[number].fitted_picture(f"regions[{number}].picture", size, where)

    canvas = Extent(request.height // factor, request.width // factor)
    return picture_pulls(request.tiling, canvas, factor, read, lambda pixels: encode(model, pixels, Settings()))


def allowed(folders: Sequence[Path] | None) -> Sequence[Path]:
    """The folders in which files may lie: the working folder, where nothing else is said."""
    return [Path.cwd()] if folders is None else folders
