"""Tiled Diffusion: overlapping tiles of a latent, denoised one by one and fused at every step."""

from .engine.fuse import Batching, fuse
from .engine.geometry import Box, Extent
from .engine.methods import METHODS, Method
from .engine.model import ModelTraits
from .engine.plan import Planner
from .engine.tiles import Plan, Tile
from .errors import OutOfMemoryError, SettingsError, TiledError
from .settings.values import Region, Settings, settings_from_dict, settings_from_json

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "Batching",
    "Box",
    "Extent",
    "Method",
    "ModelTraits",
    "OutOfMemoryError",
    "Plan",
    "Planner",
    "Region",
    "Settings",
    "SettingsError",
    "Tile",
    "TiledError",
    "__version__",
    "fuse",
    "settings_from_dict",
    "settings_from_json",
]
