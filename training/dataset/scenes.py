"""What is in a picture, and where: everything random about a scene but its texture is decided here.

Positions and sizes are picture pixels. (x, y) is the middle of a thing's foot, or of the balloon, sun or moon.
"""

from __future__ import annotations

import random
from typing import Any

from training.dataset.colours import COLOURS, GROUNDS

Scene = dict[str, Any]
Thing = dict[str, Any]
"""An object of a scene: kind, colour, x, y, scale."""

WINDOW = 128  # edge of a magnified window
ZOOM = 2
GROUND_OBJECTS = {
    "grass": ["house", "tree", "tower"],
    "sand": ["cactus", "cactus", "house", "tower"],
    "snow": ["house", "tree", "tower"],
    "sea": ["boat"],
    "city": ["house", "tree", "tower"],
    "forest": ["house", "tower", "tree"],
    "mountains": ["house", "tree", "tower"],
    "lavender": ["house", "tree", "tower"],
}
OBJECT_COLOURS = {
    "house": list(COLOURS),
    "tower": list(COLOURS),
    "balloon": list(COLOURS),
    "boat": list(COLOURS),
    "tree": ["green", "green", "green", "orange", "pink", "red", "yellow"],
    "cactus": ["green"],
    "sun": ["yellow"],
    "moon": ["white"],
}
SIZES = {  # width, height at scale 1
    "house": (42, 40),
    "tree": (38, 52),
    "tower": (20, 64),
    "balloon": (32, 42),
    "boat": (46, 42),
    "cactus": (28, 42),
    "sun": (26, 26),
    "moon": (24, 24),
}


class _Draft:
    """A scene while things are put into it."""

    def __init__(self, seed: int, width: int, height: int) -> None:
        self.random = random.Random(seed)
        self.seed, self.width, self.height = seed, width, height
        self.sky = self.random.choice(["day", "day", "sunset", "sunset", "night", "night", "storm", "dawn", "dawn"])
        self.ground = self.random.choice(list(GROUNDS))
        self.horizon = self.random.uniform(0.50, 0.62) * height
        self.narrow = width / 128 < 1.3
        self.things: list[Thing] = []
        self.taken: list[tuple[float, float, float]] = []

    def place(self, kind: str, colour: str, scale: float, y: float) -> None:
        """Puts a thing where it hides no other; leaves it out where no room is found."""
        w = SIZES[kind][0] * scale
        for _ in range(16):
            x = self.random.uniform(w * 0.5 + 2, self.width - w * 0.5 - 2)
            if all(abs(x - x2) > (w + w2) * 0.5 + 2 or abs(y - y2) > 64 for x2, y2, w2 in self.taken):
                self.taken.append((x, y, w))
                self.things.append({"kind": kind, "colour": colour, "x": x, "y": y, "scale": scale})
                return

    def foot(self, kind: str) -> float:
        """A height for something that stands or swims."""
        low = self.horizon + (14 if kind == "boat" else 10)
        return self.random.uniform(low, min(self.height - 8, low + 30))

    def place_several(self) -> str:
        """Several things of one kind, most often of one colour; returns the kind."""
        r = self.random
        kind = r.choice(GROUND_OBJECTS[self.ground] + ["balloon"])
        count = r.choice([2, 2, 3] if self.narrow else [2, 3, 3, 4, 5])
        small = count >= 3 and self.narrow
        colour, mixed = r.choice(OBJECT_COLOURS[kind]), r.random() < 0.25
        for _ in range(count):
            y = r.uniform(0.20, 0.36) * self.height if kind == "balloon" else self.foot(kind)
            self.place(
                kind,
                r.choice(OBJECT_COLOURS[kind]) if mixed else colour,
                r.uniform(0.66, 0.82) if small else r.uniform(0.82, 1.1),
                y,
            )
        return kind

    def place_single(self) -> None:
        """One thing that suits the ground."""
        kind = self.random.choice(GROUND_OBJECTS[self.ground])
        self.place(kind, self.random.choice(OBJECT_COLOURS[kind]), self.random.uniform(0.85, 1.2), self.foot(kind))

    def place_in_the_sky(self, kind: str, colour: str, low: float, high: float) -> None:
        """Sun, moon or balloon, between two shares of the picture's height."""
        self.place(kind, colour, self.random.uniform(0.85, 1.15), self.random.uniform(low, high) * self.height)


def make_scene(seed: int, width: int = 128, height: int = 128) -> Scene:
    """The plain description of a scene."""
    draft = _Draft(seed, width, height)
    r = draft.random
    if r.random() < 0.22:
        kind = draft.place_several()
        sun, balloon = 0.15, 0 if kind == "balloon" else 0.1
    else:
        sun, balloon = 0.30, 0.33
        for _ in range(sum(r.random() < p for p in (0.85, 0.35)) if draft.narrow else r.choice([1, 1, 2, 2, 3])):
            draft.place_single()
    if draft.sky in ("day", "sunset", "dawn") and r.random() < sun:
        draft.place_in_the_sky("sun", "yellow", 0.14, 0.30)
    if draft.sky == "night" and r.random() < 0.45:
        draft.place_in_the_sky("moon", "white", 0.14, 0.28)
    for _ in range(1 if draft.narrow else 2):
        if r.random() < balloon:
            draft.place_in_the_sky("balloon", r.choice(OBJECT_COLOURS["balloon"]), 0.22, 0.36)
    return {
        "seed": seed,
        "width": width,
        "height": height,
        "sky": draft.sky,
        "ground": draft.ground,
        "horizon": draft.horizon,
        "objects": draft.things,
    }


def extent(thing: Thing) -> tuple[float, float, float, float]:
    """Left, top, right and lower border of an object."""
    w, h = (v * thing["scale"] for v in SIZES[thing["kind"]])
    x, y = thing["x"], thing["y"]
    if thing["kind"] in ("sun", "moon"):
        return x - w * 0.7, y - h * 0.7, x + w * 0.7, y + h * 0.7
    up, down = (0.5, 0.6) if thing["kind"] == "balloon" else (1, 0.03)
    return x - w * 0.52, y - h * up, x + w * 0.52, y + h * down


def _window(scene: Scene, r: random.Random) -> tuple[int, int]:
    """The corner of a window of the magnified scene, three times in four with a thing near its middle."""
    edge = ZOOM * 128 - WINDOW
    if scene["objects"] and r.random() < 0.75:
        x0, y0, x1, y1 = extent(r.choice(scene["objects"]))
        x = (x0 + x1) / 2 * ZOOM - WINDOW * r.uniform(0.3, 0.7)
        y = (y0 + y1) / 2 * ZOOM - WINDOW * r.uniform(0.3, 0.7)
    else:
        x, y = r.uniform(0, edge), r.uniform(0, edge)
    return int(min(max(x, 0), edge)), int(min(max(y, 0), edge))


def _share_seen(thing: Thing, x: int, y: int) -> float:
    """How much of a magnified thing's box lies in the window."""
    x0, y0, x1, y1 = (v * ZOOM for v in extent(thing))
    part = max(0, min(x1, x + WINDOW) - max(x0, x)) * max(0, min(y1, y + WINDOW) - max(y0, y))
    return part / ((x1 - x0) * (y1 - y0))


def make_zoomed(seed: int) -> Scene:
    """A window of 128x128 pixels into a scene drawn twice as big, with only what the window shows in `objects`.

    Tiles of an enlarged picture look like this.  Windows that cut through an object so that it can hardly be told
    what it is are avoided.
    """
    scene = make_scene(seed)
    r = random.Random(seed * 65537 + 3)
    for _ in range(60):
        x, y = _window(scene, r)
        shares = [_share_seen(thing, x, y) for thing in scene["objects"]]
        if not any(0.06 < share <= 0.6 for share in shares):
            break
    horizon = scene["horizon"] * ZOOM
    rise = {"mountains": 60, "city": 60, "forest": 44}.get(scene["ground"], 0)
    return dict(
        scene,
        zoom=ZOOM,
        window=(x, y),
        drawn=scene["objects"],
        objects=[thing for thing, share in zip(scene["objects"], shares, strict=True) if share > 0.6],
        sky_seen=horizon - y > 20,
        ground_seen=y + WINDOW > horizon - rise + 14,
    )
