"""Makes gradio components of the table of settings: one for each setting that has a widget."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from tiled_diffusion.settings.fields import Row
from tiled_diffusion.settings.kinds import Choices, Number, Whole
from tiled_diffusion.settings.panel import control_rows

GRADIO_3 = int(gr.__version__.split(".", maxsplit=1)[0]) < 4
JS = "_js" if GRADIO_3 else "js"
"""Name of the argument of an event that runs JavaScript."""
Name = Callable[[str], str]
"""From the name of a setting to the id of its element on the page."""


def controls_of(
    cls: type,
    lines: Sequence[str],
    name: Name,
    values: dict[str, Any] | None = None,
    choices: dict[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """The components of whole lines of a panel, within the present gradio block.

    Args:
        cls: of the settings.
        lines: the `row` of their widgets, in the order of the page; the components of one stand side by side.
        name: of their elements.
        values: settings to begin with that are not the default ones.
        choices: of dropdowns that the table does not know.

    Returns:
        Components by name of their setting.
    """
    made: dict[str, Any] = {}
    for line in lines:
        with gr.Row():
            for row in control_rows(cls):
                if row.entry.widget and row.entry.widget.row == line:
                    value = (values or {}).get(row.name, row.default)
                    make = _automatic if row.entry.widget.automatic else _component
                    made[row.name] = make(row, name(row.name), value, (choices or {}).get(row.name))
    return made


def slider_of(row: Row, step: float, **known: Any) -> Any:
    """A slider over all that a number may be, which begins with its default.

    Args:
        row: of the number.
        step: between two values.
        known: label and the like.
    """
    assert isinstance(row.kind, (Number, Whole))
    return gr.Slider(row.kind.low, row.kind.high, row.default, step=step, **known)


def _automatic(row: Row, elem_id: str, value: Any, choices: Sequence[str] | None) -> Any:
    """A component below a tick that stands for the number that means null.

    The style sheet takes it out of sight while the tick is on: what gradio itself hides tells nobody that it changed.
    """
    widget = row.entry.widget
    assert widget is not None
    null, begin = json.dumps(widget.null), json.dumps(widget.begin)
    with gr.Column(min_width=160, elem_classes=["td-auto"]):
        tick = gr.Checkbox(value is None, label=widget.automatic, elem_id=f"{elem_id}_automatic")
        tick.do_not_save_to_config = True
        with gr.Column(elem_classes=["td-own"]):
            component = _component(row, elem_id, value, choices)
    # Both run within the page: an answer of the server could come after, and undo, what was typed since.
    ticked = f"(on, number) => on ? {null} : number === {null} ? {begin} : number"
    tick.change(None, inputs=[tick, component], outputs=[component], **{JS: ticked})
    component.change(None, inputs=[component], outputs=[tick], **{JS: f"number => number === {null}"})
    return component


def _component(row: Row, elem_id: str, value: Any, choices: Sequence[str] | None) -> Any:
    # Choices are shown by their labels, as plain texts: neither gradio 3's dropdown nor the defaults that the WebUI
    # keeps of its pages can tell a label from a value.
    widget, kind, begin = row.entry.widget, row.kind, row.to_page(value)
    assert widget is not None
    known: dict[str, Any] = {"label": row.label, "elem_id": elem_id, "info": row.info}
    if isinstance(kind, Choices):
        option = kind.option(value)
        known["info"] = option.help if option and option.help else row.info
        labels = [option.label for option in kind.options]
        make = gr.Dropdown if widget.form == "dropdown" else gr.Radio
        component = make(labels, value=begin, **known)
        _follow(component, kind)
        return component
    if widget.form == "dropdown":
        return gr.Dropdown(list(dict.fromkeys([begin, *(choices or ())])), value=begin, **known)
    if widget.form == "tick":
        return gr.Checkbox(begin, **known)
    if widget.form == "number":
        return gr.Number(begin, precision=0, **known)
    if widget.form == "text":
        return gr.Textbox(begin, lines=1, max_lines=8, **known)
    low = getattr(kind, "low", None) if widget.low is None else widget.low
    high = getattr(kind, "high", None) if widget.high is None else widget.high
    return gr.Slider(low, high, begin, step=widget.step or 1, **known)


def _follow(component: Any, kind: Choices) -> None:
    """The line below a choice says what the chosen one does."""
    helps = {option.label: option.help for option in kind.options if option.help}
    if helps:
        component.change(
            lambda label: gr.update(info=helps.get(label, "")),
            inputs=[component], outputs=[component], queue=False, show_progress="hidden",
        )  # fmt: skip
