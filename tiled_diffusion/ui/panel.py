"""The panel: gradio controls for every setting, and the carrier of the region editor's JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from tiled_diffusion import __version__
from tiled_diffusion.settings.panel import NO_UPSCALER, PanelSettings, control_rows
from tiled_diffusion.settings.values import METHODS

from .controls import JS, controls_of
from .creativity import connect_creativity, creativity_row

LINES = ("method", "tile", "seamless")
MORE_LINES = {"txt2img": ("size",), "img2img": ("upscale", "print", "keep")}
KEEP_LINES = ("inversion", "inversion_more")
KEEPS = ("txt2img", "img2img")
"""Tabs in which a picture may be what the sampling begins with."""
GROWTH_LINES = ("grow", "growth", "growth more")
"""Of the picture that grows in stages: in txt2img alone."""
ADVANCED_LINES = {"txt2img": ("hires",)}
ELASTIC_LINES = ("elastic", "elastic more", "elastic small")
"""The lines of controls from top to bottom: in every tab, in some of them, among what is
unfolded, and of one method alone."""
ELASTIC = next(option.label for option in METHODS.options if option.value == "elastic")
RECOMMENDED_LINES = ("method", "tile", "hires", "advanced", "told", *ELASTIC_LINES)
"""What the button for recommended settings sets; the picture, its rings and its regions stay."""


@dataclass(frozen=True)
class PanelHost:
    """What a panel needs from where it is shown.

    Attributes:
        accordion: makes a context manager that yields the "enabled" component; gets the label and an element id.
        upscalers: names for the img2img upscaler, the first one meaning none.
        method: the default method.
        controlnet: whether regions can do without a ControlNet here.
    """

    accordion: Callable[[str, str], AbstractContextManager[Any]]
    upscalers: Sequence[str] = (NO_UPSCALER,)
    method: str = "mixture"
    controlnet: bool = True


@dataclass
class Panel:
    """The components of a panel.

    Attributes:
        tab: "txt2img", "img2img" or "studio".
        enabled: on or off.
        json_box: carries the region document; hidden by CSS, never by visible=False.
        controls: by name of their setting.
    """

    tab: str
    enabled: Any
    json_box: Any
    controls: dict[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> list[Any]:
        """Components in the order of a script's arguments."""
        return [self.enabled, self.json_box, *self.controls.values()]


def build_canvas(tab: str, *, controlnet: bool) -> Any:
    """Makes the region editor and the line of costs below it; returns the carrier of the regions."""
    _editor(tab, controlnet)
    _status(tab)
    return _carrier(tab)


def _editor(tab: str, controlnet: bool) -> None:
    gr.HTML(f'<div class="td-editor" data-tab="{tab}" data-controlnet="{str(controlnet).lower()}"></div>')


def _status(tab: str) -> None:
    gr.HTML(f'<div class="td-status" id="td_{tab}_status" data-tab="{tab}" role="status"></div>')


def _carrier(tab: str) -> Any:
    json_box = gr.Textbox(
        value="", label=f"Region data ({tab})", elem_id=f"td_{tab}_regions", elem_classes=["td-hidden"], lines=1
    )
    json_box.do_not_save_to_config = True
    json_box.change(None, [json_box], None, **{JS: f"(text) => {{ tiledDiffusion.load?.('{tab}', text); }}"})
    return json_box


def build_panel(tab: str, host: PanelHost, json_box: Any = None) -> Panel:
    """Makes the panel of a tab within the present gradio block.

    Args:
        tab: "txt2img", "img2img" or "studio".
        host: where it is shown.
        json_box: what `build_canvas` gave, where the editor stands elsewhere on the page.
    """
    apart = json_box is not None

    def name(key: str) -> str:
        return f"td_{tab}_{key}"

    with host.accordion("Tiled Diffusion", name("enabled")) as enabled:
        with gr.Row(elem_classes=["td-head"]):
            if not apart:
                _status(tab)
            recommend = gr.Button("Recommended for this size", size="sm", min_width=120, elem_id=name("recommended"))
        begin, choices = {"method": host.method}, {"upscaler": host.upscalers}
        controls = controls_of(PanelSettings, [*LINES, *MORE_LINES.get(tab, ())], name, begin, choices)
        row = creativity_row(name) if tab == "img2img" else None
        if not apart:
            with gr.Accordion("Regions", open=False, elem_id=name("regions_accordion")):
                _editor(tab, host.controlnet)
        if tab in KEEPS:
            with gr.Accordion("Keep the picture", open=False, elem_id=name("keep")):
                controls.update(controls_of(PanelSettings, KEEP_LINES, name))
        if tab == "txt2img":
            with gr.Accordion("Grow in stages", open=False, elem_id=name("growth")):
                controls.update(controls_of(PanelSettings, GROWTH_LINES, name))
        with gr.Accordion("Advanced tiling", open=False, elem_id=name("advanced")):
            controls.update(controls_of(PanelSettings, [*ADVANCED_LINES.get(tab, ()), "advanced", "told"], name))
            gr.HTML(f'<p class="td-version">Tiled Diffusion &amp; VAE {__version__}</p>')
        controls.update(_elastic_controls(controls["method"], host.method, name))
        with gr.Accordion("Prompt of each tile", open=False, elem_id=name("prompts")):
            controls.update(controls_of(PanelSettings, ["prompts", "tile texts"], name))
        if not apart:
            json_box = _carrier(tab)
        if row is not None:
            connect_creativity(row, tab, controls, JS)
        _recommend(recommend, controls, host.method)
    return Panel(tab, enabled, json_box, controls)


def _recommend(button: Any, controls: dict[str, Any], method: str) -> None:
    """Lets a button set what the project recommends: tiles, overlap and batch that follow the picture's size."""
    rows = {r.name: r for r in control_rows(PanelSettings)}
    lines = {name: row.entry.widget.row for name, row in rows.items() if row.entry.widget}
    asked = {name: component for name, component in controls.items() if lines[name] in RECOMMENDED_LINES}
    values = {name: rows[name].default for name in asked} | {"method": method, "tile_batch": None}
    shown = [rows[name].to_page(values[name]) for name in asked]
    button.click(lambda: shown, inputs=[], outputs=[*asked.values()], queue=False, show_progress="hidden")


def _elastic_controls(method: Any, begin: str, name: Callable[[str], str]) -> dict[str, Any]:
    """What ElasticDiffusion alone has, out of sight while another method is chosen."""
    with gr.Accordion(ELASTIC, open=True, visible=begin == "elastic", elem_id=name("elastic")) as fold:
        controls = controls_of(PanelSettings, ELASTIC_LINES, name)
    method.change(
        lambda label: gr.update(visible=label == ELASTIC),
        inputs=[method], outputs=[fold], queue=False, show_progress="hidden",
    )  # fmt: skip
    return controls
