"""Reads what other tiling extensions wrote: records of pictures, and saved region files."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Mapping
from typing import Any, cast

from tiled_diffusion.errors import SettingsError, TiledError

from .document import parse_json
from .fields import VERSION
from .omost import is_omost, omost_conditions, omost_regions
from .panel import panel_settings_from_dict
from .quoting import quoted, shortened
from .regional import is_regional, regional_regions
from .values import settings_from_dict

log = logging.getLogger("tiled_diffusion")
KEY = "Tiled Diffusion"
METHODS = {"multidiffusion": "multidiffusion", "mixture of diffusers": "mixture", "spotdiffusion": "spot"}
"""Their names of methods in small letters: ours."""
MOST_ENDS = 200


def upgrade(infotext: str, params: dict[str, Any]) -> None:
    """Puts our record in place of another extension's in pasted parameters; leaves ours, and what nobody can read.

    Args:
        infotext: the whole record as text: the host's parser does not keep unquoted objects.
        params: the host's parsed record, which is changed.
    """
    data = _record(infotext)
    try:
        if data is not None:
            params[KEY] = _text(settings_of_record(data))
        elif KEY not in params and str(params.get("multidiffusion_enabled")) == "True":
            params[KEY] = _text(settings_of_forge(params))
    except (TiledError, ValueError, TypeError, AttributeError):
        return


def _record(infotext: str) -> dict[str, Any] | None:
    """The object behind the key, written as JSON or, by older versions, as a Python literal."""
    start = infotext.rfind(f"{KEY}: {{")
    if start < 0:
        return None
    text = infotext[start + len(KEY) + 2 :]
    try:
        record = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        record = _literal(text)
    return record if isinstance(record, dict) else None


def _literal(text: str) -> object:
    ends = [i + 1 for i, c in enumerate(text) if c == "}"][:MOST_ENDS]
    for end in ends:
        try:
            return ast.literal_eval(text[:end])
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def settings_of_record(data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the peer's record; its tile sizes are in latent pixels, as version 1's are.

    Raises:
        SettingsError: names the field that is wrong.
    """
    regions = data.get("Region control", data)
    if not isinstance(regions, dict):
        raise SettingsError(f"Region control: got {quoted(regions)}, allowed is an object with one object a region")
    own = [value for name, value in regions.items() if name.startswith("Region ") and isinstance(value, dict)]
    fields = {
        "method": _method(data.get("Method", "")),
        "tile_width_lp": data.get("Tile tile width"),
        "tile_height_lp": data.get("Tile tile height"),
        "overlap_lp": data.get("Tile Overlap"),
        "tile_batch": data.get("Tile batch size"),
        "upscaler": data.get("Upscaler"),
        "upscale_factor": data.get("Upscale factor"),
        "keep_size": data.get("Keep input size", False),
        "regions": [region(value) for value in own] or None,
    }
    return _checked({**_checked(fields), **inversion(data)})


def inversion(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the peer's record says of its noise inversion, as settings of ours.

    Its renoise strength, 0 to 2, weighs fresh noise by a map of detail of which about half is 0. Its steps go up to the
    schedule's end and ours to where the sampling begins; "retouch", which tells the model of less noise, is left out.
    """
    if data.get("NoiseInv") is not True:
        return {}
    if data.get("NoiseInv Retouch", 1) != 1:
        log.warning("Tiled Diffusion: the pasted record asks for a retouch of its noise inversion, which is left out")
    given = data.get("NoiseInv Renoise strength", 1)
    try:
        strength = float(given)
    except (TypeError, ValueError):
        raise SettingsError(f"NoiseInv Renoise strength: got {quoted(given)}, allowed is a number") from None
    return {
        "keep_picture": True,
        "inversion_steps": data.get("NoiseInv Steps"),
        "inversion_freedom": min(1.0, max(0.0, strength / 2)),
        "inversion_detail_map": True,
    }


def settings_of_forge(params: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of Forge's record; its tile sizes are in image pixels.

    Raises:
        SettingsError: names the field that is wrong.
    """

    def number(name: str, multiple: int = 1) -> int | None:
        value = params.get(f"multidiffusion_{name}")
        return None if value is None else int(float(value)) // multiple * multiple

    fields = {
        "method": _method(params.get("multidiffusion_method", "")),
        "tile_width": number("tile_width", 8),
        "tile_height": number("tile_height", 8),
        "overlap": number("tile_overlap", 8),
        "tile_batch": number("tile_batch_size"),
    }
    return _checked(fields)


def region(value: Mapping[str, Any]) -> dict[str, Any]:
    """One of the peer's regions as one of ours: it joins the main prompts, and ends within the canvas.

    Its backgrounds have hard edges whatever their ratio says: only its foregrounds are feathered.

    Raises:
        SettingsError: a number is none.
    """
    try:
        x, y, w, h = (float(value[name]) for name in ("x", "y", "w", "h"))
        seed, feather = int(value.get("seed", -1)), float(value.get("feather_ratio", 0.2))
    except (KeyError, TypeError, ValueError) as e:
        why = shortened(f"{type(e).__name__}: {e}")
        raise SettingsError(f"region: this is none of the other extension's ({why})") from e
    foreground = value.get("blend_mode") == "Foreground"
    negative = str(value.get("neg_prompt", ""))
    out: dict[str, Any] = {
        "prompt": str(value.get("prompt", "")),
        "x": x, "y": y, "w": min(w, 1 - x), "h": min(h, 1 - y),
        "join": "append",
        "layer": "foreground" if foreground else "background",
        "feather": feather if foreground else 0.0,
        "enabled": bool(value.get("enable", True)),
    }  # fmt: skip
    if negative:
        out["negative_prompt"] = negative
    if seed >= 0:
        out["seed"] = seed
    return out


def document_of(data: object) -> dict[str, Any]:
    """The region document in a file: ours, the peer's saved regions, a record of the peer's, or {"text": ...}.

    The text is that of a file that is no JSON object: Omost's canvas, as Python or as a JSON list, or a prompt in
    Regional Prompter's grammar.

    The peer's file always holds all of its slots: those that are off and without a prompt are left out.

    Raises:
        SettingsError: says what is wrong with it.
    """
    if isinstance(data, dict) and isinstance(data.get("bbox_controls"), list):
        slots = [s for s in data["bbox_controls"] if isinstance(s, dict) and (s.get("enable") or s.get("prompt"))]
        data = {"version": VERSION, "regions": [region(slot) for slot in slots]}
    elif isinstance(data, dict) and isinstance(data.get("text"), str) and data.keys() == {"text"}:
        data = _document_of_text(data["text"])
    elif isinstance(data, dict) and "Region control" in data:
        data = {"version": VERSION, "regions": settings_of_record(data).get("regions", [])}
    return settings_from_dict(data, "regions").to_dict()


def _document_of_text(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("[") and not is_regional(text):  # prompts may begin so too
        return {"version": VERSION, "regions": omost_conditions(cast("list[object]", parse_json(text, "regions")))}
    if not is_omost(text) and not is_regional(text):
        raise SettingsError(
            "regions: this is none of the files that are known: region documents and the other extension's regions "
            "(JSON), Omost's canvas, and prompts with BREAK, ADDCOL or ADDROW"
        )
    return {"version": VERSION, "regions": omost_regions(text) if is_omost(text) else regional_regions(text)}


def _method(name: object) -> str:
    known = METHODS.get(str(name).strip().lower())
    if known is None:
        raise SettingsError(f"method: got {quoted(name)}, allowed is one of {', '.join(METHODS)}")
    return known


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    return panel_settings_from_dict({k: v for k, v in fields.items() if v is not None}).to_dict()


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
