"""Which model the studio draws with: the shipped one, what lies in ./models, or any folder or file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import Model, checkpoint_folder
from tiled_diffusion.standalone.samplers import default_sampler, samplers_of

from .messages import said, wrong
from .studio import Studio

SHIPPED = "the small one that ships (landscapes)"
MODELS = Path("models")
"""Where models are looked for, within the working folder."""
PREFIX = "studio_"
Follower = tuple[Any, Callable[[Model], Any]]
"""A component, and what it becomes when another model is loaded."""


def models_in(folder: Path) -> list[str]:
    """Paths of the models in a folder: single files, and diffusers' folders."""
    files = folder.rglob("*.safetensors")
    folders = {index.parent for index in folder.rglob("model_index.json")}
    alone = (path for path in files if not folders.intersection(path.parents))
    return sorted(str(path) for path in (*alone, *folders))


def model_field(studio: Studio) -> tuple[Any, Any, Any]:
    """Makes the field, its button, and the line below; `connect` says what they do."""
    begin = SHIPPED if studio.model.path == checkpoint_folder() else str(studio.model.path or studio.model.name)
    with gr.Row(equal_height=True):
        field = gr.Dropdown(
            list(dict.fromkeys([begin, SHIPPED, *models_in(MODELS)])), value=begin, label="Model",
            info=f"From ./{MODELS}, or the path of a .safetensors file or a diffusers folder.",
            allow_custom_value=True, scale=4, min_width=160, elem_id="studio_model",
        )  # fmt: skip
        load = gr.Button("Load", scale=1, min_width=64, elem_id="studio_model_load")
    line = gr.HTML("", elem_id="studio_model_line")
    return field, load, line


def native_px(model: Model) -> int:
    """Side of the pictures that a model was made for, image pixels."""
    return DiffusersHost(model).native_px


def its_samplers(model: Model) -> Any:
    """The choices of a field of samplers, of which the model's default is chosen."""
    return gr.update(choices=list(samplers_of(model)), value=default_sampler(model))


def connect(studio: Studio, parts: tuple[Any, Any, Any], followers: list[Follower]) -> None:
    """Lets the button load the model, and the fields of all tabs follow it."""
    field, load, line = parts

    def loaded(path: str | None) -> tuple[Any, ...]:
        try:
            studio.load(None if path == SHIPPED else (path or "").strip().strip('"'))
        except TiledError as e:
            return (wrong(e, PREFIX), *[gr.skip()] * len(followers))
        native = native_px(studio.model)
        told = f"{studio.model.name}: made for pictures of {native} x {native} px"
        return said(told), *(value(studio.model) for _, value in followers)

    load.click(loaded, field, [line, *(component for component, _ in followers)], concurrency_limit=1)
