"""What the WebUI loads: the script class, and the callbacks that go with it."""

from tiled_diffusion.webui.register import register
from tiled_diffusion.webui.script import TiledDiffusionScript

__all__ = ["TiledDiffusionScript"]
register()
