"""The table of fields: each attribute of a settings class carries one entry that says all there is to know of it.

Checks, JSON, command line flags, panel controls, plot axes, the scripts of the page and the tables in docs/ are made
from these entries. To add a setting, add an attribute with its entry (see CONTRIBUTING.md).
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any

from tiled_diffusion.errors import SettingsError

from .kinds import Kind, Whole

VERSION = 2
"""Of the JSON that is written. Version 1 measured tiles in latent pixels, of 8 image pixels each."""
AUTOMATIC = "auto"
"""Text for null, on command lines and plot axes."""
KEY = "entry"


@dataclass(frozen=True)
class Widget:
    """How a page shows a setting.

    Attributes:
        row: of the panel where it stands (see ui/panel.py); "editor" for the fields of a region.
        form: "slider", "number", "dropdown", "radio", "tick" or "text".
        low, high: where the slider ends; None where the values do. Settings may lie beyond a slider's ends.
        step: between values; None for 1.
        null: what stands for null: a number, or "" for an empty field.
    """

    row: str
    form: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    null: int | str | None = None


@dataclass(frozen=True)
class Before:
    """How version 1 of the JSON said it.

    Attributes:
        name: of the field.
        unit: one of it is so many of ours.
        null: the number that meant null, or None.
    """

    name: str
    unit: int = 1
    null: int | None = None


@dataclass(frozen=True)
class Entry:
    """What there is to know of a setting.

    Attributes:
        kind: what it may be.
        label: what pages call it.
        help: one sentence on what it does.
        unit: "px" (image pixels), or nothing.
        null: what null means, in words; only settings that have such words may be null.
        since: the first version of the JSON that has it, by whatever name.
        earlier: its value in documents of the versions before that, which shall mean what they did; None: the
            default.
        before: how version 1 said it, where that differs.
        widget: how pages show it, or None for not at all.
        flag: what stands for the value in the help of its command line flag, or None for no flag.
        axis: whether it is an axis of the X/Y/Z plot.
        no_axis: why a setting of a panel is none, in words.
    """

    kind: Kind
    label: str
    help: str
    unit: str = ""
    null: str = ""
    since: int = 1
    earlier: Any = None
    before: Before | None = None
    widget: Widget | None = None
    flag: str | None = None
    axis: bool = False
    no_axis: str = ""


@dataclass(frozen=True)
class Row:
    """One setting of a class: its attribute's name, its default (MISSING where it must be given), and its entry."""

    name: str
    default: Any
    entry: Entry

    @property
    def kind(self) -> Kind:
        """What it may be."""
        return self.entry.kind

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    @property
    def label(self) -> str:
        """What pages call it, with its unit."""
        return f"{self.entry.label} ({self.entry.unit})" if self.entry.unit else self.entry.label

    def check(self, value: object) -> None:
        """Raises SettingsError that names the field, what it got and what it may be."""
        _check(self.name, self.kind, self.entry.null, value)

    def name_in(self, version: int) -> str:
        """What a version of the JSON calls it."""
        before = self.entry.before
        return before.name if version == 1 and before else self.name

    def from_json(self, value: object, version: int) -> Any:
        """The value in a document of the given version.

        Raises:
            SettingsError: names the field as that version calls it.
        """
        before = self.entry.before
        if value is None and self.entry.null:
            return None
        if version > 1 or before is None:
            return self.kind.from_json(self.name, value, version)
        if before.null is not None and value == before.null and not isinstance(value, bool):
            return None
        _check(before.name, _in_units(self.kind, before.unit), self.entry.null, value)
        return value if before.unit == 1 else value * before.unit  # type: ignore[operator]

    def to_json(self, value: Any) -> Any:
        """The JSON form."""
        return None if value is None else self.kind.to_json(value)

    def from_text(self, text: str) -> Any:
        """The value in a text on the command line or on a plot's axis.

        Raises:
            SettingsError: the text says no such value.
        """
        if self.entry.null and text.strip().lower() == AUTOMATIC:
            return None
        try:
            return self.kind.from_text(self.name, text)
        except SettingsError as e:
            raise (SettingsError(f'{e}, or "{AUTOMATIC}": {self.entry.null}') if self.entry.null else e) from None

    def to_text(self, value: Any) -> str:
        """The text that `from_text` reads."""
        return AUTOMATIC if value is None else self.kind.to_text(value)

    def from_page(self, value: object) -> Any:
        """The value of its component on a page."""
        widget = self.entry.widget
        if widget is not None and widget.null is not None and value == widget.null and not isinstance(value, bool):
            return None
        return self.kind.from_page(value)

    def to_page(self, value: Any) -> Any:
        """What its component shows."""
        return self.entry.widget and self.entry.widget.null if value is None else self.kind.to_page(value)

    @property
    def info(self) -> str:
        """What a page says below it: its sentence, and what the number or empty field that means null stands for."""
        widget, null = self.entry.widget, self.entry.null
        if widget is None or widget.null is None:
            return self.entry.help
        return f"{self.entry.help} {'Empty' if widget.null == '' else widget.null}: {null}."


def entry(kind: Kind, label: str, help: str, unit: str = "", **more: Any) -> dict[str, Entry]:
    """The metadata of a dataclass field: `tile_batch: int = field(default=4, metadata=entry(Whole(1, 64), ...))`."""
    return {KEY: Entry(kind, label, help, unit, **more)}


def rows(cls: Any) -> tuple[Row, ...]:
    """The settings of a class, in the order of its attributes."""
    return _rows(cls)


@cache
def _rows(cls: Any) -> tuple[Row, ...]:
    return tuple(Row(f.name, f.default, f.metadata[KEY]) for f in fields(cls))


def row(cls: type, name: str) -> Row:
    """One setting of a class."""
    return next(r for r in rows(cls) if r.name == name)


def check_fields(settings: Any) -> None:
    """Checks every field of a settings object against its entry; raises SettingsError that names the field."""
    for r in rows(type(settings)):
        r.check(getattr(settings, r.name))


def _check(name: str, kind: Kind, null: str, value: object) -> None:
    if value is None and null:
        return
    try:
        kind.check(name, value)
    except SettingsError as e:
        raise (SettingsError(f"{e}, or null: {null}") if null else e) from None


def _in_units(kind: Kind, unit: int) -> Kind:
    """The same values, counted in a larger unit."""
    if not isinstance(kind, Whole) or unit == 1:
        return kind
    high = None if kind.high is None else kind.high // unit
    return Whole(-(-kind.low // unit), high, max(1, kind.multiple // unit))
