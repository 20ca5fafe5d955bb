"""AUTOMATIC1111: prompts, styles, and what the text encoder makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from modules import devices, extra_networks, prompt_parser, sd_samplers, shared
from modules.sd_hijack import model_hijack

from tiled_diffusion.webui.conditioning import repeated, tokens, with_empty
from tiled_diffusion.webui.hosts.values import TokenCount

from .jobs import is_hires
from .networks import keeps_networks_apart as keeps_networks_apart
from .networks import network_switch as network_switch
from .page import option

TYPICAL_STEPS = 20
_COMMENT = re.compile(r"#[^\n]*(\n|$)")


def styled(text: str, styles: list[str], negative: bool) -> str:
    """From the user's book of styles."""
    book = shared.prompt_styles
    apply = book.apply_negative_styles_to_prompt if negative else book.apply_styles_to_prompt
    return str(apply(text, styles))


def style_names() -> list[str]:
    """Of the user's book of styles, without the lines between its files, which have no prompt."""
    return [name for name, style in shared.prompt_styles.styles.items() if style.prompt is not None]


def without_comments(text: str) -> str:
    """From # to the end of the line, where the settings say so."""
    return _COMMENT.sub("\n", text) if option("enable_prompt_comments", True) else text


def extra_networks_of(text: str) -> tuple[str, dict[str, list[Any]]]:
    """By the host's own parser."""
    plain, tags = extra_networks.parse_prompt(text)
    return plain, dict(tags)


def prompt_length(text: str) -> TokenCount:
    """Counted as the page does beside its prompts."""
    return longest_length(text, model_hijack.get_prompt_lengths)


def longest_length(text: str, length_of: Callable[[str], TokenCount]) -> TokenCount:
    """Of everything that a prompt becomes in its course, the longest."""
    words, _ = extra_networks.parse_prompt(text)
    _, parts, _ = prompt_parser.get_multicond_prompt_list([words])
    schedules = prompt_parser.get_learned_conditioning_prompt_schedules(parts, TYPICAL_STEPS)
    lengths = [length_of(part) for schedule in schedules for _, part in schedule]
    count, fits = max(lengths, key=lambda length: length[0])
    return count, fits


def encode(
    p: Any, prompts: list[str], size: tuple[int, int], negative: bool, **told: float
) -> list[list[tuple[list[Any], float]]]:
    """By the model in use, which is told more in some WebUIs; negative prompts know no AND."""
    steps, hires_steps = steps_of(p)
    texts = prompt_parser.SdConditioning(prompts, is_negative_prompt=negative, width=size[0], height=size[1], **told)
    old = option("use_old_scheduling", False)
    with devices.autocast():
        if negative:
            every = prompt_parser.get_learned_conditioning(shared.sd_model, texts, steps, hires_steps, old)
            return [[(schedules, 1.0)] for schedules in every]
        both = prompt_parser.get_multicond_learned_conditioning(shared.sd_model, texts, steps, hires_steps, old)
    return [[(part.schedules, part.weight) for part in parts] for parts in both.batch]


def steps_of(p: Any) -> tuple[int, int | None]:
    """(steps, hires steps) in denoiser calls, as prompt editing counts them; the latter None in the first pass."""
    first = _calls(p.sampler_name, p.steps)
    if not is_hires(p):
        return first, None
    return first, _calls(p.hr_sampler_name or p.sampler_name, p.hr_second_pass_steps or p.steps)


def _calls(sampler: str, steps: int) -> int:
    config = sd_samplers.find_sampler_config(sampler)
    return int(config.total_steps(steps)) if config else steps


def note_what_was_encoded(p: Any) -> None:
    """The host has merged these into the job before the regions' prompts are read."""
    p.extra_generation_params.update(model_hijack.extra_generation_params)
    for remark in model_hijack.comments:
        p.comment(remark)


def padded(parts: list[Any], negative: Any) -> tuple[list[Any], Any]:
    """By "pad prompt/negative prompt", in its present and its former way."""
    own, other = tokens(parts[0]), tokens(negative)
    if own == other:
        return parts, negative
    if option("pad_cond_uncond_v0", False):
        return parts, repeated(negative, own)
    if option("pad_cond_uncond", False):
        empty = shared.sd_model.cond_stage_model_empty_prompt[0]
        return [with_empty(t, empty, other) for t in parts], with_empty(negative, empty, own)
    return parts, negative
