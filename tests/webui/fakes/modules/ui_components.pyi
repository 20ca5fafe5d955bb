"""Components of the page."""

import gradio as gr

from gradio.events import Dependency

class InputAccordion(gr.Checkbox):
    """A tick box that is also an accordion."""

    def __init__(self, value, **kwargs):
        self.accordion = gr.Accordion(kwargs.get("label", ""), open=value)
        with self.accordion:
            super().__init__(value, **kwargs)

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, *exc):
        self.accordion.__exit__(*exc)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component