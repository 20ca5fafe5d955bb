"""The whole way from a photo of an empty frame to a print, and each step of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Host, Picture, Task, draw_each
from tiled_diffusion.recipes.printing import print_notes, printed
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.frame import FrameJob
from tiled_diffusion.settings.request import Request

from .flat import Flat, pasted
from .light import lit
from .photo import Photo
from .quad import Points, estimated_shape, ordered_corners
from .redraw import redrawn

Finder = Callable[[Image.Image], "Points | None"]
"""Looks for a frame's inside in a photo: [4, 2] image pixels, or None where it sees none."""
Keep = Callable[[str, Image.Image, "Request | None"], None]
"""Is handed each result as soon as it is there: its name, the picture, and what was asked of the host for it."""


@dataclass
class FrameResult:
    """What came of a job. Sizes in image pixels.

    Attributes:
        flat: the frame and the room around it, seen from the front.
        layout: where the frame lies in the photo and on `flat`.
        shape_told: whether the frame's shape was given, or the perspective told it; else it is a guess.
        tries: pictures drawn in the frame, RGB, of the frame's inside.
        picture: what goes into the frame, before and after it was redrawn.
        photo: the photo with the picture in the frame, of its size and mode.
        print: the file for the print shop.
        notes: what a user wants to know.
    """

    flat: Image.Image
    layout: Flat
    shape_told: bool
    tries: list[Picture] = field(default_factory=list)
    picture: Image.Image | None = None
    redrawn: Image.Image | None = None
    photo: Image.Image | None = None
    print: Image.Image | None = None
    notes: list[str] = field(default_factory=list)


def make_frame(
    host: Host,
    job: FrameJob,
    image: Image.Image,
    *,
    picture: Image.Image | None = None,
    find: Finder | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> FrameResult:
    """Does what a job asks for.

    Args:
        host: where it is drawn.
        job: what is wanted; the file names in its frame.photo and picture do not count.
        image: the photo.
        picture: goes into the frame in place of a drawn one.
        find: looks for the corners that the job does not name.
        keep: is handed "corners", "flat", "tries/SEED", "tries", "picture", "redrawn", "photo" and "print", each as
            soon as it is there, so that an error in a later step loses nothing.
        progress: is told of the drawing.

    Raises:
        TiledError: names the photo, corner or size that cannot be used, or says that no frame is seen.
        Interrupted: the user stopped it.
    """
    keep, photo = keep or _dropped, Photo.of(image)
    result = _laid_out(host, job, photo, find)
    keep("corners", shown_corners(photo.image, result.layout.corners), None)
    keep("flat", result.flat, None)
    inside, last = result.flat.crop(result.layout.box), job.request
    if picture is not None:
        result.picture = _opaque(host, picture)
    elif job.has_picture:
        result.tries = _drawn(host, job, result, keep, progress)
        result.picture, last = (
            result.tries[job.pick - 1].image,
            replace(canvas_request(job, result.layout), seed=result.tries[job.pick - 1].seed),
        )
        keep("tries", contact_sheet([lit(t.image, inside, job.frame.light) for t in result.tries], result), None)
    if result.picture is None:
        return result
    keep("picture", result.picture, last)
    final, asked = result.picture, last
    if job.redraw is not None:
        result.redrawn, asked = redrawn(host, replace(job.request, seed=last.seed), job.redraw, final, progress)
        keep("redrawn", result.redrawn, asked)
        final = result.redrawn
    result.photo = _framed(photo, result, final, job)
    keep("photo", result.photo, last)
    if job.print is not None:
        result.notes += print_notes(final.size, job.print)
        tiling = replace(asked.tiling, regions=())
        asked = replace(asked, denoising_strength=job.print_strength, inpaint_from="original", tiling=tiling)
        result.print = printed(host, asked, final, job.print, job.upscaler, progress)
        keep("print", result.print, asked)
    return result


def _dropped(*_: object) -> None:
    """Keeps nothing."""


def _opaque(host: Host, picture: Image.Image) -> Image.Image:
    return host.upscale(picture, picture.size)


def _laid_out(host: Host, job: FrameJob, photo: Photo, find: Finder | None) -> FrameResult:
    """The corners, the shape and the flattened frame."""
    size, notes = photo.image.size, list(photo.notes)
    if job.frame.corners is not None:
        corners = ordered_corners(np.array(job.frame.corners) * size, size)
    else:
        seen = None if find is None else find(photo.image.convert("RGB"))
        if seen is None:
            raise TiledError("corners: no frame is seen in the photo; give its corners, --corners x,y,x,y,x,y,x,y")
        corners = ordered_corners(seen, size)
        numbers = ",".join(f"{n:.1f}" for n in corners.ravel())
        notes.append(f"corners: found {numbers}; look at corners.png, and correct them with --corners {numbers}")
    estimate, told = estimated_shape(corners, size)
    shape = job.shape or estimate
    if not job.shape:
        how = "" if told else ", by a guess of the lens: the corners do not tell it; say --shape or --print"
        notes.append(f"shape: the frame is {estimate:.3f} times as wide as high{how}")
    px = job.frame.side_px or host.native_px
    layout = Flat.of(corners, shape, px, job.frame.context, host.unit_px)
    flat = photo.to_srgb(layout.flattened(photo.image))
    return FrameResult(flat, layout, told or bool(job.shape), notes=notes)


def canvas_request(job: FrameJob, layout: Flat) -> Request:
    """What is asked of the host for the flattened frame: the mask is hard, for the edge is made in the photo."""
    width, height = layout.canvas
    return replace(job.request, width=width, height=height, mask_feather=0, init_image=None)


def _drawn(host: Host, job: FrameJob, result: FrameResult, keep: Keep, progress: Progress | None) -> list[Picture]:
    """The tries: what was drawn in the frame, cut out of the canvas."""
    request, layout, tries = canvas_request(job, result.layout), result.layout, dict[int, Picture]()
    asked = [replace(request, seed=request.seed + k) for k in range(job.tries)]
    batches = [[Task(one_try, start=result.flat, mask=layout.mask())] for one_try in asked]
    for number, (drawn,) in draw_each(host, batches, progress):
        tries[number] = Picture(drawn.image.crop(layout.box), asked[number].seed)
        keep(f"tries/{asked[number].seed}", tries[number].image, asked[number])
    return [tries[number] for number in range(job.tries)]


def _framed(photo: Photo, result: FrameResult, picture: Image.Image, job: FrameJob) -> Image.Image:
    """The photo with a picture in its frame, in the room's light and the photo's colours."""
    inside = result.flat.crop(result.layout.box)
    coloured = photo.from_srgb(lit(picture, inside, job.frame.light))
    return pasted(photo.image, result.layout.corners, coloured, job.frame.feather)


def contact_sheet(pictures: list[Image.Image], result: FrameResult, columns: int = 4) -> Image.Image:
    """The tries side by side in their frame, seen from the front, with their numbers (from 1) and seeds."""
    width, height = (min(side, round(side * 320 / max(result.flat.size))) for side in result.flat.size)
    columns, label = min(columns, len(pictures)), 18
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * (width + 8) + 8, rows * (height + label + 8) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (picture, drawn) in enumerate(zip(pictures, result.tries, strict=True)):
        cell = result.flat.copy()
        cell.paste(picture, result.layout.box)
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
