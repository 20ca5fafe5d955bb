"""Axes of the X/Y/Z plot script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiled_diffusion.settings.panel import PanelSettings, panel_settings_from_dict
from tiled_diffusion.settings.plot import plot_axes

from .hosts import a1111 as host

VALUES = "_tiled_diffusion_xyz"
PREFIX = "[Tiled Diffusion] "


def register() -> None:
    """Adds the axes to the plot script, if it is there and does not have them yet."""
    module = host.xyz_module()
    if module is None or any(o.label.startswith(PREFIX) for o in module.axis_options):
        return
    for axis in plot_axes(PanelSettings):
        options = {} if axis.choices is None else {"choices": lambda choices=axis.choices: list(choices)}
        setter = _setter(axis.field, axis.read)
        module.axis_options.append(module.AxisOption(PREFIX + axis.label, str, setter, **options))


def _setter(field: str, read: Callable[[str], Any]) -> Callable[[Any, str, Any], None]:
    def apply(p: Any, value: str, _values: Any) -> None:
        p.__dict__[VALUES] = {**p.__dict__.get(VALUES, {}), field: (read, value)}

    return apply


def applied(p: Any, job: PanelSettings) -> PanelSettings:
    """The job with the values of the present cell of the plot."""
    values = p.__dict__.get(VALUES)
    if not values:
        return job
    own = {field: read(text) for field, (read, text) in values.items()}
    return panel_settings_from_dict({**job.to_dict(), **own})
