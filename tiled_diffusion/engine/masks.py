"""Masks: how much of each pixel of the canvas a region covers, with its soft edge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn.functional import conv1d, pad

from tiled_diffusion.settings.masks import Mask
from tiled_diffusion.settings.values import Region

from .geometry import Box, Extent
from .windows import RISES, Weights, cell

Rings = tuple[bool, bool]
"""Whether the canvas is a ring vertically, horizontally."""


def region_edges(region: Region, canvas: Extent) -> tuple[tuple[float, float], tuple[float, float]]:
    """(begin, end) in latent pixels along y and along x."""
    y, x = region.y * canvas.h, region.x * canvas.w
    return (y, y + region.h * canvas.h), (x, x + region.w * canvas.w)


def box_of_fractions(x: float, y: float, w: float, h: float, canvas: Extent) -> Box:
    """A box given in fractions, in latent pixels: edges rounded, at least 1 high and wide, from within the canvas.

    It ends within the canvas too, unless it is a ring's that reaches past the end by more than rounding.
    """
    spans = []
    for begin, size, length in ((y, h, canvas.h), (x, w, canvas.w)):
        low = min(math.floor(begin * length + 0.5), length - 1)
        high = math.floor((begin + size) * length + 0.5)
        spans.append((low, max(1, (high if begin + size > 1.0001 else min(high, length)) - low)))
    (top, height), (left, width) = spans
    return Box(top, left, height, width)


def region_box(region: Region, canvas: Extent) -> Box:
    """The region's box in whole latent pixels."""
    return box_of_fractions(region.x, region.y, region.w, region.h, canvas)


def feather_width(region: Region, canvas: Extent) -> float:
    """Width of the soft edge, latent pixels."""
    return region.feather * min(region.h * canvas.h, region.w * canvas.w)


def places(box: Box, canvas: Extent) -> tuple[Any, Any]:
    """Indices of a box's pixels on the canvas; what reaches past the end is the beginning again."""
    y, x = np.ix_((np.arange(box.h) + box.y) % canvas.h, (np.arange(box.w) + box.x) % canvas.w)
    return y, x


def region_mask(region: Region, canvas: Extent, rings: Rings = (False, False), area: Box | None = None) -> Weights:
    """[area.h, area.w] in 0..1 (by default on the whole canvas): 1 inside, soft at the edges, 0 outside.

    The soft edge of a background lies half inside and half outside its box, with none at the border of a flat canvas.
    That of a foreground lies inside, and its outermost pixels are 0.
    """
    area = area or Box(0, 0, *canvas)
    if region.mask is not None:
        return _free_mask(region, region.mask, canvas, area)
    if region.layer == "foreground":
        return _foreground_mask(region, canvas, area)
    feather = feather_width(region, canvas)
    rows, cols = (
        _axis_mask(length, begin, end, feather, region.feather_shape, ring)
        for (begin, end), length, ring in zip(region_edges(region, canvas), canvas, rings, strict=True)
    )
    y, x = places(area, canvas)
    return np.asarray(rows[y] * cols[x], dtype=np.float64)


def _axis_mask(length: int, begin: float, end: float, feather: float, shape: str, ring: bool) -> Weights:
    at_begin, at_end = begin < 0.5, end > length - 0.5
    if not ring or (at_begin and at_end):
        return cell(length, None if at_begin else begin, None if at_end else end, feather, shape)
    turns = cell(3 * length, begin + length, end + length, feather, shape)
    return np.asarray(np.minimum(turns.reshape(3, length).sum(axis=0), 1.0), dtype=np.float64)


def _foreground_mask(region: Region, canvas: Extent, area: Box) -> Weights:
    """Rises with the distance to the nearest edge, counted in whole pixels from 0."""
    box = region_box(region, canvas)
    inside_y, inside_x = (np.arange(n) for n in (box.h, box.w))
    distance = np.minimum.outer(
        np.minimum(inside_y, box.h - 1 - inside_y), np.minimum(inside_x, box.w - 1 - inside_x)
    ).astype(np.float64)
    width = int(min(box.h, box.w) // 2 * region.feather)
    mask = np.ones_like(distance) if width < 1 else RISES[region.feather_shape](np.minimum(distance / width, 1.0))
    return _placed(mask, box, canvas, area)


def _free_mask(region: Region, shape: Mask, canvas: Extent, area: Box) -> Weights:
    box = region_box(region, canvas)
    mask = _placed(shape.drawn(box.h, box.w), box, canvas, area)
    width = feather_width(region, canvas)
    if width < 1:
        return mask
    soft = _blurred(mask, width / 4)
    return np.asarray(np.clip(2 * soft - 1, 0.0, 1.0)) if region.layer == "foreground" else soft


def _placed(mask: Weights, box: Box, canvas: Extent, area: Box) -> Weights:
    """A mask of a box, as it lies on an area."""
    out = np.zeros((area.h, area.w))
    y = (np.arange(box.h) + box.y - area.y) % canvas.h
    x = (np.arange(box.w) + box.x - area.x) % canvas.w
    keep_y, keep_x = y < area.h, x < area.w
    out[np.ix_(y[keep_y], x[keep_x])] = mask[np.ix_(keep_y, keep_x)]
    return out


def _blurred(mask: Weights, sigma: float) -> Weights:
    """By a gaussian; what lies beyond the area is as its border."""
    reach = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum())[None, None]
    out = torch.from_numpy(mask)
    for _ in range(2):
        out = conv1d(pad(out[:, None], (reach, reach), mode="replicate"), kernel)[:, 0].T
    return np.asarray(np.clip(out.numpy(), 0.0, 1.0), dtype=np.float64)
