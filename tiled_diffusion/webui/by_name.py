"""The script of the API's unique name: it has arguments, and does nothing by itself."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .arguments import SHORT, UNIQUE
from .hosts import Script, host


class UniqueNameScript(Script):  # type: ignore[misc]
    """Carries settings to the two scripts whose names another extension may have as well."""

    create_group = False

    def title(self) -> str:
        """The name, also in the API."""
        return UNIQUE

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 in both tabs
        """Always there."""
        return host.page.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:  # noqa: ARG002 in both tabs
        """Two carriers that nobody sees; their labels stand in the API's list of scripts."""
        carriers = [gr.Textbox("", label=f"Settings of {title}", visible=False) for title in SHORT]
        for carrier in carriers:
            carrier.do_not_save_to_config = True
        return carriers
