"""The records in a picture's generation parameters, and reading them back into the panels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import gradio as gr

from tiled_diffusion import __version__
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.panel import PanelSettings, panel_settings_from_json, region_document, to_controls
from tiled_diffusion.settings.vae import VaePanelSettings, vae_settings_from
from tiled_diffusion.ui.panel import Panel
from tiled_diffusion.ui.vae_panel import Panel as VaePanel
from tiled_vae import TiledVaeError

from .hosts import host
from .hosts.port import Job

VERSION = "Tiled Diffusion version"
"""The field that says which version of this project drew a picture, whichever of its panels did."""
T = TypeVar("T")
Fields = list[tuple[Any, Callable[[dict[str, Any]], Any]]]


@dataclass(frozen=True)
class Record(Generic[T]):
    """One panel's field of a record.

    Attributes:
        key: its name.
        text_of: writes settings.
        parse: reads them, or raises TiledError or TiledVaeError.
    """

    key: str
    text_of: Callable[[T], str]
    parse: Callable[[str], T]

    def write(self, p: Job, settings: Sequence[T]) -> None:
        """Notes the settings of each picture of a job, and the version that read them."""
        host.jobs.write_records(p, VERSION, [__version__])
        host.jobs.write_records(p, self.key, [self.text_of(each) for each in settings])

    def drop(self, p: Job) -> None:
        """Takes out what a copy of a job has brought along."""
        host.jobs.drop_records(p, self.key)
        host.jobs.drop_records(p, VERSION)

    def read(self, params: dict[str, Any]) -> T | None:
        """The settings in pasted parameters, or None where there are none that can be used."""
        text = params.get(self.key)
        if not isinstance(text, str):
            return None
        try:
            return self.parse(text)
        except (TiledError, TiledVaeError):
            return None

    def fields(self, switch: Any, values: Sequence[tuple[Any, Callable[[T], Any]]]) -> Fields:
        """What a paste does to each component: the record's values; without a record the panel is switched off.

        Args:
            switch: the component that switches the panel on.
            values: the others, with what each shows of the settings.
        """

        def shown(value_of: Callable[[T], Any]) -> Callable[[dict[str, Any]], Any]:
            def update(params: dict[str, Any]) -> Any:
                settings = self.read(params)
                return gr.update() if settings is None else gr.update(value=value_of(settings))

            return update

        switched = (switch, lambda params: gr.update(value=self.read(params) is not None))
        return [switched, *((component, shown(value_of)) for component, value_of in values)]


def _diffusion_text(job: PanelSettings) -> str:
    """Without the size, which the picture has, and any record says."""
    return _compact({k: v for k, v in job.to_dict().items() if k not in ("width", "height")})


DIFFUSION: Record[PanelSettings] = Record("Tiled Diffusion", _diffusion_text, panel_settings_from_json)
VAE: Record[VaePanelSettings] = Record("Tiled VAE", VaePanelSettings.to_json, vae_settings_from)


def diffusion_fields(panel: Panel) -> Fields:
    """The region document goes to its carrier, the rest to the controls."""

    def control(name: str) -> Callable[[PanelSettings], Any]:
        return lambda job: to_controls(job)[name]

    controls = [(component, control(name)) for name, component in panel.controls.items()]
    return DIFFUSION.fields(panel.enabled, [(panel.json_box, lambda job: _compact(region_document(job))), *controls])


def vae_fields(panel: VaePanel) -> Fields:
    """To the controls."""

    def control(name: str) -> Callable[[VaePanelSettings], Any]:
        return lambda job: getattr(job, name)

    return VAE.fields(panel.enabled, [(component, control(name)) for name, component in panel.controls.items()])


def _compact(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
