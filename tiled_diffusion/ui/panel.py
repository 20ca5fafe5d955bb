"""The panel: gradio controls for every setting, and the carrier of the region editor's JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.settings.panel import NO_UPSCALER, PASSES

GRADIO_3 = int(gr.__version__.split(".", maxsplit=1)[0]) < 4
JS = "_js" if GRADIO_3 else "js"
"""Name of the argument of an event that runs JavaScript."""


@dataclass(frozen=True)
class PanelHost:
    """What a panel needs from where it is shown.

    Attributes:
        accordion: makes a context manager that yields the "enabled" component; gets the label and an element id.
        upscalers: names for the img2img upscaler, the first one meaning none.
        method: the default method.
        controlnet: whether regions can do without a ControlNet here.
    """

    accordion: Callable[[str, str], AbstractContextManager[Any]]
    upscalers: Sequence[str] = (NO_UPSCALER,)
    method: str = "mixture"
    controlnet: bool = True


@dataclass
class Panel:
    """The components of a panel.

    Attributes:
        tab: "txt2img", "img2img" or "studio".
        enabled: on or off.
        json_box: carries the region document; hidden by CSS, never by visible=False.
        controls: by name as in CONTROLS.
    """

    tab: str
    enabled: Any
    json_box: Any
    controls: dict[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> list[Any]:
        """Components in the order of a script's arguments."""
        return [self.enabled, self.json_box, *self.controls.values()]


def build_panel(tab: str, host: PanelHost) -> Panel:
    """Makes the panel of a tab within the present gradio block."""

    def name(key: str) -> str:
        return f"td_{tab}_{key}"

    with host.accordion("Tiled Diffusion", name("enabled")) as enabled:
        gr.HTML(f'<div class="td-status" id="{name("status")}" data-tab="{tab}" role="status"></div>')
        controls = _tiles(name, host)
        if tab == "img2img":
            controls.update(_upscaling(name, host.upscalers))
        elif tab == "txt2img":
            controls.update(_size(name))
        with gr.Accordion("Regions", open=False, elem_id=name("regions_accordion")):
            controlnet = str(host.controlnet).lower()
            gr.HTML(f'<div class="td-editor" data-tab="{tab}" data-controlnet="{controlnet}"></div>')
        with gr.Accordion("Advanced tiling", open=False, elem_id=name("advanced")):
            controls.update(_advanced(name, tab))
        json_box = gr.Textbox(
            value="", label=f"Region data ({tab})", elem_id=name("regions"), elem_classes=["td-hidden"], lines=1
        )
        json_box.do_not_save_to_config = True
        json_box.change(None, [json_box], None, **{JS: f"(text) => {{ tiledDiffusion.load?.('{tab}', text); }}"})
    return Panel(tab, enabled, json_box, controls)


def _tiles(name: Callable[[str], str], host: PanelHost) -> dict[str, Any]:
    out: dict[str, Any] = {}
    with gr.Row():
        out["method"] = gr.Dropdown(
            list(METHODS), value=host.method, label="Method", elem_id=name("method"),
            info="How neighbouring tiles are blended; mixture suits most pictures, jittered is cheap and has no seams.",
        )  # fmt: skip
        out["tile_batch"] = gr.Slider(
            0, 64, 4, step=1, label="Tiles at once", elem_id=name("tile_batch"),
            info="More are quicker and need more memory; 0 takes as many as fit.",
        )  # fmt: skip
    with gr.Row():
        out["tile_width_px"] = gr.Slider(
            0, 2048, 0, step=64, label="Tile width (px)", elem_id=name("tile_width_px"),
            info="0 fits the tiles to the picture and to what the model likes.",
        )  # fmt: skip
        out["tile_height_px"] = gr.Slider(
            0, 2048, 0, step=64, label="Tile height (px)", elem_id=name("tile_height_px"),
            info="0 fits the tiles to the picture and to what the model likes.",
        )  # fmt: skip
        out["overlap_px"] = gr.Slider(
            -1, 1024, -1, step=1, label="Tile overlap (px)", elem_id=name("overlap_px"),
            info="At least so much is shared by neighbours, rounded down to 8; -1 is the method's own choice.",
        )  # fmt: skip
    with gr.Row():
        out["wrap_x"] = gr.Checkbox(
            False, label="Left meets right", elem_id=name("wrap_x"), info="Makes a 360 degree ring without a seam."
        )
        out["wrap_y"] = gr.Checkbox(
            False, label="Top meets bottom", elem_id=name("wrap_y"), info="Makes a picture that repeats downwards."
        )
    return out


def _size(name: Callable[[str], str]) -> dict[str, Any]:
    with gr.Row():
        width = gr.Slider(
            0, 16384, 0, step=8, label="Picture width (px)", elem_id=name("width"),
            info="Takes the place of the width above, which ends at 2048; 0 keeps that one.",
        )  # fmt: skip
        height = gr.Slider(
            0, 16384, 0, step=8, label="Picture height (px)", elem_id=name("height"),
            info="Takes the place of the height above, which ends at 2048; 0 keeps that one.",
        )  # fmt: skip
    return {"width": width, "height": height}


def _upscaling(name: Callable[[str], str], upscalers: Sequence[str]) -> dict[str, Any]:
    with gr.Row():
        upscaler = gr.Dropdown(
            list(upscalers), value=upscalers[0], label="Enlarge first with", elem_id=name("upscaler"),
            info="The input picture is enlarged by this before it is drawn anew.",
        )  # fmt: skip
        factor = gr.Slider(
            1, 8, 2, step=0.05, label="Enlarge by", elem_id=name("upscale_factor"),
            info="How many times larger on each side.",
        )  # fmt: skip
    keep = gr.Checkbox(
        True, label="Size of the input picture", elem_id=name("keep_size"),
        info="The result has the (enlarged) input picture's size; otherwise the sliders' size, enlarged.",
    )  # fmt: skip
    return {"upscaler": upscaler, "upscale_factor": factor, "keep_size": keep}


def _advanced(name: Callable[[str], str], tab: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if tab == "txt2img":
        out["passes"] = gr.Radio(
            list(PASSES), value="both", label="Tiled passes of hires fix", elem_id=name("passes"),
            info="The first pass, the hires pass, or both of them are drawn in tiles.",
        )  # fmt: skip
    out["size_conditioning"] = gr.Radio(
        ["canvas", "tile"], value="canvas", label="Size told to SDXL", elem_id=name("size_conditioning"),
        info="SDXL models are told the size of the whole canvas, or of each tile and its place.",
    )  # fmt: skip
    out["grid_seed"] = gr.Number(
        -1, precision=0, label="Grid seed", elem_id=name("grid_seed"),
        info="For methods whose tiles move from step to step: -1 takes the picture's seed.",
    )  # fmt: skip
    return out
