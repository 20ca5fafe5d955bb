"""The script "Frame" of img2img: a picture in the empty frame of its input, drawn by the WebUI's own inpainting."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.flat import FlatLayout
from tiled_diffusion.recipes.frame.photo import Photo
from tiled_diffusion.recipes.frame.quad import ordered_corners
from tiled_diffusion.recipes.frame.steps import framed, laid_out
from tiled_diffusion.settings.document import parse_json
from tiled_diffusion.settings.fields import row
from tiled_diffusion.settings.frame import Corners, CornersKind, Frame, Framing, corners_from_text
from tiled_diffusion.settings.kinds import Choices
from tiled_diffusion.settings.request import INPAINT_FROM
from tiled_diffusion.ui.controls import slider_of
from tiled_diffusion.ui.frame_view import corner_editor_html, find

from .hosts import Script, host, require_known_host
from .hosts.port import Job
from .hosts.values import MaskedPicture
from .run import failing

TITLE = "Frame"
UNIT_PX = 8
BEGINS = Choices(tuple(option for option in INPAINT_FROM.options if option.value in ("noise", "original")))
"""Of the ways to begin those that `MaskedPicture` has."""


class FrameScript(Script):  # type: ignore[misc]
    """A script to be chosen in img2img; the frame's inside is drawn as large as the page's sliders say."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        """In img2img alone."""
        return is_img2img

    def ui(self, is_img2img: bool) -> list[Any]:  # noqa: ARG002 in img2img alone
        """The photo with its four corners, and the script's arguments."""
        gr.HTML(corner_editor_html(_id("corners"), context=_id("context"), shape=_id("shape")))
        corners = gr.Textbox("", label="Corners of the frame", elem_id=_id("corners"), elem_classes=["td-hidden"])
        corners.do_not_save_to_config = True
        with gr.Row():
            begin = gr.Radio(
                list(BEGINS.names), value=Framing.request.inpaint_from,
                label="The picture begins as", elem_id=_id("begin"),
                info="Noise, or what the photo shows there: an empty frame is grey, and so will be what is drawn.",
            )  # fmt: skip
            shape = gr.Number(0, **_known("shape"))
        with gr.Row():
            context, light = (slider_of(row(Frame, name), 0.05, **_known(name)) for name in ("context", "light"))
            feather = gr.Number(0, precision=0, **_known("feather"))
        return [corners, begin, shape, context, light, feather]

    def run(self, p: Job, *values: Any) -> Any:
        """Draws in the frame, and gives back each photo with its picture, then the pictures alone."""
        try:
            return _drawn(p, *values)
        except TiledError as e:
            raise failing(TITLE, e) from None


def _id(name: str) -> str:
    return f"td_frame_{name}"


def _known(name: str) -> dict[str, Any]:
    setting = row(Frame, name)
    zero = " 0: estimated from the corners." if name == "shape" else ""
    return {"label": setting.label, "info": setting.entry.help + zero, "elem_id": _id(name)}


def _drawn(p: Any, corners: str, begin: str, shape: float, context: float, light: float, feather: float) -> Any:
    require_known_host()
    host.jobs.fix_seed(p)
    if getattr(p, "image_mask", None) is not None or not p.init_images:
        raise TiledError("img2img: a frame needs one photo, and no mask: what is drawn is what its corners enclose")
    BEGINS.check("begin", begin)
    photo = Photo.of(p.init_images[0])
    known = _corners(str(corners), photo.image.size)
    framing = Framing(Frame("img2img", known, shape or None, context, feather=feather, light=light))
    side = max(UNIT_PX, round(math.sqrt(p.width * p.height)))
    result = laid_out(framing, photo, (side, UNIT_PX), find)
    _tell(p, photo, result.layout, begin, told=result.shape_told, looked=known is None)
    drawn = host.jobs.draw_masked(p, MaskedPicture(result.flat, result.layout.mask(), begin == "noise"))
    pictures = [replace(made, image=_inside(made.image, result.layout)) for made in drawn]
    photos = [replace(made, image=framed(photo, result, made.image, framing)) for made in pictures]
    return host.jobs.results(p, [*photos, *pictures])


def _corners(text: str, size: tuple[int, int]) -> Corners | None:
    """In fractions, from the page's JSON or from pixels in words; None where they are to be looked for."""
    if not text.strip():
        return None
    if text.lstrip().startswith("["):
        corners: Corners = CornersKind().from_json("corners", parse_json(text, "corners"), 2)
        return corners
    pixels = corners_from_text(text)
    if pixels is None:
        return None
    ordered_corners(pixels, size)  # errors in the pixels that were typed
    return tuple((x / size[0], y / size[1]) for x, y in pixels)


def _tell(p: Any, photo: Photo, layout: FlatLayout, begin: str, *, told: bool, looked: bool) -> None:
    """What was found and done goes to the records, and below the pictures."""
    numbers = ",".join(f"{n:.1f}" for n in np.ravel(layout.corners))
    host.jobs.note(p, TITLE, f"{numbers} from {begin}")
    for note in photo.notes:
        p.comment(f"{TITLE}: {note}")
    if looked:
        p.comment(f"{TITLE}: the frame was found at {numbers}: look at it, and correct its corners if need be")
    if not told:
        shape = layout.inside[0] / layout.inside[1]
        p.comment(f"{TITLE}: it is {shape:.3f} times as wide as high, by a guess of the lens: say its shape")


def _inside(drawn: Image.Image, layout: FlatLayout) -> Image.Image:
    """The frame's inside in what was drawn, which another script may have enlarged."""
    across, down = (have / need for have, need in zip(drawn.size, layout.canvas, strict=True))
    left, top, right, bottom = layout.box
    box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
    return drawn.convert("RGB").crop(box)
