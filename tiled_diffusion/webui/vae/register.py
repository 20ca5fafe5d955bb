"""Registers the callbacks; called whenever the WebUI (re)loads its scripts, which forgets earlier ones."""

from __future__ import annotations

from tiled_diffusion.webui.hosts import a1111_vae as host

from . import xyz
from .script import on_cfg_denoiser


def register() -> None:
    """Registers all of them."""
    host.on_cfg_denoiser(on_cfg_denoiser)
    host.before_ui(xyz.register)
