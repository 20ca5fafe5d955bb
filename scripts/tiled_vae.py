"""What the WebUI loads: the script class of the tiled VAE, and the callbacks that go with it."""

from pathlib import Path

import tiled_vae

if not Path(tiled_vae.__file__).resolve().is_relative_to(Path(__file__).resolve().parents[1]):
    raise ImportError(f"another extension has a package tiled_vae too, {tiled_vae.__file__}: switch one of the two off")

from tiled_diffusion.webui.vae.register import register
from tiled_diffusion.webui.vae.script import TiledVaeScript

__all__ = ["TiledVaeScript"]
register()
