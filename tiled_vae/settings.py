"""What the user may choose, checked on construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .errors import TiledVaeError

Mode = Literal["auto", "untiled", "exact", "fast"]
Offload = Literal["auto", "device", "host", "recompute"]


@dataclass(frozen=True)
class TiledVaeSettings:
    """How a picture is encoded or decoded.

    Attributes:
        mode: `untiled` is the host's own pass; `exact` equals it in bounded memory; `fast` is one pass with estimated
            statistics, for pictures whose activations fit nowhere (where they fit, `exact` is quicker); `auto` takes
            the first of the three that fits into memory.
        encoder_tile_px: side of an encoder tile in image pixels, at least 64; 0 lets the planner choose.
        decoder_tile_lp: side of a decoder tile in latent pixels, at least 8; 0 lets the planner choose.
        offload: where activations wait between two norms in exact mode: on the `device`, in `host` memory, or nowhere
            (`recompute`: slower, only latent-sized activations are kept).
        wrap_x: the left and right borders of the picture are neighbours.
        wrap_y: the top and bottom borders of the picture are neighbours.
        attention_tokens: the middle attention is over all latent pixels up to this many; beyond it, every query sees a
            regular subset of at most this many keys, and a warning says so. The default is 8192 x 8192 px.
        retry_nan: a float16 pass that overflows is repeated once in a wider type.

    Raises:
        TiledVaeError: a field has a value that it may not have.
    """

    mode: Mode = "auto"
    encoder_tile_px: int = 0
    decoder_tile_lp: int = 0
    offload: Offload = "auto"
    wrap_x: bool = False
    wrap_y: bool = False
    attention_tokens: int = 1024 * 1024
    retry_nan: bool = True

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, get_args(Mode))
        _one_of("offload", self.offload, get_args(Offload))
        _tile("encoder_tile_px", self.encoder_tile_px, 64)
        _tile("decoder_tile_lp", self.decoder_tile_lp, 8)
        _tile("attention_tokens", self.attention_tokens, 1, zero=False)
        if self.mode == "untiled" and (self.wrap_x or self.wrap_y):
            raise TiledVaeError("wrap_x and wrap_y need mode auto, exact or fast: the untiled pass knows no ring")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise TiledVaeError(f"{name} is {value!r}; it may be {', '.join(allowed)}")


def _tile(name: str, value: int, least: int, zero: bool = True) -> None:
    if type(value) is not int or (value < least and not (zero and value == 0)):
        raise TiledVaeError(f"{name} is {value!r}; it may be {'0 (automatic) or ' if zero else ''}{least} or more")
