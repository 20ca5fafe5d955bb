"""Axes of the X/Y/Z plot script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.panel import PanelJob, panel_job_from_dict

from .hosts import a1111 as host

VALUES = "_tiled_diffusion_xyz"
PREFIX = "[Tiled Diffusion] "


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


AXES: dict[str, tuple[str, Callable[[str], Any], tuple[str, ...] | None]] = {
    "Method": ("method", str, tuple(METHODS)),
    "Tile width (px)": ("tile_width_lp", _pixels, None),
    "Tile height (px)": ("tile_height_lp", _pixels, None),
    "Overlap (px)": ("overlap_lp", lambda text: _whole(text) // 8, None),
    "Tiles at once": ("tile_batch", _whole, None),
    "Left meets right": ("wrap_x", _switch, ("true", "false")),
    "Top meets bottom": ("wrap_y", _switch, ("true", "false")),
}
"""Label: (field of the settings, how its text is read, its choices)."""


def register() -> None:
    """Adds the axes to the plot script, if it is there and does not have them yet."""
    module = host.xyz_module()
    if module is None or any(o.label.startswith(PREFIX) for o in module.axis_options):
        return
    for label, (field, read, choices) in AXES.items():
        options = {} if choices is None else {"choices": lambda choices=choices: list(choices)}
        module.axis_options.append(module.AxisOption(PREFIX + label, str, _setter(field, read), **options))


def _setter(field: str, read: Callable[[str], Any]) -> Callable[[Any, str, Any], None]:
    def apply(p: Any, value: str, _values: Any) -> None:
        p.__dict__[VALUES] = {**p.__dict__.get(VALUES, {}), field: (read, value)}

    return apply


def applied(p: Any, job: PanelJob) -> PanelJob:
    """The job with the values of the present cell of the plot."""
    values = p.__dict__.get(VALUES)
    if not values:
        return job
    own = {field: read(text) for field, (read, text) in values.items()}
    return panel_job_from_dict({**job.to_dict(), **own})
