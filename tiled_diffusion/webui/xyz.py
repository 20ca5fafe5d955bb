"""Axes of the X/Y/Z plot script, for both panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tiled_diffusion.settings.panel import PanelSettings
from tiled_diffusion.settings.plot import Axis as PlotAxis
from tiled_diffusion.settings.plot import plot_axes
from tiled_diffusion.settings.vae import VaePanelSettings

from .hosts import host
from .hosts.port import Job
from .hosts.values import Axis

OFF = "off"
"""A mode of the VAE's axis: the panel is switched off for the cell, as any other one switches it on."""


@dataclass(frozen=True)
class Axes:
    """The axes of one panel.

    Attributes:
        title: of the panel, which stands before each label.
        fields: what the axes change.
    """

    title: str
    fields: tuple[PlotAxis, ...]

    def register(self) -> None:
        """Adds them to the plot script, if it is there and does not have them yet."""
        host.page.add_axes([Axis(f"[{self.title}] {f.label}", self._setter(f.field), f.choices) for f in self.fields])

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

    def carried(self, p: Job) -> dict[str, Any]:
        """What a job that is made of this one needs to be drawn as its cell says, as attributes by name."""
        return {self._key: self.chosen(p)} if self.chosen(p) else {}

    def values(self, p: Job) -> dict[str, Any]:
        """Values of the present cell by field.

        Raises:
            SettingsError: a text that cannot be read.
        """
        read = {f.field: f.read for f in self.fields}
        return {name: read[name](text) for name, text in self.chosen(p).items()}

    def say_if_idle(self, p: Job) -> None:
        """Tells the user of axes that change nothing, because the panel is switched off."""
        if self.chosen(p):
            p.comment(f"{self.title}: the axes of the plot change nothing while the panel is switched off")


def _with_off(axis: PlotAxis) -> PlotAxis:
    return replace(axis, choices=(OFF, *(axis.choices or ()))) if axis.field == "mode" else axis


DIFFUSION = Axes("Tiled Diffusion", plot_axes(PanelSettings))
VAE = Axes("Tiled VAE", tuple(_with_off(axis) for axis in plot_axes(VaePanelSettings)))
