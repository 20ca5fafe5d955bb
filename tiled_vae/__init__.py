"""Tiled VAE: encoding and decoding of any size in bounded memory, equal to the untiled pass."""

from .errors import Interrupted, TiledVaeError
from .memory import Memory, free_memory
from .plan import Plan
from .settings import TiledVaeSettings
from .swap import swapped
from .vae import Callbacks, decode, encode, plan

__all__ = [
    "Callbacks",
    "Interrupted",
    "Memory",
    "Plan",
    "TiledVaeError",
    "TiledVaeSettings",
    "decode",
    "encode",
    "free_memory",
    "plan",
    "swapped",
]
