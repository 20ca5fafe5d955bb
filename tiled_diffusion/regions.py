"""Regions on the canvas: where each is evaluated, and the share that it has at every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .geometry import Box, Extent
from .settings import Region
from .windows import Weights, cell

Rings = tuple[bool, bool]
"""Whether the canvas is a ring vertically, horizontally."""


def _edges(region: Region, canvas: Extent) -> tuple[tuple[float, float], tuple[float, float]]:
    """(begin, end) in lp along y and along x."""
    y, x = region.y * canvas.h, region.x * canvas.w
    return (y, y + region.h * canvas.h), (x, x + region.w * canvas.w)


def _feather(region: Region, canvas: Extent) -> float:
    return region.feather * min(region.h * canvas.h, region.w * canvas.w)


def region_area(region: Region, canvas: Extent, rings: Rings, multiple: int, at_least: Extent) -> Box:
    """The area that is evaluated for a region, in lp: its box and its soft edge.

    Snapped outwards to the model's multiple and grown around its middle to `at_least`, so that a small or thin region
    is seen with the context that the model needs; it counts where its share is above 0 only.
    """
    reach = _feather(region, canvas) / 2
    spans = [
        _span(begin - reach, end + reach, length, ring, multiple, least)
        for (begin, end), length, ring, least in zip(_edges(region, canvas), canvas, rings, at_least, strict=True)
    ]
    (y, h), (x, w) = spans
    return Box(y, x, h, w)


def _span(begin: float, end: float, length: int, ring: bool, multiple: int, at_least: int) -> tuple[int, int]:
    if not ring:
        begin, end = max(0.0, begin), min(float(length), end)
    low = math.floor(begin / multiple + 1e-6) * multiple
    high = math.ceil(end / multiple - 1e-6) * multiple
    width = max(high - low, at_least)
    low -= (width - (high - low)) // 2 // multiple * multiple
    if width >= length:
        return 0, length
    return (low % length if ring else max(0, min(low, length - width))), width


def region_mask(region: Region, canvas: Extent, rings: Rings = (False, False)) -> Weights:
    """[H, W] in 0..1: 1 inside, soft at the edges, 0 outside. Edges at the border of a flat canvas are not soft."""
    feather = _feather(region, canvas)
    rows, cols = (
        _axis_mask(length, begin, end, feather, ring)
        for (begin, end), length, ring in zip(_edges(region, canvas), canvas, rings, strict=True)
    )
    return np.asarray(np.outer(rows, cols), dtype=np.float64)


def _axis_mask(length: int, begin: float, end: float, feather: float, ring: bool) -> Weights:
    at_begin, at_end = begin < 0.5, end > length - 0.5
    if not ring or (at_begin and at_end):
        return cell(length, None if at_begin else begin, None if at_end else end, feather)
    turns = cell(3 * length, begin + length, end + length, feather)
    return np.asarray(np.minimum(turns.reshape(3, length).sum(axis=0), 1.0), dtype=np.float64)


def shares(regions: Sequence[Region], canvas: Extent, rings: Rings = (False, False)) -> Weights:
    """[1 + len(regions), H, W]: the share of the main prompt (first) and of each region; they sum to 1 everywhere.

    The main prompt has what the regions leave: 1 - sum(masks), never below 0.
    """
    masks = [region_mask(r, canvas, rings) for r in regions]
    covered = np.minimum(np.sum(masks, axis=0), 1.0) if masks else np.zeros(canvas)
    rest = 1.0 - covered
    rest[rest < 1e-9] = 0.0
    weighted = np.stack([rest, *(m * r.weight for m, r in zip(masks, regions, strict=True))])
    return np.asarray(weighted / weighted.sum(axis=0), dtype=np.float64)
