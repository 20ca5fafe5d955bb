"""The settings as one value, and the versioned JSON that every door of the project speaks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import SettingsError
from .methods import METHODS

VERSION = 1
MAX_REGIONS = 64
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


def check_text(name: str, value: object) -> None:
    """Raises SettingsError unless `value` is a string."""
    if not isinstance(value, str):
        raise _fail(name, value, "text")


def check_choice(name: str, value: object, choices: Mapping[str, object] | tuple[str, ...]) -> None:
    """Raises SettingsError unless `value` is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise _fail(name, value, "one of " + ", ".join(choices))


@dataclass(frozen=True)
class Region:
    """A part of the canvas with a prompt of its own; it mixes with its neighbours by weight.

    Attributes:
        x, y, w, h: its box in fractions of the canvas.
        prompt: its own prompt, in place of the main one.
        negative_prompt: None takes the main one.
        feather: width of the soft edge in fractions of the box's shorter side, 0 to 1.
        weight: how strongly it counts where regions overlap.
    """

    prompt: str
    x: float = 0.0
    y: float = 0.0
    w: float = 1.0
    h: float = 1.0
    negative_prompt: str | None = None
    feather: float = 0.2
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_text("prompt", self.prompt)
        if self.negative_prompt is not None:
            check_text("negative_prompt", self.negative_prompt)
        check_number("x", self.x, 0, 1)
        check_number("y", self.y, 0, 1)
        check_number("w", self.w, 1e-4, 1)
        check_number("h", self.h, 1e-4, 1)
        if self.x + self.w > 1.0001:
            raise _fail("w", self.w, f"at most {1 - self.x:g}, so that the region ends within the canvas")
        if self.y + self.h > 1.0001:
            raise _fail("h", self.h, f"at most {1 - self.y:g}, so that the region ends within the canvas")
        check_number("feather", self.feather, 0, 1)
        check_number("weight", self.weight, 1e-4, 1e4)


@dataclass(frozen=True)
class Settings:
    """How a canvas is tiled.

    Attributes:
        method: a name in METHODS.
        tile_width_lp, tile_height_lp: tile size in latent pixels, 8 to 512; None fits it to canvas and model.
        overlap_lp: least overlap of neighbours in latent pixels; None takes the method's default for the tile.
        tile_batch: tiles per U-Net call, 1 to 64.
        wrap_x, wrap_y: the canvas is a ring: its left and right (top and bottom) edges meet.
        grid_seed: key of the grids that move; None takes the picture's seed. The images of a batch share one grid, so
            that the record of a later one names it.
        size_conditioning: what an SDXL model is told: the size of the whole "canvas", or each "tile"'s size and place.
        regions: parts with prompts of their own, at most 64; the main prompt fills what they leave.
    """

    method: str = "mixture"
    tile_width_lp: int | None = None
    tile_height_lp: int | None = None
    overlap_lp: int | None = None
    tile_batch: int = 4
    wrap_x: bool = False
    wrap_y: bool = False
    grid_seed: int | None = None
    size_conditioning: str = "canvas"
    regions: tuple[Region, ...] = field(default=())

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        for name in ("tile_width_lp", "tile_height_lp"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), 8, 512)
        if self.overlap_lp is not None:
            check_int("overlap_lp", self.overlap_lp, 0, 511)
        check_int("tile_batch", self.tile_batch, 1, 64)
        check_bool("wrap_x", self.wrap_x)
        check_bool("wrap_y", self.wrap_y)
        if self.grid_seed is not None:
            check_int("grid_seed", self.grid_seed, 0, 2**63 - 1)
        check_choice("size_conditioning", self.size_conditioning, ("canvas", "tile"))
        if len(self.regions) > MAX_REGIONS:
            raise _fail("regions", len(self.regions), f"at most {MAX_REGIONS} regions")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return {"version": VERSION, **plain_fields(self)}


def settings_from_dict(data: object, name: str = "settings") -> Settings:
    """Reads the JSON form; `name` is what errors call it.

    Raises:
        SettingsError: names the field that is unknown or wrong, or the version that is needed.
    """
    return read_fields(Settings, data, name, {"regions": _read_regions})


def settings_from_json(text: str) -> Settings:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return settings_from_dict(parse_json(text, "settings"))


def _read_regions(value: object) -> tuple[Region, ...]:
    if not isinstance(value, (list, tuple)):
        raise _fail("regions", value, "a list of regions")
    return tuple(read_fields(Region, v, f"regions[{i}]", {}, versioned=False) for i, v in enumerate(value))


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
        elif isinstance(v, Settings):
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
