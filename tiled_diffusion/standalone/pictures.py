"""Pictures of regions in the standalone program: opened, fitted into their boxes, and encoded by the tiled VAE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.pictures import picture_pulls
from tiled_diffusion.engine.guides.pull import Pull
from tiled_diffusion.settings.pictures import fitted_into, open_picture, recorded
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
    regions, factor = request.tiling.regions, model.traits.factor
    where = [Path.cwd()] if folders is None else folders

    def read(number: int, size: Extent) -> tuple[Tensor, Tensor]:
        region = regions[number]
        assert region.picture is not None
        image = open_picture(region.picture, f"regions[{number}].picture", where, region.picture_sha256)
        pixels, inside = fitted_into(image, size.h, size.w, region.fit, region.flip)
        return (
            torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1,
            torch.from_numpy(inside)[None, None].float() / 255,
        )

    canvas = Extent(request.height // factor, request.width // factor)
    return picture_pulls(request.tiling, canvas, factor, read, lambda pixels: encode(model, pixels, Settings()))


def with_recorded_pictures(tiling: Settings, folders: Sequence[Path] | None = None) -> Settings:
    """As records say it: pictures by their file and digest, or by their digest alone, never as data."""
    if all(region.picture is None for region in tiling.regions):
        return tiling
    where = tuple([Path.cwd()] if folders is None else folders)
    regions = []
    for region in tiling.regions:
        if region.picture is not None:
            picture, sha256 = recorded(region.picture, where)
            region = replace(region, picture=picture, picture_sha256=region.picture_sha256 or sha256)  # noqa: PLW2901
        regions.append(region)
    return replace(tiling, regions=tuple(regions))
