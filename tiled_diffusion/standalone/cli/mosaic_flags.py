"""The flags of `mosaic`, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

from tiled_diffusion.recipes.mosaic.draw import BATCH
from tiled_diffusion.settings.mosaic import TILE_REQUEST, Mosaic
from tiled_diffusion.settings.request import Request

from .flags import Flag, Parser, flags_of, width_by_height
from .helps import PROGRAM
from .parser import INPAINT_FLAGS, model_flags, output_flags

MOSAIC_HELP = f"""\
Draw a picture made of pictures: each cell of a picture becomes a picture of its own, and again, without end.

WHAT is one of
  a prompt in quotes  {PROGRAM} mosaic "photo of a turtle" --grid 64 --out out/turtle
  a picture           {PROGRAM} mosaic photo.jpg --prompt "photo of a turtle" --grid 48
  a mosaic's folder   {PROGRAM} mosaic out/turtle --zoom out/turtle.webm

Every tile is on disk as soon as it is drawn. Whatever stops the work, the same line goes on with what is missing.
  {PROGRAM} mosaic out/turtle --status
  {PROGRAM} mosaic out/turtle --redo 12,7 --redo-seed 5

A tile of each level is entered: it is the picture of the next level, and at the end the first one again.
  {PROGRAM} mosaic "photo of a turtle" --grid 64 --depth 3 --enter auto --zoom out/turtle.webm --seconds 20

Open index.html in the folder: it shows the mosaic without a network.
Prompts of tiles: {{"colours": {{"skyblue": "clouds", "green": "a leaf"}}, "cells": {{"12,7": "a boat"}}}}
"""
LEFT_OUT = ("--init-image", "--batch-size", "--width", "--height", "--match", *INPAINT_FLAGS)
DEFAULTS = {name: getattr(TILE_REQUEST, name) for name in ("denoising_strength", "hold")}


def request_flags() -> tuple[Flag, ...]:
    """The flags of the request, with what tiles have by default."""
    return tuple(flag.with_default(DEFAULTS) for flag in flags_of(Request) if flag.option not in LEFT_OUT)


def mosaic_flags(parser: Parser) -> None:
    """Adds the flags of `mosaic`."""
    parser.add_argument("what", metavar="WHAT", help="a prompt in quotes, a picture, or the folder of a mosaic")
    group = parser.add_argument_group("the mosaic")
    for flag in flags_of(Mosaic):
        flag.add_to(group)
    group.add_argument(
        "--prompts", type=Path, metavar="FILE", help="a JSON file with prompts of tiles by colour or by place"
    )
    group.add_argument(
        "--caption-command", metavar="COMMAND",
        help="captions cells: a program that gets the path of a PNG of an enlarged cell as its last argument and "
        "prints the tile's prompt",
    )  # fmt: skip
    pictures = parser.add_argument_group("the pictures")
    for flag in request_flags():
        flag.add_to(pictures)
    pictures.add_argument(
        "--size", type=width_by_height, metavar="WxH", help="of the first picture (default: the model's own, a square)"
    )
    pictures.add_argument(
        "--batch", type=int, default=BATCH, metavar="N",
        help=f"tiles drawn at once: more for a graphics card (default: {BATCH})",
    )
    _afterwards(parser)
    model_flags(parser)
    output_flags(parser, "out/mosaic", "the mosaic's folder (default: out/mosaic)")


def _afterwards(parser: Parser) -> None:
    group = parser.add_argument_group("what is made of it")
    group.add_argument(
        "--zoom", type=Path, metavar="FILE", help="a zoom through all levels: .webm, .mp4, .gif, or a folder of frames"
    )
    group.add_argument("--seconds", type=float, default=20.0, metavar="X", help="length of the zoom (default: 20)")
    group.add_argument("--zoom-size", type=int, metavar="PX", help="side of its frames (default: 512)", default=512)
    group.add_argument("--tiff", type=Path, metavar="FILE", help="the first level as one BigTIFF")
    group.add_argument("--view", action="store_true", help="open the page in a browser")
    group.add_argument("--status", action="store_true", help="say how far the mosaic in the folder WHAT is, and end")
    group.add_argument("--redo", metavar="X,Y", help="draw one tile of the folder WHAT anew")
    group.add_argument("--redo-level", type=int, default=1, metavar="N", help="on this level (default: 1)")
    group.add_argument("--redo-seed", type=int, metavar="N", help="with this seed (default: any other one)")
