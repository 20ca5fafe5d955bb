"""`upscale --print`: a picture brought to the pixels of a print, and written with its DPI."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from tiled_diffusion.recipes.printing import print_notes, printed
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.print_size import Print, paper_size
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.metadata import parameters_text
from tiled_diffusion.standalone.output import Target, numbered_names
from tiled_diffusion.standalone.print_files import FORMATS, save_print

from .flags import UsageError, given_flags


def sheet_of(args: argparse.Namespace, wide: bool, base: Print | None = None) -> Print | None:
    """The print that the flags ask for, which override `base`; None where there is none.

    Args:
        args: of a command with add_print_flags.
        wide: whether a paper that is named lies on its side.
        base: the print of a file.

    Raises:
        TiledError: names the flag that is wrong, or without a print means nothing.
    """
    given = given_flags(args, Print)
    if args.print is not None:
        given["width_mm"], given["height_mm"] = paper_size(args.print, wide)
    elif base is None and given:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')}: without --print it means nothing")
    elif base is None:
        return None
    return Print(**given) if base is None else replace(base, **given)


def print_target(args: argparse.Namespace) -> Path:
    """The file of the print, or the folder in which it is numbered, made where it is not there."""
    path: Path = args.out
    if args.scale is not None:
        raise UsageError("--scale: give either --scale or --print, not both")
    Target(path.with_suffix(".png") if path.suffix.lower() in FORMATS else path).prepare()
    return path


def make_print(
    args: argparse.Namespace,
    path: Path,
    sheet: Print,
    host: DiffusersHost,
    request: Request,
    image: Image.Image,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """Makes the print and writes it.

    Returns:
        The result for JSON, and the report's lines.
    """
    start = time.monotonic()
    made = printed(host, request, image, sheet, args.upscaler, progress)
    file = path if path.suffix.lower() in FORMATS else numbered_names(path, [request.seed])[0]
    save_print(made, file, sheet.dpi, parameters_text(request, host.name))
    seconds = time.monotonic() - start
    notes = print_notes(image.size, sheet)
    result = {"px": list(sheet.px), "dpi": sheet.dpi, "notes": notes, "seconds": round(seconds, 2)}
    return {"files": [str(file)], **result}, [*notes, f"{file}  ({seconds:.1f} s)"]
