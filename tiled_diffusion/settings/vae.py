"""What the panel asks for, as one value with a flat JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tiled_vae.errors import TiledVaeError
from tiled_vae.settings import TiledVaeSettings

VERSION = 1


def _yes_or_no(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TiledVaeError(f"{name} is {value!r}; it may be true or false")


@dataclass(frozen=True)
class VaeJob:
    """How the pictures of one job are encoded and decoded.

    Attributes:
        mode, encoder_tile_px, decoder_tile_lp, offload: as in `TiledVaeSettings`.
        wrap_x, wrap_y: as there; None does what the job's Tiled Diffusion does.
        move_to_gpu: a VAE that the host keeps in main memory works on the device.

    Raises:
        TiledVaeError: a field has a value that it may not have.
    """

    mode: str = "auto"
    encoder_tile_px: int = 0
    decoder_tile_lp: int = 0
    offload: str = "auto"
    wrap_x: bool | None = None
    wrap_y: bool | None = None
    move_to_gpu: bool = True

    def __post_init__(self) -> None:
        _yes_or_no("move_to_gpu", self.move_to_gpu)
        for name in ("wrap_x", "wrap_y"):
            if getattr(self, name) is not None:
                _yes_or_no(name, getattr(self, name))
        self.settings()

    def settings(self, wrap_x: bool = False, wrap_y: bool = False) -> TiledVaeSettings:
        """For the core. A NaN is left to the host, which has its own second try.

        Args:
            wrap_x: whether Tiled Diffusion joins the left and right borders; the untiled pass cannot follow it.
            wrap_y: the same for top and bottom.
        """
        rings = self.mode != "untiled"
        chosen: Any = {
            "mode": self.mode,
            "offload": self.offload,
            "encoder_tile_px": self.encoder_tile_px,
            "decoder_tile_lp": self.decoder_tile_lp,
            "wrap_x": (rings and wrap_x) if self.wrap_x is None else self.wrap_x,
            "wrap_y": (rings and wrap_y) if self.wrap_y is None else self.wrap_y,
        }
        return TiledVaeSettings(**chosen, retry_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        own = {name: getattr(self, name) for name in FIELDS if getattr(self, name) != getattr(DEFAULT, name)}
        return {"version": VERSION, **own}

    def to_json(self) -> str:
        """The JSON form as text."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


DEFAULT = VaeJob()
FIELDS = tuple(f.name for f in fields(VaeJob))
TILES = ("encoder_tile_px", "decoder_tile_lp")


def job_from(value: object, controls: Mapping[str, object] | None = None) -> VaeJob:
    """The job: what the JSON says holds, and the controls say the rest.

    Args:
        value: JSON text, a JSON object, or None or an empty text for nothing.
        controls: by field; None for "not given".

    Raises:
        TiledVaeError: names the field that is unknown or wrong.
    """
    said = _object(value)
    version = said.pop("version", VERSION)
    if version != VERSION:
        raise TiledVaeError(f"version is {version!r}; it may be {VERSION}")
    unknown = [key for key in said if key not in FIELDS]
    if unknown:
        raise TiledVaeError(f"unknown field {unknown[0]!r}; known are {', '.join(FIELDS)}")
    given: dict[str, Any] = {k: v for k, v in (controls or {}).items() if v is not None}
    given = {k: _whole(k, v) for k, v in given.items()} | said
    return VaeJob(**given)


def changed(job: VaeJob, values: Mapping[str, Any]) -> VaeJob:
    """The job with other values of some fields, checked anew."""
    return replace(job, **values)


def _object(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (json.JSONDecodeError, RecursionError) as e:
            raise TiledVaeError(f"settings: this is no valid JSON: {e}") from e
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TiledVaeError(f"settings are {value!r}; they may be a JSON object {{...}} or its text")
    return dict(value)


def _whole(name: str, value: Any) -> Any:
    """Sliders may give whole numbers as floats."""
    return int(value) if name in TILES and isinstance(value, float) and value == int(value) else value
