"""Free masks: polygons or a small picture, within the box of a region."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tiled_diffusion.errors import SettingsError

from .kinds import Kind
from .quoting import quoted, shortened

if TYPE_CHECKING:  # Pillow is loaded where a mask is read or drawn: the engine stands on torch and numpy alone
    from PIL import Image

MAX_POLYGONS = 32
MAX_POINTS = 2000
MAX_PICTURE_PX = 512
MAX_PICTURE_TEXT = 65536
OVERSAMPLING = 4
"""A polygon is drawn this much finer than the mask, so that its edge falls between pixels."""

Weights = npt.NDArray[np.float64]
Point = tuple[float, float]
Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class Mask:
    """A shape within a box: either polygons or a picture.

    Attributes:
        polygons: closed, in fractions (x, y) of the box, filled by the even-odd rule; 1 to 32 of them, of 3 points or
            more each, at most 2000 points in all.
        picture: base64 of a PNG, read as 8-bit grey (white is inside), at most 512 x 512 pixels; stretched
            over the box.
    """

    polygons: tuple[Polygon, ...] = ()
    picture: str | None = None

    def __post_init__(self) -> None:
        if self.polygons and self.picture is not None:
            raise SettingsError("mask: got polygons and a picture, allowed is one of them")
        if not self.polygons and self.picture is None:
            raise SettingsError("mask: at least one polygon, or a picture, is missing")
        if self.picture is not None:
            read_picture(self.picture)
        else:
            _check_polygons(self.polygons)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        if self.picture is not None:
            return {"picture": self.picture}
        return {"polygons": [[list(point) for point in polygon] for polygon in self.polygons]}

    def drawn(self, height: int, width: int) -> Weights:
        """[height, width] in 0..1: how much of each pixel of the box lies inside."""
        return _drawn(self, height, width).copy()


@dataclass(frozen=True)
class MaskKind(Kind):
    """A mask, as a field of a region."""

    @property
    def allowed(self) -> str:
        return '{"polygons": [[[x, y], ...], ...]} or {"picture": base64 PNG}'

    def values(self, unit: str = "") -> str:
        return '{"polygons": ...}, {"picture": ...}'

    def fits(self, value: object) -> bool:
        return isinstance(value, Mask)

    def from_json(self, name: str, value: object, version: int) -> Mask:
        return mask_from_json(value, name)

    def to_json(self, value: Mask) -> dict[str, Any]:
        return value.to_dict()

    def to_javascript(self) -> dict[str, Any]:
        return {
            "type": "mask", "most_polygons": MAX_POLYGONS, "most_points": MAX_POINTS,
            "most_picture_px": MAX_PICTURE_PX, "most_picture_text": MAX_PICTURE_TEXT,
        }  # fmt: skip


def mask_from_json(value: object, name: str) -> Mask:
    """Reads the JSON form.

    Raises:
        SettingsError: names what is wrong.
    """
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ("polygons", "picture"):
        raise SettingsError(
            f'{name}: got {quoted(value)}, allowed is {{"polygons": [[[x, y], ...], ...]}} or {{"picture": base64 PNG}}'
        )
    if "picture" in value:
        if not isinstance(value["picture"], str):
            raise SettingsError(f"{name}.picture: got {quoted(value['picture'])}, allowed is the base64 text of a PNG")
        return Mask(picture=value["picture"])
    if value["polygons"] in ([], ()):
        raise SettingsError(f"{name}.polygons: got [], at least one polygon is missing: [[x, y], [x, y], [x, y]]")
    return Mask(polygons=_read_polygons(value["polygons"], f"{name}.polygons"))


def _read_polygons(value: object, name: str) -> tuple[Polygon, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(p, (list, tuple)) for p in value):
        raise SettingsError(f"{name}: got {quoted(value)}, allowed is a list of lists of points [x, y]")
    for i, polygon in enumerate(value):
        for j, point in enumerate(polygon):
            if not isinstance(point, (list, tuple)) or len(point) != 2:
                raise SettingsError(f"{name}[{i}][{j}]: got {quoted(point)}, allowed is a point [x, y]")
    return tuple(tuple((p[0], p[1]) for p in polygon) for polygon in value)


def _check_polygons(polygons: Sequence[Polygon]) -> None:
    if len(polygons) > MAX_POLYGONS:
        raise SettingsError(f"mask.polygons: got {len(polygons)}, allowed are at most {MAX_POLYGONS}")
    points = sum(map(len, polygons))
    if points > MAX_POINTS:
        raise SettingsError(f"mask.polygons: got {points} points, allowed are at most {MAX_POINTS}")
    for i, polygon in enumerate(polygons):
        if len(polygon) < 3:
            raise SettingsError(f"mask.polygons[{i}]: got {len(polygon)} points, allowed are 3 or more")
        for j, point in enumerate(polygon):
            if not all(_is_fraction(value) for value in point):
                got = quoted(list(point))
                raise SettingsError(f"mask.polygons[{i}][{j}]: got {got}, allowed are two numbers from 0 to 1")


def _is_fraction(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def mask_from_file(path: str) -> Mask:
    """The mask in a picture's file: white is inside, grey in part, and transparent outside; shrunk where it is large.

    Raises:
        SettingsError: the file is no picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            rgba = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise SettingsError(f"mask: {shortened(path)} cannot be read as a picture ({shortened(e)})") from e
    grey = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba).convert("L")
    side = MAX_PICTURE_PX
    while True:
        grey.thumbnail((side, side))
        data = io.BytesIO()
        grey.save(data, format="PNG")
        text = base64.b64encode(data.getvalue()).decode()
        if len(text) <= MAX_PICTURE_TEXT:
            return Mask(picture=text)
        side = side * 3 // 4


@lru_cache(maxsize=64)
def read_picture(text: str) -> Image.Image:
    """The picture of a mask, 8-bit grey.

    Raises:
        SettingsError: no base64, no PNG, or too large.
    """
    from PIL import Image

    allowed = f"the base64 text of a PNG of at most {MAX_PICTURE_PX} x {MAX_PICTURE_PX} pixels"
    if len(text) > MAX_PICTURE_TEXT:
        raise SettingsError(f"mask.picture: got {len(text)} characters, allowed are at most {MAX_PICTURE_TEXT}")
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if max(image.size) > MAX_PICTURE_PX:
                size = f"{image.width} x {image.height} pixels"
                raise SettingsError(f"mask.picture: got {size}, allowed is {allowed}")
            return image.convert("L")
    except (binascii.Error, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as e:
        if isinstance(e, SettingsError):
            raise
        raise SettingsError(f"mask.picture: got {quoted(text)}, allowed is {allowed} ({shortened(e)})") from e


@lru_cache(maxsize=64)
def _drawn(mask: Mask, height: int, width: int) -> Weights:
    from PIL import Image

    if mask.picture is not None:
        image = read_picture(mask.picture)
        shrinks = image.width > width or image.height > height
        image = image.resize((width, height), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    else:
        image = _filled(mask.polygons, height * OVERSAMPLING, width * OVERSAMPLING)
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float64) / 255


def _filled(polygons: Sequence[Polygon], height: int, width: int) -> Image.Image:
    """Polygons by the even-odd rule: each turns inside into outside."""
    from PIL import Image, ImageChops, ImageDraw

    total = Image.new("L", (width, height), 0)
    for polygon in polygons:
        filled = Image.new("L", (width, height), 0)
        ImageDraw.Draw(filled).polygon([(x * width - 0.5, y * height - 0.5) for x, y in polygon], fill=255)
        total = ImageChops.logical_xor(total.convert("1"), filled.convert("1")).convert("L")
    return total
