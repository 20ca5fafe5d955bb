"""Axes of the X/Y/Z plot script, for both panels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError
from tiled_vae.settings import Mode

from .hosts import host
from .hosts.port import Job
from .hosts.values import Axis

OFF = "off"
"""A mode of the VAE's axis: the panel is switched off for the cell, as any other one switches it on."""


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"X/Y/Z plot: got {text!r}, allowed is a whole number") from None


def _switch(text: str) -> bool:
    known = {"true": True, "false": False, "on": True, "off": False, "1": True, "0": False}
    if text.strip().lower() not in known:
        raise SettingsError(f"X/Y/Z plot: got {text!r}, allowed is true or false")
    return known[text.strip().lower()]


def _pixels(text: str) -> int | None:
    return _whole(text) // 8 or None


@dataclass(frozen=True)
class Field:
    """What an axis changes.

    Attributes:
        name: of the settings.
        read: how the text of a value is read.
        choices: what may be chosen; None: anything.
    """

    name: str
    read: Callable[[str], Any]
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Axes:
    """The axes of one panel.

    Attributes:
        title: of the panel, which stands before each label.
        fields: by label.
    """

    title: str
    fields: Mapping[str, Field]

    def register(self) -> None:
        """Adds them to the plot script, if it is there and does not have them yet."""
        host.page.add_axes(
            [Axis(f"[{self.title}] {label}", self._setter(f.name), f.choices) for label, f in self.fields.items()]
        )

    def _setter(self, name: str) -> Callable[[Job, str], None]:
        def apply(p: Job, text: str) -> None:
            p.__dict__[self._key] = {**p.__dict__.get(self._key, {}), name: text}

        return apply

    @property
    def _key(self) -> str:
        return f"_{self.title}_xyz"

    def chosen(self, p: Job) -> dict[str, str]:
        """Texts of the present cell by field; none where no plot has an axis of these."""
        return dict(p.__dict__.get(self._key, {}))

    def values(self, p: Job) -> dict[str, Any]:
        """Values of the present cell by field.

        Raises:
            SettingsError: a text that cannot be read.
        """
        read = {f.name: f.read for f in self.fields.values()}
        return {name: read[name](text) for name, text in self.chosen(p).items()}

    def say_if_idle(self, p: Job) -> None:
        """Tells the user of axes that change nothing, because the panel is switched off."""
        if self.chosen(p):
            p.comment(f"{self.title}: the axes of the plot change nothing while the panel is switched off")


DIFFUSION = Axes(
    "Tiled Diffusion",
    {
        "Method": Field("method", str, tuple(METHODS)),
        "Tile width (px)": Field("tile_width_lp", _pixels),
        "Tile height (px)": Field("tile_height_lp", _pixels),
        "Overlap (px)": Field("overlap_lp", lambda text: _whole(text) // 8),
        "Tiles at once": Field("tile_batch", _whole),
        "Left meets right": Field("wrap_x", _switch, ("true", "false")),
        "Top meets bottom": Field("wrap_y", _switch, ("true", "false")),
    },
)
VAE = Axes(
    "Tiled VAE",
    {
        "Mode": Field("mode", str, (OFF, *get_args(Mode))),
        "Encoder tile (px)": Field("encoder_tile_px", _whole),
        "Decoder tile (latent px)": Field("decoder_tile_lp", _whole),
    },
)
