"""Registers the callbacks; called whenever the WebUI (re)loads its scripts, which forgets earlier ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import gradio as gr

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings import foreign as peer
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.ui.mosaic_view import add_mosaic_route
from tiled_diffusion.ui.routes import add_routes

from . import arguments, xyz
from .hosts import host, require_known_host, require_known_model
from .mosaic import mosaics_folder
from .places import OPTION as DEVICES_OPTION
from .run import TITLE, failing
from .sampling import HINTS_OPTION
from .timing import LAST_JOBS
from .upscale import keep_dpi

log = logging.getLogger("tiled_diffusion")
LEVELS = ("warning", "info", "debug")


def register() -> None:
    """Registers all of them."""
    host.sampling.start()
    host.page.before_ui(xyz.DIFFUSION.register)
    host.page.on_app_started(_api)
    host.page.on_ui_settings(_settings)
    host.page.on_infotext_pasted(peer.upgrade)
    host.page.on_image_saved(keep_dpi)


def _api(_blocks: Any, app: Any) -> None:
    """The routes, what requests are checked for, and a word on names that mean something else."""
    folder = host.page.data_folder() / "tiled-diffusion" / "presets"
    log_in = host.page.log_in(app)
    add_routes(app, Presets(folder), _known_model_size, host.texts.prompt_length, log_in, LAST_JOBS)
    add_mosaic_route(app, mosaics_folder, log_in)
    host.page.check_requests(app, _check)
    for title, file in arguments.rivals().items():
        log.warning('Tiled Diffusion: in the API, "%s" means %s; this extension is "%s"', title, file, arguments.UNIQUE)


def _known_model_size() -> ModelTraits:
    """For the panel's line, which says why nothing would be drawn; raises TiledError."""
    require_known_host()
    require_known_model()
    return host.sampling.model_size()


def _check(scripts: Mapping[str, Any]) -> None:
    try:
        arguments.check_request(scripts)
    except TiledError as e:
        raise failing(TITLE, e) from None


def _settings() -> None:
    host.page.add_option("tiled_diffusion_on", False, "Tiled Diffusion is switched on when the page opens")
    host.page.add_option(
        "tiled_diffusion_method", "mixture", "Method when the page opens", gr.Radio, {"choices": list(METHODS)}
    )
    host.page.add_option(
        "tiled_diffusion_log", "warning", "What is written to the console", gr.Radio, {"choices": list(LEVELS)}
    )
    host.page.add_option(HINTS_OPTION, False, "ControlNet hints stay in main memory until a tile needs them")
    host.page.add_option(DEVICES_OPTION, "", "Draw tiles on several devices, such as cuda:0, cuda:1 (experimental)")
    for name in ("tiled_diffusion", "tiled_vae"):
        logging.getLogger(name).setLevel(host.page.option("tiled_diffusion_log", "warning").upper())
