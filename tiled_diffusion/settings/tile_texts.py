"""Prompts of single tiles, by place: in a document's list, or from a CSV or JSON file."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiled_diffusion.errors import SettingsError

from .boxes import FRACTION, SIDE, check_box
from .document import Records, parse_json, read_object
from .fields import VERSION, check_fields, entry, rows
from .files import read_text
from .kinds import Choice, Choices, Text, Whole

SOURCES = Choices((
    Choice("same", "Same everywhere", "Every tile is drawn with the whole prompt."),
    Choice("content", "By content",
           "Each tile is drawn with the phrases of the prompt that the start picture has there: no extra people in the "
           "sky of an enlarged picture."),
    Choice("captions", "Captions", "A captioner says what each tile of the start picture shows."),
    Choice("list", "List", "A list says the prompt of each tile, or of each box."),
))  # fmt: skip
TEXT_JOINS = Choices((
    Choice("replace", "left out", "The tile's text stands alone."),
    Choice("append", "before it", "The whole prompt, then the tile's text."),
    Choice("prepend", "after it", "The tile's text, then the whole prompt."),
))  # fmt: skip
MOST = 4096
TILE_NUMBER = Whole(1, 1024)


@dataclass(frozen=True)
class TileText:
    """The prompt of the tile in a row and column of the grid, or of the tiles in a box."""

    # fmt: off
    prompt: str = field(metadata=entry(Text(20000), "Prompt", "What is drawn there."))
    row: int | None = field(default=None, metadata=entry(
        TILE_NUMBER, "Row", "Of one tile, from 1 at the top; with `column`, and without a box.", null="goes by the box",
        since=2))
    column: int | None = field(default=None, metadata=entry(
        TILE_NUMBER, "Column", "Of one tile, from 1 at the left.", null="goes by the box", since=2))
    x: float = field(default=0.0, metadata=entry(FRACTION, "X", "Left edge of the box in fractions of the canvas."))
    y: float = field(default=0.0, metadata=entry(FRACTION, "Y", "Upper edge of the box in fractions of the canvas."))
    w: float = field(default=1.0, metadata=entry(SIDE, "W", "Width of the box in fractions of the canvas."))
    h: float = field(default=1.0, metadata=entry(SIDE, "H", "Height of the box in fractions of the canvas."))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        check_box(self)
        if (self.row is None) != (self.column is None):
            missing = "column" if self.column is None else "row"
            raise SettingsError(f"{missing}: it is missing; a tile has a row and a column")
        if self.row is not None and (self.x, self.y, self.w, self.h) != (0, 0, 1, 1):
            raise SettingsError("row: got a row and a box, allowed is one of the two")


@dataclass(frozen=True)
class TileTexts(Records):
    """The list; on a page it is a text, in CSV or JSON."""

    def from_page(self, value: object) -> Any:
        """From its text."""
        return tile_texts_from_text(value, "tile_texts") if isinstance(value, str) else value

    def to_page(self, value: Any) -> str:
        """As JSON."""
        return json.dumps(self.to_json(value), ensure_ascii=False) if value else ""


def tile_texts_from_file(path: Path) -> tuple[TileText, ...]:
    """The list in a file, as `tile_texts_from_text` reads it; raises SettingsError."""
    return tile_texts_from_text(read_text(path), path.name)


def tile_texts_from_text(text: str, name: str) -> tuple[TileText, ...]:
    """The list in a text: JSON, a list of objects; or CSV whose first line names its columns, which are the same names.

    Raises:
        SettingsError: names the line, or the number of the object, and the field that is wrong.
    """
    if not text.strip():
        return ()
    if not text.lstrip().startswith("["):
        return _from_csv(text, name)
    data: Any = parse_json(text, name)
    return tuple(read_object(TileText, item, f"{name}[{i}]", VERSION) for i, item in enumerate(data))


def _from_csv(text: str, name: str) -> tuple[TileText, ...]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        return tuple(_from_line(values) for values in reader)
    except (SettingsError, csv.Error) as e:
        raise SettingsError(f"{name}, line {reader.line_num}: {e}") from None


def _from_line(values: dict[str | None, str | None]) -> TileText:
    known = {r.name: r for r in rows(TileText)}
    fields: dict[str, Any] = {}
    for column, value in values.items():
        if column is None or value is None:
            raise SettingsError("it has more or fewer values than the first line has names; quote a text with commas")
        if column not in known:
            raise SettingsError(f"column {column!r} is unknown, known are {', '.join(known)}")
        if value:
            fields[column] = known[column].from_text(value)
    if "prompt" not in fields:
        raise SettingsError("prompt: it is missing")
    return TileText(**fields)
