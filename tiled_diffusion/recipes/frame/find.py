"""Looks for a picture frame in a photo: the inside of the largest quadrilateral that edges make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from tiled_diffusion.errors import TiledError

from .quad import Points, ordered_corners

LOOKED_AT = 900
"""Longer side of the picture in which edges are looked for."""
LEAST_AREA, MOST_AREA = 0.02, 0.95
"""Of the photo."""
INNER_AREA = 0.3
"""Of the outer edge's area: a quadrilateral within it that is larger is the frame's inside, not what hangs in it."""
SAME_EDGE = 5
"""Pixels between two outlines of one edge, which is as wide as the filters made it, at most."""
FLATTEST = 0.34
"""Sine of the flattest and of the sharpest corner that a frame shows."""


def find_frame(photo: Image.Image) -> Points | None:
    """The corners of a frame's inside.

    Args:
        photo: any mode.

    Returns:
        [4, 2] image pixels, in their order around the frame; None where no frame is seen.
    """
    scale = min(1.0, LOOKED_AT / max(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    grey = np.asarray(photo.resize(size, Image.Resampling.BOX).convert("L"))
    quads = sorted(_quads(grey), key=_area, reverse=True)
    if not quads:
        return None
    return np.asarray(_innermost(quads) * (np.array(photo.size) / np.array(size)))


def _quads(grey: npt.NDArray[np.uint8]) -> Iterator[Points]:
    """Convex quadrilaterals of edges and of surfaces of one brightness."""
    smooth: Any = cv2.bilateralFilter(cv2.medianBlur(grey, 5), 7, 40, 7)
    area = float(grey.size)
    for shapes in _outlines(smooth):
        contours, _ = cv2.findContours(shapes, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            quad = _quad_of(contour, grey.shape) if cv2.contourArea(contour) >= LEAST_AREA * area else None
            if quad is not None and LEAST_AREA * area <= _area(quad) <= MOST_AREA * area:
                yield quad


def _outlines(smooth: Any) -> Iterator[Any]:
    kernel = np.ones((3, 3), np.uint8)
    for low in (15, 30, 60):
        edges = cv2.dilate(cv2.Canny(smooth, low, 3 * low), kernel)
        yield edges
        yield cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    yield cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    for block in (51, 151):
        yield cv2.adaptiveThreshold(smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, 4)


def _quad_of(contour: Any, shape: Sequence[int]) -> Points | None:
    """The four corners of an outline with straight sides, by lines through its sides; None for any other outline."""
    hull = cv2.convexHull(contour)
    rough = cv2.approxPolyDP(hull, 0.03 * cv2.arcLength(hull, True), True).reshape(-1, 2).astype(np.float64)
    if len(rough) != 4 or not cv2.isContourConvex(rough.astype(np.float32)):
        return None
    try:
        rough = ordered_corners(rough, (shape[1], shape[0]))
    except TiledError:
        return None
    if cv2.contourArea(contour) < 0.9 * _area(rough) or not _square_enough(rough):
        return None
    points = contour.reshape(-1, 2).astype(np.float64)
    lines = [_side(points, rough[k], rough[(k + 1) % 4]) for k in range(4)]
    if any(line is None for line in lines):
        return None
    corners = np.array([_crossing(lines[k - 1], lines[k]) for k in range(4)]) + 0.5
    high, wide = shape
    inside = (corners >= 1).all() and (corners <= (wide - 1, high - 1)).all()  # the photo's own border is no frame
    return corners if inside and np.abs(corners - rough).max() < 0.05 * max(shape) else None


def _square_enough(quad: Points) -> bool:
    sides = np.roll(quad, -1, axis=0) - quad
    sides = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    before = np.roll(sides, 1, axis=0)
    return bool(np.abs(before[:, 0] * sides[:, 1] - before[:, 1] * sides[:, 0]).min() > FLATTEST)


def _side(points: Points, a: Points, b: Points) -> tuple[Points, Points] | None:
    """A line, as a point and a direction, through those of an outline's points that lie along the middle of a side."""
    length = float(np.linalg.norm(b - a))
    along = (points - a) @ (b - a) / length**2
    away = np.abs((points - a) @ np.array([-(b - a)[1], (b - a)[0]])) / length
    near = points[(along > 0.08) & (along < 0.92) & (away < max(3.0, 0.02 * length))]
    if len(near) < 0.5 * length:
        return None
    vx, vy, x, y = cv2.fitLine(near.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
    return np.array([x, y], dtype=np.float64), np.array([vx, vy], dtype=np.float64)


def _crossing(first: Any, second: Any) -> Points:
    (p, d), (q, e) = first, second
    along = np.linalg.solve(np.column_stack([d, -e]), q - p)[0]
    return np.asarray(p + along * d)


def _area(quad: Points) -> float:
    x, y = quad.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _innermost(quads: Sequence[Points]) -> Points:
    """Within the largest, the smallest that still is the frame's: about the same middle, and not much smaller.

    An edge has an outline on either side; it lies between them.
    """
    outer = quads[0]
    middle, reach = outer.mean(axis=0), 0.12 * np.sqrt(_area(outer))
    within = [
        quad
        for quad in quads
        if _area(quad) >= INNER_AREA * _area(outer) and np.linalg.norm(quad.mean(axis=0) - middle) < reach
    ]
    same = [quad for quad in within if np.abs(quad - within[-1]).max() < SAME_EDGE]
    return np.asarray((same[0] + same[-1]) / 2)
