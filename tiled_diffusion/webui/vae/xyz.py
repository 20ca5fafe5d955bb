"""Axes of the X/Y/Z plot script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from tiled_diffusion.settings.vae import VaeJob, changed
from tiled_diffusion.webui.hosts import a1111_vae as host
from tiled_vae import TiledVaeError
from tiled_vae.settings import Mode

VALUES = "_tiled_vae_xyz"
PREFIX = "[Tiled VAE] "
OFF = "off"


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TiledVaeError(f"X/Y/Z plot: got {text!r}; it may be a whole number") from None


AXES: dict[str, tuple[str, Callable[[str], Any], tuple[str, ...] | None]] = {
    "Mode": ("mode", str, (OFF, *get_args(Mode))),
    "Encoder tile (px)": ("encoder_tile_px", _whole, None),
    "Decoder tile (latent px)": ("decoder_tile_lp", _whole, None),
}
"""Label: (field of VaeJob, how its text is read, its choices)."""


def register() -> None:
    """Adds the axes to the plot script, if it is there and does not have them yet."""
    module = host.xyz_module()
    if module is None or any(o.label.startswith(PREFIX) for o in module.axis_options):
        return
    for label, (field, _, choices) in AXES.items():
        options = {} if choices is None else {"choices": lambda choices=choices: list(choices)}
        module.axis_options.append(module.AxisOption(PREFIX + label, str, _setter(field), **options))


def _setter(field: str) -> Callable[[Any, str, Any], None]:
    def apply(p: Any, value: str, _values: Any) -> None:
        p.__dict__[VALUES] = {**p.__dict__.get(VALUES, {}), field: value}

    return apply


def is_on(values: Mapping[str, str], enabled: bool) -> bool:
    """A mode on an axis switches the script on, or off."""
    return values["mode"] != OFF if "mode" in values else enabled


def applied(values: Mapping[str, str], job: VaeJob) -> VaeJob:
    """The job with the values of the present cell of the plot."""
    readers = {field: read for field, read, _ in AXES.values()}
    return changed(job, {field: readers[field](text) for field, text in values.items()})
