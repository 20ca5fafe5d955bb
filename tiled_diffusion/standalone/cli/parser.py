"""The commands, their flags and the help that teaches them; nothing here runs a command."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tiled_diffusion.settings.control import FORM, PREPROCESSORS
from tiled_diffusion.settings.creativity import FORM as CREATIVITY_FORM
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import PICTURE_FORM, Settings

from .cluster_flags import CLUSTER_HELP, add_workers_flags, cluster_parsers, count
from .flags import (
    Parser,
    control,
    creativity,
    flags_of,
    keep,
    picture_region,
    prefixed_flags,
    tile_size,
    width_by_height,
)
from .frame_flags import FRAME_HELP, OWN, add_frame_flags, add_print_flags
from .helps import (
    DEMO_HELP,
    EXPORT_HELP,
    GENERATE_HELP,
    INPAINT_HELP,
    INSPECT_HELP,
    PROGRAM,
    STUDIO_HELP,
    UPSCALE_HELP,
    UPSCALE_STRENGTH,
)

WHAT = 'a prompt in quotes, "canvas.json", "layout.txt" or "picture.png"'
INPAINT_FLAGS = ("--mask", "--mask-feather", "--inpaint-from", "--extend")
AS_NOISE = {"--inpaint-from": "noise; original where a denoising strength is given, or the picture is kept"}
"""What `inpaint` and `frame` begin as."""


def build_parser() -> Parser:
    """The whole command line."""
    from .mosaic_flags import MOSAIC_HELP, mosaic_flags  # which is made of what stands here

    parser = Parser(
        prog=PROGRAM,
        description="Pictures far larger than the model was trained for, from overlapping tiles.",
        epilog=f"Begin with `{PROGRAM} demo`, or\n"
        f'`{PROGRAM} generate "a red house on grass, blue sky" --size 768x192`.\n'
        f"Each command explains itself: `{PROGRAM} generate --help`.\n"
        "Exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    _generate(_command(commands, "generate", "draw pictures of any size", GENERATE_HELP))
    _upscale(_command(commands, "upscale", "enlarge a picture and draw its details anew", UPSCALE_HELP))
    _inpaint(_command(commands, "inpaint", "draw a part of a photo anew, or around it", INPAINT_HELP))
    mosaic_flags(_command(commands, "mosaic", "a picture made of pictures, without end", MOSAIC_HELP))
    _frame(_command(commands, "frame", "draw a picture in an empty frame, and print it", FRAME_HELP))
    _inspect(_command(commands, "inspect", "show what a picture would cost, and its tiles", INSPECT_HELP))
    _demo(_command(commands, "demo", "make seven pictures, a frame, a mosaic and a page of them", DEMO_HELP))
    _studio(_command(commands, "studio", "draw in a browser, with a region editor", STUDIO_HELP))
    cluster_parsers(_command(commands, "cluster", "share the work among GPUs and machines", CLUSTER_HELP), output_flags)
    _export(_command(commands, "export-checkpoint", "write the shipped model for the WebUI", EXPORT_HELP))
    return parser


def _command(commands: Any, name: str, summary: str, description: str) -> Parser:
    parser: Parser = commands.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _generate(parser: Parser) -> None:
    parser.add_argument("what", nargs="?", metavar="WHAT", help=WHAT)
    picture_flags(parser)
    _growth_flags(parser)
    _scale_flag(parser)
    _control_flags(parser)
    _tiling_flags(parser)
    model_flags(parser)
    output_flags(parser, "out", "a folder, or the name of a .png file (default: out)")


def _upscale(parser: Parser) -> None:
    from .blocks import add_block_flags  # which is made of what stands here

    parser.add_argument(
        "image", metavar="IMAGE",
        help="the picture to enlarge (PNG, JPEG, WebP ...), a folder of pictures, or the folder of one in blocks",
    )  # fmt: skip
    parser.add_argument(
        "--scale", type=float, metavar="X", help="how many times wider and higher (default: 2, or as --print needs)"
    )
    parser.add_argument(
        "--upscaler", default="lanczos", metavar="lanczos|FILE",
        help="how to enlarge before drawing: lanczos, or the file of an upscaling network that the library "
        "spandrel can read (default: lanczos)",
    )  # fmt: skip
    parser.add_argument(
        "--creativity", type=creativity, metavar="X|NAME",
        help="how far the result may leave the picture: sets denoising strength, kept noise and the weights of "
        f"ControlNets, each of which a flag of its own sets again ({CREATIVITY_FORM})",
    )  # fmt: skip
    add_print_flags(parser)
    add_block_flags(parser)
    without = ("--width", "--height", "--init-image", *INPAINT_FLAGS)
    picture_flags(parser, without, {"--denoising-strength": f"{UPSCALE_STRENGTH:g}"})
    _control_flags(parser)
    _tiling_flags(parser)
    model_flags(parser)
    output_flags(parser, "out", "a folder, or the name of a .png file (default: out)")


def _inpaint(parser: Parser) -> None:
    parser.add_argument("image", metavar="PHOTO", help="the photo (PNG, JPEG, WebP ...)")
    parser.add_argument("prompt", metavar="PROMPT", help="what to draw, in quotes")
    picture_flags(parser, ("--prompt", "--width", "--height", "--init-image"), AS_NOISE)
    _control_flags(parser)
    _tiling_flags(parser)
    model_flags(parser)
    output_flags(parser, "out", "a folder, or the name of a .png file (default: out)")


def _frame(parser: Parser) -> None:
    add_frame_flags(parser)
    picture_flags(parser, OWN, AS_NOISE)
    _tiling_flags(parser)
    model_flags(parser)
    output_flags(parser, "out/frame", "a folder (default: out/frame)")


def _inspect(parser: Parser) -> None:
    parser.add_argument("what", nargs="?", metavar="WHAT", help=WHAT)
    picture_flags(parser)
    _growth_flags(parser)
    _scale_flag(parser)
    _control_flags(parser)
    _tiling_flags(parser)
    model_flags(parser, workers=False)
    parser.add_argument(
        "--workers", type=count, metavar="N", help="predict the time with so many workers; measures one tile here"
    )
    output_flags(parser, "out/plan.png", "where to draw the tiles (default: out/plan.png)")


def _demo(parser: Parser) -> None:
    model_flags(parser, workers=False)
    output_flags(parser, "out/demo", "folder (default: out/demo)")
    parser.add_argument("--shrink", type=int, default=1, help=argparse.SUPPRESS)  # for tests: smaller, fewer steps


def _export(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", help="where to write; made if it is not there")
    output_flags(parser, None, "")


def _studio(parser: Parser) -> None:
    model_flags(parser, workers=False)
    group = parser.add_argument_group("the page")
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="who is listened to (default: 127.0.0.1)")
    group.add_argument("--port", type=int, default=7870, metavar="N", help="port (default: 7870)")
    output_flags(parser, "out/studio", "folder of the pictures (default: out/studio)")


def picture_flags(
    parser: Parser, without: tuple[str, ...] = (), defaults: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Flags of the request.

    Args:
        parser: of the command.
        without: flags that it does not have.
        defaults: what flags mean where they are not typed, other than the table says.
    """
    group = parser.add_argument_group("the picture")
    for flag in flags_of(Request):
        if flag.option not in without:
            replace(flag, default=defaults.get(flag.option, "")).add_to(group)
    if "--width" not in without:
        group.add_argument(
            "--size", type=width_by_height, metavar="WxH", help="width and height at once, e.g. 1536x192 (image pixels)"
        )
    _keep_flags(parser)


def _keep_flags(parser: Parser) -> None:
    group = parser.add_argument_group("keeping the start picture (noise inversion)")
    group.add_argument(
        "--keep", type=keep, metavar="X",
        help="start from the picture's own noise instead of fresh noise: 0 is plain img2img, 1 stays closest (0 to 1; "
        "0.8 where another of these flags is given)",
    )  # fmt: skip
    for flag in prefixed_flags(Inversion, "inversion"):
        flag.add_to(group)


def _control_flags(parser: Parser) -> None:
    group = parser.add_argument_group("ControlNet")
    group.add_argument(
        "--control", type=control, action="append", metavar=FORM,
        help="draw along a hint; MODEL is a ControlNet of diffusers (a folder or .safetensors file), or edges, which "
        "ships with the small model; weight 0 to 10 (default: 1), start and end in fractions of the steps "
        "(default: 0 and 1); may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--preprocess", choices=PREPROCESSORS, action="append", metavar="|".join(PREPROCESSORS),
        help="what is done to hints: canny finds the edges of a photo, invert is for dark lines on a light ground; "
        "once for all, or once for each --control (default: none)",
    )  # fmt: skip


def _growth_flags(parser: Parser) -> None:
    group = parser.add_argument_group("growing in stages")
    group.add_argument(
        "--progressive", action=argparse.BooleanOptionalAction, default=None,
        help="draw at the model's own size first, then enlarge and draw anew until the picture has its size",
    )  # fmt: skip
    for flag in flags_of(Growth):
        flag.add_to(group)


def _scale_flag(parser: Parser) -> None:
    parser.add_argument(
        "--scale-to-model", action="store_true",
        help="shrink or enlarge canvas and tiles, so that a file made for another model suits this one",
    )  # fmt: skip


def _tiling_flags(parser: Parser) -> None:
    group = parser.add_argument_group("tiles")
    group.add_argument(
        "--column", action="append", metavar="TEXT",
        help="prompt of a column; give it several times for prompts side by side, from left to right",
    )  # fmt: skip
    group.add_argument(
        "--image", type=picture_region, action="append", dest="pictures", metavar=PICTURE_FORM,
        help="a picture in a box of the canvas, in fractions; keep 0 to 1: for how much of the steps it stays "
        "(default: 0.8); fit cover, contain or stretch; mask=FILE: grey says how strongly; with prompt=... it is a "
        "region too; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--tile", type=tile_size, metavar="PX|WxH", help="width and height of a tile at once, e.g. 512 or 768x512 (px)"
    )
    for flag in flags_of(Settings):
        flag.add_to(group)
    group.add_argument(
        "--tile-texts", metavar="FILE",
        help="prompts of tiles: CSV whose first line names its columns, prompt and row, column (from 1) or x, y, w, h "
        "(of a box, in fractions), or a JSON list of such objects",
    )  # fmt: skip
    group.add_argument(
        "--caption-command", metavar="COMMAND",
        help="captions tiles of the start picture: a program that gets the path of a PNG as its last argument and "
        "prints what it shows",
    )  # fmt: skip


def model_flags(parser: Parser, *, workers: bool = True) -> None:
    """Which model, and where it works."""
    if workers:
        add_workers_flags(parser)
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model", metavar="PATH",
        help="SD 1.x, SD 2.x, SDXL, SD 3.x or Flux: a diffusers folder or a .safetensors file (default: the small one "
        "that ships)",
    )  # fmt: skip
    group.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps (default: auto, the fastest)"
    )
    group.add_argument(
        "--dtype", default="auto", metavar="NAME", help="auto, fp32, fp16, bf16 (default: auto, what suits the device)"
    )


def output_flags(parser: Parser, out: str | None, text: str) -> None:
    """Where results go, and what is said of them."""
    group = parser.add_argument_group("output")
    if out is not None:
        group.add_argument("--out", type=Path, default=Path(out), metavar="PATH", help=text)
    group.add_argument("--quiet", action="store_true", help="no progress bars and no report; errors still show")
    group.add_argument("--json", action="store_true", help="the result as one JSON object on standard output")
    group.add_argument("--debug", action="store_true", help="show where in the code an error came from")
