"""Axes of the X/Y/Z plot script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tiled_diffusion.settings.plot import plot_axes
from tiled_diffusion.settings.vae import VaePanelSettings
from tiled_diffusion.webui.hosts import a1111_vae as host

VALUES = "_tiled_vae_xyz"
PREFIX = "[Tiled VAE] "
OFF = "off"


AXES = {axis.field: axis for axis in plot_axes(VaePanelSettings)}
CHOICES = {"mode": (OFF, *(AXES["mode"].choices or ()))}
"""Of the axes that say more than the table: the mode may also switch the script off."""


def register() -> None:
    """Adds the axes to the plot script, if it is there and does not have them yet."""
    module = host.xyz_module()
    if module is None or any(o.label.startswith(PREFIX) for o in module.axis_options):
        return
    for axis in AXES.values():
        choices = CHOICES.get(axis.field, axis.choices)
        options = {} if choices is None else {"choices": lambda choices=choices: list(choices)}
        module.axis_options.append(module.AxisOption(PREFIX + axis.label, str, _setter(axis.field), **options))


def _setter(field: str) -> Callable[[Any, str, Any], None]:
    def apply(p: Any, value: str, _values: Any) -> None:
        p.__dict__[VALUES] = {**p.__dict__.get(VALUES, {}), field: value}

    return apply


def is_on(values: Mapping[str, str], enabled: bool) -> bool:
    """A mode on an axis switches the script on, or off."""
    return values["mode"] != OFF if "mode" in values else enabled


def applied(values: Mapping[str, str], job: VaePanelSettings) -> VaePanelSettings:
    """The job with the values of the present cell of the plot."""
    return replace(job, **{field: AXES[field].read(text) for field, text in values.items()})
