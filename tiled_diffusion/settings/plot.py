"""Axes of the X/Y/Z plot: the settings that say so in their entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .document import flat_rows
from .fields import Row
from .kinds import Choices, Switch


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: as the plot shows it.
        field: of the settings.
        read: from a text of the axis to the field's JSON value; raises SettingsError that names the field.
        choices: texts to choose from, or None for free text.
    """

    label: str
    field: str
    read: Callable[[str], Any]
    choices: tuple[str, ...] | None


def plot_axes(cls: type) -> tuple[Axis, ...]:
    """The axes of PanelSettings or VaePanelSettings."""
    return tuple(Axis(r.label, r.name, _reader(r), _choices(r)) for r in flat_rows(cls) if r.entry.axis)


def _reader(row: Row) -> Callable[[str], Any]:
    """Texts as on the page, where a number may stand for null, or as on the command line."""
    widget = row.entry.widget
    null = None if widget is None or widget.null is None else str(widget.null)

    def read(text: str) -> Any:
        return None if null is not None and text.strip() == null else row.from_text(text)

    return read


def _choices(row: Row) -> tuple[str, ...] | None:
    if isinstance(row.kind, Choices):
        return tuple(option.label for option in row.kind.options)
    return ("true", "false") if isinstance(row.kind, Switch) else None
