"""Regions on the canvas: their boxes in latent pixels and the share that each has at every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .geometry import Box, Extent
from .settings import Region
from .windows import Weights, cell


def region_box(region: Region, canvas: Extent, multiple: int, at_least: Extent) -> Box:
    """The box that is evaluated for a region, in lp, within the canvas.

    Snapped outwards to the model's multiple and grown around its middle to `at_least`, so that a thin region is seen
    with the context that the model needs; it is weighted inside its own box only.
    """
    y, h = _axis_box(region.y, region.h, canvas.h, multiple, at_least.h)
    x, w = _axis_box(region.x, region.w, canvas.w, multiple, at_least.w)
    return Box(y, x, h, w)


def _axis_box(begin: float, size: float, length: int, multiple: int, at_least: int) -> tuple[int, int]:
    low = math.floor(begin * length / multiple + 1e-6) * multiple
    high = math.ceil((begin + size) * length / multiple - 1e-6) * multiple
    grow = max(0, min(at_least, length) - (high - low))
    low -= grow // 2
    high += grow - grow // 2
    width = min(high - low, length)
    low = max(0, min(low, length - width))
    return low, width


def region_mask(region: Region, canvas: Extent) -> Weights:
    """[H, W] in 0..1: 1 inside, soft at the edges that lie within the canvas, 0 outside."""
    top, left = region.y * canvas.h, region.x * canvas.w
    height, width = region.h * canvas.h, region.w * canvas.w
    feather = region.feather * min(height, width)
    rows = _axis_mask(canvas.h, top, top + height, feather)
    cols = _axis_mask(canvas.w, left, left + width, feather)
    return np.asarray(np.outer(rows, cols), dtype=np.float64)


def _axis_mask(length: int, begin: float, end: float, feather: float) -> Weights:
    inner_begin = begin if begin > 0.5 else None
    inner_end = end if end < length - 0.5 else None
    return cell(length, inner_begin, inner_end, feather)


def shares(regions: Sequence[Region], canvas: Extent) -> Weights:
    """[1 + len(regions), H, W]: the share of the main prompt (first) and of each region; they sum to 1 everywhere.

    The main prompt has what the regions leave: 1 - sum(masks), never below 0.
    """
    masks = [region_mask(r, canvas) for r in regions]
    covered = np.minimum(np.sum(masks, axis=0), 1.0) if masks else np.zeros(canvas)
    rest = 1.0 - covered
    rest[rest < 1e-9] = 0.0
    weighted = np.stack([rest, *(m * r.weight for m, r in zip(masks, regions, strict=True))])
    return np.asarray(weighted / weighted.sum(axis=0), dtype=np.float64)
