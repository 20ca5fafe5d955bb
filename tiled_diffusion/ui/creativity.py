"""Faithful ... creative on a panel: sets the controls that decide it together, which can be changed afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from tiled_diffusion.settings.creativity import QUICK, QUICK_STEPS, QUICK_TILES, STYLES, rung
from tiled_diffusion.settings.panel import PanelSettings, control_rows

LABELS = {"faithful": "Faithful", "balanced": "Balanced", "creative": "Creative", QUICK: "Quick"}
SET = ("keep_picture", "inversion_freedom")
TILES = tuple(QUICK_TILES)
"""The panel's controls that are set, and those that *Quick* sets too; denoising strength and steps are the page's."""
UNSEEN: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
"""How an event runs of which nobody shall see that it does."""


def creativity_row(name: Callable[[str], str]) -> tuple[Any, Any, Any]:
    """Makes the row within the present gradio block: styles, the number, and what carries fields of the page.

    Args:
        name: from a key to an element's id.
    """
    with gr.Row():
        styles = gr.Radio(
            list(LABELS.values()), value=None, label="Style", elem_id=name("style"),
            info="Sets the denoising strength, Keep the picture and tiles; change them afterwards as you like.",
        )  # fmt: skip
        number = gr.Slider(
            0, 1, STYLES["balanced"], step=0.05, label="Faithful … creative", elem_id=name("creativity"),
            info="The same in one number: how far the result may leave the picture.",
        )  # fmt: skip
    around = gr.Textbox("", label="Fields of the page", elem_id=name("around"), elem_classes=["td-hidden"])
    for component in (styles, number, around):
        component.do_not_save_to_config = True
    return styles, number, around


def connect_creativity(row: tuple[Any, Any, Any], tab: str, controls: dict[str, Any], js: str) -> None:
    """Lets the row set a panel's controls, and fields of the page around it.

    Args:
        row: of `creativity_row`.
        tab: of the page.
        controls: the panel's, by name of their setting.
        js: name of the argument of an event that runs JavaScript.
    """
    styles, number, around = row
    before, tiles = gr.State(None), [controls[key] for key in TILES]
    outputs = [around, before, *(controls[key] for key in SET), *tiles]
    fill: dict[str, Any] = {js: "(text) => { tiledDiffusion.gradio.fill(text); }"}

    def styled(label: str, known: Any, *now: Any) -> list[Any]:
        style = _name(label)
        return [STYLES[style], *_values(tab, STYLES[style], known, list(now), quick=style == QUICK)]

    def numbered(value: float, known: Any, *now: Any) -> list[Any]:
        return [None, *_values(tab, value, known, list(now))]

    chosen = styles.input(styled, inputs=[styles, before, *tiles], outputs=[number, *outputs], **UNSEEN)
    moved = number.release(numbered, inputs=[number, before, *tiles], outputs=[styles, *outputs], **UNSEEN)
    for event in (chosen, moved):
        event.then(None, [around], None, **fill)


def _name(label: str) -> str:
    return next(key for key, known in LABELS.items() if known == label)


def _values(tab: str, creativity: float, before: list[Any] | None, now: list[Any], *, quick: bool = False) -> list[Any]:
    """What components show: fields of the page as JSON, the tiles before *Quick*, and the panel's controls.

    Args:
        tab: of the page.
        creativity: 0 to 1.
        before: the tiles as they were before *Quick* set them; None where it has not.
        now: the tiles that the panel shows.
        quick: whether that style is chosen.
    """
    to = rung(creativity)
    around = {f"{tab}_denoising_strength": to.denoising_strength, f"{tab}_steps": QUICK_STEPS if quick else None}
    own = _shown(QUICK_TILES)
    kept = before if now == own else None
    tiles, after = (own, kept or now) if quick else (kept or [gr.update()] * len(TILES), None)
    return [json.dumps(around), after, *_shown(dict(zip(SET, (True, to.freedom), strict=True))), *tiles]


def _shown(values: dict[str, Any]) -> list[Any]:
    """What the components of settings show."""
    rows = {row.name: row for row in control_rows(PanelSettings)}
    return [rows[name].to_page(value) for name, value in values.items()]
