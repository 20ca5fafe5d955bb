"""What the WebUI loads: the script class of the tiled VAE."""

from tiled_vae.webui.script import TiledVaeScript

__all__ = ["TiledVaeScript"]
