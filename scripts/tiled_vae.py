"""What the WebUI loads: the script class of the tiled VAE, and the callbacks that go with it."""

from tiled_vae.webui.register import register
from tiled_vae.webui.script import TiledVaeScript

__all__ = ["TiledVaeScript"]
register()
