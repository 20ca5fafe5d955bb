"""The studio's page: tabs to draw, enlarge, inpaint and make mosaics, and the server that shows them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.standalone.prompts import prompt_length
from tiled_diffusion.ui.mosaic_view import add_mosaic_route
from tiled_diffusion.ui.page import add_scripts
from tiled_diffusion.ui.routes import add_routes

from .draw_tab import build_draw, history
from .enlarge_tab import build_enlarge, connect_example
from .frame_tab import build_frame
from .frames import Frames
from .inpaint_tab import build_inpaint
from .model_picker import connect
from .mosaic_tab import build_mosaic
from .mosaics import Mosaics
from .studio import Studio

MOST_UPLOAD = "20mb"
_LOUD, _LOUDER = "*primary_600", "*primary_700"
THEME = gr.themes.Default(primary_hue="indigo").set(
    button_primary_background_fill=_LOUD, button_primary_background_fill_dark=_LOUD,
    button_primary_background_fill_hover=_LOUDER, button_primary_background_fill_hover_dark=_LOUDER,
    button_primary_text_color="white", button_primary_text_color_dark="white",
    body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400",
    block_info_text_color="*neutral_500", block_info_text_color_dark="*neutral_400",
)  # fmt: skip
"""Texts can be read on all of its colours."""
LAST_WORDS_SECONDS = 2
"""For answers that are under way when the studio is stopped."""


def build(studio: Studio) -> gr.Blocks:
    """The page."""
    with (
        gr.Blocks(title="Tiled Diffusion studio", fill_width=True) as page,
        gr.Tabs(selected="draw", elem_id="studio_tabs") as tabs,
    ):
        with gr.Tab("Draw", id="draw", elem_id="studio_picture_tab"):
            draw = build_draw(studio)
        with gr.Tab("Enlarge", id="enlarge", elem_id="studio_enlarge_tab", render_children=True):
            enlarge = build_enlarge(studio)
        with gr.Tab("Inpaint", id="inpaint", elem_id="studio_inpaint_tab"):
            photo = build_inpaint(studio)
        with gr.Tab("Mosaic", id="mosaic", elem_id="studio_mosaic_tab"):
            followers = build_mosaic(Mosaics(studio))
        with gr.Tab("Frame", id="frame", elem_id="studio_frame_tab"):
            followers += build_frame(Frames(studio))
        connect(studio, draw.picker, [*draw.followers, *followers])
        draw.enlarge.click(_handing("enlarge"), draw.chosen, [tabs, enlarge.picture])
        draw.inpaint.click(_handing("inpaint"), draw.chosen, [tabs, photo])
        page.load(lambda: _there(studio), None, [draw.strip, draw.chosen], show_progress="hidden")
        connect_example(studio, enlarge, draw.enlarged, tabs)
    return page


def _there(studio: Studio) -> tuple[list[str], str | None]:
    """The pictures that are there when the page is opened, and the newest of them."""
    paths = history(studio)
    return paths, paths[0] if paths else None


def _handing(tab: str) -> Callable[[str | None], tuple[Any, Any]]:
    """Opens a tab with the picture that is shown."""

    def hand(path: str | None) -> tuple[Any, Any]:
        if path is None:
            gr.Info("Draw or choose a picture first")
            return gr.skip(), gr.skip()
        return gr.Tabs(selected=tab), path

    return hand


def application(studio: Studio, presets: Path) -> FastAPI:
    """The studio as a web application.

    Raises:
        TiledError: the page's scripts are not there.
    """
    app = FastAPI()
    add_scripts(app)
    add_routes(
        app, Presets(presets), lambda: studio.model.traits, lambda text: prompt_length(studio.model, text),
        jobs=studio.jobs,
    )  # fmt: skip
    studio.folder.mkdir(parents=True, exist_ok=True)
    add_mosaic_route(app, lambda: Mosaics(studio).folder)
    page = build(studio)
    gr.mount_gradio_app(
        app, page, path="/", allowed_paths=[str(studio.folder.resolve())], max_file_size=MOST_UPLOAD, show_error=True,
        theme=THEME, footer_links=[],
    )  # fmt: skip
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
    """Serves the studio at an address that `listen` took, until it is stopped.

    Pages that are open keep a stream open for ever, so it is not waited for long.
    """
    app = application(studio, studio.folder / "presets")
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=LAST_WORDS_SECONDS)
    with listener, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
