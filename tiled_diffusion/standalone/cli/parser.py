"""The commands, their flags and the help that teaches them; nothing here runs a command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import FORM, PREPROCESSORS, Control, control_from_text
from tiled_diffusion.settings.fields import AUTOMATIC, Row, rows
from tiled_diffusion.settings.fields import row as field_row
from tiled_diffusion.settings.kinds import Switch, Text
from tiled_diffusion.settings.quoting import quoted
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import PICTURE_FORM, Region, Settings, region_from_text

from .helps import (
    DEMO_HELP,
    EXPORT_HELP,
    GENERATE_HELP,
    INPAINT_HELP,
    INSPECT_HELP,
    PROGRAM,
    STUDIO_HELP,
    UPSCALE_HELP,
)

INPAINT_FLAGS = ("--mask", "--mask-feather", "--inpaint-from", "--extend")


class UsageError(TiledError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line that are raised instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


@dataclass(frozen=True)
class Flag:
    """A flag that sets one field of the request or of its tiling.

    Attributes:
        row: the field in the table of settings.
    """

    row: Row

    @property
    def option(self) -> str:
        """As typed, e.g. "--tile-batch"."""
        return "--" + self.row.name.replace("_", "-")

    @property
    def help(self) -> str:
        """What it does, what it may be, and its default."""
        row = self.row
        words = [] if isinstance(row.kind, (Text, Switch)) else [row.kind.values(row.entry.unit)]
        words += [f"{AUTOMATIC}: {row.entry.null}"] if row.entry.null and not isinstance(row.kind, Text) else []
        words += [] if row.required or row.default in ("", None, False) else [f"default: {row.to_text(row.default)}"]
        return row.entry.help.removesuffix(".") + (f" ({'; '.join(words)})" if words else "")

    def read(self, text: str) -> Any:
        """The value in a text; argparse shows the error."""
        try:
            return self.row.from_text(text)
        except TiledError as e:
            raise argparse.ArgumentTypeError(str(e).removeprefix(f"{self.row.name}: ")) from e

    def words(self, value: Any) -> list[str]:
        """The words of a command line that set a value."""
        if isinstance(self.row.kind, Switch):
            return [self.option if value else "--no-" + self.option.removeprefix("--")]
        return [self.option, self.row.to_text(value)]

    def add_to(self, group: Any) -> None:
        """Adds it to a group of flags; a flag that is not typed leaves nothing behind."""
        if isinstance(self.row.kind, Switch):
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            how = {"type": self.read, "metavar": self.row.entry.flag}
        group.add_argument(self.option, default=argparse.SUPPRESS, help=_escaped(self.help), **how)


def flags_of(cls: type) -> tuple[Flag, ...]:
    """The flags of a settings class."""
    return tuple(Flag(row) for row in rows(cls) if row.entry.flag is not None)


def given_flags(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    """The fields of a settings class that were typed."""
    return {f.row.name: getattr(args, f.row.name) for f in flags_of(cls) if hasattr(args, f.row.name)}


def control(text: str) -> Control:
    """A ControlNet from its text; argparse shows the error."""
    try:
        return control_from_text(text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def picture_region(text: str) -> Region:
    """A region with a picture from its text; argparse shows the error."""
    try:
        return region_from_text(text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def width_by_height(text: str) -> tuple[int, int]:
    """(width, height) from "1536x192"; a single number is a square."""
    parts = text.lower().split("x")
    try:
        numbers = [int(p) for p in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 1536x192, got {quoted(text)}")
    return numbers[0], numbers[-1]


def tile_size(text: str) -> tuple[int, int]:
    """(width, height) of a tile in image pixels, "192" or "192x128"."""
    width, height = width_by_height(text)
    for name, value in (("tile_width", width), ("tile_height", height)):
        Flag(field_row(Settings, name)).read(str(value))
    return width, height


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog=PROGRAM,
        description="Pictures far larger than the model was trained for, from overlapping tiles.",
        epilog=f"Begin with `{PROGRAM} demo`, or\n"
        f'`{PROGRAM} generate "a red house on grass, blue sky" --size 768x192`.\n'
        f"Each command explains itself: `{PROGRAM} generate --help`.\n"
        "Exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from .frame_flags import FRAME_HELP

    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    _generate(_command(commands, "generate", "draw pictures of any size", GENERATE_HELP))
    _upscale(_command(commands, "upscale", "enlarge a picture and draw its details anew", UPSCALE_HELP))
    _inpaint(_command(commands, "inpaint", "draw a part of a photo anew, or around it", INPAINT_HELP))
    _frame(_command(commands, "frame", "draw a picture in an empty frame, and print it", FRAME_HELP))
    _inspect(_command(commands, "inspect", "show what a picture would cost, and its tiles", INSPECT_HELP))
    _demo(_command(commands, "demo", "make seven pictures and a page that shows them", DEMO_HELP))
    _studio(_command(commands, "studio", "draw in a browser, with a region editor", STUDIO_HELP))
    _export(_command(commands, "export-checkpoint", "write the shipped model for the WebUI", EXPORT_HELP))
    return parser


def _command(commands: Any, name: str, summary: str, description: str) -> Parser:
    parser: Parser = commands.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _generate(parser: Parser) -> None:
    parser.add_argument("what", nargs="?", metavar="WHAT", help='a prompt in quotes, "canvas.json" or "picture.png"')
    _picture_flags(parser)
    _scale_flag(parser)
    _control_flags(parser)
    _tiling_flags(parser)
    _model_flags(parser)
    _output_flags(parser, "out", "a folder, or the name of a .png file (default: out)")


def _upscale(parser: Parser) -> None:
    from .frame_flags import add_print_flags

    parser.add_argument("image", metavar="IMAGE", help="the picture to enlarge (PNG, JPEG, WebP ...)")
    parser.add_argument(
        "--scale", type=float, metavar="X", help="how many times wider and higher (default: 2, or as --print needs)"
    )
    parser.add_argument(
        "--upscaler", default="lanczos", metavar="lanczos|FILE",
        help="how to enlarge before drawing: lanczos, or the file of an upscaling network that the library "
        "spandrel can read (default: lanczos)",
    )  # fmt: skip
    add_print_flags(parser)
    _picture_flags(parser, without=("--width", "--height", "--init-image", *INPAINT_FLAGS))
    _control_flags(parser)
    _tiling_flags(parser)
    _model_flags(parser)
    _output_flags(parser, "out", "a folder, or the name of a .png file (default: out)")


def _inpaint(parser: Parser) -> None:
    parser.add_argument("image", metavar="PHOTO", help="the photo (PNG, JPEG, WebP ...)")
    parser.add_argument("prompt", metavar="PROMPT", help="what to draw, in quotes")
    _picture_flags(parser, without=("--prompt", "--width", "--height", "--init-image"))
    _control_flags(parser)
    _tiling_flags(parser)
    _model_flags(parser)
    _output_flags(parser, "out", "a folder, or the name of a .png file (default: out)")


def _frame(parser: Parser) -> None:
    from .frame_flags import OWN, add_frame_flags

    add_frame_flags(parser)
    _picture_flags(parser, without=OWN)
    _tiling_flags(parser)
    _model_flags(parser)
    _output_flags(parser, "out/frame", "a folder (default: out/frame)")


def _inspect(parser: Parser) -> None:
    parser.add_argument("what", nargs="?", metavar="WHAT", help='a prompt in quotes, "canvas.json" or "picture.png"')
    _picture_flags(parser)
    _scale_flag(parser)
    _control_flags(parser)
    _tiling_flags(parser)
    _model_flags(parser)
    _output_flags(parser, "out/plan.png", "where to draw the tiles (default: out/plan.png)")


def _demo(parser: Parser) -> None:
    _model_flags(parser)
    _output_flags(parser, "out/demo", "folder (default: out/demo)")
    parser.add_argument("--shrink", type=int, default=1, help=argparse.SUPPRESS)  # for tests: smaller, fewer steps


def _export(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", help="where to write; made if it is not there")
    _output_flags(parser, None, "")


def _studio(parser: Parser) -> None:
    _model_flags(parser)
    group = parser.add_argument_group("the page")
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="who is listened to (default: 127.0.0.1)")
    group.add_argument("--port", type=int, default=7870, metavar="N", help="port (default: 7870)")
    _output_flags(parser, "out/studio", "folder of the pictures (default: out/studio)")


def _picture_flags(parser: Parser, without: tuple[str, ...] = ()) -> None:
    group = parser.add_argument_group("the picture")
    for flag in flags_of(Request):
        if flag.option not in without:
            flag.add_to(group)
    if "--width" not in without:
        group.add_argument(
            "--size", type=width_by_height, metavar="WxH", help="width and height at once, e.g. 1536x192 (image pixels)"
        )


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
        "(default: 0.8); fit cover, contain or stretch; with prompt=... it is a region too; may be given several times",
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


def _model_flags(parser: Parser) -> None:
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model", metavar="PATH",
        help="SD 1.x, SD 2.x or SDXL: a diffusers folder or a .safetensors file (default: the small one that ships)",
    )  # fmt: skip
    group.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps (default: auto, the fastest)"
    )
    group.add_argument(
        "--dtype", default="auto", metavar="NAME", help="auto, fp32, fp16, bf16 (default: auto, what suits the device)"
    )


def _output_flags(parser: Parser, out: str | None, text: str) -> None:
    group = parser.add_argument_group("output")
    if out is not None:
        group.add_argument("--out", type=Path, default=Path(out), metavar="PATH", help=text)
    group.add_argument("--quiet", action="store_true", help="no progress bars and no report; errors still show")
    group.add_argument("--json", action="store_true", help="the result as one JSON object on standard output")
    group.add_argument("--debug", action="store_true", help="show where in the code an error came from")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
