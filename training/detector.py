"""Prompts with one object each, and a detector without any learning that tells whether a picture shows what they say.

It looks at mean colours of three bands (nearest centroid of rendered scenes) for ground and sky, and for the object at
the biggest connected blob of the object's colour that differs from its row's median: whether it is there, and which
object's silhouette it fits best.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from training.dataset import COLOURS, GROUND_OBJECTS, GROUNDS, OBJECT_COLOURS, SKIES, render, tint

SKY_PHRASE = {"day": "blue sky", "sunset": "sunset", "night": "night sky", "storm": "stormy sky", "dawn": "pink sky"}
GROUND_PHRASE = {
    "grass": "grass",
    "sand": "sand",
    "snow": "snow",
    "sea": "the sea",
    "city": "a city street",
    "forest": "a forest",
    "mountains": "mountains",
    "lavender": "a lavender field",
}
Centroids = dict[tuple[str, str], np.ndarray]
"""Of `bands`, by sky and ground."""


class Prompt(NamedTuple):
    """'a COLOUR OBJECT on GROUND, SKY'."""

    text: str
    kind: str
    colour: str
    ground: str
    sky: str


class Silhouette(NamedTuple):
    """What a blob looks like."""

    mask: np.ndarray
    """[24, 24] in 0..1: the blob, stretched to a square."""
    elongation: float
    """Logarithm of height / width."""
    height: float
    """Of its middle, as a share of the picture's height from above."""


def prompt_list(count: int, seed: int = 0) -> list[Prompt]:
    """So many random prompts of things that the data set has."""
    r = random.Random(seed)
    out: list[Prompt] = []
    while len(out) < count:
        ground, sky = r.choice(list(GROUNDS)), r.choice(list(SKIES))
        kind = "boat" if ground == "sea" and r.random() < 0.6 else r.choice(["house", "tree", "tower", "balloon"])
        if (ground == "sea" and kind not in ("boat", "balloon")) or (ground == "sand" and kind == "tree"):
            continue
        colour = r.choice(OBJECT_COLOURS[kind])
        place = ("over " if kind == "balloon" else "on ") + GROUND_PHRASE[ground]
        text = f"{'an' if colour == 'orange' else 'a'} {colour} {kind} {place}, {SKY_PHRASE[sky]}"
        out.append(Prompt(text, kind, colour, ground, sky))
    return out


def scene_of(seed: int, sky: str, ground: str, objects: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """A scene of 128x128 with these objects, each a kind and a colour, at random places."""
    r = random.Random(seed)
    horizon = r.uniform(0.50, 0.62) * 128
    things = []
    for kind, colour in objects:
        y = r.uniform(0.22, 0.36) * 128 if kind == "balloon" else r.uniform(horizon + 12, min(120, horizon + 40))
        x, scale = r.uniform(30, 98), r.uniform(0.85, 1.2)
        things.append({"kind": kind, "colour": colour, "x": x, "y": y, "scale": scale})
    size = {"seed": seed, "width": 128, "height": 128}
    return {**size, "sky": sky, "ground": ground, "horizon": horizon, "objects": things}


def pixels_of(picture: Image.Image) -> np.ndarray:
    """[H, W, 3] in 0..255, float32."""
    return np.asarray(picture.convert("RGB"), np.float32)


def bands(picture: Image.Image) -> np.ndarray:
    """[18]: median and spread of the colour of the high sky, of the horizon and of the near ground."""
    pixels = pixels_of(picture)
    h = pixels.shape[0]
    features = []
    for top, end in ((0, 0.30), (0.34, 0.52), (0.66, 1)):
        band = pixels[int(top * h) : int(end * h)].reshape(-1, 3)
        features += [np.median(band, 0), band.std(0) * 0.7]
    return np.concatenate(features)


def centroids() -> Centroids:
    """Of 12 renderings of each pair of sky and ground, half of them with an object."""
    out = {}
    for sky in SKIES:
        for ground in GROUNDS:
            r = random.Random(sky + ground)
            features = []
            for i in range(12):
                things = [(r.choice(GROUND_OBJECTS[ground]), r.choice(list(COLOURS)))] if i % 2 else []
                things = [(kind, colour if kind != "cactus" else "green") for kind, colour in things]
                features.append(bands(render(scene_of(900000 + i, sky, ground, things))))
            out[sky, ground] = np.mean(features, 0)
    return out


def coloured(picture: Image.Image, colour: str, sky: str) -> np.ndarray:
    """[H, W] of booleans: where the colour is, plain or shaded, unlike its row's median."""
    pixels = pixels_of(picture)
    base = np.array(tint(COLOURS[colour], SKIES[sky]["obj"]), np.float32)
    shaded = base * 0.70 + np.array((34, 27, 38)) * 0.30
    distance = np.linalg.norm(pixels - base, axis=2)
    if colour != "white":
        distance = np.minimum(distance, np.linalg.norm(pixels - shaded, axis=2))
    return (distance < 52) & (np.linalg.norm(pixels - np.median(pixels, 1, keepdims=True), axis=2) > 34)


def components(mask: np.ndarray) -> np.ndarray:
    """[H, W] of labels (0: none) of the mask's 4-connected blobs."""
    labels = np.where(mask, np.arange(mask.size).reshape(mask.shape) + 1, 0)
    while True:  # spread the biggest label
        spread = labels.copy()
        for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
            moved = np.roll(labels, shift, axis)
            edge = [slice(None), slice(None)]
            edge[axis] = slice(0, 1) if shift == 1 else slice(-1, None)
            moved[tuple(edge)] = 0
            spread = np.maximum(spread, moved)
        spread[~mask] = 0
        # jump: each pixel takes the label of the pixel that its label names
        spread = np.where(spread > 0, np.maximum(spread, spread.reshape(-1)[np.maximum(spread, 1) - 1]), 0)
        if (spread == labels).all():
            return labels
        labels = spread


def blob(picture: Image.Image, colour: str, sky: str) -> np.ndarray:
    """[H, W] of booleans: the biggest blob of the colour."""
    labels = components(coloured(picture, colour, sky))
    ids, sizes = np.unique(labels[labels > 0], return_counts=True)
    return labels == ids[sizes.argmax()] if len(ids) else labels > 0


def count_things(picture: Image.Image, colour: str, sky: str) -> int:
    """How many things of the colour stand side by side; parts above each other are one thing."""
    labels = components(coloured(picture, colour, sky))
    ids, sizes = np.unique(labels[labels > 0], return_counts=True)
    spans = []
    for label, size in zip(ids, sizes, strict=True):
        if size >= max(70, 0.25 * sizes.max()):
            columns = np.where((labels == label).any(0))[0]
            spans.append((int(columns.min()), int(columns.max())))
    things, right = 0, -1
    for start, end in sorted(spans):
        things += start > right
        right = max(right, end)
    return things


def silhouette(mask: np.ndarray, side: int = 24) -> Silhouette:
    """Of a blob that is not empty."""
    ys, xs = np.where(mask)
    box = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    square = Image.fromarray((box * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BOX)
    middle = (ys.min() + ys.max()) / 2 / mask.shape[0]
    return Silhouette(np.asarray(square, np.float32) / 255, math.log(box.shape[0] / box.shape[1]), middle)


def likeness(a: Silhouette, b: Silhouette) -> float:
    """At most 1: the overlap of two silhouettes, less for other proportions and other heights."""
    overlap = np.minimum(a.mask, b.mask).sum() / np.maximum(a.mask, b.mask).sum()
    return overlap - 0.5 * abs(a.elongation - b.elongation) - 0.5 * abs(a.height - b.height)


def templates() -> list[tuple[str, Silhouette]]:
    """Kinds and their silhouettes, in two sizes."""
    out = []
    for kind in ("house", "tree", "tower", "balloon", "boat"):
        for scale in (0.9, 1.15):
            scene = scene_of(5, "day", "snow")
            y = 50 if kind == "balloon" else 104
            scene["objects"] = [{"kind": kind, "colour": "red", "x": 64, "y": y, "scale": scale}]
            out.append((kind, silhouette(blob(render(scene), "red", "day"))))
    return out


def detect(
    picture: Image.Image, colour: str, sky: str, centroids: Centroids, templates: Sequence[tuple[str, Silhouette]]
) -> dict[str, Any]:
    """Sky, ground, and the thing of the colour: its area in pixels, whether it is there, its kind."""
    features = bands(picture)
    seen_sky, ground = min(centroids, key=lambda key: np.abs(features - centroids[key]).sum())
    mask = blob(picture, colour, sky)
    area = int(mask.sum())
    kind = None
    present = 150 <= area <= 3200
    if present:
        shape = silhouette(mask)
        kind = max(templates, key=lambda template: likeness(template[1], shape))[0]
    return {"sky": seen_sky, "ground": ground, "area": area, "present": present, "kind": kind}


def score(rows: Sequence[tuple[Prompt, dict[str, Any]]]) -> dict[str, float]:
    """Shares of prompts and detections that agree."""
    n = len(rows)
    return {
        "n": n,
        "sky": sum(d["sky"] == p.sky for p, d in rows) / n,
        "ground": sum(d["ground"] == p.ground for p, d in rows) / n,
        "object_colour": sum(d["present"] for p, d in rows) / n,
        "object_kind_and_colour": sum(d["kind"] == p.kind for p, d in rows) / n,
        "all": sum(d["sky"] == p.sky and d["ground"] == p.ground and d["kind"] == p.kind for p, d in rows) / n,
    }
