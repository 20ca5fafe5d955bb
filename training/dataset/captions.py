"""What is said about a picture."""

from __future__ import annotations

import random

from training.dataset.scenes import Scene, Thing
from training.dataset.words import (
    GROUND_WORDS,
    OBJECT_WORDS,
    PLURALS,
    PREFIX,
    SKY_WORDS,
    SUFFIX,
    WIDE_PREFIX,
)


def _several(kind: str, colour: str, count: int, r: random.Random) -> str:
    """Such as "two red houses", or just "houses"."""
    many = "many" if count > 3 else ["two", "three"][count - 2]
    return ("" if r.random() < 0.25 else many + " ") + colour + PLURALS[kind]


def _single(kind: str, colour: str, r: random.Random) -> str:
    """Such as "a red house", "one red house", "the sun" or "red house"."""
    text = colour + r.choice(OBJECT_WORDS[kind])
    article = r.random()
    if article >= 0.85:
        return text
    if kind in ("sun", "moon") and article < 0.4:
        return "the " + text
    if article < 0.06:
        return "one " + text
    return ("an " if text[0] in "aeiou" else "a ") + text


def _name(kind: str, things: list[Thing], close: bool, r: random.Random) -> str:
    """Words for things of one kind; their colour is said if they share one."""
    often = 0.3 if kind in ("sun", "moon", "cactus") else 0.96
    alike = len({thing["colour"] for thing in things}) == 1
    colour = things[0]["colour"] + " " if alike and r.random() < often else ""
    if close and r.random() < 0.4:
        colour = r.choice(["big ", "large "]) + colour
    return _several(kind, colour, len(things), r) if len(things) > 1 else _single(kind, colour, r)


def name_objects(scene: Scene, r: random.Random) -> list[tuple[str, bool]]:
    """What the picture holds, as (words, is it in the sky): equal things are counted, nothing is left out."""
    groups: dict[tuple[str, str | None], list[Thing]] = {}
    merge = r.random() < 0.3  # "two houses" for a red and a blue one
    for thing in scene["objects"]:
        groups.setdefault((thing["kind"], None if merge else thing["colour"]), []).append(thing)
    close = scene.get("zoom", 1) > 1
    names = [
        (_name(kind, things, close, r), kind in ("sun", "moon", "balloon")) for (kind, _), things in groups.items()
    ]
    r.shuffle(names)
    return names


def _joined(names: list[str], r: random.Random) -> str:
    """Such as "a house, a tree and the sun"."""
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + r.choice([" and ", ", "]) + names[-1]


def _things_first(things: str, in_sky: bool, ground: str, sky: str, r: random.Random) -> str:
    """Such as "a red house on grass, blue sky"."""
    text = things
    if ground:
        text += " " + r.choice(["over", "above", "over", "on"] if in_sky else ["on", "on", "in", "near"]) + " " + ground
    if sky:
        text += " " + sky if sky.startswith("at ") else r.choice([", ", ", ", ", ", " under ", " with "]) + sky
    return text


def _ground_first(things: str, ground: str, sky: str, r: random.Random) -> str:
    """Such as "snow with a red house at night"."""
    text = ground or sky.removeprefix("at ")
    if things:
        text = text + r.choice([" with ", " and ", ", "]) + things if text else things
    if ground and sky:
        text += " " + sky if sky.startswith("at ") else r.choice([", ", " under "]) + sky
    return text


def _sky_first(things: str, ground: str, sky: str, r: random.Random) -> str:
    """Such as "sunset over the sea with a boat"."""
    text = sky.removeprefix("at ") + (" over " + ground if ground else "")
    return text + (r.choice([" with ", ", "]) + things if things else "")


def _sentence(names: list[tuple[str, bool]], ground: str, sky: str, r: random.Random) -> str:
    """All parts in one of several orders; ground and sky may be empty."""
    objects = [name for name, _ in names]
    things = _joined(objects, r)
    style = r.random()
    if not (sky or ground or objects):
        return r.choice(["a landscape", "landscape", "scenery", "a picture"])
    if style < 0.30:
        parts = [part for part in [*objects, ground, sky] if part]
        r.shuffle(parts)
        return ", ".join(parts)
    if style < 0.75 and things:
        return _things_first(things, all(up for _, up in names), ground, sky, r)
    if style < 0.87 and sky:
        return _sky_first(things, ground, sky, r)
    return _ground_first(things, ground, sky, r)


def _framed(text: str, scene: Scene, r: random.Random) -> str:
    """With words before and after that say nothing about what is seen, but for close-ups."""
    if scene.get("zoom", 1) > 1 and not ("big" in text or "large" in text) and r.random() < 0.85:
        text = "close up of " + text
    elif r.random() < 0.25:
        text = r.choice(PREFIX if scene["width"] == 128 else PREFIX + WIDE_PREFIX * 4) + " " + text
    if r.random() < 0.20:
        text += r.choice(SUFFIX)
    return text


def _with_a_strange_word(text: str, r: random.Random) -> str:
    """A word never heard of must do no harm."""
    words = text.split(" ")
    new = "".join(r.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(r.randint(2, 6)))
    words.insert(r.randint(0, len(words)), new)
    return " ".join(words)


def make_caption(scene: Scene, seed: int | None = None) -> str:
    """A caption that varies in word order; it may leave out sky or ground, but no object."""
    r = random.Random((scene["seed"] if seed is None else seed) * 31337 + 7)
    sky = r.choice(SKY_WORDS[scene["sky"]]) if r.random() > (0.10 if scene.get("sky_seen", True) else 0.6) else ""
    ground = r.choice(GROUND_WORDS[scene["ground"]]) if scene.get("ground_seen", True) and r.random() > 0.08 else ""
    text = _framed(_sentence(name_objects(scene, r), ground, sky, r), scene, r)
    return _with_a_strange_word(text, r) if r.random() < 0.02 else text
