"""Registers the callbacks; called whenever the WebUI (re)loads its scripts, which forgets earlier ones."""

from __future__ import annotations

from tiled_diffusion.webui import xyz
from tiled_diffusion.webui.hosts import host

from .script import before_call


def register() -> None:
    """Registers all of them."""
    host.sampling.before_each_call(before_call)
    host.page.before_ui(xyz.VAE.register)
