"""Pictures as regions: each draws its box of the canvas to itself, for as long as it is kept.

Mixture of Diffusers' canvas has such regions, pasted between the steps at the level of noise of the step before. Here
they are pulls: a box is at the right level of noise by itself, with every sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.masks import feather_width, places, region_box, region_mask
from tiled_diffusion.settings.values import Settings

from .pull import Pull, hold

Grey = npt.NDArray[np.uint8]
Read = Callable[[int, Extent], tuple[Grey, Grey]]
"""(number of the region from 0, its box in image pixels) -> pixels [h, w, 3], and how much of each is there, [h, w]."""
Encode = Callable[[Tensor], Tensor]
"""Pixels [1, 3, h, w] to latents [1, C, h / factor, w / factor]."""
MARGIN = 8
"""A picture is encoded with its edges repeated so far around it, latent pixels: an encoder sees borders."""


def picture_pulls(settings: Settings, canvas: Extent, factor: int, read: Read, encode: Encode) -> tuple[Pull, ...]:
    """The pulls of all pictures, in the order of the list: a later one lies above an earlier one.

    Args:
        settings: the regions.
        canvas: in latent pixels.
        factor: image pixels of a latent pixel's side.
        read: gives the pictures.
        encode: the VAE.
    """
    pulls = []
    for number, region in enumerate(settings.regions):
        if region.enabled and region.picture is not None and region.keep > 0:
            box = region_box(region, canvas)
            pixels, inside = read(number, box.scaled(factor).extent)
            there = avg_pool2d(torch.from_numpy(inside.astype(np.float32) / 255)[None], factor)[0]
            times = kept_times(settings, number, canvas, box, region.keep, there.numpy())
            if (times > 0).any():
                pulls.append(_pull(canvas, box, _encoded(pixels, factor, encode), times))
    return tuple(pulls)


def _encoded(pixels: Grey, factor: int, encode: Encode) -> Tensor:
    around = (MARGIN * factor,) * 4
    numbers = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    return encode(pad(numbers, around, mode="replicate"))[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def kept_times(
    settings: Settings, number: int, canvas: Extent, box: Box, keep: float, inside: npt.NDArray[np.floating]
) -> Tensor:
    """[h, w] of a region's box: for how much of the sampling each pixel is kept; soft edges and grey are kept shorter.

    Args:
        settings: the regions.
        number: of the region, from 0.
        canvas: in latent pixels.
        box: the region's.
        keep: for how much of the sampling at most, 0 to 1.
        inside: [h, w] in 0..1, how much of each pixel is there.
    """
    region = settings.regions[number]
    rings = (settings.wrap_y, settings.wrap_x)
    shape = inside.astype(np.float64)
    if region.mask is not None or feather_width(region, canvas) >= 1:
        shape = shape * region_mask(replace(region, layer="background"), canvas, rings, box)
    for other in settings.regions[number + 1 :]:
        if other.layer == "foreground" and other.enabled and other.picture is None:
            shape = shape * (1 - region_mask(other, canvas, rings, box))
    return torch.from_numpy((keep * shape).astype(np.float32))


def _pull(canvas: Extent, box: Box, latent: Tensor, times: Tensor) -> Pull:
    target = latent.new_zeros((1, latent.shape[1], *canvas))
    keep = torch.zeros((1, 1, *canvas))
    where = places(box, canvas)
    target[(..., *where)] = latent
    keep[(..., *where)] = times
    return Pull(target, (keep > 0).float(), hold(keep))
