"""What the WebUI loads: the script Frame of img2img."""

from pathlib import Path

import tiled_diffusion

if not Path(tiled_diffusion.__file__).resolve().is_relative_to(Path(__file__).resolve().parents[1]):
    raise ImportError(
        f"another extension has a package tiled_diffusion too, {tiled_diffusion.__file__}: switch one of the two off"
    )

from tiled_diffusion.webui.frame import FrameScript

__all__ = ["FrameScript"]
