"""Pictures of regions: what may stand for one, how it is read, and how it is fitted into its region's box.

A picture is a file, or a data URL in its place. Which folders a file may lie in is the host's to say: a page or an API
must not read any file of the machine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tiled_diffusion.errors import SettingsError

from .kinds import Choice, Choices, Kind
from .quoting import shortened

if TYPE_CHECKING:  # Pillow is loaded where a picture is read: the engine stands on torch and numpy alone
    from PIL import Image

MOST_BYTES = 1 << 20
"""Of a picture in a data URL."""
MOST_BYTES_IN_ALL = 8 << 20
"""Of all pictures in data URLs of one document."""
DIGEST = "sha256:"
"""Begins the text that stands in records for a picture that came as data."""
FORMATS = ["PNG", "JPEG", "WEBP"]
FITS = Choices((
    Choice("cover", "cover", "Fills the box, and what reaches beyond it is cut off."),
    Choice("contain", "contain", "All of the picture lies within the box, and the rest of the box is free."),
    Choice("stretch", "stretch", "Takes on the shape of the box."),
))  # fmt: skip
_DATA = re.compile(r"data:image/(?:png|jpeg|webp);base64,(?P<data>[A-Za-z0-9+/=\s]*)")
Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PictureKind(Kind):
    """A picture, as a field of a region: the path of a file, or a data URL."""

    @property
    def allowed(self) -> str:
        return f"the path of a picture, or data:image/png;base64,... of at most {MOST_BYTES >> 20} MiB"

    def values(self, unit: str = "") -> str:
        return "a path, or a data URL of a PNG, JPEG or WebP"

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and value != "" and "\0" not in value

    def check(self, name: str, value: object) -> None:
        super().check(name, value)
        if isinstance(value, str) and is_data(value):
            if data_bytes(value) > MOST_BYTES:
                raise SettingsError(f"{name}: got {data_bytes(value)} bytes, allowed are at most {MOST_BYTES}")
            if _DATA.fullmatch(value) is None:
                raise SettingsError(f"{name}: got {shortened(value)}, allowed is {self.allowed}")

    def from_text(self, name: str, text: str) -> str:
        self.check(name, text)
        return text

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "text", "most": MOST_BYTES * 3 // 2}


def is_data(text: str) -> bool:
    """Whether a picture came as data and not as a file."""
    return text.startswith("data:")


def data_bytes(text: str) -> int:
    """Bytes of a data URL, about."""
    return len(text.partition(",")[2]) * 3 // 4 if is_data(text) else 0


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def picture_bytes(text: str, name: str, folders: Sequence[Path]) -> bytes:
    """What a picture's file or data URL holds.

    Args:
        text: of the field.
        name: what errors call it.
        folders: in which a file may lie; a relative path is looked for in each.

    Raises:
        SettingsError: there is no such file within the folders, or the text holds no data.
    """
    if text.startswith(DIGEST):
        raise SettingsError(f"{name}: the record names this picture by its digest alone, {text}: give its file")
    if is_data(text):
        match = _DATA.fullmatch(text)
        try:
            return base64.b64decode("".join(match["data"].split()), validate=True) if match else b""
        except binascii.Error as e:
            raise SettingsError(f"{name}: the data URL holds no base64 ({e})") from e
    places = [(folder / text).resolve() for folder in folders]
    within = [p for p in places if any(p.is_relative_to(folder.resolve()) for folder in folders)]
    if not within:
        allowed = " or ".join(map(str, folders)) if folders else "none: send a data URL"
        raise SettingsError(f"{name}: got {shortened(text)}, allowed are files within {allowed}")
    try:
        return next((p for p in within if p.is_file()), within[0]).read_bytes()
    except OSError as e:
        raise SettingsError(f"{name}: {shortened(text)} cannot be read ({e.strerror})") from e


def open_picture(text: str, name: str, folders: Sequence[Path], sha256: str | None = None) -> Image.Image:
    """The picture, upright as its camera says; `sha256` is what its digest must be, or None.

    Raises:
        SettingsError: as for `picture_bytes`, it is no picture, or another one than was recorded.
    """
    from PIL import Image, ImageOps

    data = picture_bytes(text, name, folders)
    if sha256 is not None and digest(data) != sha256:
        raise SettingsError(f"{name}: {shortened(text)} is not the picture that was recorded")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS if is_data(text) else None) as image:
            return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise SettingsError(f"{name}: {shortened(text)} cannot be read as a picture ({shortened(e)})") from e


def eight_bit(image: Image.Image) -> Image.Image:
    """The picture with numbers of 8 bits, where it has wider ones."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray((values / (257 if values.max(initial=0) > 255 else 1)).clip(0, 255).astype(np.uint8))
    return image


def fitted_into(image: Image.Image, height: int, width: int, fit: str, flip: bool) -> tuple[Grey, Grey]:
    """A picture in a box.

    Args:
        image: any size and mode.
        height: of the box, image pixels.
        width: of the box, image pixels.
        fit: see FITS.
        flip: left and right change places.

    Returns:
        [height, width, 3], its edges repeated where it does not reach; and [height, width], 255 where it is, less where
        it is transparent.
    """
    from PIL import Image, ImageOps

    rgba = eight_bit(image).convert("RGBA")
    rgba = ImageOps.mirror(rgba) if flip else rgba
    scale = {"cover": max, "contain": min}.get(fit)
    if scale is None:
        wide, high = width, height
    else:
        by = scale(width / rgba.width, height / rgba.height)
        wide, high = (max(1, round(side * by)) for side in rgba.size)
    rgba = rgba.resize((wide, high), Image.Resampling.LANCZOS)
    left, top = (width - wide) // 2, (height - high) // 2
    pixels = np.asarray(rgba)[max(0, -top) :, max(0, -left) :][:height, :width]
    before = (max(0, top), max(0, left))
    around = [(n, size - n - have) for n, size, have in zip(before, (height, width), pixels.shape, strict=False)]
    return np.pad(pixels[..., :3], (*around, (0, 0)), mode="edge"), np.pad(pixels[..., 3], around)


@lru_cache(maxsize=64)
def recorded(text: str, folders: tuple[Path, ...]) -> tuple[str, str | None]:
    """What a record says of a picture: its file and digest, and for data the digest alone; never the bytes."""
    if text.startswith(DIGEST):
        return text, None
    try:
        found = digest(picture_bytes(text, "picture", folders))
    except SettingsError:
        return ("data" if is_data(text) else text), None
    return (DIGEST + found, None) if is_data(text) else (text, found)
