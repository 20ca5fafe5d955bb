"""The studio's tab of mosaics: a picture that fills up, tiles to draw anew by a click, a viewer and a player."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.mosaic.draw import BATCH
from tiled_diffusion.settings.fields import row
from tiled_diffusion.settings.mosaic import COLOURS, TILE_REQUEST, GridKind, Mosaic
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.samplers import default_sampler, samplers_of
from tiled_diffusion.ui.mosaic_view import viewer_html
from tiled_vae import Interrupted

from .draw_fields import known, whole_numbers
from .model_picker import Follower, native_px
from .mosaics import Mosaics, MosaicUpdate

QUICK = "DDIM"
NUMBERS = ("depth", "tile", "steps", "seed")
Answer = tuple[Any, Any, Any]
"""Status, picture, and what stands for viewer and player."""


def build_mosaic(mosaics: Mosaics) -> list[Follower]:
    """Builds the tab; returns what another model changes in it."""
    with gr.Row():
        with gr.Column(scale=2):
            fields = _fields(mosaics)
        with gr.Column(scale=3):
            with gr.Row():
                draw = gr.Button("Draw", variant="primary", elem_id="studio_mosaic_draw")
                go_on = gr.Button("Go on", elem_id="studio_mosaic_go_on")
                stop = gr.Button("Stop", elem_id="studio_mosaic_stop")
            status = gr.Markdown("", elem_id="studio_mosaic_progress")
            picture = gr.Image(label="The mosaic: click a tile", interactive=False, elem_id="studio_mosaic_picture")
            place = gr.State(None)
            with gr.Row():
                tile = gr.Image(label="The tile", interactive=False, height=220, elem_id="studio_mosaic_tile")
                with gr.Column():
                    redo = gr.Button("Draw this tile anew", elem_id="studio_mosaic_redo")
                    seconds = gr.Slider(1, 60, 6, step=1, label="Seconds of the zoom", elem_id="studio_mosaic_seconds")
                    zoom = gr.Button("Make a zoom", elem_id="studio_mosaic_zoom")
            made = gr.HTML("", elem_id="studio_mosaic_made")
    name, batch = fields["name"], fields["batch"]
    out = [status, picture, made]
    draw.click(_drawing(mosaics, tuple(fields)), [*fields.values()], out, concurrency_limit=1)
    go_on.click(_updates(mosaics, lambda name, batch: mosaics.go_on(name, int(batch))), [name, batch], out)
    stop.click(mosaics.studio.cancel, None, None, queue=False)
    picture.select(_selecting(mosaics), name, [place, tile, status])
    redo.click(_redoing(mosaics), [name, batch, place], out)
    zoom.click(_zooming(mosaics), [name, seconds], [status, made])
    return [(fields["tile"], native_px), (fields["sampler"], _samplers)]


def _samplers(model: Model) -> Any:
    """A sampler that is quick and draws no noise, where the model has it: many tiles want few steps."""
    choices = list(samplers_of(model))
    return gr.update(choices=choices, value=QUICK if QUICK in choices else default_sampler(model))


def _fields(mosaics: Mosaics) -> dict[str, Any]:
    model = mosaics.studio.model
    components: dict[str, Any] = {
        "name": gr.Textbox("mosaic", label="Name", info="Of its folder.", elem_id=_id("name")),
        "prompt": gr.Textbox(lines=2, **_known(Request, "prompt")),
        "negative_prompt": gr.Textbox(**_known(Request, "negative_prompt")),
        "picture": gr.Image(label="The first picture, or none to draw it", type="pil", height=180,
                            elem_id=_id("start")),
    }  # fmt: skip
    with gr.Row():
        components["grid"] = gr.Textbox("16", **_known(Mosaic, "grid"))
        components["tile"] = gr.Number(native_px(model), precision=0, **_known(Mosaic, "tile"))
        components["depth"] = gr.Number(row(Mosaic, "depth").default, precision=0, **_known(Mosaic, "depth"))
    components["loop"] = gr.Checkbox(False, **_known(Mosaic, "loop"))
    colour = row(Mosaic, "colour").default
    components["colour"] = gr.Radio(list(COLOURS.names), value=colour, **_known(Mosaic, "colour"))
    with gr.Row():
        for name in ("denoising_strength", "hold"):
            components[name] = gr.Slider(0, 1, getattr(TILE_REQUEST, name), step=0.05, **_known(Request, name))
    with gr.Row():
        components["steps"] = gr.Slider(1, 150, 20, step=1, **_known(Request, "steps"))
        components["cfg_scale"] = gr.Slider(1, 30, row(Request, "cfg_scale").default, step=0.5,
                                            **_known(Request, "cfg_scale"))  # fmt: skip
        quick = _samplers(model)
        components["sampler"] = gr.Dropdown(quick["choices"], value=quick["value"], **_known(Request, "sampler"))
        components["seed"] = gr.Number(0, precision=0, **_known(Request, "seed"))
        components["batch"] = gr.Slider(1, 64, BATCH, step=1, label="Tiles at once", elem_id=_id("batch"))
    return components


def _known(cls: type, name: str) -> dict[str, Any]:
    """What the table knows of a setting that pages show."""
    return known(cls, name, _id(name))


def _id(name: str) -> str:
    return "studio_mosaic_" + {"denoising_strength": "strength", "tile": "tile_px"}.get(name, name)


def _settings(mosaics: Mosaics, values: dict[str, Any]) -> Mosaic:
    """The mosaic that the page's components ask for."""
    native = native_px(mosaics.studio.model)
    values = {**values, **whole_numbers(values, NUMBERS)}
    names = ("prompt", "negative_prompt", "denoising_strength", "hold", "steps", "cfg_scale", "sampler", "seed")
    request = replace(TILE_REQUEST, width=native, height=native, **{name: values[name] for name in names})
    grid = GridKind().from_text("grid", str(values["grid"]))
    more = {name: values[name] for name in ("tile", "depth", "colour")}
    return Mosaic(request, grid=grid, loop=True if values["loop"] else None, **more)


def _drawing(mosaics: Mosaics, names: tuple[str, ...]) -> Callable[..., Iterator[Answer]]:
    def draw(*given: Any) -> Iterator[Answer]:
        values = dict(zip(names, given, strict=True))

        def updates(name: str, batch: int) -> Iterator[MosaicUpdate]:
            yield from mosaics.draw(name, _settings(mosaics, values), values["picture"], int(batch))

        yield from _updates(mosaics, updates)(values["name"], values["batch"])

    return draw


def _updates(mosaics: Mosaics, run: Callable[..., Iterator[MosaicUpdate]]) -> Callable[..., Iterator[Answer]]:
    """A handler that shows what a run says, and in the end its viewer."""

    def handler(name: str, *more: Any) -> Iterator[Answer]:
        try:
            for update in run(name, *more):
                yield update.text, gr.skip() if update.picture is None else update.picture, gr.skip()
            yield gr.skip(), gr.skip(), viewer_html(mosaics.path(name))
        except Interrupted:
            yield "Stopped. Go on draws what is missing.", gr.skip(), gr.skip()
        except TiledError as e:
            yield f"**{escape(str(e))}**", gr.skip(), gr.skip()

    return handler


def _selecting(mosaics: Mosaics) -> Callable[..., Any]:
    def select(name: str, event: gr.SelectData) -> tuple[Any, Any, Any]:
        try:
            place = mosaics.place(name, *event.index)
            return place, mosaics.tile(name, place), f"Tile {place.x},{place.y}"
        except TiledError as e:
            return None, gr.skip(), f"**{escape(str(e))}**"

    return select


def _redoing(mosaics: Mosaics) -> Callable[..., Iterator[Answer]]:
    def redo(name: str, batch: int, place: Any) -> Iterator[Answer]:
        if place is None:
            yield "Click a tile first", gr.skip(), gr.skip()
            return
        yield from _updates(mosaics, lambda name, batch: mosaics.redo(name, place, int(batch)))(name, batch)

    return redo


def _zooming(mosaics: Mosaics) -> Callable[..., Iterator[tuple[Any, Any]]]:
    def zoom(name: str, seconds: float) -> Iterator[tuple[Any, Any]]:
        yield "Rendering the zoom", gr.skip()
        try:
            path = mosaics.zoom(name, seconds)
        except TiledError as e:
            yield f"**{escape(str(e))}**", gr.skip()
        else:
            yield f"The zoom is {escape(str(path))}", viewer_html(mosaics.path(name))

    return zoom
