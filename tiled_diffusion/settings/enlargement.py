"""A picture enlarged in blocks as settings: its size, the blocks that it is drawn in, and how its tiles are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tiled_diffusion.errors import SettingsError

from .document import Within, document, read
from .fields import check_fields, entry
from .kinds import Text, Whole
from .request import DIGEST, Request

NOISY = ("Euler a", "DPM++ 2M SDE", "LCM")
"""Samplers that draw new noise at every step, which blocks beside one another do not share."""
SAMPLER = "DPM++ 2M"
"""In their place, where none was asked for."""
MOVING = ("jittered", "spot", "elastic")
"""Methods whose tiles lie elsewhere at every step, or that draw all of the picture small first."""
SIDE = Whole(64, 2**20, multiple=8)
BLOCK = Whole(64, 16384, multiple=8)


@dataclass(frozen=True)
class Enlargement:
    """A picture enlarged in overlapping blocks, each of which is an ordinary job."""

    # fmt: off
    request: Request = field(metadata=entry(
        Within(Request), "Request", "What each block draws; its own width and height do not count.", since=2))
    width: int = field(metadata=entry(SIDE, "Width", "Width of the enlarged picture.", "px", since=2))
    height: int = field(metadata=entry(SIDE, "Height", "Height of the enlarged picture.", "px", since=2))
    picture_sha256: str = field(metadata=entry(
        DIGEST, "Picture's digest", "SHA-256 of the pixels of the picture that is enlarged.", since=2))
    upscaler: str = field(default="lanczos", metadata=entry(
        Text(), "Upscaler", "How it is enlarged before: lanczos, or the file of a network.", since=2))
    upscaler_sha256: str | None = field(default=None, metadata=entry(
        DIGEST, "Upscaler's digest", "SHA-256 of the file of that network.", null="no file", since=2))
    block: int | None = field(default=None, metadata=entry(
        BLOCK, "Block", "Side of a block, rounded up to whole tiles.", "px",
        null="7 tiles", since=2, flag="PX"))
    block_overlap: int | None = field(default=None, metadata=entry(
        BLOCK, "Block overlap", "Least width that blocks side by side share, at most half a block.", "px",
        null="what 2 tiles cover", since=2, flag="PX"))
    jpeg: int | None = field(default=None, metadata=entry(
        Whole(1, 100), "JPEG quality", "The picture is kept as JPEG files of this quality.",
        null="as PNG, to the last bit", since=2, flag="Q"))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        for name, there in refusals(self.request).items():
            if there:
                raise SettingsError(f"{name}: a picture that is enlarged in blocks cannot have it: leave it out")
        if self.request.sampler in NOISY:
            raise SettingsError(
                f"sampler: got {self.request.sampler!r}, which draws new noise at every step, so that blocks would not "
                f"fit together; allowed is any other, such as {SAMPLER}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return document(self)


def refusals(request: Request) -> dict[str, bool]:
    """What needs to see the picture as a whole, by name, and whether the request has it."""
    tiling = request.tiling
    return {
        "batch_size": request.batch_size > 1,
        "mask": request.inpaints,
        "controls": bool(request.controls),
        "inversion": request.inversion is not None,
        "growth": request.growth is not None,
        "match": request.match is not None,
        "regions": bool(tiling.regions),
        "rerolls": bool(tiling.rerolls),
        "dilated": tiling.dilated,
        "tile_prompts": tiling.tile_prompts != "same",
        "wrap_x": tiling.wrap_x,
        "wrap_y": tiling.wrap_y,
        "method": tiling.method in MOVING,
    }


def enlargement_from_dict(data: object) -> Enlargement:
    """Reads the JSON form; raises SettingsError that names the field."""
    return read(Enlargement, data, "upscale")
