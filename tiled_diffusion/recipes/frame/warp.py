"""Pictures seen through a homography, each pixel once and free of aliases, in a memory that the result decides."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d, grid_sample

from .quad import Matrix, Points, depths, mapped, rectangle, scaled, shifted

MARGIN = 4
"""Of source pixels around what is looked at, for the bicubic filter."""
BAND = 1 << 18
"""Samples that are taken at once."""
MOST_SAMPLES = 4
"""Along each side of a pixel."""


def warped(image: Image.Image, to_source: Matrix, size: tuple[int, int], part: Points | None = None) -> Image.Image:
    """A picture through a homography.

    Only the part of the picture that is seen is looked at. Where it is finer than the result it is averaged, first as a
    whole, then by several bicubic samples a pixel; beyond its edges they are repeated.

    Args:
        image: RGB, or RGBA, whose transparent parts are white.
        to_source: maps the result's coordinates to the picture's, see quad.py.
        size: width and height of the result.
        part: corners of the part of the result that counts; None for all of it. There the depths are positive.
    """
    part = rectangle(*size) if part is None else part
    seen, to_source = _seen(image, to_source, part)
    finest, coarsest = _density(to_source, part)
    by = max(1, math.floor(coarsest))
    if by > 1:
        high, wide = seen.height / -(-seen.height // by), seen.width / -(-seen.width // by)
        seen = seen.resize((-(-seen.width // by), -(-seen.height // by)), Image.Resampling.LANCZOS)
        to_source = scaled(1 / wide, 1 / high) @ to_source
    samples = min(MOST_SAMPLES, max(1, math.ceil(finest / by - 0.2)))
    nearest = float(depths(to_source, part).min()) / 2
    return _sampled(seen, to_source @ scaled(1 / samples, 1 / samples), size, samples, nearest)


def _seen(image: Image.Image, to_source: Matrix, part: Points) -> tuple[Image.Image, Matrix]:
    """The part of the picture that is looked at, and the homography to it."""
    corners = mapped(to_source, part)
    limits = np.array(image.size)
    low = np.clip(np.floor(corners.min(axis=0)) - MARGIN, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + MARGIN, low + 1, limits).astype(int)
    return _opaque(image.crop((*low.tolist(), *high.tolist()))), shifted(-low[0], -low[1]) @ to_source


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, transparent parts on white."""
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _density(to_source: Matrix, part: Points) -> tuple[float, float]:
    """Source pixels along a side of a pixel of the result, where there are most and where there are fewest."""
    areas = np.abs(np.linalg.det(to_source)) / depths(to_source, part) ** 3
    return float(np.sqrt(areas.max())), float(np.sqrt(areas.min()))


def _sampled(image: Image.Image, to_source: Matrix, size: tuple[int, int], samples: int, nearest: float) -> Image.Image:
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None]
    width, height = size
    rows = max(1, BAND // (width * samples**2))
    out = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        grid = _grid(to_source, (width * samples, top * samples, bottom * samples), image.size, nearest)
        band = grid_sample(pixels, grid, mode="bicubic", padding_mode="border", align_corners=False)
        band = avg_pool2d(band.clamp(0, 255), samples)
        out[top:bottom] = band[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return Image.fromarray(out)


def _grid(to_source: Matrix, band: tuple[int, int, int], size: tuple[int, int], nearest: float) -> torch.Tensor:
    """[1, rows, width, 2]: where the middles of a band's samples lie in the source, -1..1 from edge to edge.

    No depth is taken to be less than `nearest`.
    """
    width, top, bottom = band
    y, x = np.mgrid[top:bottom, 0:width] + 0.5
    points: Points = np.column_stack([x.ravel(), y.ravel()])
    depth = np.maximum(depths(to_source, points), nearest)[:, None]
    unit = (points @ to_source[:2, :2].T + to_source[:2, 2]) / depth / np.array(size) * 2 - 1
    return torch.from_numpy(unit.astype(np.float32).reshape(1, bottom - top, width, 2))
