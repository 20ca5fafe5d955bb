"""The panel: gradio controls for every setting, and the carrier of the region editor's JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from tiled_diffusion.settings.panel import NO_UPSCALER, PanelSettings

from .controls import controls_of

GRADIO_3 = int(gr.__version__.split(".", maxsplit=1)[0]) < 4
JS = "_js" if GRADIO_3 else "js"
"""Name of the argument of an event that runs JavaScript."""
LINES = ("method", "tile", "seamless")
MORE_LINES = {"txt2img": ("size",), "img2img": ("upscale", "print", "keep")}
KEEP_LINES = ("inversion", "inversion_more")
KEEPS = ("txt2img", "img2img")
"""Tabs in which a picture may be what the sampling begins with."""
ADVANCED_LINES = {"txt2img": ("hires",)}
ELASTIC, ELASTIC_LINES = "ElasticDiffusion", ("elastic", "elastic more", "elastic small")
"""The lines of controls from top to bottom: in every tab, in some of them, among what is
unfolded, and of one method alone."""


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


def build_panel(tab: str, host: PanelHost) -> Panel:
    """Makes the panel of a tab within the present gradio block."""

    def name(key: str) -> str:
        return f"td_{tab}_{key}"

    with host.accordion("Tiled Diffusion", name("enabled")) as enabled:
        gr.HTML(f'<div class="td-status" id="{name("status")}" data-tab="{tab}" role="status"></div>')
        begin, choices = {"method": host.method}, {"upscaler": host.upscalers}
        controls = controls_of(PanelSettings, [*LINES, *MORE_LINES.get(tab, ())], name, begin, choices)
        with gr.Accordion("Regions", open=False, elem_id=name("regions_accordion")):
            controlnet = str(host.controlnet).lower()
            gr.HTML(f'<div class="td-editor" data-tab="{tab}" data-controlnet="{controlnet}"></div>')
        if tab in KEEPS:
            with gr.Accordion("Keep the picture", open=False, elem_id=name("keep")):
                controls.update(controls_of(PanelSettings, KEEP_LINES, name))
        with gr.Accordion("Advanced tiling", open=False, elem_id=name("advanced")):
            controls.update(controls_of(PanelSettings, [*ADVANCED_LINES.get(tab, ()), "advanced"], name))
        controls.update(_elastic_controls(controls["method"], host.method, name))
        with gr.Accordion("Prompt of each tile", open=False, elem_id=name("prompts")):
            controls.update(controls_of(PanelSettings, ["prompts", "tile texts"], name))
        json_box = gr.Textbox(
            value="", label=f"Region data ({tab})", elem_id=name("regions"), elem_classes=["td-hidden"], lines=1
        )
        json_box.do_not_save_to_config = True
        json_box.change(None, [json_box], None, **{JS: f"(text) => {{ tiledDiffusion.load?.('{tab}', text); }}"})
    return Panel(tab, enabled, json_box, controls)


def _elastic_controls(method: Any, begin: str, name: Callable[[str], str]) -> dict[str, Any]:
    """What ElasticDiffusion alone has, out of sight while another method is chosen."""
    with gr.Accordion(ELASTIC, open=True, visible=begin == "elastic", elem_id=name("elastic")) as fold:
        controls = controls_of(PanelSettings, ELASTIC_LINES, name)
    method.change(
        lambda label: gr.update(visible=label == ELASTIC),
        inputs=[method], outputs=[fold], queue=False, show_progress="hidden",
    )  # fmt: skip
    return controls
