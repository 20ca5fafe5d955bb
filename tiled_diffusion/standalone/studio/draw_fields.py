"""Components of the tab Draw for a request's own fields and its ControlNet: made, read, and filled from a record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import gradio as gr

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import PREPROCESSORS, Control
from tiled_diffusion.settings.fields import row, rows
from tiled_diffusion.settings.panel import PanelSettings, merge, region_document, to_controls
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.control import SHIPPED
from tiled_diffusion.standalone.control_hints import open_hint
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.samplers import default_sampler, samplers_of
from tiled_diffusion.ui.panel import Panel

from .studio import Studio

PREFIX = "studio_"
CONTROL = ("control_image", "control_model", "control_weight", "control_preprocess")
"""Components of the one ControlNet that the page offers."""
SLIDERS = {"steps": 150, "cfg_scale": 30, "batch_size": 16, "control_weight": 2}
"""Where sliders end, so that usual values are easy to set; a picture that had more extends them."""
FIELDS = ("prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "sampler", "seed", "batch_size")
SHOWN = {*FIELDS, "controls", "tiling"}
LEAST_FIRST_PX = 256
"""Height of the first picture of models that were made for smaller ones."""


def known(cls: type, name: str, elem_id: str, more: str = "") -> dict[str, Any]:
    """What the table knows of a setting that pages show.

    Args:
        cls: a settings class.
        name: of its field.
        elem_id: of the component.
        more: is said after the setting's own line.
    """
    setting = row(cls, name)
    return {"label": setting.label, "info": f"{setting.info} {more}".strip(), "elem_id": elem_id}


def prompt_fields() -> dict[str, Any]:
    """The prompts."""
    return {
        "prompt": gr.Textbox(
            label="Prompt", lines=3, placeholder="a forest, mountains, blue sky", elem_id="studio_prompt"
        ),
        "negative_prompt": gr.Textbox(
            label="Negative prompt", lines=1, max_lines=4, placeholder="what to avoid", elem_id="studio_negative_prompt"
        ),
    }


def first_size(model: Model) -> tuple[int, int]:
    """Width and height of the picture that a page proposes, image pixels: two of the model's own side by side."""
    height = max(DiffusersHost(model).native_px, LEAST_FIRST_PX)
    return 2 * height, height


def size_fields(studio: Studio) -> dict[str, Any]:
    """Width and height."""
    unit, (width, height) = studio.model.unit_px, first_size(studio.model)
    with gr.Row():
        return {
            "width": gr.Number(width, label="Width", precision=0, step=unit, min_width=90, elem_id="studio_width"),
            "height": gr.Number(height, label="Height", precision=0, step=unit, min_width=90, elem_id="studio_height"),
        }


def sampling_fields(studio: Studio) -> dict[str, Any]:
    """Steps, sampler, seed and the like."""
    out: dict[str, Any] = {}
    with gr.Row():
        out["steps"] = gr.Slider(
            1, SLIDERS["steps"], 25, step=1, label="Steps", min_width=120, elem_id="studio_steps"
        )
        out["cfg_scale"] = gr.Slider(
            1, SLIDERS["cfg_scale"], 5, step=0.5, label="CFG scale", min_width=120, elem_id="studio_cfg_scale"
        )
    with gr.Row():
        out["sampler"] = gr.Dropdown(
            list(samplers_of(studio.model)), value=default_sampler(studio.model), label="Sampler", min_width=120,
            elem_id="studio_sampler",
        )  # fmt: skip
        out["seed"] = gr.Number(0, label="Seed", precision=0, min_width=120, elem_id="studio_seed")
    out["batch_size"] = gr.Slider(
        1, SLIDERS["batch_size"], 1, step=1, label="Batch size", elem_id="studio_batch_size"
    )  # fmt: skip
    return out


def control_fields() -> dict[str, Any]:
    """The ControlNet."""
    with gr.Accordion("Along a drawing (ControlNet)", open=False, elem_id="studio_control"):
        return {
            "control_image": _as_uploaded(
                gr.Image(
                    label="Drawing or photo to follow", type="filepath", image_mode=None, format="png", height=180,
                    elem_id="studio_control_image",
                )
            ),
            "control_model": gr.Dropdown(
                list(SHIPPED), value=next(iter(SHIPPED)), label="ControlNet", allow_custom_value=True,
                elem_id="studio_control_model", info="edges, for the small model; or the path of a folder or file.",
            ),
            "control_weight": gr.Slider(
                0, SLIDERS["control_weight"], 1, step=0.05, label="Weight", elem_id="studio_control_weight"
            ),
            "control_preprocess": gr.Radio(
                list(PREPROCESSORS), value="none", label="Prepare it", elem_id="studio_control_preprocess",
                info="none: white lines on black; invert: dark lines on white; canny: the edges of a photo.",
            ),
        }  # fmt: skip


def _as_uploaded(image: Any) -> Any:
    """The component, handing over the very file: `open_hint` tells what is wrong with it better than gradio does."""
    image.preprocess = lambda uploaded: uploaded and uploaded.path
    return image


def request_of(studio: Studio, panel: Panel, values: tuple[Any, ...]) -> Request:
    """The request that the page's components ask for.

    Args:
        studio: keeps the ControlNet's picture.
        panel: of the tiling.
        values: of FIELDS, CONTROL, the panel's carrier and its controls.

    Raises:
        TiledError: names the field that is wrong.
    """
    control_from, panel_from = len(FIELDS), len(FIELDS) + len(CONTROL)
    fields = dict(zip(FIELDS, values[:control_from], strict=True))
    fields |= whole_numbers(fields, ("width", "height", "steps", "seed", "batch_size"))
    text, *controls = values[panel_from:]
    job = merge(text, dict(zip(panel.controls, controls, strict=True)))
    return Request(**fields, tiling=job.tiling, controls=_controls(studio, *values[control_from:panel_from]))


def whole_numbers(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, int]:
    """What components of numbers hold, by their names; raises TiledError for nothing, and for a fraction."""
    for name in names:
        if values[name] is None or not float(values[name]).is_integer():
            raise TiledError(f"{name}: got {values[name]!r}, allowed is a whole number")
    return {name: int(values[name]) for name in names}


def _controls(studio: Studio, image: str | None, model: str | None, weight: float, prepare: str) -> tuple[Control, ...]:
    """The ControlNet that the page's components ask for: none without a picture."""
    if not image:
        return ()
    open_hint(image).close()
    return (Control(model or "", str(studio.kept(image, "hints")), weight, preprocess=prepare),)


def filled(panel: Panel, request: Request) -> tuple[list[Any], str]:
    """Values of all components for a request, as `request_of` takes them; and what is to be told of it.

    The second says by name what the page has no component for, and therefore leaves out.
    """
    job = PanelSettings(request.tiling)
    controls = to_controls(job)
    control, note = _filled_control(request)
    text = json.dumps(region_document(job), ensure_ascii=False)
    fields = [_extended(name, getattr(request, name)) for name in FIELDS]
    left_out = _left_out(request)
    if left_out:
        note += f"; this page has no place for, and leaves out: {', '.join(left_out)}"
    return [*fields, *control, text, *(controls[name] for name in panel.controls)], note


def _left_out(request: Request) -> list[str]:
    """Labels of what a request has and the page cannot show."""
    hidden = {*SHOWN, "denoising_strength", "mask_feather", "inpaint_from"}
    others = [r for r in rows(Request) if r.name not in hidden and not r.name.endswith("_sha256")]
    return [r.entry.label.lower() for r in others if getattr(request, r.name) != r.default]


def _extended(name: str, value: Any) -> Any:
    """A picture's value for a component; its slider is made long enough."""
    return gr.update(value=value, maximum=max(value, SLIDERS[name])) if name in SLIDERS else value


def _filled_control(request: Request) -> tuple[list[Any], str]:
    """Values of the ControlNet's components, and what is to be told of it."""
    if not request.controls:
        return [None, next(iter(SHIPPED)), _extended("control_weight", 1.0), "none"], ""
    control, *others = request.controls
    note = ""
    try:
        hint = open_hint(control.image).convert("RGBA")  # which a PNG can hold; what is drawn along it is the same
    except TiledError as e:
        hint, note = None, f"; {e}"
    if others or (control.start, control.end) != (0, 1):
        note += "; of its ControlNets this page keeps the first, for the whole sampling"
    return [hint, control.model, _extended("control_weight", control.weight), control.preprocess], note
