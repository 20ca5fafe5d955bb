"""The studio's page: prompts, sizes, the panel with its region editor, a preview, and the pictures made so far."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import PREPROCESSORS, Control
from tiled_diffusion.settings.panel import PanelSettings, merge, region_document, to_controls
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.control import SHIPPED
from tiled_diffusion.standalone.control_hints import open_hint
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.prompts import prompt_length
from tiled_diffusion.standalone.samplers import default_sampler, samplers_of
from tiled_diffusion.ui.mosaic_view import add_mosaic_route
from tiled_diffusion.ui.page import add_scripts
from tiled_diffusion.ui.panel import Panel, PanelHost, build_panel
from tiled_diffusion.ui.routes import add_routes
from tiled_vae import Interrupted

from .frame_tab import build_frame
from .frames import Frames
from .mosaic_tab import build_mosaic
from .mosaics import Mosaics
from .studio import Studio

MOST_UPLOAD = "20mb"
CONTROL = ("control_image", "control_model", "control_weight", "control_preprocess")
"""Components of the one ControlNet that the page offers."""
SLIDERS = {"steps": 150, "cfg_scale": 30, "batch_size": 16, "control_weight": 2}
"""Where sliders end, so that usual values are easy to set; a picture that had more extends them."""
FIELDS = ("prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "sampler", "seed", "batch_size")


@contextmanager
def _accordion(label: str, elem_id: str) -> Iterator[Any]:
    """The panel is always on here: without regions and large sizes it draws in one piece."""
    with gr.Accordion(label, open=True):
        yield gr.State(True)
        gr.HTML(f'<span id="{elem_id}"></span>')


def build(studio: Studio) -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Tiled Diffusion studio") as page, gr.Tabs():
        with gr.Tab("Picture", elem_id="studio_picture_tab"):
            _drawing(studio)
        with gr.Tab("Frame", elem_id="studio_frame_tab"):
            build_frame(Frames(studio))
        with gr.Tab("Hypermosaic", elem_id="studio_mosaic_tab"):
            build_mosaic(Mosaics(studio))
    return page


def _drawing(studio: Studio) -> None:
    """Prompts, the panel, and the pictures made so far."""
    with gr.Row():
        with gr.Column(scale=3):
            fields = {**_fields(studio), **_control_fields()}
            panel = build_panel("studio", PanelHost(_accordion))
        with gr.Column(scale=2):
            with gr.Row():
                generate = gr.Button("Generate", variant="primary", elem_id="studio_generate")
                cancel = gr.Button("Cancel", elem_id="studio_cancel")
            status = gr.Markdown("", elem_id="studio_progress")
            preview = gr.Image(label="Preview", interactive=False, elem_id="studio_preview")
            history = gr.Gallery(
                _history(studio), label="Pictures", columns=3, object_fit="contain", elem_id="studio_gallery"
            )
            dropped = gr.File(label="Drop a PNG to bring its settings back", file_types=[".png"], elem_id="studio_drop")
        inputs = [*fields.values(), panel.json_box, *panel.controls.values()]
        generate.click(_making(studio, panel), inputs, [status, preview, history], concurrency_limit=1)
        cancel.click(studio.cancel, None, None, queue=False)
        dropped.upload(_restoring(panel), dropped, [*inputs, status])


def _fields(studio: Studio) -> dict[str, Any]:
    """Components of the request's own fields."""
    host = DiffusersHost(studio.model)
    unit, native = host.unit_px, host.native_px
    out: dict[str, Any] = {
        "prompt": gr.Textbox(label="Prompt", lines=3, elem_id="studio_prompt"),
        "negative_prompt": gr.Textbox(label="Negative prompt", lines=2, elem_id="studio_negative_prompt"),
    }
    with gr.Row():
        out["width"] = gr.Number(native * 4, label="Width", precision=0, step=unit, elem_id="studio_width")
        out["height"] = gr.Number(native, label="Height", precision=0, step=unit, elem_id="studio_height")
        out["steps"] = gr.Slider(1, SLIDERS["steps"], 25, step=1, label="Steps", elem_id="studio_steps")
        out["cfg_scale"] = gr.Slider(
            1, SLIDERS["cfg_scale"], 5, step=0.5, label="CFG scale", elem_id="studio_cfg_scale"
        )
    with gr.Row():
        out["sampler"] = gr.Dropdown(
            list(samplers_of(studio.model)), value=default_sampler(studio.model), label="Sampler",
            elem_id="studio_sampler",
        )  # fmt: skip
        out["seed"] = gr.Number(0, label="Seed", precision=0, elem_id="studio_seed")
        out["batch_size"] = gr.Slider(
            1, SLIDERS["batch_size"], 1, step=1, label="Pictures", elem_id="studio_batch_size"
        )
    return out


def _control_fields() -> dict[str, Any]:
    with gr.Accordion("ControlNet", open=False, elem_id="studio_control"):
        return {
            "control_image": _as_uploaded(
                gr.Image(
                    label="Drawing or photo to follow", type="filepath", image_mode=None, format="png",
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


def _request(studio: Studio, panel: Panel, values: tuple[Any, ...]) -> Request:
    """The request that the page's components ask for."""
    control_from, panel_from = len(FIELDS), len(FIELDS) + len(CONTROL)
    fields = dict(zip(FIELDS, values[:control_from], strict=True))
    for name in ("width", "height", "steps", "seed", "batch_size"):
        fields[name] = _whole_number(name, fields[name])
    text, *controls = values[panel_from:]
    job = merge(text, dict(zip(panel.controls, controls, strict=True)))
    return Request(**fields, tiling=job.tiling, controls=_controls(studio, *values[control_from:panel_from]))


def _whole_number(name: str, value: Any) -> int:
    """What a number's component holds, which may be nothing or a fraction."""
    if value is None or not float(value).is_integer():
        raise TiledError(f"{name}: got {value!r}, allowed is a whole number")
    return int(value)


def _controls(studio: Studio, image: str | None, model: str | None, weight: float, prepare: str) -> tuple[Control, ...]:
    """The ControlNet that the page's components ask for: none without a picture."""
    if not image:
        return ()
    open_hint(image).close()
    return (Control(model or "", str(studio.kept_hint(image)), weight, preprocess=prepare),)


def _making(studio: Studio, panel: Panel) -> Any:
    def make(*values: Any) -> Iterator[tuple[Any, Any, Any]]:
        try:
            for update in studio.make(_request(studio, panel, values)):
                shown = update.preview if update.preview is not None else gr.skip()
                if update.files:
                    shown = str(update.files[0])
                yield update.text, shown, _history(studio) if update.files else gr.skip()
        except Interrupted:
            yield "Cancelled", gr.skip(), gr.skip()
        except TiledError as e:
            yield f"**{e}**", gr.skip(), gr.skip()

    return make


def _restoring(panel: Panel) -> Any:
    def restore(path: str | None) -> list[Any]:
        count = len(FIELDS) + len(CONTROL) + 1 + len(panel.controls)
        if not path:
            return [gr.skip()] * (count + 1)
        try:
            request = read_png(path)
        except TiledError as e:
            return [*[gr.skip()] * count, f"**{e}**"]
        job = PanelSettings(request.tiling)
        controls = to_controls(job)
        text = json.dumps(region_document(job), ensure_ascii=False)
        fields = [_extended(name, getattr(request, name)) for name in FIELDS]
        control, note = _restored_control(request)
        if request.init_image:
            note += "; this page draws without its start picture"
        return [
            *fields,
            *control,
            text,
            *(controls[name] for name in panel.controls),
            f"Settings of {Path(path).name}{note}",
        ]

    return restore


def _extended(name: str, value: Any) -> Any:
    """A picture's value for a component; its slider is made long enough."""
    return gr.update(value=value, maximum=max(value, SLIDERS[name])) if name in SLIDERS else value


def _restored_control(request: Request) -> tuple[list[Any], str]:
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


def _history(studio: Studio) -> list[str]:
    return [str(path) for path in studio.history()]


def application(studio: Studio, presets: Path) -> FastAPI:
    """The studio as a web application.

    Raises:
        TiledError: the page's scripts are not there.
    """
    app = FastAPI()
    add_scripts(app)
    add_routes(app, Presets(presets), lambda: studio.model.traits, lambda text: prompt_length(studio.model, text))
    studio.folder.mkdir(parents=True, exist_ok=True)
    add_mosaic_route(app, lambda: Mosaics(studio).folder)
    page = build(studio)
    gr.mount_gradio_app(
        app, page, path="/", allowed_paths=[str(studio.folder.resolve())], max_file_size=MOST_UPLOAD, show_error=True
    )
    return app


def listen(host: str, port: int) -> socket.socket:
    """Takes the address, so that a wrong one is told before the model is loaded.

    Raises:
        TiledError: names the address and what is wrong with it.
    """
    if not 0 <= port <= 65535:
        raise TiledError(f"--port: got {port}, allowed is a number from 0 to 65535")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as e:
        raise TiledError(f"the studio cannot be at {host}:{port} ({e}); take another --port or --host") from e


def serve(studio: Studio, listener: socket.socket) -> None:
    """Serves the studio at an address that `listen` took, until it is stopped."""
    config = uvicorn.Config(application(studio, studio.folder / "presets"), log_level="warning")
    with listener, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
