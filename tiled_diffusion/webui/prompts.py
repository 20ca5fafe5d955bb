"""Region prompts in the WebUI: joined to the main one, encoded once a pass, looked up at every step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiled_diffusion.composition import joined, parts
from tiled_diffusion.settings import Region, Settings

from . import host
from .conditioning import repeated, tokens

_COMMENT = re.compile(r"(^|\s)#.*?(?=\n|$)")


@dataclass(frozen=True)
class Part:
    """One encoded prompt of a composition.

    Attributes:
        schedules: objects with `end_at_step` and `cond`, in order.
        weight: v in u + s * sum_j v_j (c_j - u).
    """

    schedules: Sequence[Any]
    weight: float

    def at(self, step: int) -> Any:
        """What holds at a step: a tensor [tokens, channels], or for SDXL a dict with "crossattn" and "vector"."""
        for entry in self.schedules:
            if step <= entry.end_at_step:
                return entry.cond
        return self.schedules[0].cond


@dataclass(frozen=True)
class RegionPrompts:
    """A region's encoded prompts.

    Attributes:
        parts: for each picture of the batch.
        negative: for each picture of the batch.
        scale: its CFG scale, or None for the main one.
    """

    parts: tuple[tuple[Part, ...], ...]
    negative: tuple[Part, ...]
    scale: float | None

    @property
    def plain(self) -> bool:
        """Whether its rows simply take the place of the host's: one part of weight 1, the main CFG scale."""
        return self.scale is None and all(len(p) == 1 and p[0].weight == 1 for p in self.parts)

    def texts(self, image: int, step: int) -> tuple[list[Any], Any]:
        """(texts of the parts, text of the negative prompt) of a picture at a step, as long as the host makes them."""
        parts = [part.at(step) for part in self.parts[image]]
        longest = max(tokens(text) for text in parts)
        parts = [repeated(text, longest) for text in parts]
        return host.padded(parts, self.negative[image].at(step))


def encode_regions(p: Any, settings: Settings, size: tuple[int, int]) -> dict[int, RegionPrompts]:
    """Encodes the prompts of all enabled regions.

    Args:
        p: the host's job; in a hires pass its hires prompts count.
        settings: the regions.
        size: width and height of the canvas in image pixels, for SDXL.

    Returns:
        By the job's prompt number, from 1.
    """
    hires = bool(getattr(p, "is_hr_pass", False))
    main = list(p.hr_prompts if hires else p.prompts)
    against = list(p.hr_negative_prompts if hires else p.negative_prompts)
    enabled = {k: r for k, r in enumerate(settings.regions, start=1) if r.enabled}
    positive = {k: [_text(p, m, r.prompt, r, negative=False) for m in main] for k, r in enabled.items()}
    negative = {k: [_negative(p, m, r) for m in against] for k, r in enabled.items()}
    good = _encoded(p, [t for texts in positive.values() for t in texts], size, negative=False)
    bad = _encoded(p, [t for texts in negative.values() for t in texts], size, negative=True)
    return {
        k: RegionPrompts(
            tuple(good[t] for t in positive[k]), tuple(bad[t][0] for t in negative[k]), enabled[k].cfg_scale
        )
        for k in enabled
    }


def _negative(p: Any, main: str, region: Region) -> str:
    return main if region.negative_prompt is None else _text(p, main, region.negative_prompt, region, negative=True)


def _text(p: Any, main: str, own: str, region: Region, *, negative: bool) -> str:
    """What is encoded: comments and <lora:...> cut, styles applied to what the main prompt does not bring."""
    if host.option("enable_prompt_comments", True):
        own = _COMMENT.sub("", own)
    own, _ = host.extra_networks_of(own)
    if region.join == "replace":
        own, _ = host.extra_networks_of(host.styled(own, p.styles, negative))
    text = joined(main, own, region.join)
    return text if negative else _as_and(text)


def _as_and(text: str) -> str:
    """Ensembles in the WebUI's own terms: AND with weights."""
    if "ENSEMBLE" not in text:
        return text
    return " AND ".join(f"{part.text} :{part.weight:.6f}" for part in parts(text))


def _encoded(p: Any, texts: list[str], size: tuple[int, int], *, negative: bool) -> dict[str, tuple[Part, ...]]:
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    found = host.encode(p, distinct, size, negative)
    return {
        text: tuple(Part(schedules, weight) for schedules, weight in every)
        for text, every in zip(distinct, found, strict=True)
    }


def networks_of_regions(settings: Settings) -> dict[str, list[Any]]:
    """All <lora:...> and other extra networks that stand in prompts of enabled regions, by kind."""
    out: dict[str, list[Any]] = {}
    for region in settings.regions:
        if region.enabled:
            for kind, tags in host.extra_networks_of(region.prompt)[1].items():
                out.setdefault(kind, []).extend(tags)
    return out
