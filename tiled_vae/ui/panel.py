"""The panel: gradio controls for the tiled VAE, and what they say as settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import gradio as gr

from tiled_vae.errors import TiledVaeError
from tiled_vae.settings import TiledVaeSettings

VERSION = 1
MODES = ("auto", "exact", "fast", "untiled")
OFFLOADS = ("auto", "device", "host", "recompute")
FIELDS = ("mode", "encoder_tile_px", "decoder_tile_lp", "offload", "wrap_x", "wrap_y")


@dataclass
class Panel:
    """The components of the panel.

    Attributes:
        enabled: on or off.
        json_box: for the API: settings as JSON; what it says holds, the controls fill the rest.
        controls: by the settings' field, and "move_to_gpu".
    """

    enabled: Any
    json_box: Any
    controls: dict[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> list[Any]:
        """Components in the order of a script's arguments."""
        return [self.enabled, self.json_box, *self.controls.values()]


def build_panel(tab: str, accordion: Callable[[str, str], AbstractContextManager[Any]]) -> Panel:
    """Makes the panel of a tab within the present gradio block."""

    def name(key: str) -> str:
        return f"tvae_{tab}_{key}"

    with accordion("Tiled VAE", name("enabled")) as enabled:
        mode = gr.Radio(
            list(MODES), value="auto", label="VAE mode", elem_id=name("mode"),
            info="Auto takes the first that fits into memory: untiled, exact (equal to untiled), fast (estimated).",
        )  # fmt: skip
        with gr.Row():
            encoder = gr.Slider(
                0, 4096, 0, step=64, label="Encoder tile (px)", elem_id=name("encoder_tile_px"),
                info="Side of a tile when a picture is read, in image pixels; 0 chooses by free memory.",
            )  # fmt: skip
            decoder = gr.Slider(
                0, 512, 0, step=8, label="Decoder tile (latent px)", elem_id=name("decoder_tile_lp"),
                info="Side of a tile when a picture is made, in latent pixels of 8 image pixels; 0 chooses.",
            )  # fmt: skip
        with gr.Accordion("Advanced VAE", open=False, elem_id=name("advanced")):
            offload = gr.Radio(
                list(OFFLOADS), value="auto", label="Activations wait", elem_id=name("offload"),
                info="In exact mode: on the device, in host memory, or nowhere (recomputed: slowest, least memory).",
            )  # fmt: skip
            move = gr.Checkbox(
                True, label="Move the VAE to the GPU", elem_id=name("move_to_gpu"),
                info="Where the WebUI keeps it in host memory (medvram, lowvram) it is moved while it works.",
            )  # fmt: skip
        json_box = gr.Textbox(
            value="", label=f"VAE data ({tab})", elem_id=name("json"), elem_classes=["td-hidden"], lines=1
        )
        json_box.do_not_save_to_config = True
    controls = {"mode": mode, "encoder_tile_px": encoder, "decoder_tile_lp": decoder, "offload": offload}
    return Panel(enabled, json_box, {**controls, "move_to_gpu": move})


@dataclass(frozen=True)
class VaeJob:
    """What the panel asks for.

    Attributes:
        settings: how pictures are encoded and decoded.
        move_to_gpu: whether a VAE in host memory is moved to the device while it works.
    """

    settings: TiledVaeSettings = field(default_factory=TiledVaeSettings)
    move_to_gpu: bool = True

    def to_json(self) -> str:
        """The version and every field that differs from its default."""
        plain = asdict(TiledVaeSettings())
        own = {k: v for k, v in asdict(self.settings).items() if k in FIELDS and v != plain[k]}
        if not self.move_to_gpu:
            own["move_to_gpu"] = False
        return json.dumps({"version": VERSION, **own}, separators=(",", ":"))


def job_from(value: object, controls: Mapping[str, object] | None = None) -> VaeJob:
    """The job: what the JSON says holds, and the controls say the rest.

    Args:
        value: JSON text, a JSON object, or None or an empty text for nothing.
        controls: by name as in Panel.controls.

    Raises:
        TiledVaeError: names the field that is unknown or wrong.
    """
    data = {k: v for k, v in (controls or {}).items() if v is not None}
    data.update(_object(value))
    version = data.pop("version", VERSION)
    if version != VERSION:
        raise TiledVaeError(f"version is {version!r}; this release reads {VERSION}")
    move = data.pop("move_to_gpu", True)
    if not isinstance(move, bool):
        raise TiledVaeError(f"move_to_gpu is {move!r}; it may be true or false")
    for key in data:
        if key not in FIELDS:
            raise TiledVaeError(f"unknown field {key!r}; known are {', '.join((*FIELDS, 'move_to_gpu'))}")
    return VaeJob(TiledVaeSettings(**{k: _whole(k, v) for k, v in data.items()}), move)


def _object(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (json.JSONDecodeError, RecursionError) as e:
            raise TiledVaeError(f"settings: this is no valid JSON: {e}") from e
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TiledVaeError(f"settings are {value!r}; they may be a JSON object {{...}} or its text")
    return value


def _whole(name: str, value: object) -> Any:
    """Sliders give whole numbers as floats, and may give them with a fraction of nothing."""
    kind = {f.name: f.type for f in fields(TiledVaeSettings)}[name]
    if kind == "bool" and not isinstance(value, bool):
        raise TiledVaeError(f"{name} is {value!r}; it may be true or false")
    if kind == "int" and isinstance(value, float) and value == int(value):
        return int(value)
    if kind not in ("bool", "int") and not isinstance(value, str):
        raise TiledVaeError(f"{name} is {value!r}; it may be a text")
    return value
