"""The table of settings for the scripts of the page: defaults, ranges, choices and words, as a JavaScript file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from .fields import VERSION, Row, row, rows
from .kinds import Text
from .panel import NO_UPSCALER, REGION_KEYS, PanelSettings, control_rows
from .print_size import PAPERS, UNITS
from .values import Region, Reroll, Settings

WIDTH = 120
WIDGET = ("form", "low", "high", "step", "null")
"""What the page's scripts need of a widget."""
HEAD = '''"use strict";
// The table of settings, for the page. Made by `python -m tiled_diffusion.settings.generate`, not by hand.

/** @typedef {{form: string, low?: number, high?: number, step?: number, null?: number | string}} SettingWidget
 *   How a page shows a setting: where its field ends, and the number or empty text that stands for null. */
/** @typedef {{type: string, label: string, info: string, default: unknown, required?: true, null?: true, unit?: string,
 *   low?: number, high?: number, multiple?: number, most?: number, editor?: number, choices?: string[][],
 *   most_polygons?: number, most_points?: number, most_picture_px?: number, most_picture_text?: number,
 *   widget?: SettingWidget}} Setting
 *   `choices` are [value, label, help]; `most` counts characters or items, and `editor` those that the editor holds. */
/** @typedef {{version: number, document: Record<string, Setting>, region: Record<string, Setting>,
 *   reroll: Record<string, Setting>, controls: string[], no_upscaler: string,
 *   papers: Record<string, number[]>, units: Record<string, number>}} SettingsTable
 *   Fields of a region document, of its regions and rerolls; names of the panel's controls. */

var tiledDiffusion = tiledDiffusion || {};

/** @type {SettingsTable} */
tiledDiffusion.table = '''


def page_table() -> dict[str, Any]:
    """The table in plain values."""
    return {
        "version": VERSION,
        "document": _plain(row(Settings, name) for name in REGION_KEYS),
        "region": _plain(rows(Region)),
        "reroll": _plain(rows(Reroll)),
        "controls": [r.name for r in control_rows(PanelSettings)],
        "no_upscaler": NO_UPSCALER,
        "papers": {name: list(sides) for name, sides in PAPERS.items()},
        "units": {name: float(mm) for name, mm in UNITS.items()},
    }


def page_script() -> str:
    """The JavaScript file."""
    return HEAD + _written(page_table(), 0, len("tiledDiffusion.table = ")) + ";\n"


def _plain(every: Iterable[Row]) -> dict[str, Any]:
    return {r.name: _setting(r) for r in every}


def _setting(row: Row) -> dict[str, Any]:
    entry, kind = row.entry, row.kind
    default = ("" if isinstance(kind, Text) else None) if row.required else row.default
    out = {**kind.to_javascript(), "label": entry.label, "info": row.info, "default": default}
    flags = {"required": row.required, "null": bool(entry.null), "unit": entry.unit}
    out |= {name: value for name, value in flags.items() if value}
    if entry.widget is not None:
        widget = asdict(entry.widget)
        out["widget"] = {name: value for name, value in widget.items() if name in WIDGET and value is not None}
    return {name: _number(value) for name, value in out.items()}


def _number(value: Any) -> Any:
    """A whole number without its ".0", as JavaScript writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _written(value: Any, depth: int, taken: int) -> str:
    """JSON with as much in a line as fits into it; `taken` characters stand in the line before."""
    text = json.dumps(value, ensure_ascii=False)
    fits = depth > 1 and depth * 4 + taken + len(text) + 1 <= WIDTH
    if fits or not isinstance(value, (dict, list)):
        return text
    items = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
    lines: list[str] = []
    for key, item in items:
        name = "" if key is None else f"{json.dumps(key)}: "
        written = name + _written(item, depth + 1, len(name)) + ","
        if depth > 1 and lines and "\n" not in lines[-1] + written and len(lines[-1]) + 1 + len(written) <= WIDTH:
            lines[-1] += f" {written}"
        else:
            lines.append("    " * (depth + 1) + written)
    left, right = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return "\n".join([left, *lines, "    " * depth + right])
