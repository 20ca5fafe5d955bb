"""The flags of picture frames and prints, and what `frame` says of itself."""

from __future__ import annotations

import argparse
from typing import Any

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.frame import Frame, Framing, Redraw, corners_from_text
from tiled_diffusion.settings.print_size import FORM, Print, paper_size
from tiled_diffusion.standalone.print_files import FORMATS

from .flags import Parser, flags_of, prefixed_flags
from .helps import PROGRAM

FRAME_HELP = f"""\
Draw a picture in the empty frame of a photo; the photo outside the frame comes back to the last bit.

  {PROGRAM} frame photo.jpg --corners 412,220,805,240,790,660,430,650
  {PROGRAM} frame photo.jpg --corners auto --prompt "drawing of an animal" --tries 8 --out out/deer
  {PROGRAM} frame photo.jpg --corners auto --picture out/deer/tries/3.png --out out/print
      --redraw "impressionist painting of a small deer hiding inside vegetation" --print 30x40cm --dpi 240
  {PROGRAM} frame out/deer/frame.json --seed 100

Steps: the frame is looked at (corners.png, flat.png); a picture is drawn in it (tries.png, tries/SEED.png, picture.png)
or taken, --picture; drawn anew by a second prompt (redrawn.png); put into the photo (photo.png); and brought to the
size of a print (print.png, or .tiff, .pdf, .jpg). Each is done where it is asked for. No results are overwritten.
"""
OWN = ("--width", "--height", "--init-image", "--batch-size", "--mask", "--mask-feather", "--extend", "--match")
"""Flags of a picture that a frame itself decides."""
PRINT_ENDINGS = tuple(ending.removeprefix(".") for ending in FORMATS)


def add_frame_flags(parser: Parser) -> None:
    """Of the command `frame`, but for those of any picture."""
    parser.add_argument("photo", metavar="PHOTO", help='the photo (PNG, JPEG, WebP ...), or a "frame.json" made before')
    group = parser.add_argument_group("the frame")
    group.add_argument(
        "--corners", type=_corners, default=argparse.SUPPRESS, metavar="X,Y,X,Y,X,Y,X,Y|auto",
        help="of the frame's inside in image pixels, in their order around it; auto looks for it, and shows in "
        "corners.png what it found (default: auto)",
    )  # fmt: skip
    for cls in (Frame, Framing):
        for flag in flags_of(cls):
            if flag.option != "--upscaler":
                flag.add_to(group)
    group = parser.add_argument_group("drawing it anew")
    group.add_argument("--redraw", metavar="TEXT", help="a second prompt, which draws the picture anew")
    for flag in prefixed_flags(Redraw, "redraw"):
        flag.add_to(group)
    add_print_flags(parser)
    next(flag for flag in flags_of(Framing) if flag.option == "--upscaler").add_to(parser)
    parser.add_argument(
        "--format", choices=PRINT_ENDINGS, default="png", metavar="|".join(PRINT_ENDINGS),
        help="of the print's file (default: png)",
    )  # fmt: skip


def add_print_flags(parser: Parser) -> None:
    """How large a print is."""
    group = parser.add_argument_group("the print")
    group.add_argument("--print", type=_paper, metavar="SIZE", help=f"{FORM}; a paper lies as the picture does")
    for flag in flags_of(Print):
        flag.add_to(group)


def _corners(text: str) -> Any:
    try:
        return corners_from_text(text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e).removeprefix("corners: ")) from e


def _paper(text: str) -> str:
    try:
        paper_size(text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e).removeprefix("print: ")) from e
    return text
