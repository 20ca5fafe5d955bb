"""The line of the panel that says what would be done with a picture of the present size."""

from __future__ import annotations

from typing import Any

import tiled_vae
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.vae import vae_settings_from
from tiled_diffusion.ui.vae_panel import Panel
from tiled_diffusion.webui.hosts import host, require_known_host
from tiled_vae import TiledVaeError

SIZES = {
    "txt2img": ("width", "height", "hr-checkbox", "hr_scale", "hr_resize_x", "hr_resize_y"),
    "img2img": ("width", "height"),
}
NO_MODEL = "No model is loaded yet."


class PlanLine:
    """Connects the panel of a tab with the host's components that say how large the picture will be."""

    def __init__(self, tab: str) -> None:
        self.tab = tab
        self._wanted = [f"{tab}_{name}" for name in SIZES[tab]]
        self._sizes: dict[str, Any] = {}
        self._panel: Panel | None = None
        self._connected = False

    def show_on(self, panel: Panel) -> None:
        """The panel is there; the host builds further ones for itself, which nobody sees."""
        if self._panel is None:
            self._panel = panel
            self._connect()

    def found(self, elem_id: str, component: Any) -> None:
        """The host has made a component."""
        if elem_id in self._wanted and not self._connected:
            self._sizes[elem_id] = component
            self._connect()

    def _connect(self) -> None:
        if self._panel is None or self._connected or len(self._sizes) < len(self._wanted):
            return
        self._connected = True
        names = tuple(self._panel.controls)
        sizes = [self._sizes[name] for name in self._wanted]
        self._panel.describe_with(lambda *values: describe(self.tab, names, values), sizes)


def describe(tab: str, names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """The plan in one line.

    Args:
        tab: "txt2img" or "img2img".
        names: of the controls.
        values: of the controls, then of the components in SIZES.
    """
    vae = host.vae.loaded()
    if vae is None:
        return NO_MODEL
    size = final_size(*values[len(names) :])
    try:
        require_known_host()
        settings = vae_settings_from(None, dict(zip(names, values, strict=False))).settings()
        latent = (size[0] // host.sampling.LATENT_PX, size[1] // host.sampling.LATENT_PX)
        plans = [tiled_vae.plan(vae.decoder, latent, settings, dtype=host.vae.number_type())]
        if tab == "img2img":
            plans.append(tiled_vae.plan(vae.encoder, size, settings, dtype=host.vae.number_type()))
    except (TiledError, TiledVaeError) as e:
        return f"Tiled VAE: {e}"
    return " ".join(dict.fromkeys(f"{plan.describe()}." for plan in plans))


def final_size(
    width: int, height: int, hires: bool = False, scale: float = 1.0, to_width: int = 0, to_height: int = 0
) -> tuple[int, int]:
    """Height and width of the picture in image pixels, after hires fix if that is on; 0: not given."""
    if not hires:
        return int(height), int(width)
    if not to_width and not to_height:
        return int(height * scale), int(width * scale)
    wide = to_width or to_height * width / height
    high = to_height or to_width * height / width
    return int(high), int(wide)
