"""Reads Omost's canvases, as the Python that its language model writes or as JSON.

Its words for places, on a grid of 90 x 90, are those of its documentation (github.com/lllyasviel/Omost).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from tiled_diffusion.errors import SettingsError

from .quoting import quoted

GRID = 90
PLACES = {"left": (15, 45), "right": (75, 45), "top": (45, 15), "bottom": (45, 75), "center": (45, 45),
          "top-left": (15, 15), "top-right": (75, 15), "bottom-left": (15, 75), "bottom-right": (75, 75)}  # fmt: skip
"""Centres (x, y)."""
OFFSETS = {"left": (-10, 0), "right": (10, 0), "upper": (0, -10), "lower": (0, 10), "upper-left": (-10, -10),
           "upper-right": (10, -10), "lower-left": (-10, 10), "lower-right": (10, 10)}  # fmt: skip
AREAS = {"small square": (50, 50), "small vertical": (40, 60), "small horizontal": (60, 40),
         "medium-sized square": (60, 60), "medium-sized vertical": (50, 80), "medium-sized horizontal": (80, 50),
         "large square": (70, 70), "large vertical": (60, 90), "large horizontal": (90, 60)}  # fmt: skip
"""(width, height)."""
GLOBAL, LOCAL = "set_global_description", "add_local_description"
ARGUMENTS = {
    GLOBAL: ("description", "detailed_descriptions", "tags", "HTML_web_color_name"),
    LOCAL: ("location", "offset", "area", "distance_to_viewer", "description", "detailed_descriptions", "tags",
            "atmosphere", "style", "quality_meta", "HTML_web_color_name"),
}  # fmt: skip
SOFT = 0.2
"""Feather of Omost's boxes, which lie above one another."""
_FENCE = re.compile(r"```(?:python)?\n(.*?)```", re.DOTALL)


def is_omost(text: str) -> bool:
    """Whether a text is such a program."""
    return GLOBAL in text or LOCAL in text


def omost_regions(text: str) -> list[dict[str, Any]]:
    """The regions of Omost's Python, which is read and never run: the whole canvas, then the boxes, nearer ones later.

    Raises:
        SettingsError: this is no such program, or names the argument that is wrong.
    """
    fence = _FENCE.search(text)
    try:
        tree = ast.parse(fence[1] if fence else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise SettingsError(f"Omost: this is no Python that can be read: {type(e).__name__}") from None
    whole, local = ([_arguments(call, name) for call in _calls(tree, name)] for name in (GLOBAL, LOCAL))
    if len(whole) != 1:
        raise SettingsError(f"Omost: got {len(whole)} calls of {GLOBAL}, allowed is one")
    prompt = _sentence(whole[0], "description", "detailed_descriptions", "tags")
    begun = _sentence(whole[0], "description")
    far_first = sorted(local, key=lambda values: -_number(values, "distance_to_viewer"))
    return [{"prompt": prompt, "feather": 0.0, "name": "canvas"}, *(_box(values, begun) for values in far_first)]


def omost_conditions(data: Sequence[Any]) -> list[dict[str, Any]]:
    """The regions of Omost's canvas as JSON: a list of {"rect": [top, bottom, left, right], "prefixes", "suffixes"}.

    Raises:
        SettingsError: names the condition that is wrong.
    """
    regions = []
    for number, entry in enumerate(data):
        try:
            top, bottom, left, right = (float(n) / GRID for n in entry["rect"])
            words = [str(word).strip(" .,") for word in (*entry["prefixes"], *entry["suffixes"])]
        except (TypeError, ValueError, KeyError):
            allowed = f'{{"rect": [top, bottom, left, right] in 0..{GRID}, "prefixes": [...], "suffixes": [...]}}'
            raise SettingsError(f"Omost[{number}]: got {quoted(entry)}, allowed is {allowed}") from None
        box = {"x": left, "y": top, "w": right - left, "h": bottom - top}
        layer = {"feather": 0.0} if number == 0 else {"layer": "foreground", "feather": SOFT}
        regions.append({"prompt": ", ".join(w for w in words if w), **box, **layer})
    return regions


def _calls(tree: ast.AST, name: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == name]


def _arguments(call: ast.Call, method: str) -> dict[str, Any]:
    names = ARGUMENTS[method]
    given = [*zip(names, call.args, strict=False), *((k.arg or "", k.value) for k in call.keywords)]
    values = {}
    for name, node in given:
        if name not in names:
            raise SettingsError(f"Omost: {method} has no argument {quoted(name)}, allowed are {', '.join(names)}")
        try:
            values[name] = ast.literal_eval(node)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise SettingsError(f"Omost: {name} in line {node.lineno} is no plain value") from None
    return values


def _sentence(values: dict[str, Any], *names: str) -> str:
    words: list[str] = []
    for name in names:
        value = values.get(name, "")
        words += [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]
    return ", ".join(word.strip(" .,") for word in words if word.strip(" .,"))


def _number(values: dict[str, Any], name: str) -> float:
    value = values.get(name, 1.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise SettingsError(f"Omost: {name}: got {quoted(value)}, allowed is a number above 0")
    return float(value)


def _box(values: dict[str, Any], begun: str) -> dict[str, Any]:
    x, y = _word(values, "location", PLACES)
    w, h = _word(values, "area", AREAS)
    offset = str(values.get("offset", "no offset"))
    dx, dy = (0, 0) if "no offset" in offset.lower() else _word(values, "offset", OFFSETS)
    left, right = (max(0, min(GRID, x + dx + side)) for side in (-w // 2, w // 2))
    top, bottom = (max(0, min(GRID, y + dy + side)) for side in (-h // 2, h // 2))
    own = _sentence(values, "description", "detailed_descriptions", "tags", "atmosphere", "style", "quality_meta")
    return {
        "prompt": ", ".join(text for text in (begun, own) if text), "name": str(values.get("description", ""))[:100],
        "x": left / GRID, "y": top / GRID, "w": (right - left) / GRID, "h": (bottom - top) / GRID,
        "layer": "foreground", "feather": SOFT,
    }  # fmt: skip


def _word(values: dict[str, Any], name: str, known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """What the longest of the known words that stand in the text means."""
    text = str(values.get(name, "")).lower()
    fitting = [word for word in known if re.search(rf"\b{re.escape(word)}(?![\w-])", text)]
    if not fitting:
        raise SettingsError(f"Omost: {name}: got {quoted(text)}, allowed are texts with {', '.join(known)}")
    return known[max(fitting, key=len)]
