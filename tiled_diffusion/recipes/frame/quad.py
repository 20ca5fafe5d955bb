"""Four corners of a flat rectangle in a photo: their order, the homography to the rectangle, and its true shape.

Coordinates are image pixels, continuous: (0, 0) is the upper left corner of the upper left pixel, whose middle is
(0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.frame import SHAPE

Points = npt.NDArray[np.float64]
"""[N, 2]: x and y."""
Matrix = npt.NDArray[np.float64]
"""[3, 3]: maps (x, y, 1) to (u, v, 1) times a number."""
SHORTEST_SIDE = 16
"""Of a quadrilateral, image pixels."""
FURTHEST = 8
"""How many times as far from the camera as its nearest corner the furthest one of a frame may be."""


def ordered_corners(points: Sequence[Sequence[float]] | Points, size: tuple[int, int]) -> Points:
    """The corners clockwise from the upper left, in whichever order around the frame they are given.

    Args:
        points: four corners, image pixels.
        size: width and height of the photo.

    Returns:
        [4, 2]: upper left, upper right, lower right, lower left.

    Raises:
        TiledError: these are not four pairs of numbers, a corner lies outside the photo, sides cross, the shape is not
            convex, a side is shorter than SHORTEST_SIDE, or no camera sees a frame like that.
    """
    corners = np.asarray(points, dtype=np.float64)
    if corners.shape != (4, 2) or not np.isfinite(corners).all():
        raise TiledError("corners: allowed are four pairs x,y of finite numbers")
    for x, y in corners:
        if not (0 <= x <= size[0] and 0 <= y <= size[1]):
            raise TiledError(f"corners: got ({x:g}, {y:g}), allowed is within the photo of {size[0]}x{size[1]} px")
    _check_shape(corners)
    if _turns(corners).sum() < 0:
        corners = corners[::-1]
    return np.roll(corners, -max(range(4), key=lambda k: _uprightness(np.roll(corners, -k, axis=0))), axis=0)


def _check_shape(corners: Points) -> None:
    shortest = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).min()
    if shortest < SHORTEST_SIDE:
        raise TiledError(f"corners: the shortest side is {shortest:.3g} px long, allowed is at least {SHORTEST_SIDE}")
    turns = _turns(corners)
    wrong = min((turns > 0).sum(), (turns < 0).sum())
    if wrong == 2:
        raise TiledError("corners: the sides cross; allowed is one corner after the other around the frame")
    if wrong or np.abs(turns).min() < 1e-3:
        raise TiledError("corners: three of them lie on a line or bend inwards; allowed is a convex shape")
    depth = depths(homography(rectangle(1, 1), corners), rectangle(1, 1))
    if depth.max() > FURTHEST * depth.min():
        raise TiledError("corners: no frame looks like that, one side is far too short for the one across from it")


def _turns(corners: Points) -> Points:
    """[4]: the sine of the turn at each corner, positive for clockwise as seen on the screen."""
    sides = np.roll(corners, -1, axis=0) - corners
    sides = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    before = np.roll(sides, 1, axis=0)
    return np.asarray(before[:, 0] * sides[:, 1] - before[:, 1] * sides[:, 0])


def _uprightness(corners: Points) -> float:
    """How far the sides, from the first corner on, go right, down, left and up."""
    sides = np.roll(corners, -1, axis=0) - corners
    return float(sides[0, 0] + sides[1, 1] - sides[2, 0] - sides[3, 1])


def rectangle(width: float, height: float, left: float = 0, top: float = 0) -> Points:
    """The corners of an upright rectangle, clockwise from the upper left."""
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=np.float64)


def homography(source: Points, target: Points) -> Matrix:
    """The homography that maps four points to four points; no three of either on a line.

    Eight linear equations in its entries (Hartley and Zisserman, Multiple View Geometry, 4.1), solved between points
    that are moved and scaled to about -1..1, where they are well conditioned.
    """
    to_source, to_target = _unit(source), _unit(target)
    rows, values = [], []
    for (x, y), (u, v) in zip(mapped(to_source, source), mapped(to_target, target), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    entries = np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)
    matrix = np.linalg.inv(to_target) @ entries @ to_source
    return np.asarray(matrix / depths(matrix, source).mean())


def _unit(points: Points) -> Matrix:
    middle = points.mean(axis=0)
    scale = 1 / np.abs(points - middle).max()
    return np.array([[scale, 0, -middle[0] * scale], [0, scale, -middle[1] * scale], [0, 0, 1.0]])


def depths(matrix: Matrix, points: Points) -> Points:
    """[N]: the numbers that a homography divides by; where they are not positive lies what no camera sees."""
    return np.asarray(points @ matrix[2, :2] + matrix[2, 2])


def mapped(matrix: Matrix, points: Points) -> Points:
    """The points, mapped by a homography."""
    return np.asarray((points @ matrix[:2, :2].T + matrix[:2, 2]) / depths(matrix, points)[:, None])


def shifted(x: float, y: float) -> Matrix:
    """The homography that moves points by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def scaled(x: float, y: float) -> Matrix:
    """The homography that stretches about (0, 0)."""
    return np.diag([x, y, 1.0])


def estimated_shape(corners: Points, size: tuple[int, int]) -> tuple[float, bool]:
    """Width by height of the rectangle that a camera saw at these corners.

    Zhang and He, Whiteboard scanning and image enhancement (2007), section 3.2: square pixels and the principal point
    in the middle of the photo, so a photo that was cut on one side misleads it. Where fewer than two vanishing points
    are finite the corners do not tell the focal length; it then is taken to be as long as the photo's longer side.

    Args:
        corners: clockwise from the upper left, image pixels.
        size: width and height of the photo.

    Returns:
        The shape, and whether the focal length came from the corners.
    """
    unit = max(size)
    flat = (corners - np.array(size) / 2) / unit
    m1, m2, m4, m3 = np.column_stack([flat, np.ones(4)])
    k2 = np.dot(np.cross(m1, m4), m3) / np.dot(np.cross(m2, m4), m3)
    k3 = np.dot(np.cross(m1, m4), m2) / np.dot(np.cross(m3, m4), m2)
    across, down = k2 * m2 - m1, k3 * m3 - m1
    depth = across[2] * down[2]
    squared = -np.dot(across[:2], down[:2]) / depth if depth else 0.0
    told = bool(min(abs(across[2]), abs(down[2])) > 0.01 and 0.3**2 < squared < 10**2)
    scale = np.array([1, 1, squared if told else 1.0])
    ratio = float(np.sqrt(np.sum(across**2 * scale) / np.sum(down**2 * scale)))
    return min(max(ratio, SHAPE.low), SHAPE.high), told
