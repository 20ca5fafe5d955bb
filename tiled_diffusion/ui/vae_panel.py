"""The panel: gradio controls for the tiled VAE."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, get_args

import gradio as gr

from tiled_diffusion.settings.vae import DEFAULT
from tiled_vae.settings import Mode, Offload

PLAN_HINT = "The plan for the picture's size stands here as soon as something is changed."


@dataclass
class Panel:
    """The components of the panel.

    Attributes:
        enabled: on or off.
        json_box: for the API: settings as JSON; what it says holds, the controls fill the rest.
        controls: by field of VaeJob.
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
        controls = {"mode": _mode(name), **_tiles(name)}
        with gr.Accordion("Advanced VAE", open=False, elem_id=name("advanced")):
            controls.update(_advanced(name))
        json_box = gr.Textbox(value="", label=f"VAE settings as JSON ({tab})", elem_id=name("json"), visible=False)
        json_box.do_not_save_to_config = True
    return Panel(enabled, json_box, plan, controls)


def _mode(name: Callable[[str], str]) -> Any:
    return gr.Radio(
        list(get_args(Mode)), value=DEFAULT.mode, label="VAE mode", elem_id=name("mode"),
        info="Exact equals untiled, fast estimates; auto takes the first of untiled, exact and fast that fits.",
    )  # fmt: skip


def _tiles(name: Callable[[str], str]) -> dict[str, Any]:
    with gr.Row():
        encoder = gr.Slider(
            0, 4096, DEFAULT.encoder_tile_px, step=64, label="Encoder tile (px)", elem_id=name("encoder_tile_px"),
            info="Side of a tile where a picture is read, in image pixels; 0 chooses by free memory.",
        )  # fmt: skip
        decoder = gr.Slider(
            0, 512, DEFAULT.decoder_tile_lp, step=8, label="Decoder tile (latent px)", elem_id=name("decoder_tile_lp"),
            info="Side of a tile where a picture is made, in units of 8 image pixels; 0 chooses by free memory.",
        )  # fmt: skip
    return {"encoder_tile_px": encoder, "decoder_tile_lp": decoder}


def _advanced(name: Callable[[str], str]) -> dict[str, Any]:
    offload = gr.Radio(
        list(get_args(Offload)), value=DEFAULT.offload, label="Activations wait", elem_id=name("offload"),
        info="In exact mode: on the device, in host memory, or nowhere (recompute: slowest, least memory).",
    )  # fmt: skip
    move = gr.Checkbox(
        DEFAULT.move_to_gpu, label="Move the VAE to the GPU", elem_id=name("move_to_gpu"),
        info="A VAE that lies in host memory is moved while it works; medvram and lowvram do so by themselves.",
    )  # fmt: skip
    return {"offload": offload, "move_to_gpu": move}
