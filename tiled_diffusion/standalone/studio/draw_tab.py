"""The studio's tab Draw: prompts beside a large canvas with regions, in which pictures appear as they are drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.ui.panel import Panel, PanelHost, build_canvas, build_panel

from . import model_picker
from .accordion import always_on
from .draw_fields import (
    PREFIX,
    control_fields,
    filled,
    first_size,
    prompt_fields,
    request_of,
    sampling_fields,
    size_fields,
)  # fmt: skip
from .examples import EXAMPLES, Example
from .messages import MARK, data_url, file_url, followed, said, wrong
from .studio import Studio, Update

TAB = "studio"
SHOW = "(text) => { tiledDiffusion.studio?.show(text); }"
"""JavaScript for where the canvas's picture has changed."""


@dataclass(frozen=True)
class DrawTab:
    """The components that other tabs need.

    Attributes:
        strip: the pictures that there are.
        chosen: path of the picture that is shown in the canvas, or None.
        enlarge, inpaint: buttons that hand it on.
        enlarged: the button of the example that is enlarged.
        picker: the parts of the model's field.
        followers: what another model changes here.
    """

    strip: Any
    chosen: Any
    enlarge: Any
    inpaint: Any
    enlarged: Any
    picker: tuple[Any, Any, Any]
    followers: list[model_picker.Follower]


def build_draw(studio: Studio) -> DrawTab:
    """Builds the tab."""
    with gr.Row(elem_classes=["td-studio"]):
        with gr.Column(elem_classes=["td-studio-prompts"], min_width=280):
            fields = prompt_fields()
            with gr.Row():
                generate = gr.Button("Generate", variant="primary", scale=2, min_width=120, elem_id="studio_generate")
                cancel = gr.Button("Cancel", min_width=80, elem_id="studio_cancel")
            line = gr.HTML(said("In the prompt, Shift+Enter draws."), elem_id="studio_progress")
        with gr.Column(elem_classes=["td-studio-canvas"], min_width=280):
            with gr.Row(elem_classes=["td-examples"]):
                gr.HTML('<span class="td-try">Try</span>')
                buttons = [_example_button(f"example_{e.name}", e.title) for e in EXAMPLES]
                enlarged = _example_button("example_enlarged", "A forest enlarged 4 times")
            json_box = build_canvas(TAB, controlnet=True)
            shown = gr.Textbox(label="Canvas picture", elem_id="studio_shown", elem_classes=["td-hidden"])
            strip, chosen, more = _strip()
        with gr.Column(elem_classes=["td-studio-settings"], min_width=280):
            fields.update(size_fields(studio))
            with gr.Accordion("Sampling", open=False, elem_id="studio_sampling"):
                fields.update(sampling_fields(studio))
            fields.update(control_fields())
            panel = build_panel(TAB, PanelHost(always_on), json_box)
            with gr.Accordion("Model", open=False, elem_id="studio_model_fold"):
                picker = model_picker.model_field(studio)
    inputs, out = [*fields.values(), json_box, *panel.controls.values()], [line, shown, strip, chosen]
    shown.change(None, shown, None, js=SHOW)
    line.change(None, None, None, js=MARK)
    begin = [generate.click, fields["prompt"].submit, fields["negative_prompt"].submit]
    gr.on(begin, _making(studio, panel), inputs, out, concurrency_limit=1, show_progress="hidden")
    cancel.click(studio.cancel, None, None, queue=False)
    for example, button in zip(EXAMPLES, buttons, strict=True):
        button.click(_trying(studio, panel, example), None, [*inputs, line]).then(
            _making(studio, panel), inputs, out, concurrency_limit=1, show_progress="hidden"
        )
    strip.select(_selecting, None, [chosen, shown])
    settings, dropped, enlarge, inpaint = more
    settings.click(_restoring(panel), chosen, [*inputs, line])
    dropped.upload(_restoring(panel), dropped, [*inputs, line])
    followers: list[model_picker.Follower] = [
        (fields["sampler"], model_picker.its_samplers),
        (fields["width"], lambda model: first_size(model)[0]),
        (fields["height"], lambda model: first_size(model)[1]),
    ]
    return DrawTab(strip, chosen, enlarge, inpaint, enlarged, picker, followers)


def _example_button(name: str, title: str) -> Any:
    return gr.Button(title, size="sm", min_width=40, elem_id=f"{PREFIX}{name}")


def _strip() -> tuple[Any, Any, tuple[Any, Any, Any, Any]]:
    """Earlier pictures, the path of the chosen one, and what can be done with it."""
    strip = gr.Gallery(
        label="Pictures", show_label=False, columns=8, fit_columns=False, height=116, object_fit="contain",
        allow_preview=False, buttons=[], elem_id="studio_gallery", elem_classes=["td-strip"],
    )  # fmt: skip
    chosen = gr.State(None)
    with gr.Row(elem_classes=["td-examples"]):
        settings = gr.Button("Use its settings", size="sm", min_width=40, elem_id="studio_use")
        enlarge = gr.Button("Enlarge it", size="sm", min_width=40, elem_id="studio_enlarge_it")
        inpaint = gr.Button("Inpaint it", size="sm", min_width=40, elem_id="studio_inpaint_it")
        dropped = gr.UploadButton(
            "Settings of a PNG…", file_types=[".png"], size="sm", min_width=40, elem_id="studio_drop"
        )
    return strip, chosen, (settings, dropped, enlarge, inpaint)


def history(studio: Studio) -> list[str]:
    """Paths of the finished pictures, newest first."""
    return [str(path) for path in studio.history()]


def _canvas(update: Update) -> str | None:
    """What the page's canvas is to show of an update, as JSON; None for nothing new."""
    if update.files:
        return json.dumps({"url": file_url(update.files[0])})
    if update.preview is not None:
        return json.dumps({"url": data_url(update.preview), "tiles": update.tiles})
    return json.dumps({"tiles": update.tiles}) if update.tiles else None


def _making(studio: Studio, panel: Panel) -> Callable[..., Iterator[tuple[Any, ...]]]:
    def updates(values: tuple[Any, ...]) -> Iterator[Update]:
        yield from studio.make(request_of(studio, panel, values))

    def make(*values: Any) -> Iterator[tuple[Any, ...]]:
        for line, update in followed(updates(values), PREFIX):
            if update is None or not update.files:
                yield line, (update and _canvas(update)) or gr.skip(), gr.skip(), gr.skip()
            else:
                yield line, _canvas(update), history(studio), str(update.files[0])

    return make


def _trying(studio: Studio, panel: Panel, example: Example) -> Callable[[], list[Any]]:
    def fill() -> list[Any]:
        values, note = filled(panel, example.request(studio.folder))
        return [*values, said(f"{example.title}{note}")]

    return fill


def _selecting(event: gr.SelectData) -> tuple[str, str]:
    path = event.value["image"]["path"]
    return path, json.dumps({"url": file_url(path)})


def _restoring(panel: Panel) -> Callable[[str | None], list[Any]]:
    def restore(path: str | None) -> list[Any]:
        count = len(filled(panel, Request(""))[0])
        if not path:
            return [*[gr.skip()] * count, said("Draw or choose a picture first")]
        try:
            values, note = filled(panel, read_png(path))
        except TiledError as e:
            return [*[gr.skip()] * count, wrong(e, PREFIX)]
        return [*values, said(f"Settings of {Path(path).name}{note}")]

    return restore
