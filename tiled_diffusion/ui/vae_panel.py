"""The panel: gradio controls for the tiled VAE."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from tiled_diffusion.settings.vae import VaePanelSettings

from .controls import controls_of

PLAN_HINT = "The plan for the picture's size stands here as soon as something is changed."


@dataclass
class Panel:
    """The components of the panel.

    Attributes:
        enabled: on or off.
        json_box: for the API: settings as JSON; what it says holds, the controls fill the rest.
        controls: by name of their setting.
        plan: a line that says what would be done.
    """

    enabled: Any
    json_box: Any
    plan: Any
    controls: dict[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> list[Any]:
        """Components in the order of a script's arguments."""
        return [self.enabled, self.json_box, *self.controls.values()]

    def describe_with(self, describe: Callable[..., str], sizes: list[Any]) -> None:
        """Keeps the line up to date.

        Args:
            describe: gets the values of the controls, then those of `sizes`; gives the line.
            sizes: components of the host that say how large the picture will be.
        """
        inputs = [*self.controls.values(), *sizes]
        for component in (self.enabled, *inputs):
            component.change(
                lambda *values: gr.update(value=describe(*values)),
                inputs=inputs, outputs=[self.plan], queue=False, show_progress="hidden",
            )  # fmt: skip


def build_panel(tab: str, accordion: Callable[[str, str], AbstractContextManager[Any]]) -> Panel:
    """Makes the panel of a tab within the present gradio block."""

    def name(key: str) -> str:
        return f"tvae_{tab}_{key}"

    with accordion("Tiled VAE", name("enabled")) as enabled:
        plan = gr.Markdown(PLAN_HINT, elem_id=name("plan"), elem_classes=["tvae-plan"])
        controls = controls_of(VaePanelSettings, ("mode", "tile"), name)
        with gr.Accordion("Advanced VAE", open=False, elem_id=name("advanced")):
            controls.update(controls_of(VaePanelSettings, ("advanced",), name))
        json_box = gr.Textbox(value="", label=f"VAE settings as JSON ({tab})", elem_id=name("json"), visible=False)
        json_box.do_not_save_to_config = True
    return Panel(enabled, json_box, plan, controls)
