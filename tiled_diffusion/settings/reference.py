"""Tables of the settings for the pages in docs/, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from .control import Control
from .document import flat_rows
from .enlargement import Enlargement
from .fields import Row, rows
from .frame import Frame, Framing, Redraw
from .growth import Growth
from .inversion import Inversion
from .kinds import Choices
from .mosaic import Mosaic, MosaicPrompts
from .panel import PanelSettings, control_rows
from .plot import plot_axes
from .print_size import Print
from .request import Request
from .sides import Sides
from .tile_texts import TileText
from .vae import VaePanelSettings
from .values import Region, Reroll, Settings


def fields_table(cls: type) -> str:
    """Fields of the JSON: what they may be, their defaults, and what they do."""
    lines = [(f"`{r.name}`", *_rest(r)) for r in flat_rows(cls)]
    return _table(("field", "values", "default", "what it does"), lines)


def panel_table(cls: type) -> str:
    """Controls of a panel, and what pages say below them."""
    lines = [(r.label, _helps(r.kind, "label") if isinstance(r.kind, Choices) else r.info) for r in control_rows(cls)]
    return _table(("control", "what it does"), lines)


def axes_line(cls: type) -> str:
    """The axes of the X/Y/Z plot."""
    return ", ".join(axis.label for axis in plot_axes(cls)) + "."


def names_table(cls: type) -> str:
    """The settings of a panel by all their names: in JSON, of the flag, on the panel, and on a plot's axis."""
    lines = [(f"`{r.name}`", _flag(r), r.label if r.entry.widget else "", _axis(r)) for r in flat_rows(cls)]
    return _table(("JSON", "command line", "on the panel", "axis"), lines)


def flags_table(*classes: type) -> str:
    """Flags of the command line, what they may be, and their defaults."""
    every = [r for cls in classes for r in rows(cls) if r.entry.flag is not None]
    return _table(("flag", "values", "default", "what it does"), [(_flag(r), *_rest(r)) for r in every])


TABLES: dict[str, Callable[[], str]] = {
    "names": lambda: names_table(PanelSettings),
    "VAE names": lambda: names_table(VaePanelSettings),
    "flags": lambda: flags_table(Request, Growth, Settings),
    "panel": lambda: panel_table(PanelSettings),
    "axes": lambda: axes_line(PanelSettings),
    "settings": lambda: fields_table(PanelSettings),
    "regions": lambda: fields_table(Region),
    "prompts of tiles": lambda: fields_table(TileText),
    "rerolls": lambda: fields_table(Reroll),
    "canvas": lambda: fields_table(Request),
    "mosaic": lambda: fields_table(Mosaic),
    "enlargement": lambda: fields_table(Enlargement),
    "inversion": lambda: fields_table(Inversion),
    "controls": lambda: fields_table(Control),
    "growth": lambda: fields_table(Growth),
    "frame": lambda: fields_table(Frame),
    "redraw": lambda: fields_table(Redraw),
    "print": lambda: fields_table(Print),
    "framing": lambda: fields_table(Framing),
    "VAE panel": lambda: panel_table(VaePanelSettings),
    "VAE axes": lambda: axes_line(VaePanelSettings),
    "VAE settings": lambda: fields_table(VaePanelSettings),
}
"""By the name in the marker of a page: `<!-- table: NAME -->`."""


def _flag(row: Row) -> str:
    return "" if row.entry.flag is None else f"`--{row.name.replace('_', '-')}`"


def _axis(row: Row) -> str:
    return "yes" if row.entry.axis else f"no: {row.entry.no_axis}"


def _rest(row: Row) -> tuple[str, str, str]:
    return _values(row), _default(row), _sentence(row)


def _values(row: Row) -> str:
    kind = row.kind
    values = ", ".join(f"`{name}`" for name in kind.names) if isinstance(kind, Choices) else kind.values(row.entry.unit)
    return f"{values}, or null" if row.entry.null else values


def _default(row: Row) -> str:
    if row.required:
        return "(needed)"
    if row.default in ((), Sides(), MosaicPrompts()):
        return "none"
    if hasattr(row.default, "to_dict"):
        return "its defaults"
    if isinstance(row.default, float):
        return f"{row.default:g}"
    return f"`{row.default}`" if isinstance(row.default, str) and row.default else json.dumps(row.to_json(row.default))


def _sentence(row: Row) -> str:
    words = f"{row.entry.help} Null: {row.entry.null}." if row.entry.null else row.entry.help
    return f"{words} {_helps(row.kind, 'value')}".strip() if isinstance(row.kind, Choices) else words


def _helps(kind: Choices, name: str) -> str:
    """What each choice does, called by its "label" or its "value"."""
    return " ".join(f"*{getattr(option, name)}*: {option.help}" for option in kind.options if option.help)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in cells)
