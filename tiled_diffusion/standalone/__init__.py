"""The standalone program on diffusers; what a script needs of it is named here, and loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiled_diffusion.settings.control import Control
    from tiled_diffusion.settings.frame import Frame, Framing, Redraw
    from tiled_diffusion.settings.inversion import Inversion
    from tiled_diffusion.settings.mosaic import Mosaic
    from tiled_diffusion.settings.print_size import Print
    from tiled_diffusion.settings.request import Request
    from tiled_diffusion.settings.values import Region, Reroll, Settings

    from .cluster.workers import workers
    from .framing import frame
    from .host import DiffusersHost, mosaic, upscale
    from .metadata import read_png, save_png
    from .model import Model, load_model
    from .print_files import save_print
    from .sampling import generate

_MODULES = {
    "Control": "tiled_diffusion.settings.control",
    "DiffusersHost": "tiled_diffusion.standalone.host",
    "Frame": "tiled_diffusion.settings.frame",
    "Framing": "tiled_diffusion.settings.frame",
    "Inversion": "tiled_diffusion.settings.inversion",
    "Model": "tiled_diffusion.standalone.model",
    "Mosaic": "tiled_diffusion.settings.mosaic",
    "Print": "tiled_diffusion.settings.print_size",
    "Redraw": "tiled_diffusion.settings.frame",
    "Region": "tiled_diffusion.settings.values",
    "Request": "tiled_diffusion.settings.request",
    "Reroll": "tiled_diffusion.settings.values",
    "Settings": "tiled_diffusion.settings.values",
    "frame": "tiled_diffusion.standalone.framing",
    "generate": "tiled_diffusion.standalone.sampling",
    "load_model": "tiled_diffusion.standalone.model",
    "mosaic": "tiled_diffusion.standalone.host",
    "read_png": "tiled_diffusion.standalone.metadata",
    "save_png": "tiled_diffusion.standalone.metadata",
    "save_print": "tiled_diffusion.standalone.print_files",
    "upscale": "tiled_diffusion.standalone.host",
    "workers": "tiled_diffusion.standalone.cluster.workers",
}
"""Where each name lies. No module of this package may have one of these names: importing it would hide ours."""
__all__ = [
    "Control",
    "DiffusersHost",
    "Frame",
    "Framing",
    "Inversion",
    "Model",
    "Mosaic",
    "Print",
    "Redraw",
    "Region",
    "Request",
    "Reroll",
    "Settings",
    "frame",
    "generate",
    "load_model",
    "mosaic",
    "read_png",
    "save_png",
    "save_print",
    "upscale",
    "workers",
]


def __getattr__(name: str) -> Any:
    """Loads diffusers only where something of it is used, so that `--help` and errors come at once."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
