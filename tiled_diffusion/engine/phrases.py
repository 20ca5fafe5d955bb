"""The phrases of a prompt, and prompts without some of them.

A phrase ends at a comma and, in English, before a word that says where: "a red tower on grass, blue sky" has three.
What stands in brackets is never taken apart: weights and the WebUI's prompt editing stay whole.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

WHERE = (
    "above", "against", "among", "and", "at", "before", "behind", "below", "beside", "between", "in", "inside", "near",
    "next to", "on", "over", "under", "with",
)  # fmt: skip
_WHERE = re.compile(rf"(?:{'|'.join(WHERE)})(?=\s)", re.IGNORECASE)
_COMMAS = ",\uff0c\u3001;\n"
"""Of the East too."""


@dataclass(frozen=True)
class Phrase:
    """A piece of a prompt.

    Attributes:
        before: what parts it from the piece before it: a comma with spaces, or a space.
        text: itself, perhaps with a word in front that says where.
    """

    before: str
    text: str


def phrases(prompt: str) -> tuple[Phrase, ...]:
    """The prompt's phrases; joined with what stands before each they are the prompt again, but for spaces around it."""
    cuts, depth, i = [], 0, 0
    while i < len(prompt):
        char = prompt[i]
        if char == "\\":
            i += 1
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth = max(0, depth - 1)
        elif depth == 0 and (char in _COMMAS or (char.isspace() and _WHERE.match(prompt, i + 1))):
            cuts.append(i)
        i += 1
    pieces = [prompt[a:b] for a, b in zip([0, *cuts], [*cuts, len(prompt)], strict=True)]
    out: list[Phrase] = []
    before = ""
    for piece in pieces:
        text = piece.lstrip(_COMMAS + " \t")
        before += piece[: len(piece) - len(text)]
        if text.strip():
            out.append(Phrase(before if out else "", text.rstrip()))
            before = piece[len(piece.rstrip()) :]
    return tuple(out)


def without(prompt: tuple[Phrase, ...], left_out: Container[int]) -> str:
    """The prompt without the phrases of these numbers; one that comes to begin it loses the word that says where."""
    out = ""
    for number, phrase in enumerate(prompt):
        if number in left_out:
            continue
        where = _WHERE.match(phrase.text) if number and not out else None
        out += phrase.text[where.end() :].lstrip() if where else (phrase.before if out else "") + phrase.text
    return out
