"""What a panel asks for: the settings and what belongs to the host's job, as one value with a flat JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tiled_diffusion.errors import SettingsError

from .values import (
    VERSION,
    Settings,
    check_bool,
    check_choice,
    check_int,
    check_number,
    check_text,
    parse_json,
    plain_fields,
    settings_from_dict,
)

PASSES = ("both", "first", "hires")
NO_UPSCALER = "None"


@dataclass(frozen=True)
class PanelJob:
    """One job of a host.

    Attributes:
        tiling: how the canvas is tiled, and its regions.
        passes: which passes of hires fix are tiled: "both", "first" or "hires".
        width, height: txt2img only: the size in image pixels in place of the host's, 64 to 16384, multiples of 8; None
            keeps the host's.
        upscaler: img2img only: name of the upscaler that enlarges the input picture first; "None" does not.
        upscale_factor: 1 to 8.
        keep_size: img2img only: the canvas has the size of the (enlarged) input picture, not the sliders'.
    """

    tiling: Settings = field(default_factory=Settings)
    passes: str = "both"
    width: int | None = None
    height: int | None = None
    upscaler: str = NO_UPSCALER
    upscale_factor: float = 2.0
    keep_size: bool = True

    def __post_init__(self) -> None:
        check_choice("passes", self.passes, PASSES)
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None:
                check_int(name, value, 64, 16384)
                if value % 8:
                    raise SettingsError(f"{name}: got {value}, allowed are multiples of 8 from 64 to 16384")
        check_text("upscaler", self.upscaler)
        check_number("upscale_factor", self.upscale_factor, 1, 8)
        check_bool("keep_size", self.keep_size)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        own = {k: v for k, v in plain_fields(self).items() if k != "tiling"}
        return {**self.tiling.to_dict(), **own}


OWN_FIELDS = tuple(f.name for f in fields(PanelJob) if f.name != "tiling")


def panel_job_from_dict(data: object, name: str = "settings") -> PanelJob:
    """Reads the JSON form; `name` is what errors call it.

    Raises:
        SettingsError: names the field that is unknown or wrong, or the version that is needed.
    """
    if not isinstance(data, dict):
        raise SettingsError(f"{name}: got {data!r}, allowed is a JSON object {{...}}")
    own = {k: v for k, v in data.items() if k in OWN_FIELDS}
    try:
        tiling = settings_from_dict({k: v for k, v in data.items() if k not in OWN_FIELDS}, name)
        return PanelJob(tiling, **own)
    except SettingsError as e:
        if "unknown field" in str(e):
            raise SettingsError(f"{e}, {', '.join(OWN_FIELDS)}") from e
        raise (e if str(e).startswith(name) else SettingsError(f"{name}.{e}")) from e


def panel_job_from_json(text: str) -> PanelJob:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return panel_job_from_dict(parse_json(text, "settings"))


def merge(value: object, controls: Mapping[str, object]) -> PanelJob:
    """The job of a panel: what the JSON says holds, and the controls say the rest.

    Args:
        value: JSON text, a JSON object, or None or an empty text for nothing.
        controls: by name as in CONTROLS.

    Raises:
        SettingsError: names the field that is wrong.
    """
    if isinstance(value, str):
        value = parse_json(value, "settings") if value.strip() else {}
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise SettingsError(f"settings: got {value!r}, allowed is a JSON object {{...}} or its text")
    return panel_job_from_dict({"version": VERSION, **from_controls(controls), **value})


def from_controls(controls: Mapping[str, object]) -> dict[str, object]:
    """JSON fields of the panel's controls; a value that means "automatic" gives no field."""
    out: dict[str, object] = {}
    for name, value in controls.items():
        if name not in CONTROLS:
            raise SettingsError(f"settings: unknown control {name!r}; known are {', '.join(CONTROLS)}")
        if value is not None:
            out.update(CONTROLS[name](value))
    return out


def _pixels(target: str) -> Any:
    def read(value: object) -> dict[str, object]:
        number = _whole(target, value)
        return {target: number // 8} if number else {}

    return read


def _auto(target: str, automatic: object) -> Any:
    """0 means automatic; `automatic` is how the settings say that, MISSING that they say nothing."""

    def read(value: object) -> dict[str, object]:
        number = _whole(target, value)
        return {target: number} if number else ({} if automatic is MISSING else {target: automatic})

    return read


def _overlap(value: object) -> dict[str, object]:
    number = _whole("overlap_lp", value)
    return {"overlap_lp": number // 8} if number >= 0 else {}


def _seed(value: object) -> dict[str, object]:
    number = _whole("grid_seed", value)
    return {"grid_seed": number} if number >= 0 else {}


def _plain(target: str) -> Any:
    return lambda value: {target: value}


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value % 1 != 0:
        raise SettingsError(f"{name}: got {value!r}, allowed is a whole number")
    return int(value)


MISSING = object()
CONTROLS: dict[str, Any] = {
    "method": _plain("method"),
    "tile_width_px": _pixels("tile_width_lp"),
    "tile_height_px": _pixels("tile_height_lp"),
    "overlap_px": _overlap,
    "tile_batch": _auto("tile_batch", None),
    "wrap_x": _plain("wrap_x"),
    "wrap_y": _plain("wrap_y"),
    "width": _auto("width", MISSING),
    "height": _auto("height", MISSING),
    "upscaler": _plain("upscaler"),
    "upscale_factor": _plain("upscale_factor"),
    "keep_size": _plain("keep_size"),
    "passes": _plain("passes"),
    "size_conditioning": _plain("size_conditioning"),
    "grid_seed": _seed,
}
"""Names of a panel's controls: sizes in image pixels, 0 for automatic (overlap and grid seed: -1)."""


def to_controls(job: PanelJob) -> dict[str, object]:
    """The controls' values that say the same: the inverse of `from_controls`, without the regions."""
    t = job.tiling
    return {
        "method": t.method,
        "tile_width_px": (t.tile_width_lp or 0) * 8,
        "tile_height_px": (t.tile_height_lp or 0) * 8,
        "overlap_px": -1 if t.overlap_lp is None else t.overlap_lp * 8,
        "tile_batch": t.tile_batch or 0,
        "wrap_x": t.wrap_x,
        "wrap_y": t.wrap_y,
        "width": job.width or 0,
        "height": job.height or 0,
        "upscaler": job.upscaler,
        "upscale_factor": job.upscale_factor,
        "keep_size": job.keep_size,
        "passes": job.passes,
        "size_conditioning": t.size_conditioning,
        "grid_seed": -1 if t.grid_seed is None else t.grid_seed,
    }


REGION_KEYS = ("regions", "fill", "rerolls")


def region_document(job: PanelJob) -> dict[str, Any]:
    """What the region editor holds: the JSON without what the controls say."""
    data = job.to_dict()
    return {k: data[k] for k in ("version", *REGION_KEYS) if k in data}
