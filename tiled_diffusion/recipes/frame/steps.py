"""The whole way from a photo of an empty frame to a print, and each step of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Host, Picture, Task, draw_each
from tiled_diffusion.recipes.printing import draws_details, print_notes, printed
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.frame import Framing
from tiled_diffusion.settings.print_size import Print
from tiled_diffusion.settings.request import Request

from .flat import FlatLayout, pasted
from .light import lit
from .photo import Photo
from .quad import Points, estimated_shape, ordered_corners
from .redraw import redrawn

Finder = Callable[[Image.Image], "Points | None"]
"""Looks for a frame's inside in a photo: [4, 2] image pixels, or None where it sees none."""
OnResult = Callable[[str, Image.Image, "Request | None"], None]
"""Is handed each result as soon as it is there: its name, the picture, and what was asked of the host for it, or None
where nothing was."""


@dataclass
class FrameResult:
    """What came of it. Sizes in image pixels.

    Attributes:
        flat: the frame and the room around it, seen from the front.
        layout: where the frame lies in the photo and on `flat`.
        shape_told: whether the frame's shape was given, or the perspective told it; else it is a guess.
        tries: pictures drawn in the frame, RGB, of the frame's inside.
        picture: what goes into the frame, drawn or given; None where nothing does.
        redrawn: the same, drawn anew by the second prompt; None where there is none.
        photo: the photo with the picture in the frame, of its size and mode.
        print: the file for the print shop.
        notes: what a user wants to know.
    """

    flat: Image.Image
    layout: FlatLayout
    shape_told: bool
    tries: list[Picture] = field(default_factory=list)
    picture: Image.Image | None = None
    redrawn: Image.Image | None = None
    photo: Image.Image | None = None
    print: Image.Image | None = None
    notes: list[str] = field(default_factory=list)


def make_frame(
    host: Host,
    framing: Framing,
    image: Image.Image,
    *,
    picture: Image.Image | None = None,
    find: Finder | None = None,
    on_result: OnResult | None = None,
    progress: Progress | None = None,
) -> FrameResult:
    """Does what is asked for.

    Args:
        host: where it is drawn.
        framing: what is asked for; the file names in its frame.photo and picture do not count.
        image: the photo.
        picture: goes into the frame in place of a drawn one.
        find: looks for the corners where none are given.
        on_result: is handed "corners", "flat", "tries/SEED", "tries", "picture", "redrawn", "photo" and "print", each
            as soon as it is there, so that an error in a later step loses nothing.
        progress: is told of the drawing.

    Raises:
        TiledError: names the photo, corner or size that cannot be used, or says that no frame is seen.
        Interrupted: the user stopped it.
    """
    on_result, photo = on_result or _unheard, Photo.of(image)
    px = framing.frame.side_px or host.native_px
    result = laid_out(framing, photo, (px, host.unit_px), find)
    on_result("corners", shown_corners(photo.image, result.layout.corners), None)
    on_result("flat", result.flat, None)
    asked: Request | None = None
    if picture is not None:
        result.picture = _opaque(host, picture)
    elif framing.has_picture:
        result.tries = _drawn(host, framing, result, on_result, progress)
        chosen = result.tries[framing.pick - 1]
        result.picture, asked = chosen.image, replace(canvas_request(framing, result.layout), seed=chosen.seed)
        on_result("tries", contact_sheet(result, framing.frame.light), None)
    if result.picture is None:
        return result
    on_result("picture", result.picture, asked)
    final, last = result.picture, asked
    if framing.redraw is not None:
        begun = framing.request if asked is None else replace(framing.request, seed=asked.seed)
        result.redrawn, last = redrawn(host, begun, framing.redraw, final, progress)
        on_result("redrawn", result.redrawn, last)
        final = result.redrawn
    result.photo = framed(photo, result, final, framing)
    on_result("photo", result.photo, asked)
    if framing.print is not None:
        result.notes += print_notes(final.size, framing.print)
        result.print, last = _printed(host, framing, framing.print, final, last, progress)
        on_result("print", result.print, last)
    return result


def _unheard(*_: object) -> None:
    """Where nobody asks for results as they come."""


def _opaque(host: Host, picture: Image.Image) -> Image.Image:
    return host.upscale(picture, picture.size)


def laid_out(framing: Framing, photo: Photo, sizes: tuple[int, int], find: Finder | None = None) -> FrameResult:
    """The corners, the shape and the flattened frame.

    Args:
        framing: what is asked for.
        photo: with the frame.
        sizes: side of the square that is as large as the frame's inside, and what sides of the canvas are multiples of.
        find: looks for the corners where none are given.

    Raises:
        TiledError: names the corner that cannot be used, or says that no frame is seen.
    """
    size, notes = photo.image.size, list(photo.notes)
    if framing.frame.corners is not None:
        corners = ordered_corners(np.array(framing.frame.corners) * size, size)
    else:
        seen = None if find is None else find(photo.image.convert("RGB"))
        if seen is None:
            raise TiledError("corners: no frame is seen in the photo; say where its four corners are")
        corners = ordered_corners(seen, size)
        numbers = ",".join(f"{n:.1f}" for n in corners.ravel())
        notes.append(f"corners: found at {numbers}")
    estimate, told = estimated_shape(corners, size)
    shape = framing.shape or estimate
    if not framing.shape:
        how = "" if told else ", by a guess of the lens: the corners do not tell it; say the shape, or the print"
        notes.append(f"shape: the frame is {estimate:.3f} times as wide as high{how}")
    layout = FlatLayout.of(corners, shape, sizes[0], framing.frame.context, sizes[1])
    flat = photo.to_srgb(layout.flattened(photo.image))
    return FrameResult(flat, layout, told or bool(framing.shape), notes=notes)


def canvas_request(framing: Framing, layout: FlatLayout) -> Request:
    """What is asked of the host for the flattened frame: the mask is hard, for the edge is made in the photo."""
    width, height = layout.canvas
    return replace(framing.request, width=width, height=height, mask_feather=0, init_image=None)


def _drawn(
    host: Host, framing: Framing, result: FrameResult, on_result: OnResult, progress: Progress | None
) -> list[Picture]:
    """The tries: what was drawn in the frame, cut out of the canvas."""
    request, layout, tries = canvas_request(framing, result.layout), result.layout, dict[int, Picture]()
    asked = [replace(request, seed=request.seed + k) for k in range(framing.tries)]
    batches = [[Task(one_try, start=result.flat, mask=layout.mask())] for one_try in asked]
    for number, (drawn,) in draw_each(host, batches, progress):
        tries[number] = Picture(drawn.image.crop(layout.box), asked[number].seed)
        on_result(f"tries/{asked[number].seed}", tries[number].image, asked[number])
    return [tries[number] for number in range(framing.tries)]


def framed(photo: Photo, result: FrameResult, picture: Image.Image, framing: Framing) -> Image.Image:
    """The photo with a picture in its frame, in the room's light and the photo's colours."""
    inside = result.flat.crop(result.layout.box)
    coloured = photo.from_srgb(lit(picture, inside, framing.frame.light))
    return pasted(photo.image, result.layout.corners, coloured, framing.frame.feather)


def _printed(
    host: Host,
    framing: Framing,
    sheet: Print,
    picture: Image.Image,
    drawn: Request | None,
    progress: Progress | None,
) -> tuple[Image.Image, Request | None]:
    """The print, and what was asked of the host for it: for the picture, where only pixels were added to it."""
    asked = drawn or framing.request
    tiling = replace(asked.tiling, regions=())
    asked = replace(asked, denoising_strength=framing.print_strength, inpaint_from="original", tiling=tiling)
    made = printed(host, asked, picture, sheet, framing.upscaler, progress)
    return made, asked if draws_details(asked, picture.size, sheet) else drawn


def tries_in_frame(result: FrameResult, light: float) -> list[Image.Image]:
    """Each try in its frame, seen from the front; `light` as for `lit`."""
    inside, cells = result.flat.crop(result.layout.box), []
    for drawn in result.tries:
        cells.append(result.flat.copy())
        cells[-1].paste(lit(drawn.image, inside, light), result.layout.box)
    return cells


def contact_sheet(result: FrameResult, light: float, columns: int = 4) -> Image.Image:
    """The tries side by side in their frame, seen from the front, with their numbers (from 1) and seeds.

    Args:
        result: with its tries.
        light: see `lit`.
        columns: at most.
    """
    cells = tries_in_frame(result, light)
    width, height = (min(side, round(side * 320 / max(result.flat.size))) for side in result.flat.size)
    columns, label = min(columns, len(cells)), 18
    rows = math.ceil(len(cells) / columns)
    sheet = Image.new("RGB", (columns * (width + 8) + 8, rows * (height + label + 8) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (cell, drawn) in enumerate(zip(cells, result.tries, strict=True)):
        x, y = 8 + k % columns * (width + 8), 8 + k // columns * (height + label + 8)
        sheet.paste(cell.resize((width, height), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + height + 3), f"{k + 1}: seed {drawn.seed}", fill="black")
    return sheet


def shown_corners(photo: Image.Image, corners: Points, longest: int = 1024) -> Image.Image:
    """The photo with its corners marked, and numbered in their order."""
    scale = min(1.0, longest / max(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    shown = photo.resize(size, Image.Resampling.LANCZOS).convert("RGB")
    draw, points = ImageDraw.Draw(shown), [(float(x) * scale, float(y) * scale) for x, y in corners]
    draw.line([*points, points[0]], fill=(255, 0, 80), width=3)
    for k, (x, y) in enumerate(points, start=1):
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), outline=(255, 0, 80), fill="white")
        draw.text((x + 8, y + 4), str(k), fill=(255, 0, 80))
    return shown
