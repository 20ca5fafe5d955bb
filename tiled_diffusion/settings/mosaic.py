"""A mosaic as settings: its grid and tiles, what becomes of their colours, how deep it goes, and the tiles' prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from PIL import ImageColor

from tiled_diffusion.errors import SettingsError

from .document import Within, document, parse_json, read
from .fields import check_fields, entry
from .kinds import Choice, Choices, Kind, Number, Switch, Text, Whole, wrong
from .request import DIGEST, Request

MOST_TILES = 1024
"""On a side of the grid."""
MOST_LEVELS = 64
TILE_PX = Whole(64, 2048, multiple=8)
TILE_REQUEST = Request("", denoising_strength=0.9, hold=0.6)
"""What a mosaic's request is made of: with these, tiles become pictures of their own and the whole stays what it is."""
COLOURS = Choices((
    Choice("match", "match", "Each tile is shifted to the mean colour of its place."),
    Choice("exact", "exact", "Each block of a tile is brought to the mean colour of its place: see colour_blocks."),
    Choice("none", "none", "Tiles stay as they were drawn."),
))  # fmt: skip


class Grid(NamedTuple):
    """Tiles across and down; rows is None where the picture's shape decides."""

    columns: int
    rows: int | None = None


class Place(NamedTuple):
    """A tile: column and row in its level's grid, from 0."""

    x: int
    y: int


@dataclass(frozen=True)
class GridKind(Kind):
    """A grid: 64 or "64x43"."""

    @property
    def allowed(self) -> str:
        return f"tiles along the longer side, or COLUMNSxROWS, each from 2 to {MOST_TILES}"

    def fits(self, value: object) -> bool:
        side = Whole(2, MOST_TILES)
        return isinstance(value, Grid) and side.fits(value.columns) and (value.rows is None or side.fits(value.rows))

    def from_json(self, name: str, value: object, version: int) -> Grid:
        if isinstance(value, str):
            return self.from_text(name, value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(name, value, self.allowed)
        return Grid(value)

    def to_json(self, value: Grid) -> int | str:
        return value.columns if value.rows is None else self.to_text(value)

    def from_text(self, name: str, text: str) -> Grid:
        match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", text.strip().lower())
        if match is None:
            raise wrong(name, text, self.allowed)
        grid = Grid(int(match[1]), None if match[2] is None else int(match[2]))
        if not self.fits(grid):
            raise wrong(name, text, self.allowed)
        return grid

    def to_text(self, value: Grid) -> str:
        return str(value.columns) if value.rows is None else f"{value.columns}x{value.rows}"

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "text"}


@dataclass(frozen=True)
class PathKind(Kind):
    """The tile that is entered on each level: nothing is a choice of the program's, and the last one is repeated."""

    @property
    def allowed(self) -> str:
        return "auto, or X,Y of a tile on each level, such as 12,7 or 12,7/3,4"

    def fits(self, value: object) -> bool:
        number = Whole(0, MOST_TILES - 1)
        return isinstance(value, tuple) and all(
            isinstance(place, Place) and number.fits(place.x) and number.fits(place.y) for place in value
        )

    def from_json(self, name: str, value: object, version: int) -> tuple[Place, ...]:
        if not isinstance(value, list) or not all(isinstance(v, list) and len(v) == 2 for v in value):
            raise wrong(name, value, "a list of [x, y]")
        return tuple(Place(*place) for place in value)

    def to_json(self, value: tuple[Place, ...]) -> list[list[int]]:
        return [list(place) for place in value]

    def from_text(self, name: str, text: str) -> tuple[Place, ...]:
        if text.strip().lower() == "auto":
            return ()
        return tuple(place_of(name, part, self.allowed) for part in text.split("/"))

    def to_text(self, value: tuple[Place, ...]) -> str:
        return "/".join(f"{place.x},{place.y}" for place in value) or "auto"

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "text"}


def place_of(name: str, text: str, allowed: str = "X,Y of a tile, such as 12,7") -> Place:
    """A tile from "12,7"; raises SettingsError that names the setting."""
    match = re.fullmatch(r"\s*(\d{1,4})\s*,\s*(\d{1,4})\s*", text)
    if match is None:
        raise wrong(name, text, allowed)
    return Place(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class MosaicPrompts:
    """What tiles draw where that is not the mosaic's own prompt.

    Attributes:
        colours: (colour as CSS writes it, prompt): a tile takes the prompt of the colour that is nearest to its place.
        cells: (level from 1, tile, prompt): single tiles, whatever their colour.
    """

    colours: tuple[tuple[str, str], ...] = ()
    cells: tuple[tuple[int, Place, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether any tile has a prompt by it."""
        return bool(self.colours or self.cells)


@dataclass(frozen=True)
class PromptsKind(Kind):
    """Prompts of tiles: {"colours": {"skyblue": "clouds"}, "cells": {"12,7": "a boat", "2:3,4": "a ship"}}."""

    @property
    def allowed(self) -> str:
        return '{"colours": {"skyblue": "clouds"}, "cells": {"12,7": "a boat"}}'

    def fits(self, value: object) -> bool:
        return isinstance(value, MosaicPrompts)

    def from_json(self, name: str, value: object, version: int) -> MosaicPrompts:
        if not isinstance(value, dict) or not set(value) <= {"colours", "cells"}:
            raise wrong(name, value, self.allowed)
        colours, cells = (_texts(f"{name}.{part}", value.get(part, {})) for part in ("colours", "cells"))
        for colour in colours:
            try:
                ImageColor.getrgb(colour)
            except ValueError:
                raise wrong(f"{name}.colours", colour, "a colour such as skyblue or #87ceeb") from None
        return MosaicPrompts(tuple(colours.items()), tuple((*_cell(name, cell), text) for cell, text in cells.items()))

    def to_json(self, value: MosaicPrompts) -> dict[str, Any]:
        cells = {(f"{level}:" if level > 1 else "") + f"{p.x},{p.y}": text for level, p, text in value.cells}
        parts = {"colours": dict(value.colours), "cells": cells}
        return {name: part for name, part in parts.items() if part}

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "object"}


def _texts(name: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise wrong(name, value, "an object of prompts")
    return value


def _cell(name: str, cell: str) -> tuple[int, Place]:
    level, colon, place = cell.rpartition(":")
    allowed = "X,Y of a tile, or LEVEL:X,Y, such as 12,7 or 2:3,4"
    if colon and not re.fullmatch(r"[1-9]\d?", level):
        raise wrong(f"{name}.cells", cell, allowed)
    return int(level or 1), place_of(f"{name}.cells", place, allowed)


@dataclass(frozen=True)
class Mosaic:
    """A picture made of pictures, each of which may be made of pictures."""

    # fmt: off
    request: Request = field(default=TILE_REQUEST, metadata=entry(
        Within(Request), "Request", "What is drawn, first as the whole and then as each tile: prompt, steps, seed, the "
        "first picture's size; of tiles also denoising strength and hold.", since=2))
    picture: str | None = field(default=None, metadata=entry(
        Text(), "Picture", "The first picture.", null="draws it from the prompt", since=2))
    picture_sha256: str | None = field(default=None, metadata=entry(
        DIGEST, "Picture's digest", "SHA-256 of the first picture's pixels.", null="not known yet", since=2))
    grid: Grid = field(default=Grid(64), metadata=entry(
        GridKind(), "Grid", "Tiles that the picture is made of.", since=2, flag="N|CxR"))
    tile: int | None = field(default=None, metadata=entry(
        TILE_PX, "Tile", "Side of a tile.", "px", null="the size that the model was trained on", since=2, flag="PX"))
    colour: str = field(default="match", metadata=entry(
        COLOURS, "Colour", "What becomes of the colours of drawn tiles.", since=2, flag="NAME"))
    colour_blocks: int = field(default=1, metadata=entry(
        Whole(1, 16), "Colour blocks", "For exact colours: so many blocks across and down a tile are brought to the "
        "colours of their places.", since=2, flag="N"))
    depth: int = field(default=1, metadata=entry(
        Whole(1, MOST_LEVELS), "Depth", "Levels: a tile of each is the picture that the next one is made of.", since=2,
        flag="N"))
    enter: tuple[Place, ...] = field(default=(), metadata=entry(
        PathKind(), "Enter", "The tile of each level that is entered; the last one is repeated.", since=2, flag="PATH"))
    loop: bool | None = field(default=None, metadata=entry(
        Switch(), "Loop", "The last level's entered tile is the first picture again, so that a zoom never ends.",
        null="from depth 2 on", since=2, flag=""))
    loop_strength: float = field(default=0.3, metadata=entry(
        Number(0, 1), "Loop strength", "How much of that tile is drawn anew.", since=2, flag="X"))
    jpeg: int | None = field(default=None, metadata=entry(
        Whole(1, 100), "JPEG quality", "Tiles are kept as JPEG files of this quality.",
        null="as PNG, to the last bit", since=2, flag="Q"))
    prompts: MosaicPrompts = field(default=MosaicPrompts(), metadata=entry(
        PromptsKind(), "Prompts", "Prompts of tiles by the colour of their places, or one by one.", since=2))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        if self.request.batch_size != 1 or self.request.inpaints or self.request.controls:
            raise SettingsError("request: got several pictures, a mask or a ControlNet; a mosaic takes none of them")
        if self.request.growth or self.request.match:
            raise SettingsError("request: got growth or match; the tiles of a mosaic are drawn at once, each by itself")

    @property
    def loops(self) -> bool:
        """Whether the last level leads back to the first picture."""
        return self.depth > 1 if self.loop is None else self.loop

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return document(self)


def mosaic_from_dict(data: object) -> Mosaic:
    """Reads the JSON form; raises SettingsError that names the field."""
    return read(Mosaic, data, "mosaic")


def prompts_from_json(text: str, name: str) -> MosaicPrompts:
    """Prompts of tiles from the JSON in a file; raises SettingsError."""
    prompts: MosaicPrompts = PromptsKind().from_json(name, parse_json(text, name), 2)
    return prompts
