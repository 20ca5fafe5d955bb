"""Which model the studio draws with: the shipped one, what lies in ./models, or any folder or file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.samplers import default_sampler, samplers_of

from .messages import said, wrong
from .studio import Studio

SHIPPED = "the small one that ships (landscapes)"
MODELS = Path("models")
"""Where models are looked for, within the working folder."""
PREFIX = "studio_"


def models_in(folder: Path) -> list[str]:
    """Paths of the models in a folder: single files, and diffusers' folders."""
    files = folder.rglob("*.safetensors")
    folders = {index.parent for index in folder.rglob("model_index.json")}
    alone = (path for path in files if not folders.intersection(path.parents))
    return sorted(str(path) for path in (*alone, *folders))


def model_field(studio: Studio) -> tuple[Any, Any, Any]:
    """Makes the field, its button, and the line below; `connect` says what they do."""
    begin = SHIPPED if studio.model.name == "tiny-landscapes" else studio.model.name
    with gr.Row(equal_height=True):
        field = gr.Dropdown(
            list(dict.fromkeys([begin, SHIPPED, *models_in(MODELS)])), value=begin, label="Model",
            info=f"From ./{MODELS}, or the path of a .safetensors file or a diffusers folder.",
            allow_custom_value=True, scale=4, min_width=160, elem_id="studio_model",
        )  # fmt: skip
        load = gr.Button("Load", scale=1, min_width=64, elem_id="studio_model_load")
    line = gr.HTML("", elem_id="studio_model_line")
    return field, load, line


def connect(studio: Studio, parts: tuple[Any, Any, Any], fields: dict[str, Any]) -> None:
    """Lets the button load the model, and the fields of the tab follow it."""
    field, load, line = parts
    names = ("sampler", "width", "height")

    def loaded(path: str | None) -> tuple[Any, ...]:
        try:
            studio.load(None if path == SHIPPED else (path or "").strip().strip('"'))
        except TiledError as e:
            return (wrong(e, PREFIX), *[gr.skip()] * len(names))
        native = DiffusersHost(studio.model).native_px
        sampler = gr.update(choices=list(samplers_of(studio.model)), value=default_sampler(studio.model))
        told = f"{studio.model.name}: made for pictures of {native} x {native} px"
        return said(told), sampler, 2 * native, native

    load.click(loaded, field, [line, *(fields[name] for name in names)], concurrency_limit=1)
