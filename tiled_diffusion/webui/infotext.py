"""The record in a picture's generation parameters, and reading it back into the panel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.panel import PanelSettings, panel_settings_from_json, region_document, to_controls
from tiled_diffusion.ui.panel import Panel

KEY = "Tiled Diffusion"


def write(p: Any, jobs: Sequence[PanelSettings]) -> None:
    """Notes the settings of each picture; the size and the enlargement are in the picture's own size already."""
    texts = [_text(job) for job in jobs]
    p.extra_generation_params[KEY] = texts[0] if len(set(texts)) == 1 else texts


def _text(job: PanelSettings) -> str:
    data = job.to_dict()
    for name in ("width", "height"):
        data.pop(name, None)
    return _compact(data)


def read(params: dict[str, Any]) -> PanelSettings | None:
    """The settings in pasted parameters, or None where there are none that can be used."""
    text = params.get(KEY)
    if not isinstance(text, str):
        return None
    try:
        return panel_settings_from_json(text)
    except TiledError:
        return None


def fields(panel: Panel) -> list[tuple[Any, Any]]:
    """What a paste does to each component: the record's values; without a record the panel is switched off."""

    def switched(params: dict[str, Any]) -> Any:
        return gr.update(value=read(params) is not None)

    def carried(params: dict[str, Any]) -> Any:
        job = read(params)
        return gr.update() if job is None else gr.update(value=_compact(region_document(job)))

    def control(name: str) -> Any:
        def value(params: dict[str, Any]) -> Any:
            job = read(params)
            return gr.update() if job is None else gr.update(value=to_controls(job)[name])

        return value

    return [
        (panel.enabled, switched),
        (panel.json_box, carried),
        *((component, control(name)) for name, component in panel.controls.items()),
    ]


def _compact(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
