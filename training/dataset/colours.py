"""The colours of skies, grounds and objects, RGB in 0..255."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Rgb = tuple[int, ...]

COLOURS = {
    "red": (214, 48, 44),
    "orange": (240, 140, 36),
    "yellow": (246, 212, 50),
    "green": (56, 160, 70),
    "blue": (48, 98, 216),
    "purple": (136, 66, 178),
    "pink": (244, 136, 182),
    "white": (246, 246, 246),
}
SKIES: dict[str, dict[str, Sequence]] = {  # stops from zenith to horizon, tint of the ground, tint of objects
    "day": {
        "stops": [(92, 168, 236), (152, 206, 246), (206, 234, 250)],
        "ground": (1, 1, 1),
        "obj": (1, 1, 1),
    },
    "sunset": {
        "stops": [(112, 64, 136), (238, 116, 84), (255, 206, 116)],
        "ground": (1.0, 0.84, 0.78),
        "obj": (1, 0.93, 0.88),
    },
    "night": {
        "stops": [(10, 14, 44), (24, 32, 78), (52, 62, 118)],
        "ground": (0.42, 0.47, 0.66),
        "obj": (0.80, 0.80, 0.90),
    },
    "storm": {
        "stops": [(66, 72, 84), (104, 112, 124), (146, 152, 162)],
        "ground": (0.72, 0.76, 0.80),
        "obj": (0.88, 0.88, 0.90),
    },
    "dawn": {
        "stops": [(168, 152, 218), (232, 176, 212), (252, 208, 206)],
        "ground": (1.0, 0.93, 0.97),
        "obj": (1, 0.97, 0.98),
    },
}
GROUNDS = {  # colours at the horizon and at the lower edge
    "grass": [(132, 200, 84), (62, 142, 54)],
    "sand": [(246, 220, 152), (216, 168, 92)],
    "snow": [(250, 252, 255), (206, 222, 242)],
    "sea": [(76, 156, 208), (20, 78, 150)],
    "city": [(136, 136, 144), (94, 94, 104)],
    "forest": [(72, 132, 70), (40, 88, 50)],
    "mountains": [(150, 172, 112), (98, 126, 84)],
    "lavender": [(172, 132, 214), (110, 70, 166)],
}


def tint(colour: Iterable[int], factors: Iterable[float]) -> Rgb:
    """The colour seen in coloured light."""
    return tuple(int(max(0, min(255, a * b))) for a, b in zip(colour, factors, strict=True))


def mix(a: Iterable[int], b: Iterable[int], share: float) -> Rgb:
    """Between a (share 0) and b (share 1)."""
    return tuple(int(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
