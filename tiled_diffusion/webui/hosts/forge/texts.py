"""Forge and reForge: prompts, styles, and what the text encoder makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from modules import shared
from modules.sd_hijack import model_hijack

from tiled_diffusion.webui.hosts.a1111 import texts as a1111
from tiled_diffusion.webui.hosts.a1111.jobs import is_hires
from tiled_diffusion.webui.hosts.a1111.texts import extra_networks_of as extra_networks_of
from tiled_diffusion.webui.hosts.a1111.texts import longest_length
from tiled_diffusion.webui.hosts.a1111.texts import style_names as style_names
from tiled_diffusion.webui.hosts.a1111.texts import styled as styled
from tiled_diffusion.webui.hosts.a1111.texts import without_comments as without_comments
from tiled_diffusion.webui.hosts.values import TokenCount

from .library import is_reforge, remarks_on_texts

LISTS = ("TI", "TI hashes")
"""Of a record: names with commas between them."""


def prompt_length(text: str) -> TokenCount:
    """Forge asks the model, reForge the text encoder of the model."""
    count = getattr(shared.sd_model, "get_prompt_lengths_on_ui", None)
    if count is not None:
        return longest_length(text, count)
    encoder = getattr(shared.sd_model, "cond_stage_model", None)
    if encoder is None:
        return "-", "-"
    return longest_length(text, lambda part: model_hijack.get_prompt_lengths(part, encoder))


def encode(p: Any, prompts: list[str], size: tuple[int, int], negative: bool) -> list[list[tuple[list[Any], float]]]:
    """With the guidance of the pass, which models that are told it have in their conditioning."""
    with _recorded(p):
        if is_reforge():
            return a1111.encode(p, prompts, size, negative)
        scale = p.hr_distilled_cfg if is_hires(p) else p.distilled_cfg_scale
        return a1111.encode(p, prompts, size, negative, distilled_cfg_scale=scale)


@contextmanager
def _recorded(p: Any) -> Iterator[None]:
    """What a record says of texts goes to this job alone.

    Forge takes what is left of it for the next prompt's, and reForge keeps it with the main prompt's conditioning.
    """
    owner, name = remarks_on_texts()
    before = getattr(owner, name)
    setattr(owner, name, {})
    try:
        yield
    finally:
        for key, value in getattr(owner, name).items():
            known = p.extra_generation_params.get(key)
            names = [*(known or "").split(", "), *str(value).split(", ")] if key in LISTS else []
            p.extra_generation_params[key] = ", ".join(dict.fromkeys(filter(None, names))) if names else value
        setattr(owner, name, before)


def note_what_was_encoded(p: Any) -> None:
    """The comments, which Forge keeps with the model; for the record it is noted as it is encoded."""
    source = model_hijack if hasattr(model_hijack, "comments") else shared.sd_model
    for remark in getattr(source, "comments", []):
        p.comment(remark)


def keeps_networks_apart() -> bool:
    """Both add LoRAs to a patcher's weights before a sampling begins."""
    return False


def network_switch(added: Sequence[str]) -> None:
    """There is none."""


def padded(parts: list[Any], negative: Any) -> tuple[list[Any], Any]:
    """Neither pads what the model is given, whatever the settings say."""
    return parts, negative
