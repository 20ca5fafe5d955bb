"""Regions on the canvas: where each is evaluated, and the share that it has at every pixel.

Background regions mix: at every pixel the main prompt has what they leave, 1 - sum(masks), and each region its mask
times its weight, divided by the sum of all. Foreground regions are then composited over that in the order of the list:
everything below is multiplied by 1 - mask (algorithms as in Porter and Duff 1984, "over").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv1d, pad

from .errors import SettingsError
from .geometry import Box, Extent
from .masks import Mask
from .settings import Region
from .windows import RISES, Weights, cell

Rings = tuple[bool, bool]
"""Whether the canvas is a ring vertically, horizontally."""
Share = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shares:
    """Who draws what; at every pixel of the canvas all shares sum to 1.

    Attributes:
        main: [H, W], the main prompt's.
        own: of each region on its area, [area.h, area.w]; None where it has none anywhere.
    """

    main: Share
    own: tuple[Share | None, ...]


def _edges(region: Region, canvas: Extent) -> tuple[tuple[float, float], tuple[float, float]]:
    """(begin, end) in lp along y and along x."""
    y, x = region.y * canvas.h, region.x * canvas.w
    return (y, y + region.h * canvas.h), (x, x + region.w * canvas.w)


def box_in_lp(x: float, y: float, w: float, h: float, canvas: Extent) -> Box:
    """A box given in fractions, in whole lp: edges rounded, at least 1 lp high and wide, within the canvas."""
    spans = []
    for begin, size, length in ((y, h, canvas.h), (x, w, canvas.w)):
        low = min(math.floor(begin * length + 0.5), length - 1)
        spans.append((low, max(1, min(math.floor((begin + size) * length + 0.5), length) - low)))
    (top, height), (left, width) = spans
    return Box(top, left, height, width)


def region_box(region: Region, canvas: Extent) -> Box:
    """The region's box in whole lp."""
    return box_in_lp(region.x, region.y, region.w, region.h, canvas)


def _feather(region: Region, canvas: Extent) -> float:
    """Width of the soft edge, lp."""
    return region.feather * min(region.h * canvas.h, region.w * canvas.w)


def region_area(region: Region, canvas: Extent, rings: Rings, multiple: int, at_least: Extent) -> Box:
    """The area that is evaluated for a region, in lp: its box and, of a background, its soft edge.

    Snapped outwards to the model's multiple and grown around its middle to `at_least`, so that a small or thin region
    is seen with the context that the model needs; it counts where its share is above 0 only.
    """
    reach = _feather(region, canvas) / 2 if region.layer == "background" else 0.0
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
    feather = _feather(region, canvas)
    rows, cols = (
        _axis_mask(length, begin, end, feather, region.feather_shape, ring)
        for (begin, end), length, ring in zip(_edges(region, canvas), canvas, rings, strict=True)
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
    width = _feather(region, canvas)
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


def shares(
    regions: Sequence[Region], canvas: Extent, rings: Rings, areas: Sequence[Box], active: Sequence[bool], fill: str
) -> Shares:
    """The share of the main prompt and of each region.

    Args:
        regions: in the order of the list.
        canvas: size, lp.
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
    return Shares(_main_share(regions, own, where, keep, fill), tuple(own))


def _mask32(region: Region, canvas: Extent, rings: Rings, area: Box) -> Share | None:
    mask = region_mask(region, canvas, rings, area).astype(np.float32)
    return mask if mask.any() else None


def _composited(regions: Sequence[Region], own: list[Share | None], where: Sequence[Any], canvas: Extent) -> Share:
    """Turns the masks of foregrounds into shares, and returns what they leave for the backgrounds, [H, W]."""
    keep = np.ones(canvas, dtype=np.float32)
    for region, mask, place in reversed(list(zip(regions, own, where, strict=True))):
        if region.layer == "foreground" and mask is not None:
            below = keep[place]
            keep[place] = below * (1 - mask)
            np.multiply(mask, below, out=mask)
    return keep


def _mixed(regions: Sequence[Region], own: list[Share | None], where: Sequence[Any], keep: Share, fill: str) -> None:
    """Turns the masks of backgrounds into shares of what the foregrounds leave."""
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


def _rest(covered: Share) -> Share:
    rest = np.clip(1 - covered, 0, 1)
    rest[rest < 1e-6] = 0
    return rest


def _main_share(
    regions: Sequence[Region], own: Sequence[Share | None], where: Sequence[Any], keep: Share, fill: str
) -> Share:
    """What is left of 1."""
    if fill == "none":
        return np.zeros_like(keep)
    left = keep.copy()
    for region, share, place in zip(regions, own, where, strict=True):
        if region.layer == "background" and share is not None:
            left[place] -= share
    left[left < 1e-5] = 0
    return left


def _gap(empty: npt.NDArray[np.bool_]) -> str:
    spans = []
    for axis, name in ((0, "x"), (1, "y")):
        found = np.flatnonzero(empty.any(axis=axis))
        length = empty.shape[1 - axis]
        spans.append(f"{name} {found[0] / length:.2f} to {(found[-1] + 1) / length:.2f}")
    return (
        f"fill: got 'none', but no region draws anything within {spans[0]}, {spans[1]} (fractions of the canvas): "
        "cover it with a region, or set fill to 'main'"
    )
