"""Faithful ... creative: one number for how far an enlarged picture may leave the one that it is made of.

It sets what decides that together: the denoising strength, how much of the noise is the picture's own, and how strongly
ControlNets guide. The pairs were measured (`python -m bench --only creativity`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from tiled_diffusion.errors import SettingsError

from .inversion import Inversion
from .kinds import Number, wrong
from .request import Request

CREATIVITY = Number(0, 1)


@dataclass(frozen=True)
class Rung:
    """What one creativity means.

    Attributes:
        creativity: 0 to 1.
        denoising_strength: see Request.
        freedom: see Inversion.
        control: ControlNets guide so many times as strongly as they are told to.
    """

    creativity: float
    denoising_strength: float
    freedom: float
    control: float


RUNGS = (Rung(0.0, 0.2, 0.2, 1.0), Rung(0.5, 0.5, 0.5, 1.0), Rung(1.0, 0.65, 0.5, 0.6))
"""From faithful to creative; between two of them all is in proportion."""
QUICK = "quick"
"""Few steps, shallow, on tiles that move (after PixelRush, arXiv 2602.12769)."""
QUICK_STEPS = 8
QUICK_TILES: dict[str, Any] = {"method": "jittered", "overlap": None}
"""Its fields of `Settings`."""
STYLES = {"faithful": 0.0, "balanced": 0.5, "creative": 1.0, QUICK: 0.25}
FORM = f"0 to 1, or one of {', '.join(STYLES)}"


def rung(creativity: float) -> Rung:
    """What a creativity means.

    Raises:
        SettingsError: it is not within 0 to 1.
    """
    CREATIVITY.check("creativity", creativity)
    for low, high in itertools.pairwise(RUNGS):
        if creativity <= high.creativity:
            share = (creativity - low.creativity) / (high.creativity - low.creativity)
            names = ("denoising_strength", "freedom", "control")
            return Rung(creativity, *(round(_between(getattr(low, n), getattr(high, n), share), 3) for n in names))
    raise AssertionError  # the last rung's creativity is 1


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


@dataclass(frozen=True)
class Creativity:
    """A creativity, as it is asked for.

    Attributes:
        value: 0 to 1.
        quick: in a few steps, on tiles that move.
    """

    value: float
    quick: bool = False


def creativity_from_text(text: str) -> Creativity:
    """Reads a number or a name.

    Raises:
        SettingsError: it is neither.
    """
    name = text.strip().lower()
    if name in STYLES:
        return Creativity(STYLES[name], name == QUICK)
    try:
        return Creativity(CREATIVITY.from_text("creativity", name))
    except SettingsError:
        raise wrong("creativity", text, FORM) from None


def with_creativity(request: Request, creativity: Creativity) -> Request:
    """The request of an enlarging with what a creativity sets; all of it can be changed afterwards."""
    to, more = rung(creativity.value), dict[str, Any]()
    if creativity.quick:
        more = {"steps": QUICK_STEPS, "tiling": replace(request.tiling, **QUICK_TILES)}
    controls = tuple(replace(c, weight=round(c.weight * to.control, 3)) for c in request.controls)
    values = {"denoising_strength": to.denoising_strength, "inversion": Inversion(freedom=to.freedom), **more}
    return replace(request, controls=controls, **values)
