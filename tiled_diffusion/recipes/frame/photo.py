"""The photo: what of it cannot be used, and its colours."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageCms

from tiled_diffusion.errors import TiledError

EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclass(frozen=True)
class Photo:
    """A photo as it is worked on.

    Attributes:
        image: RGB, or RGBA where it is transparent anywhere.
        profile: its ICC profile, where it is not sRGB for all that is known.
        notes: what was done to it, for the user.
    """

    image: Image.Image
    profile: bytes | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: Image.Image) -> Photo:
        """A photo of any mode with 8 bits a channel; one that is neither RGB nor RGBA is converted, which is noted.

        Raises:
            TiledError: it has 16 bits or more a channel.
        """
        if image.mode not in EIGHT_BIT:
            raise TiledError(f"photo: got {image.mode}, more than 8 bits a channel; allowed are photos of 8 bits")
        if image.mode in ("RGB", "RGBA"):
            profile = image.info.get("icc_profile")
            return cls(image, profile if profile and not _is_srgb(profile) else None)
        clear = image.mode in ("LA", "PA") or "transparency" in image.info
        note = f"photo: converted from {image.mode} to {'RGBA' if clear else 'RGB'}"
        return cls(_converted(image, "RGBA" if clear else "RGB"), None, (note,))

    def to_srgb(self, image: Image.Image) -> Image.Image:
        """A part of the photo in sRGB, for the model."""
        return image if self.profile is None else _between(image, self.profile, srgb_profile())

    def from_srgb(self, image: Image.Image) -> Image.Image:
        """A picture in the photo's colours."""
        return image if self.profile is None else _between(image, srgb_profile(), self.profile)


def wide_channels(image: Image.Image) -> bool:
    """Whether a file that was opened, and not read yet, has more than 8 bits a channel, which Pillow cuts off."""
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def srgb_profile() -> bytes:
    """The ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _is_srgb(profile: bytes) -> bool:
    try:
        return "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return False  # what is wrong with it is told where it is used


def _converted(image: Image.Image, mode: str) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK" and profile:
        return _between(image, profile, srgb_profile(), mode)
    return image.convert(mode)


def _between(image: Image.Image, source: bytes, target: bytes, mode: str = "RGB") -> Image.Image:
    try:
        have, want = (ImageCms.ImageCmsProfile(io.BytesIO(profile)) for profile in (source, target))
        made = ImageCms.profileToProfile(image, have, want, outputMode=mode)
    except (ImageCms.PyCMSError, OSError) as e:
        raise TiledError(f"photo: its colour profile cannot be used ({e}); save it as sRGB") from e
    return image if made is None else made
