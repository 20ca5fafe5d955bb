"""The settings as one value, and the versioned JSON that every door of the project speaks."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tiled_diffusion.errors import SettingsError

from .masks import Mask, mask_from_json

VERSION = 1
MAX_REGIONS = 64
MAX_REROLLS = 64
AUTO_TILE_BATCH = 8
MAX_PROMPT = 20000
MAX_NAME = 100
MAX_SEED = 2**53 - 1
"""The largest whole number that every reader of JSON keeps."""
JOINS = ("replace", "append", "prepend")
LAYERS = ("background", "foreground")
FEATHER_SHAPES = ("smooth", "linear", "quadratic")
REROLL_MODES = ("full", "exclusive")
FILLS = ("main", "none")
METHODS = ("multidiffusion", "mixture", "spot", "jittered")
T = TypeVar("T")


def _fail(name: str, got: object, allowed: str) -> SettingsError:
    return SettingsError(f"{name}: got {got!r}, allowed is {allowed}")


def check_int(name: str, value: object, low: int, high: int) -> None:
    """Raises SettingsError unless `value` is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _fail(name, value, f"a whole number from {low} to {high}")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raises SettingsError unless `value` is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise _fail(name, value, f"a number from {low:g} to {high:g}")


def check_bool(name: str, value: object) -> None:
    """Raises SettingsError unless `value` is true or false."""
    if not isinstance(value, bool):
        raise _fail(name, value, "true or false")


def check_text(name: str, value: object, most: int | None = None) -> None:
    """Raises SettingsError unless `value` is a string of at most `most` characters."""
    if not isinstance(value, str):
        raise _fail(name, value, "text")
    if most is not None and len(value) > most:
        raise _fail(name, f"{len(value)} characters", f"at most {most} characters")


def check_choice(name: str, value: object, choices: Mapping[str, object] | tuple[str, ...]) -> None:
    """Raises SettingsError unless `value` is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise _fail(name, value, "one of " + ", ".join(choices))


def check_box(x: object, y: object, w: object, h: object) -> None:
    """Raises SettingsError unless the box, in fractions, has a size and lies within the canvas."""
    for name, value in (("x", x), ("y", y)):
        check_number(name, value, 0, 1)
    for name, value, start in (("w", w, x), ("h", h, y)):
        check_number(name, value, 1e-4, 1)
        assert isinstance(value, (int, float))
        assert isinstance(start, (int, float))
        if start + value > 1.0001:
            raise _fail(name, value, f"at most {1 - start:g}, so that it ends within the canvas")


@dataclass(frozen=True)
class Region:
    """A part of the canvas with a prompt of its own.

    Attributes:
        prompt: its own prompt; may hold `AND` and ensembles (see composition.py).
        x, y, w, h: its box in fractions of the canvas.
        negative_prompt: None takes the main one.
        feather: width of the soft edge in fractions of the box's shorter side, 0 to 1.
        weight: how strongly a background region counts where regions overlap.
        name: for the user, at most 100 characters.
        enabled: a disabled region is kept, and does nothing.
        join: how the main prompt joins it: "replace" (not at all), "append" (main, own) or "prepend" (own, main).
        layer: "background" regions mix by weight; "foreground" ones lie above them, in the order of the list.
        feather_shape: how the soft edge rises: "smooth", "linear" or "quadratic".
        mask: a free shape within the box (see masks.py), or None for all of it.
        seed: start noise of its own; None has the canvas's.
        cfg_scale: 0 to 50; None takes the main one.
        step_from, step_to: the part of the sampling in which it acts, 0 to 1.
        controlnet: whether ControlNets act on it.
        bootstrap: fraction of the sampling during which it sees plain colours around its shape (see bootstrap.py).
    """

    prompt: str
    x: float = 0.0
    y: float = 0.0
    w: float = 1.0
    h: float = 1.0
    negative_prompt: str | None = None
    feather: float = 0.2
    weight: float = 1.0
    name: str = ""
    enabled: bool = True
    join: str = "replace"
    layer: str = "background"
    feather_shape: str = "smooth"
    mask: Mask | None = None
    seed: int | None = None
    cfg_scale: float | None = None
    step_from: float = 0.0
    step_to: float = 1.0
    controlnet: bool = True
    bootstrap: float = 0.0

    def __post_init__(self) -> None:
        self._check_texts()
        check_box(self.x, self.y, self.w, self.h)
        self._check_blend()
        for name in ("enabled", "controlnet"):
            check_bool(name, getattr(self, name))
        if self.seed is not None:
            check_int("seed", self.seed, 0, MAX_SEED)
        if self.cfg_scale is not None:
            check_number("cfg_scale", self.cfg_scale, 0, 50)
        check_number("step_from", self.step_from, 0, 1)
        check_number("step_to", self.step_to, 0, 1)
        if self.step_from >= self.step_to:
            raise _fail("step_to", self.step_to, f"a number above step_from, {self.step_from:g}")
        check_number("bootstrap", self.bootstrap, 0, 1)

    def _check_texts(self) -> None:
        check_text("prompt", self.prompt, MAX_PROMPT)
        if self.negative_prompt is not None:
            check_text("negative_prompt", self.negative_prompt, MAX_PROMPT)
        check_text("name", self.name, MAX_NAME)
        check_choice("join", self.join, JOINS)

    def _check_blend(self) -> None:
        check_choice("layer", self.layer, LAYERS)
        check_number("feather", self.feather, 0, 1)
        check_choice("feather_shape", self.feather_shape, FEATHER_SHAPES)
        check_number("weight", self.weight, 1e-4, 1e4)
        if self.mask is not None and not isinstance(self.mask, Mask):
            raise _fail("mask", self.mask, "a mask")

    def acts_at(self, progress: float) -> bool:
        """Whether it is evaluated when this fraction of the sampling is done."""
        return self.enabled and self.step_from <= progress < (self.step_to if self.step_to < 1 else math.inf)


@dataclass(frozen=True)
class Reroll:
    """A box of the start noise that is drawn anew (Mixture of Diffusers, section 3.3).

    Attributes:
        seed: of its own generator.
        x, y, w, h: its box in fractions of the canvas.
        mode: "full" draws the whole box; "exclusive" only what no other reroll's box covers.
    """

    seed: int
    x: float = 0.0
    y: float = 0.0
    w: float = 1.0
    h: float = 1.0
    mode: str = "full"

    def __post_init__(self) -> None:
        check_int("seed", self.seed, 0, MAX_SEED)
        check_box(self.x, self.y, self.w, self.h)
        check_choice("mode", self.mode, REROLL_MODES)


@dataclass(frozen=True)
class Settings:
    """How a canvas is tiled.

    Attributes:
        method: a name in METHODS.
        tile_width_lp, tile_height_lp: tile size in latent pixels, 8 to 512; None fits it to canvas and model.
        overlap_lp: least overlap of neighbours in latent pixels; None takes the method's default for the tile.
        tile_batch: tiles per U-Net call, 1 to 64; None takes as many as free memory allows.
        wrap_x, wrap_y: the canvas is a ring: its left and right (top and bottom) edges meet.
        grid_seed: key of the grids that move; None takes the picture's seed. The images of a batch share one grid, so
            that the record of a later one names it.
        size_conditioning: what an SDXL model is told: the size of the whole "canvas", or each "tile"'s size and place.
        regions: parts with prompts of their own, at most 64.
        fill: what the regions leave is drawn by the "main" prompt; "none" makes it an error.
        rerolls: boxes of the start noise that are drawn anew, at most 64.
    """

    method: str = "mixture"
    tile_width_lp: int | None = None
    tile_height_lp: int | None = None
    overlap_lp: int | None = None
    tile_batch: int | None = 4
    wrap_x: bool = False
    wrap_y: bool = False
    grid_seed: int | None = None
    size_conditioning: str = "canvas"
    regions: tuple[Region, ...] = field(default=())
    fill: str = "main"
    rerolls: tuple[Reroll, ...] = field(default=())

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        for name in ("tile_width_lp", "tile_height_lp"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), 8, 512)
        if self.overlap_lp is not None:
            check_int("overlap_lp", self.overlap_lp, 0, 511)
        if self.tile_batch is not None:
            check_int("tile_batch", self.tile_batch, 1, 64)
        check_bool("wrap_x", self.wrap_x)
        check_bool("wrap_y", self.wrap_y)
        if self.grid_seed is not None:
            check_int("grid_seed", self.grid_seed, 0, 2**63 - 1)
        check_choice("size_conditioning", self.size_conditioning, ("canvas", "tile"))
        if len(self.regions) > MAX_REGIONS:
            raise _fail("regions", len(self.regions), f"at most {MAX_REGIONS} regions")
        check_choice("fill", self.fill, FILLS)
        if len(self.rerolls) > MAX_REROLLS:
            raise _fail("rerolls", len(self.rerolls), f"at most {MAX_REROLLS} rerolls")

    @property
    def first_batch(self) -> int:
        """Tiles in the first call: as set, or so many that a host without figures of its memory may try."""
        return self.tile_batch or AUTO_TILE_BATCH

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return {"version": VERSION, **plain_fields(self)}


def settings_from_dict(data: object, name: str = "settings") -> Settings:
    """Reads the JSON form; `name` is what errors call it.

    Raises:
        SettingsError: names the field that is unknown or wrong, or the version that is needed.
    """
    return read_fields(Settings, data, name, {"regions": _read_regions, "rerolls": _read_rerolls})


def settings_from_json(text: str) -> Settings:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return settings_from_dict(parse_json(text, "settings"))


def _read_regions(value: object) -> tuple[Region, ...]:
    return _read_list(Region, "regions", value, {"mask": _read_mask})


def _read_rerolls(value: object) -> tuple[Reroll, ...]:
    return _read_list(Reroll, "rerolls", value, {})


def _read_list(cls: Callable[..., T], name: str, value: object, readers: Mapping[str, Any]) -> tuple[T, ...]:
    if not isinstance(value, (list, tuple)):
        raise _fail(name, value, "a list")
    return tuple(read_fields(cls, v, f"{name}[{i}]", readers, versioned=False) for i, v in enumerate(value))


def _read_mask(value: object) -> Mask | None:
    return None if value is None else mask_from_json(value, "mask")


def parse_json(text: str, name: str) -> object:
    """json.loads with an error that names what was read and where it broke."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as e:
        raise SettingsError(f"{name}: this is no valid JSON: {e}") from e


def plain_fields(value: Any) -> dict[str, Any]:
    """Fields of a dataclass that differ from their defaults, as plain JSON values."""
    out: dict[str, Any] = {}
    for f in dataclasses.fields(value):
        v = getattr(value, f.name)
        if v == f.default or (f.default_factory is not dataclasses.MISSING and v == f.default_factory()):
            continue
        if isinstance(v, tuple):
            v = [plain_fields(r) for r in v]
        elif isinstance(v, (Settings, Mask)):
            v = v.to_dict()
        out[f.name] = v
    return out


def read_fields(
    cls: Callable[..., T],
    data: object,
    name: str,
    readers: Mapping[str, Callable[[object], object]],
    *,
    versioned: bool = True,
) -> T:
    """Builds a settings dataclass from parsed JSON; unknown fields, missing fields and newer versions are errors."""
    if not isinstance(data, dict):
        raise _fail(name, data, "a JSON object {...}")
    values = dict(data)
    if versioned:
        check_version(name, values.pop("version", VERSION))
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    known = [f.name for f in fields]
    for key in values:
        if key not in known:
            raise SettingsError(f"{name}: unknown field {key!r}; known are {', '.join(known)}")
    for f in fields:
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and f.name not in values:
            raise SettingsError(f"{name}: the field {f.name!r} is missing")
    try:
        return cls(**{k: readers[k](v) if k in readers else v for k, v in values.items()})
    except SettingsError as e:
        raise (e if str(e).startswith(name) else SettingsError(f"{name}.{e}")) from e


def check_version(name: str, version: object) -> None:
    """Raises SettingsError for a version that this release cannot read."""
    check_int(f"{name}.version", version, 1, 10**6)
    if isinstance(version, int) and version > VERSION:
        raise SettingsError(f"{name}: written by version {version} of the format; this release reads up to {VERSION}")
