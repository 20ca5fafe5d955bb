"""The record in a picture's generation parameters, and reading it back into the panel."""

from __future__ import annotations

from typing import Any

import gradio as gr

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.panel import to_controls
from tiled_diffusion.settings.vae import VaePanelSettings, vae_settings_from
from tiled_diffusion.ui.vae_panel import Panel

from .tiling import TITLE


def write(p: Any, job: VaePanelSettings) -> None:
    """Notes the settings."""
    p.extra_generation_params[TITLE] = job.to_json()


def read(params: dict[str, Any]) -> VaePanelSettings | None:
    """The settings in pasted parameters, or None where there are none that can be used."""
    text = params.get(TITLE)
    if not isinstance(text, str):
        return None
    try:
        return vae_settings_from(text)
    except SettingsError:
        return None


def fields(panel: Panel) -> list[tuple[Any, Any]]:
    """What a paste does to each component: the record's values; without a record the panel is switched off."""

    def control(name: str) -> Any:
        def value(params: dict[str, Any]) -> Any:
            job = read(params)
            return gr.update() if job is None else gr.update(value=to_controls(job)[name])

        return value

    switch = (panel.enabled, lambda params: gr.update(value=read(params) is not None))
    return [switch, *((component, control(name)) for name, component in panel.controls.items())]
