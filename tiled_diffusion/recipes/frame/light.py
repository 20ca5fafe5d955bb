"""The room's light on a picture: as bright and as dark, here and there, as the empty frame was."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

SMOOTHED = 1 / 12
"""Of the frame's shorter side: what is smaller than this is no light but a thing, and stays off the picture."""
LEAST, MOST = 0.5, 2.0
"""How far the light may darken and brighten: a reflection of a lamp would burn the picture out."""


def lit(picture: Image.Image, inside: Image.Image, light: float) -> Image.Image:
    """A picture in the light that lay on the frame's inside.

    Args:
        picture: RGB.
        inside: RGB, of the frame before, seen from the front; of any size.
        light: 0 to 1, how much of it is taken over.
    """
    if not light:
        return picture
    grey = inside.convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    smooth = grey.filter(ImageFilter.GaussianBlur(min(picture.size) * SMOOTHED))
    brightness = np.asarray(smooth, dtype=np.float64)[..., None]
    ratio = np.clip((brightness + 1) / (brightness.mean() + 1), LEAST, MOST)
    gain = 1 + light * (ratio - 1)
    return Image.fromarray(np.rint(np.clip(np.asarray(picture) * gain, 0, 255)).astype(np.uint8))
