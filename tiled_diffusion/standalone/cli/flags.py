"""Flags of the command line: from a setting to its flag, and from what is typed to values."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import Control, control_from_text
from tiled_diffusion.settings.creativity import Creativity, creativity_from_text
from tiled_diffusion.settings.fields import AUTOMATIC, Row, rows
from tiled_diffusion.settings.fields import row as field_row
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.kinds import Number, Switch, Text
from tiled_diffusion.settings.quoting import quoted
from tiled_diffusion.settings.values import Region, Settings, region_from_text


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
        default: what the help calls its default where that is another one than the table's.
    """

    row: Row
    default: str = ""

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
        known = "" if row.required or row.default in ("", None, False) else row.to_text(row.default)
        words += [f"default: {default}"] if (default := self.default or known) else []
        return row.entry.help.removesuffix(".") + (f" ({'; '.join(words)})" if words else "")

    def with_default(self, defaults: Mapping[str, Any]) -> Flag:
        """The flag with a command's own default, where it has one."""
        return Flag(replace(self.row, default=defaults.get(self.row.name, self.row.default)))

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


def prefixed_flags(cls: type, prefix: str) -> tuple[Flag, ...]:
    """The flags of a settings class with a word before their names, such as --redraw-strength."""
    return tuple(Flag(replace(f.row, name=f"{prefix}_{f.row.name}")) for f in flags_of(cls))


def given_flags(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    """The fields of a settings class that were typed."""
    return {f.row.name: getattr(args, f.row.name) for f in flags_of(cls) if hasattr(args, f.row.name)}


def given_prefixed(args: argparse.Namespace, cls: type, prefix: str) -> dict[str, Any]:
    """The fields of a settings class that were typed by `prefixed_flags`."""
    names = [flag.row.name for flag in flags_of(cls)]
    return {name: getattr(args, f"{prefix}_{name}") for name in names if hasattr(args, f"{prefix}_{name}")}


def given_inversion(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of Inversion that were typed."""
    given = given_prefixed(args, Inversion, "inversion")
    return given if args.keep is None else {"freedom": round(1 - args.keep, 6), **given}


def keep(text: str) -> float:
    """How close to the start picture, 0 to 1; argparse shows the error."""
    try:
        return Number(0, 1).from_text("keep", text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e).removeprefix("keep: ")) from e


def creativity(text: str) -> Creativity:
    """How far from the start picture, a number or a name; argparse shows the error."""
    try:
        return creativity_from_text(text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e).removeprefix("creativity: ")) from e


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


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
