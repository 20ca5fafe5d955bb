"""The frame seen from the front, with the room around it: the canvas that a picture is drawn on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.upscale import SMALLEST_SIDE

from .quad import Matrix, Points, depths, homography, rectangle, shifted
from .warp import BAND, warped

NEAREST = 1 / 8
"""Depth of the room that is still flattened, where the frame's own is about 1."""


@dataclass(frozen=True)
class FlatLayout:
    """A canvas in the plane of the frame. All sizes in image pixels.

    Attributes:
        corners: [4, 2] of the frame's inside in the photo, clockwise from the upper left.
        inside: width and height of the frame's inside.
        canvas: width and height of all of it.
        offset: x and y of the inside on the canvas.
    """

    corners: Points
    inside: tuple[int, int]
    canvas: tuple[int, int]
    offset: tuple[int, int]

    @classmethod
    def of(cls, corners: Points, shape: float, px: float, context: float, unit: int) -> FlatLayout:
        """Lays out the canvas; its sides are multiples of the unit, for which the room around the frame grows.

        Args:
            corners: see quad.ordered_corners.
            shape: true width by height of the frame's inside.
            px: side of the square that is as large as the inside.
            context: how much of the room there is on each side, in the inside's width and height.
            unit: what sides of the canvas are multiples of.

        Raises:
            TiledError: the frame is seen at so steep an angle that there is no such room.
        """
        inside = (max(1, round(px * math.sqrt(shape))), max(1, round(px / math.sqrt(shape))))
        reach = 1 + 2 * context
        width, height = (math.ceil(max(SMALLEST_SIDE, side * reach - 1e-9 * unit) / unit) * unit for side in inside)
        flat = cls(corners, inside, (width, height), ((width - inside[0]) // 2, (height - inside[1]) // 2))
        if depths(flat.to_photo, rectangle(width, height)).min() < NEAREST:
            raise TiledError(
                f"context: got {context:g}, and so far around the frame the photo shows no wall: it is seen at too "
                "steep an angle; allowed is less"
            )
        return flat

    @property
    def to_photo(self) -> Matrix:
        """Maps the canvas to the photo."""
        return homography(rectangle(*self.inside, *self.offset), self.corners)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the inside on the canvas."""
        (left, top), (width, height) = self.offset, self.inside
        return left, top, left + width, top + height

    def flattened(self, photo: Image.Image) -> Image.Image:
        """The canvas as the photo shows it, RGB; beyond the photo's edges these are repeated."""
        return warped(photo, self.to_photo, self.canvas)

    def mask(self) -> Image.Image:
        """White on the frame's inside and black around it."""
        mask = Image.new("L", self.canvas, 0)
        mask.paste(255, self.box)
        return mask


def pasted(photo: Image.Image, corners: Points, picture: Image.Image, feather: float) -> Image.Image:
    """The photo with a picture in the frame.

    Args:
        photo: RGB or RGBA.
        corners: of the frame's inside, clockwise from the upper left.
        picture: RGB, of any size; it is stretched to the corners.
        feather: width of the soft edge within the frame, image pixels of the photo; an edge of one pixel is soft in any
            case, so that it shows no steps.

    Returns:
        A picture of the photo's size and mode. Pixels whose middle lies outside the corners are the photo's own.
    """
    left, top = np.floor(corners.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
    to_picture = homography(corners, rectangle(*picture.size)) @ shifted(left, top)
    inner = warped(picture, to_picture, (right - left, bottom - top), corners - (left, top))
    out = photo.copy()
    rows = max(1, BAND // (right - left))
    for y in range(top, bottom, rows):
        box = (left, y, right, min(y + rows, bottom))
        alpha = _alpha(corners, box, feather)[..., None]
        before = np.asarray(photo.crop(box))
        drawn = np.asarray(inner.crop((0, y - top, right - left, box[3] - top)), dtype=np.float64)
        mixed = before.copy()
        mixed[..., :3] = np.rint(before[..., :3] + alpha * (drawn - before[..., :3]))
        out.paste(Image.fromarray(mixed), box)
    return out


def _alpha(corners: Points, box: tuple[int, int, int, int], feather: float) -> Points:
    """[h, w] in 0..1 for the middles of a box's pixels: 0 outside the corners, 1 deeper within than the feather."""
    y, x = np.mgrid[box[1] : box[3], box[0] : box[2]] + 0.5
    alpha = np.ones(x.shape)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        depth = ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / math.hypot(x1 - x0, y1 - y0)
        alpha = np.minimum(alpha, np.clip(depth / (feather + 1), 0, 1))
    return alpha
