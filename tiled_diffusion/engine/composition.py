"""Prompts made of prompts: the main one joined to a region's, `AND` composition, and ensembles.

`a AND b :0.5` adds directions: prediction u + s (1 (c_a - u) + 0.5 (c_b - u)) (Liu et al. 2022, arXiv 2206.01714).
`a ENSEMBLE b :3` averages predictions: the same formula with weights that sum to 1, here 0.25 and 0.75.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_AND = re.compile(r"\bAND\b")
_ENSEMBLE = re.compile(r"\bENSEMBLE\b")
_WEIGHTED = re.compile(r"^(.*?)(?:\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+)))?\s*$", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """One prompt of a composition.

    Attributes:
        text: the prompt.
        weight: v in u + s * sum_j v_j (c_j - u).
    """

    text: str
    weight: float


def parts(prompt: str) -> tuple[Part, ...]:
    """The prompts that a prompt is made of; one without a keyword is one part of weight 1, as it stands."""
    if not _AND.search(prompt) and not _ENSEMBLE.search(prompt):
        return (Part(prompt, 1.0),)
    out: list[Part] = []
    for text in _AND.split(prompt):
        choices = [_weighted(t) for t in _ENSEMBLE.split(text)]
        if len(choices) == 1:
            out.append(choices[0])
            continue
        total = sum(c.weight for c in choices)
        if total <= 0:
            choices = [Part(c.text, 1.0) for c in choices]
            total = float(len(choices))
        out += [Part(c.text, c.weight / total) for c in choices]
    return tuple(out)


def _weighted(text: str) -> Part:
    match = _WEIGHTED.match(text)
    assert match is not None  # the pattern takes every text
    return Part(match[1].strip(), 1.0 if match[2] is None else float(match[2]))


def joined(main: str, own: str, join: str) -> str:
    """The prompt of a region: its own, with the main one before ("append") or after it ("prepend"), or alone.

    Where either is made of parts, the other joins every one of them; weights multiply.
    """
    if join == "replace":
        return own
    if not main.strip() or not own.strip():
        return main if main.strip() else own
    first, second = (main, own) if join == "append" else (own, main)
    pairs = [(a, b) for a in _AND.split(first) for b in _AND.split(second)]
    return " AND ".join(_joined(a, b) for a, b in pairs)


def _joined(a: str, b: str) -> str:
    pairs = [(_weighted(x), _weighted(y)) for x in _ENSEMBLE.split(a) for y in _ENSEMBLE.split(b)]
    texts = []
    for x, y in pairs:
        text = ", ".join(t for t in (x.text, y.text) if t)
        weight = x.weight * y.weight
        texts.append(text if weight == 1 else f"{text} :{weight:g}")
    return " ENSEMBLE ".join(texts)
