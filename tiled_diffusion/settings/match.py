"""Which edges of which pictures of a batch fit together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from .kinds import Kind, wrong

SIDES = ("left", "right", "top", "bottom")
OPPOSITE = {"right": "left", "bottom": "top"}
"""Edges that can meet: the first one lies before the second one."""
FORM = "1.right=2.left,..."
_EDGE = r"(\d+)\.(left|right|top|bottom)"
_JOIN = re.compile(rf"\s*{_EDGE}\s*=\s*{_EDGE}\s*")


class Edge(NamedTuple):
    """An edge of a picture: its number in the batch, from 1, and the side."""

    picture: int
    side: str

    def __str__(self) -> str:
        return f"{self.picture}.{self.side}"


class Join(NamedTuple):
    """Two edges that meet: a right and a left one, or a bottom and a top one."""

    first: Edge
    second: Edge

    def __str__(self) -> str:
        return f"{self.first}={self.second}"


Match = tuple[Join, ...]


@dataclass(frozen=True)
class MatchKind(Kind):
    """Pairs of edges in a text; an edge may stand in several pairs."""

    @property
    def allowed(self) -> str:
        return f"{FORM}: number of the picture and side, right with left, bottom with top, each pair once"

    def values(self, unit: str = "") -> str:
        return f'"{FORM}"'

    def fits(self, value: object) -> bool:
        return isinstance(value, tuple) and bool(value) and all(isinstance(join, Join) for join in value)

    def from_json(self, name: str, value: object, version: int) -> Match:
        if not isinstance(value, str):
            raise wrong(name, value, self.allowed)
        return self.from_text(name, value)

    def to_json(self, value: Match) -> str:
        return self.to_text(value)

    def from_text(self, name: str, text: str) -> Match:
        joins = []
        for part in text.split(","):
            match = _JOIN.fullmatch(part)
            if match is None:
                raise wrong(name, text, self.allowed)
            edges = Edge(int(match[1]), match[2]), Edge(int(match[3]), match[4])
            first, second = edges if edges[0].side in OPPOSITE else edges[::-1]
            if OPPOSITE.get(first.side) != second.side or min(first.picture, second.picture) < 1:
                raise wrong(name, text, self.allowed)
            joins.append(Join(first, second))
        if len(set(joins)) != len(joins):
            raise wrong(name, text, self.allowed)
        return tuple(joins)

    def to_text(self, value: Match) -> str:
        return ",".join(map(str, value))

    def to_javascript(self) -> dict[str, str]:
        return {"type": "match"}
