"""Reads the arguments of Mixture of Diffusers' canvas, written as JSON: text, picture and reroll regions in pixels.

Its masks become soft edges, and a picture's strength is for how much of the sampling it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from tiled_diffusion.errors import SettingsError

from .fields import rows
from .grid_file import SCHEDULERS
from .kinds import Kind, Number, Switch, Text, Whole, choices
from .pictures import PictureKind
from .quoting import shortened
from .request import Request
from .values import MOST_REGIONS, SEED, Region, Reroll, Settings

SIDE = Whole(64, 32768, multiple=8)
EDGE = Whole(0, 32768, multiple=8)
EDGES: dict[str, dict[str, Any]] = {
    "gaussian": {"feather": 1.0},
    "quartic": {"feather": 1.0, "feather_shape": "quadratic"},
    "constant": {"feather": 0.0},
}
"""Its shapes of masks as soft edges of ours."""
CANVAS: dict[str, tuple[Kind, Any]] = {
    "canvas_height": (SIDE, None), "canvas_width": (SIDE, None), "num_inference_steps": (Whole(1, 1000), 50),
    "seed": (SEED, 12345), "scheduler": (choices(*SCHEDULERS), "lms"), "cpu_vae": (Switch(), False),
    "decode_steps": (Switch(), False),
}  # fmt: skip
BOX: dict[str, tuple[Kind, Any]] = {
    "row_init": (EDGE, None), "row_end": (EDGE, None), "col_init": (EDGE, None), "col_end": (EDGE, None),
    "region_seed": (SEED, -1), "noise_eps": (Number(0, 100), 0.0),
}  # fmt: skip
TEXT: dict[str, tuple[Kind, Any]] = {
    **BOX, "prompt": (Text(), None), "guidance_scale": (Number(0, 50), -1), "mask_type": (choices(*EDGES), "gaussian"),
    "mask_weight": (Number(0, 1e4), 1.0),
}  # fmt: skip
PICTURE: dict[str, tuple[Kind, Any]] = {
    **BOX, "reference_image": (PictureKind(), None), "strength": (Number(0, 1), 0.8),
}  # fmt: skip
REROLL: dict[str, tuple[Kind, Any]] = {**BOX, "reroll_mode": (choices("reset", "epsilon"), None)}
"""What there is, its kind and default; None: must be given, -1: may be null."""
LISTS = ("regions", "reroll_regions")


def is_canvas(data: object) -> TypeGuard[dict[str, Any]]:
    """Whether parsed JSON is such a canvas: it names the canvas's size as that program does."""
    return isinstance(data, dict) and "canvas_height" in data


def request_from_canvas(data: dict[str, Any]) -> Request:
    """The request of a canvas.

    `cpu_vae` and `decode_steps` are checked and have no effect. Seeds that are missing are the canvas's, counted up,
    where that program draws them; so is the CFG scale of a region, where it is 7.5 here.

    Raises:
        SettingsError: names the key that is wrong.
    """
    size = _read({k: v for k, v in data.items() if k not in LISTS}, CANVAS, "canvas")
    height, width = size["canvas_height"], size["canvas_width"]
    regions: list[Region] = []
    rerolls: list[Reroll] = []
    for name in LISTS:
        entries = data.get(name, [])
        if not isinstance(entries, list) or len(entries) > MOST_REGIONS:
            raise SettingsError(f"{name}: allowed is a list of at most {MOST_REGIONS} objects")
        for k, entry in enumerate(entries):
            own, noise = _entry(entry, f"{name}[{k}]", (height, width), size["seed"] + len(regions) + len(rerolls) + 1)
            regions += own
            rerolls += noise
    texts = dict.fromkeys(r.prompt for r in regions if r.prompt)
    return Request(
        prompt=" | ".join(texts), width=width, height=height, steps=size["num_inference_steps"], cfg_scale=7.5,
        sampler=SCHEDULERS[size["scheduler"]], seed=size["seed"],
        tiling=Settings(regions=tuple(regions), rerolls=tuple(rerolls)),
    )  # fmt: skip


def _entry(data: object, name: str, size: tuple[int, int], seed: int) -> tuple[list[Region], list[Reroll]]:
    """What an entry of a list is: a region, a reroll, or both where a region's noise is changed."""
    kinds: dict[str, tuple[dict[str, tuple[Kind, Any]], Callable[..., list[Region]]]] = {
        "prompt": (TEXT, _text), "reference_image": (PICTURE, _picture), "reroll_mode": (REROLL, lambda *_: []),
    }  # fmt: skip
    if not isinstance(data, dict) or sum(key in data for key in kinds) != 1:
        raise SettingsError(f"{name}: allowed is an object with one of {', '.join(kinds)}")
    known, make = next(kinds[key] for key in kinds if key in data)
    values = _read(data, known, name)
    box = _box(values, name, size)
    seed = seed if values["region_seed"] == -1 else values["region_seed"]
    share = 1.0 if values.get("reroll_mode") == "reset" else values["noise_eps"] / math.hypot(1, values["noise_eps"])
    return make(values, box), [Reroll(seed, **box, noise=share)] if share > 0 else []


def _read(data: Mapping[str, Any], known: Mapping[str, tuple[Kind, Any]], name: str) -> dict[str, Any]:
    for key in data:
        if key not in known:
            raise SettingsError(f"{name}: unknown key {shortened(key)}, allowed are {', '.join(known)}")
    values = {}
    for key, (kind, default) in known.items():
        value = data.get(key, default)
        if value is None and default == -1:
            value = -1
        if value != default or default is None:
            kind.check(f"{name}.{key}", value)
        values[key] = value
    return values


def _box(values: Mapping[str, Any], name: str, size: tuple[int, int]) -> dict[str, Any]:
    """In fractions of the canvas; ends are not included."""
    out: dict[str, Any] = {}
    for side, (start, length), whole in (("row", "yh", size[0]), ("col", "xw", size[1])):
        begin, end = f"{side}_init", f"{side}_end"
        low, high = values[begin], values[end]
        if not low < high <= whole:
            raise SettingsError(f"{name}.{end}: got {high}, allowed is more than {begin}, {low}, and at most {whole}")
        out |= {start: low / whole, length: (high - low) / whole}
    return out


def _text(values: Mapping[str, Any], box: dict[str, Any]) -> list[Region]:
    """None where it has no weight."""
    if values["mask_weight"] == 0:
        return []
    least = next(row for row in rows(Region) if row.name == "weight").kind
    assert isinstance(least, Number)
    scale = None if values["guidance_scale"] == -1 else values["guidance_scale"]
    prompt = " ".join(values["prompt"].split())
    weight = max(least.low, values["mask_weight"])
    return [Region(prompt, **box, cfg_scale=scale, weight=weight, **EDGES[values["mask_type"]])]


def _picture(values: Mapping[str, Any], box: dict[str, Any]) -> list[Region]:
    """Stretched over its box, with hard edges."""
    picture, keep = values["reference_image"], values["strength"]
    return [Region("", **box, picture=picture, keep=keep, fit="stretch", feather=0.0)]
