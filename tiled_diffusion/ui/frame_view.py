"""What a page shows of a frame while its corners are dragged: where they are, and how it looks from the front."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.recipes.frame.photo import Photo
from tiled_diffusion.recipes.frame.quad import Points
from tiled_diffusion.recipes.frame.steps import laid_out
from tiled_diffusion.settings.document import read
from tiled_diffusion.settings.frame import Frame, Framing
from tiled_diffusion.settings.pictures import open_picture

SHOWN = (192, 8)
"""Side of the square that is as large as the frame's inside on the page, and what sides are multiples of."""


def looked_at(data: dict[str, Any]) -> dict[str, Any]:
    """Answers a page.

    Args:
        data: "picture", the photo as a data URL of a PNG, JPEG or WebP; and of a frame's JSON what is known: "corners"
            are looked for where they are missing or null.

    Returns:
        "corners" in fractions of the photo, clockwise from the upper left; "flat", the frame and the room around it as
        a data URL; "shape", its width by height; and "told", whether that is known or a guess.

    Raises:
        TiledError: names the field or the corner that cannot be used, or says that no frame is seen.
    """
    picture = data.get("picture")
    if not isinstance(picture, str) or not picture.startswith("data:"):
        raise SettingsError("picture: allowed is a data URL of a PNG, JPEG or WebP")
    frame = read(Frame, {**{k: v for k, v in data.items() if k != "picture"}, "photo": "photo"}, "frame")
    photo = Photo.of(open_picture(picture, "picture", ()))
    result = laid_out(Framing(frame), photo, SHOWN, find)
    file = io.BytesIO()
    result.flat.save(file, format="JPEG", quality=90)
    width, height = result.layout.inside
    return {
        "corners": (result.layout.corners / photo.image.size).tolist(),
        "flat": "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(),
        "shape": width / height,
        "told": result.shape_told,
    }


def find(photo: Any) -> Points | None:
    """Looks for the corners of a frame; see recipes.frame.find.find_frame.

    Raises:
        TiledError: opencv is not installed.
    """
    try:
        from tiled_diffusion.recipes.frame.find import find_frame
    except ImportError as e:
        raise TiledError("corners: to look for a frame the library opencv is needed; drag the corners onto it") from e
    return find_frame(photo)


def corner_editor_html(carrier: str, *, photo: str = "", context: str = "", shape: str = "") -> str:
    """The element that a page's script fills with the photo, its four handles and the frame seen from the front.

    Args:
        carrier: id of the text component that holds the corners, as JSON.
        photo: CSS selector of the photo on the page; where empty, the WebUI's input picture.
        context: id of the component that says how much of the room is seen; where empty, 0.5.
        shape: id of the component that says the width by the height; where empty or 0, it is estimated.
    """
    data = {"carrier": carrier, "photo": photo, "context": context, "shape": shape}
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
    return f'<div class="td-root td-corners" {attributes}></div>'
