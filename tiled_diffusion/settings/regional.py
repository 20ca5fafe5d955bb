"""Reads prompts in Regional Prompter's grammar: parts of the canvas by words between the prompts, and by ratios.

The separators and what they do are its documentation's (github.com/hako-mikan/sd-webui-regional-prompter).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tiled_diffusion.errors import SettingsError

from .quoting import quoted

_CUT = re.compile(r"\b(ADDCOMM|ADDBASE|BREAK|ADDCOL|ADDROW)\b")
_SETTING = re.compile(
    r"(?im)^\s*(?:RP )?(divide mode|divide ratio|ratio|base ratio)s?\s*:\s*\"?([^\"\n]*)\"?\s*$"
)
BASE_SHARE = 0.2
"""Its own default of the base ratio."""


def is_regional(text: str) -> bool:
    """Whether a text has one of its words."""
    return _CUT.search(text) is not None


@dataclass(frozen=True)
class _Cell:
    """A region's text, and the separator before it."""

    before: str
    text: str


def regional_regions(text: str) -> list[dict[str, Any]]:
    """The regions of a prompt in Regional Prompter's grammar.

    ADDCOMM ends what stands before every region's prompt, ADDBASE what is mixed into it (by the base ratio), and
    BREAK, ADDCOL and ADDROW part the regions. Lines of their own may say "Divide mode", "Divide ratio" and "Base
    ratio", as its page does. In "Horizontal" ("Columns") mode, the default, rows lie below one another and are parted
    into columns, by the ratio's ";" and ","; in "Vertical" ("Rows") mode columns lie side by side and are parted into
    rows, by "," and ";".

    Raises:
        SettingsError: names what is wrong.
    """
    said = {name.lower(): value.strip() for name, value in _SETTING.findall(text)}
    prompt = _SETTING.sub("", text)
    pieces = _CUT.split(prompt)
    cells = [_Cell(before, own.strip()) for before, own in zip(["", *pieces[1::2]], pieces[::2], strict=True)]
    common, cells = _taken(cells, "ADDCOMM")
    base, cells = _taken(cells, "ADDBASE")
    upright = _upright(said.get("divide mode", "columns"))
    ratio = said.get("divide ratio", said.get("ratio", ""))
    lines = _lines(cells, "ADDCOL" if upright else "ADDROW", _ratios(ratio, upright))
    shares = iter(_shares(said.get("base ratio", ""), len(cells)))
    out = []
    for begin, size, line in lines:
        for start, length, cell in line:
            share = next(shares)
            box = {"x": begin, "y": start, "w": size, "h": length} if upright else {
                "x": start, "y": begin, "w": length, "h": size}  # fmt: skip
            own = ", ".join(part for part in (common, cell.text) if part)
            mixed = f"{own} :{1 - share:g} ENSEMBLE {base} :{share:g}" if base else own
            out.append({"prompt": mixed, **box})
    return out


def _taken(cells: list[_Cell], word: str) -> tuple[str, list[_Cell]]:
    """The text that a word ends, and the cells after it."""
    at = next((k for k, cell in enumerate(cells) if cell.before == word), None)
    if at is None:
        return "", cells
    if at != 1:
        raise SettingsError(f"Regional Prompter: {word} stands behind {at} parts, allowed is behind the first one")
    return cells[0].text, [_Cell("", cells[1].text), *cells[2:]]


def _upright(mode: str) -> bool:
    if mode.lower() in ("vertical", "rows"):
        return True
    if mode.lower() in ("horizontal", "columns", "matrix", ""):
        return False
    raise SettingsError(f"Divide mode: got {quoted(mode)}, allowed are Horizontal (Columns) and Vertical (Rows)")


Line = tuple[float, float, list[tuple[float, float, _Cell]]]
"""Where a line of cells begins and how large it is across, and the same along it for each of its cells."""


def _lines(cells: list[_Cell], new_line: str, ratios: list[list[float]]) -> list[Line]:
    """Rows of cells, or columns of them. Ratios that do not fit the prompts part the canvas into equal parts."""
    if len(ratios) > 1 and all(cell.before in ("", "BREAK") for cell in cells):
        grouped = _by_counts(cells, [max(1, len(row) - 1) for row in ratios])
    else:
        grouped = _grouped(cells, new_line)
    fits = len(ratios) == len(grouped)
    across = [_across(row, len(line), len(grouped)) for row, line in zip(ratios, grouped, strict=False)] if fits else []
    lines = []
    for k, (line, (begin, size)) in enumerate(zip(grouped, _spans(across, len(grouped)), strict=True)):
        along = _spans(ratios[k][-len(line) :] if fits else [], len(line))
        lines.append((begin, size, [(start, n, cell) for (start, n), cell in zip(along, line, strict=True)]))
    return lines


def _across(row: list[float], cells: int, lines: int) -> float:
    """The first number is the line's own where there is one more than cells, or one for the one cell of a line."""
    return row[0] if len(row) == cells + 1 or (len(row) == cells == 1 < lines) else 1.0


def _grouped(cells: list[_Cell], word: str) -> list[list[_Cell]]:
    lines: list[list[_Cell]] = []
    for cell in cells:
        if not lines or cell.before == word:
            lines.append([])
        lines[-1].append(cell)
    return lines


def _by_counts(cells: list[_Cell], counts: list[int]) -> list[list[_Cell]]:
    if sum(counts) != len(cells):
        raise SettingsError(f"Divide ratio: it parts the canvas into {sum(counts)}, and there are {len(cells)} prompts")
    ends = [sum(counts[: k + 1]) for k in range(len(counts))]
    return [cells[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _ratios(text: str, upright: bool) -> list[list[float]]:
    between, within = (",", ";") if upright and ";" in text else (";", ",")
    try:
        rows = [[float(n) for n in row.split(within) if n.strip()] for row in text.split(between) if row.strip()]
    except ValueError:
        rows = [[0.0]]
    if any(not 0 < n < 1e6 for row in rows for n in row):
        raise SettingsError(f"Divide ratio: got {quoted(text)}, allowed are numbers above 0 such as 1,2,1;2,4,6")
    return rows


def _shares(text: str, count: int) -> list[float]:
    """The base's share in each of the regions, in their order: one number for all, or one for each."""
    try:
        shares = [float(n) for n in re.split("[,;]", text) if n.strip()] or [BASE_SHARE]
    except ValueError:
        shares = []
    if len(shares) not in (1, count) or not all(0 <= share <= 1 for share in shares):
        allowed = f"one number from 0 to 1, or one for each of the {count} regions"
        raise SettingsError(f"Base ratio: got {quoted(text)}, allowed is {allowed}")
    return shares if len(shares) == count else shares * count


def _spans(parts: list[float], count: int) -> list[tuple[float, float]]:
    """(begin, size) of each part in fractions of what the parts divide; equal ones where there are not as many."""
    parts = parts if len(parts) == count else [1.0] * count
    return [(sum(parts[:k]) / sum(parts), part / sum(parts)) for k, part in enumerate(parts)]
