"""Registers the callbacks; called whenever the WebUI (re)loads its scripts, which forgets earlier ones."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.settings import foreign as peer
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.ui.routes import add_routes

from . import xyz
from .hosts import a1111 as host
from .sampling import HINTS_OPTION, on_cfg_denoiser

LEVELS = ("warning", "info", "debug")


def register() -> None:
    """Registers all of them."""
    host.on_cfg_denoiser(on_cfg_denoiser)
    host.before_ui(xyz.register)
    host.on_app_started(_routes)
    host.on_ui_settings(_settings)
    host.on_infotext_pasted(peer.upgrade)


def _routes(_blocks: Any, app: Any) -> None:
    folder = host.data_folder() / "tiled-diffusion" / "presets"
    add_routes(app, Presets(folder), host.model_size, host.prompt_length, host.log_in(app))


def _settings() -> None:
    host.add_option("tiled_diffusion_on", False, "Tiled Diffusion is switched on when the page opens")
    host.add_option(
        "tiled_diffusion_method", "mixture", "Method when the page opens", gr.Radio, {"choices": list(METHODS)}
    )
    host.add_option(
        "tiled_diffusion_log", "warning", "What is written to the console", gr.Radio, {"choices": list(LEVELS)}
    )
    host.add_option(HINTS_OPTION, False, "ControlNet hints stay in main memory until a tile needs them")
    for name in ("tiled_diffusion", "tiled_vae"):
        logging.getLogger(name).setLevel(host.option("tiled_diffusion_log", "warning").upper())
