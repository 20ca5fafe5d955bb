"""Regions on the canvas: where each is evaluated, and how much of every pixel its prompt covers.

Background regions mix: at every pixel the main prompt has what they leave, 1 - sum(masks), and each region its mask
times its weight, divided by the sum of all. Foreground regions are then composited over that in the order of the list:
everything below is multiplied by 1 - mask (algorithms as in Porter and Duff 1984, "over").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.values import Region

from .geometry import Box, Extent
from .masks import Rings, feather_width, places, region_edges, region_mask

Coverage = npt.NDArray[np.float32]
"""How much of each pixel a prompt draws, 0 to 1."""


@dataclass(frozen=True)
class Coverages:
    """Who draws what; at every pixel of the canvas all coverages sum to 1.

    Attributes:
        main: [H, W], the main prompt's.
        own: of each region on its area, [area.h, area.w]; None where it has none anywhere.
    """

    main: Coverage
    own: tuple[Coverage | None, ...]


def region_area(region: Region, canvas: Extent, rings: Rings, multiple: int, at_least: Extent) -> Box:
    """The area that is evaluated for a region, in latent pixels: its box and, of a background, its soft edge.

    Snapped outwards to the model's multiple and grown around its middle to `at_least`, so that a small or thin region
    is seen with the context that the model needs; it counts where its coverage is above 0 only.
    """
    reach = feather_width(region, canvas) / 2 if region.layer == "background" else 0.0
    spans = [
        _span(begin - reach, end + reach, length, ring, multiple, least)
        for (begin, end), length, ring, least in zip(region_edges(region, canvas), canvas, rings, at_least, strict=True)
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


def in_their_boxes(regions: Sequence[Region], canvas: Extent, multiple: int) -> tuple[Region, ...]:
    """The regions as they are while they compose: backgrounds have hard edges, at the nearest of the model's multiples.

    So nothing is laid out across an edge that would cut it, and crops of neighbours do not overlap. Free masks keep
    their place, and foregrounds their soft edge: what they are drawn on shows through it from the start.
    """
    return tuple(_in_its_box(r, canvas, multiple) if r.layer == "background" else r for r in regions)


def _in_its_box(region: Region, canvas: Extent, multiple: int) -> Region:
    if region.mask is not None:
        return replace(region, feather=0.0)
    (y, h), (x, w) = (
        _snapped(begin, end, length, multiple)
        for (begin, end), length in zip(region_edges(region, canvas), canvas, strict=True)
    )
    return replace(region, feather=0.0, x=x, y=y, w=w, h=h)


def _snapped(begin: float, end: float, length: int, multiple: int) -> tuple[float, float]:
    """Start and size in fractions of an axis; as it is where nothing would be left."""
    edges = [length if abs(n - length) < 0.5 else math.floor(n / multiple + 0.5) * multiple for n in (begin, end)]
    low, high = edges if edges[0] < edges[1] else (begin, end)
    low, high = min(low, length), high if end > length + 0.5 else min(high, length)
    return low / length, min(1.0, high / length - low / length)


def coverages(
    regions: Sequence[Region], canvas: Extent, rings: Rings, areas: Sequence[Box], active: Sequence[bool], fill: str
) -> Coverages:
    """The coverage of the main prompt and of each region.

    Args:
        regions: in the order of the list.
        canvas: size, latent pixels.
        rings: axes that are rings.
        areas: of each region.
        active: whether each region counts now.
        fill: "main": the main prompt has what the background regions leave; "none": it has nothing.

    Raises:
        SettingsError: fill is "none", and a part of the canvas is in no region; the message says which.
    """
    where = [places(area, canvas) for area in areas]
    own = [_mask32(r, canvas, rings, a) if on else None for r, a, on in zip(regions, areas, active, strict=True)]
    keep = _composited(regions, own, where, canvas)
    _mixed(regions, own, where, keep, fill)
    return Coverages(_main_coverage(regions, own, where, keep, fill), tuple(own))


def _mask32(region: Region, canvas: Extent, rings: Rings, area: Box) -> Coverage | None:
    mask = region_mask(region, canvas, rings, area).astype(np.float32)
    return mask if mask.any() else None


def _composited(
    regions: Sequence[Region], own: list[Coverage | None], where: Sequence[Any], canvas: Extent
) -> Coverage:
    """Turns the masks of foregrounds into coverages, and returns what they leave for the backgrounds, [H, W]."""
    keep = np.ones(canvas, dtype=np.float32)
    for region, mask, place in reversed(list(zip(regions, own, where, strict=True))):
        if region.layer == "foreground" and mask is not None:
            below = keep[place]
            keep[place] = below * (1 - mask)
            np.multiply(mask, below, out=mask)
    return keep


def _mixed(
    regions: Sequence[Region], own: list[Coverage | None], where: Sequence[Any], keep: Coverage, fill: str
) -> None:
    """Turns the masks of backgrounds into coverages of what the foregrounds leave."""
    backgrounds = [
        (mask, place, region.weight)
        for mask, place, region in zip(own, where, regions, strict=True)
        if region.layer == "background" and mask is not None
    ]
    total = np.zeros_like(keep)
    covered = np.zeros_like(keep)
    for mask, place, weight in backgrounds:
        covered[place] += mask
        total[place] += mask * np.float32(weight)
    if fill == "main":
        total += _rest(covered)
    elif ((total <= 1e-6) & (keep > 1e-6)).any():
        raise SettingsError(_gap((total <= 1e-6) & (keep > 1e-6)))
    np.divide(keep, total, out=total, where=total > 0)
    for mask, place, weight in backgrounds:
        np.multiply(mask, total[place] * np.float32(weight), out=mask)


def _rest(covered: Coverage) -> Coverage:
    rest = np.clip(1 - covered, 0, 1)
    rest[rest < 1e-6] = 0
    return rest


def _main_coverage(
    regions: Sequence[Region], own: Sequence[Coverage | None], where: Sequence[Any], keep: Coverage, fill: str
) -> Coverage:
    """What is left of 1."""
    if fill == "none":
        return np.zeros_like(keep)
    left = keep.copy()
    for region, coverage, place in zip(regions, own, where, strict=True):
        if region.layer == "background" and coverage is not None:
            left[place] -= coverage
    left[left < 1e-5] = 0
    return left


def _gap(empty: npt.NDArray[np.bool_]) -> str:
    spans = []
    for axis, name in ((0, "x"), (1, "y")):
        gaps = np.flatnonzero(empty.any(axis=axis))
        length = empty.shape[1 - axis]
        spans.append(f"{name} {gaps[0] / length:.2f} to {(gaps[-1] + 1) / length:.2f}")
    return (
        f"fill: got 'none', but no region draws anything within {spans[0]}, {spans[1]} (fractions of the canvas): "
        "cover it with a region, or set fill to 'main'"
    )
