"""`frame`: from the flags to what is asked for, and what is written and said of it."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.find import find_frame
from tiled_diffusion.recipes.frame.quad import ordered_corners
from tiled_diffusion.recipes.frame.steps import FrameResult
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.files import read_text
from tiled_diffusion.settings.frame import Frame, Framing, Redraw, framing_from_json
from tiled_diffusion.standalone.framing import FrameFiles, frame, free_folder, open_photo, parameters_of
from tiled_diffusion.standalone.host import DiffusersHost

from .arguments import existing, given_request, given_tiling, open_picture
from .flags import UsageError, given_flags, given_prefixed
from .printing import sheet_of


def read_framing(args: argparse.Namespace) -> Framing:
    """What PHOTO and the flags ask for; flags override the file.

    Raises:
        TiledError: names the file, field or flag that is wrong.
    """
    path = existing(args.photo)
    base = _framing_file(path) if path.suffix.lower() == ".json" else Framing(Frame(photo=str(path)))
    photo = open_photo(base.frame.photo)
    framed = given_flags(args, Frame)
    if hasattr(args, "corners"):
        framed["corners"] = None if args.corners is None else _fractions(args.corners, photo.size)
    request = replace(base.request, **_request_flags(args), tiling=replace(base.request.tiling, **given_tiling(args)))
    given = given_flags(args, Framing)
    for name in ("picture", "upscaler"):
        if name in given and given[name] != "lanczos":
            existing(given[name])
    if given.get("picture"):
        open_picture(given["picture"]).close()
    looked = replace(base.frame, **framed)
    sheet = sheet_of(args, _lies(args, looked, photo), base.print)
    return replace(base, frame=looked, request=request, redraw=_redraw(args, base.redraw), print=sheet, **given)


def _request_flags(args: argparse.Namespace) -> dict[str, Any]:
    """Of the request; with a denoising strength or kept noise it begins as the photo, if nothing else is said."""
    given = given_request(args)
    if given.keys() & {"denoising_strength", "inversion"}:
        given.setdefault("inpaint_from", "original")
    return given


def _framing_file(path: Path) -> Framing:
    text = read_text(path)
    try:
        framing = framing_from_json(text)
    except TiledError as e:
        raise TiledError(f"{path}: {e}") from e
    beside = path.parent / framing.frame.photo
    return replace(framing, frame=replace(framing.frame, photo=str(beside))) if beside.is_file() else framing


def _fractions(corners: tuple[tuple[float, float], ...], size: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    ordered_corners(corners, size)  # errors in the pixels that were typed
    return tuple((x / size[0], y / size[1]) for x, y in corners)


def _redraw(args: argparse.Namespace, base: Redraw | None) -> Redraw | None:
    given = given_prefixed(args, Redraw, "redraw")
    if args.redraw is not None:
        given["prompt"] = args.redraw
    if base is not None:
        return replace(base, **given)
    if given and "prompt" not in given:
        raise UsageError(f"--redraw-{next(iter(given)).replace('_', '-')}: without --redraw it means nothing")
    return Redraw(**given) if given else None


def _lies(args: argparse.Namespace, looked: Frame, photo: Image.Image) -> bool:
    """Whether a paper lies on its side, as the frame does in the photo."""
    if args.print is None:
        return False
    points = find_frame(photo) if looked.corners is None else np.array(looked.corners) * photo.size
    if points is None:
        return False
    points = ordered_corners(points, photo.size)
    sides = [float(((points[k] - points[k - 1]) ** 2).sum() ** 0.5) for k in range(4)]
    return sides[1] + sides[3] > sides[0] + sides[2]


def make_frame_files(
    args: argparse.Namespace, framing: Framing, host: DiffusersHost, progress: Progress
) -> tuple[dict[str, Any], list[str]]:
    """Does what is asked for and writes what comes of it.

    Returns:
        The result for JSON, and the report's lines.
    """
    start = time.monotonic()
    photo = open_photo(framing.frame.photo)
    given = "" if framing.picture is None else parameters_of(framing.picture)
    files = FrameFiles(free_folder(args.out), framing, host.model, photo, f".{args.format}", given)
    files.begin()
    result = frame(
        host.model, framing, on_result=files.write, progress=progress, folders=host.folders, runner=host.runner
    )
    corners = [[round(float(n), 2) for n in point] for point in result.layout.corners]
    notes, seconds = [*result.notes, *_flags(framing, result)], time.monotonic() - start
    data = {
        "files": [str(path) for path in files.paths],
        "corners": corners,
        "shape": round(result.layout.inside[0] / result.layout.inside[1], 4),
        "shape_told": result.shape_told,
        "seeds": [picture.seed for picture in result.tries],
        "notes": notes,
        "seconds": round(seconds, 2),
    }
    return data, [*notes, *map(str, files.paths), f"done in {seconds:.1f} s"]


def _flags(framing: Framing, result: FrameResult) -> list[str]:
    """How to say otherwise what was found or guessed."""
    flags = []
    if framing.frame.corners is None:
        numbers = ",".join(f"{n:.1f}" for n in result.layout.corners.ravel())
        flags.append(f"to correct the corners, look at corners.png and say --corners {numbers}")
    if not result.shape_told:
        flags.append("to correct the shape, say --shape or --print")
    return flags
