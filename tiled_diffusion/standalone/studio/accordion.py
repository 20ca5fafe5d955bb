"""The panel's accordion in the studio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr


@contextmanager
def always_on(label: str, elem_id: str) -> Iterator[Any]:
    """The panel is always on here: without regions and large sizes it draws in one piece."""
    with gr.Accordion("Tiling", open=False, elem_id=f"{elem_id}_fold"):
        gr.HTML(f'<span id="{elem_id}" title="{label}"></span>')
        yield gr.State(True)
