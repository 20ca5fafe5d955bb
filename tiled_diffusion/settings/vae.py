"""What the panel of the tiled VAE asks for, as one value with a flat document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiled_diffusion.errors import SettingsError
from tiled_vae.settings import TiledVaeSettings

from .document import document
from .fields import Before, Widget, check_fields, entry
from .kinds import Choice, Choices, Switch, Whole
from .panel import merged

LATENT_PX = 8
"""Image pixels of a latent pixel of every VAE that is tiled."""
MODES = Choices((
    Choice("auto", "Auto", "Takes the first of untiled, exact and fast that fits into the free memory."),
    Choice("untiled", "Untiled", "The host's own pass."),
    Choice("exact", "Exact", "Equal to the untiled pass, in bounded memory."),
    Choice("fast", "Fast", "Estimates statistics, for pictures whose activations fit nowhere; else exact is quicker."),
))  # fmt: skip
OFFLOADS = Choices((
    Choice("auto", "Auto", "In exact mode, activations wait where there is room."),
    Choice("device", "Device", "In exact mode, activations wait on the device: the quickest."),
    Choice("host", "Host memory", "In exact mode, activations wait in host memory."),
    Choice("recompute", "Recompute", "In exact mode, activations wait nowhere: the slowest, with the least memory."),
))  # fmt: skip
FOLLOWS = "does what the picture's Tiled Diffusion does"
RING = "it follows Tiled Diffusion's axis: a ring that only one of the two closes has a seam"


@dataclass(frozen=True)
class VaePanelSettings:
    """How the pictures of a job of the host are encoded and decoded."""

    # fmt: off
    mode: str = field(default="auto", metadata=entry(
        MODES, "VAE mode", "How the VAE works.", widget=Widget("mode", "radio"), axis=True))
    encoder_tile: int | None = field(default=None, metadata=entry(
        Whole(64), "Encoder tile", "Side of a tile where a picture is read.", "px", null="chooses by free memory",
        before=Before("encoder_tile_px", null=0), axis=True,
        widget=Widget("tile", "slider", 0, 4096, 64, null=0, automatic="Automatic encoder tile", begin=1024)))
    decoder_tile: int | None = field(default=None, metadata=entry(
        Whole(64, multiple=LATENT_PX), "Decoder tile", "Side of a tile of the picture that is made.", "px",
        null="chooses by free memory", before=Before("decoder_tile_lp", LATENT_PX, null=0),
        axis=True,
        widget=Widget("tile", "slider", 0, 4096, 64, null=0, automatic="Automatic decoder tile", begin=1024)))
    offload: str = field(default="auto", metadata=entry(
        OFFLOADS, "Activations wait", "Where activations wait between two passes of exact mode.",
        widget=Widget("advanced", "radio"), axis=True))
    wrap_x: bool | None = field(default=None, metadata=entry(
        Switch(), "Seamless X", "The left and right borders of the picture are neighbours.", null=FOLLOWS,
        no_axis=RING))
    wrap_y: bool | None = field(default=None, metadata=entry(
        Switch(), "Seamless Y", "The top and bottom borders of the picture are neighbours.", null=FOLLOWS,
        no_axis=RING))
    move_to_gpu: bool = field(default=True, metadata=entry(
        Switch(), "Move the VAE to the GPU",
        "A VAE that lies in host memory is moved while it works; medvram and lowvram do so by themselves.",
        widget=Widget("advanced", "tick"), axis=True))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("wrap_x", "wrap_y"):
            if self.mode == "untiled" and getattr(self, name):
                raise SettingsError(f"{name}: got True, which needs mode auto, exact or fast: the untiled pass cannot")

    def settings(self, wrap_x: bool = False, wrap_y: bool = False) -> TiledVaeSettings:
        """For the core. A NaN is left to the host, which has its own second try.

        Args:
            wrap_x: whether Tiled Diffusion joins the left and right borders; the untiled pass cannot follow it.
            wrap_y: the same for top and bottom.
        """
        rings = self.mode != "untiled"
        chosen: Any = {
            "mode": self.mode,
            "offload": self.offload,
            "encoder_tile_px": self.encoder_tile or 0,
            "decoder_tile_lp": (self.decoder_tile or 0) // LATENT_PX,
            "wrap_x": (rings and wrap_x) if self.wrap_x is None else self.wrap_x,
            "wrap_y": (rings and wrap_y) if self.wrap_y is None else self.wrap_y,
        }
        return TiledVaeSettings(**chosen, retry_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return document(self)

    def to_json(self) -> str:
        """The JSON form as text."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


def vae_settings_from(value: object, controls: Mapping[str, object] | None = None) -> VaePanelSettings:
    """The settings of the panel: what the document says holds, and the controls say the rest; raises as `merged`."""
    return merged(VaePanelSettings, value, controls or {})
