"""Region prompts in the WebUI: joined to the main one, encoded once a pass, looked up at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tiled_diffusion.engine.composition import joined, parts
from tiled_diffusion.settings.values import Region

from .conditioning import is_told_guidance, repeated, tokens, with_guidance
from .hosts import host
from .hosts.port import NetworkSwitch
from .region_texts import RegionTexts, Text

NETWORK = "lora"
"""Kind of the networks that can act in a region alone."""


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
        networks: tags of the LoRAs that act in it beside the main prompt's.
        told: the scale that a model is told that is distilled from guidance, or None for the main one.
    """

    parts: tuple[tuple[Part, ...], ...]
    negative: tuple[Part, ...]
    scale: float | None
    networks: tuple[Any, ...] = ()
    told: float | None = None

    @property
    def networks_key(self) -> str:
        """Equal where the same networks act equally."""
        return " ".join(":".join(tag.items) for tag in self.networks)

    @property
    def plain(self) -> bool:
        """Whether its rows simply take the place of the host's: one part of weight 1, the main CFG scale."""
        return self.scale is None and all(len(p) == 1 and p[0].weight == 1 for p in self.parts)

    def texts(self, image: int, step: int) -> tuple[list[Any], Any]:
        """(texts of the parts, text of the negative prompt) of a picture at a step, as long as the host makes them."""
        parts = [with_guidance(part.at(step), self.told) for part in self.parts[image]]
        longest = max(tokens(text) for text in parts)
        parts = [repeated(text, longest) for text in parts]
        return host.texts.padded(parts, with_guidance(self.negative[image].at(step), self.told))


@dataclass(frozen=True)
class MainPrompts:
    """The encoded prompts of the whole picture, for what does not take the host's own rows.

    Attributes:
        own: of each picture of the batch.
        local: what the settings want of every part of the canvas, or None.
    """

    own: RegionPrompts
    local: Part | None


def encode_main(p: Any, local: str | None, size: tuple[int, int]) -> MainPrompts:
    """Encodes a job's own prompts again.

    Args:
        p: the host's job; in a hires pass its hires prompts count.
        local: words for every part of the canvas.
        size: width and height of the canvas in image pixels, for SDXL.
    """
    main, against = _main_texts(p)
    good = _encoded(p, main, size, negative=False)
    bad = _encoded(p, [*against, *([] if local is None else [local])], size, negative=True)
    host.texts.note_what_was_encoded(p)
    own = RegionPrompts(tuple(good[t] for t in main), tuple(bad[t][0] for t in against), None)
    return MainPrompts(own, None if local is None else bad[local][0])


def _main_texts(p: Any) -> tuple[list[str], list[str]]:
    """Prompts and negative prompts of the pass."""
    hires = bool(getattr(p, "is_hr_pass", False))
    return list(p.hr_prompts if hires else p.prompts), list(p.hr_negative_prompts if hires else p.negative_prompts)


def encode_regions(
    p: Any, texts: RegionTexts, size: tuple[int, int], networks: NetworkSwitch | None = None
) -> dict[int, RegionPrompts]:
    """Encodes the prompts of all enabled regions.

    Args:
        p: the host's job; in a hires pass its hires prompts count.
        texts: the regions' own prompts.
        size: width and height of the canvas in image pixels, for SDXL.
        networks: which LoRAs act; None where all do everywhere.

    Returns:
        By the job's prompt number, from 1.
    """
    main, against = _main_texts(p)
    own_texts = [texts.of(p.iteration * p.batch_size + i) for i in range(len(main))]
    enabled = {k: r for k, r in enumerate(texts.settings.regions, start=1) if r.enabled}
    positive = {
        k: [_as_and(_joined(m, own.get(k), r)) for m, (own, _) in zip(main, own_texts, strict=True)]
        for k, r in enabled.items()
    }
    negative = {
        k: [_joined(m, own.get(k), r) for m, (_, own) in zip(against, own_texts, strict=True)]
        for k, r in enabled.items()
    }
    scales = {k: r.cfg_scale for k, r in enabled.items()}
    if networks is None:
        return _prompts(p, positive, negative, scales, size)
    encoded: dict[int, RegionPrompts] = {}
    for k in enabled:
        own = networks_of_region(texts, k, p.iteration * p.batch_size)
        with networks.only(own):
            encoded |= _prompts(p, {k: positive[k]}, {k: negative[k]}, scales, size)
        encoded[k] = replace(encoded[k], networks=own)
    return encoded


def encode_texts(p: Any, texts: Mapping[int, Sequence[str]], size: tuple[int, int]) -> dict[int, RegionPrompts]:
    """Encodes texts that take the main prompt's place, beside the main negative prompt.

    Args:
        p: the host's job.
        texts: of each picture of the batch, by the job's prompt number.
        size: width and height of the canvas in image pixels, for SDXL.
    """
    hires = bool(getattr(p, "is_hr_pass", False))
    against = list(p.hr_negative_prompts if hires else p.negative_prompts)
    positive = {k: [_as_and(text) for text in every] for k, every in texts.items()}
    return _prompts(p, positive, dict.fromkeys(texts, against), {}, size)


def _prompts(
    p: Any,
    positive: Mapping[int, Sequence[str]],
    negative: Mapping[int, Sequence[str]],
    scales: Mapping[int, float | None],
    size: tuple[int, int],
) -> dict[int, RegionPrompts]:
    good = _encoded(p, [t for every in positive.values() for t in every], size, negative=False)
    bad = _encoded(p, [t for every in negative.values() for t in every], size, negative=True)
    host.texts.note_what_was_encoded(p)
    return {
        k: _scaled(tuple(good[t] for t in texts), tuple(bad[t][0] for t in negative[k]), scales.get(k))
        for k, texts in positive.items()
    }


def _scaled(parts: tuple[tuple[Part, ...], ...], negative: tuple[Part, ...], scale: float | None) -> RegionPrompts:
    """With a CFG scale, which models that are distilled from guidance are told."""
    if is_told_guidance(negative[0].at(0)):
        return RegionPrompts(parts, negative, None, told=scale)
    return RegionPrompts(parts, negative, scale)


def _joined(main: str, own: Text | None, region: Region) -> str:
    """What is encoded: the region's text without <lora:...>, joined to the main prompt; or that alone."""
    return main if own is None else joined(main, host.texts.extra_networks_of(own.full)[0], region.join)


def _as_and(text: str) -> str:
    """Ensembles in the WebUI's own terms: AND with weights."""
    if "ENSEMBLE" not in text:
        return text
    return " AND ".join(f"{part.text} :{part.weight:.6f}" for part in parts(text))


def _encoded(p: Any, texts: list[str], size: tuple[int, int], *, negative: bool) -> dict[str, tuple[Part, ...]]:
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    encoded = host.texts.encode(p, distinct, size, negative)
    return {
        text: tuple(Part(schedules, weight) for schedules, weight in every)
        for text, every in zip(distinct, encoded, strict=True)
    }


def networks_of_region(texts: RegionTexts, number: int, image: int) -> tuple[Any, ...]:
    """The <lora:...> in a region's prompt of a picture."""
    text = texts.of(image)[0].get(number)
    return () if text is None else tuple(host.texts.extra_networks_of(text.full)[1].get(NETWORK, ()))


def has_networks(texts: RegionTexts) -> bool:
    """Whether a region's prompt has one."""
    return any(networks_of_region(texts, number, 0) for number in texts.of(0)[0])


def names_of(tags: Mapping[str, Sequence[Any]]) -> set[str]:
    """The LoRAs among networks by kind."""
    return {tag.items[0] for tag in tags.get(NETWORK, ())}


def networks_of_regions(texts: RegionTexts, main: str, image: int) -> dict[str, list[Any]]:
    """All <lora:...> and other extra networks in the regions' prompts of a picture, each once, by kind.

    Those that stand in the main prompt too are left out: they are loaded already, at the main prompt's strength.
    """
    known = {(kind, tag.items[0]) for kind, tags in host.texts.extra_networks_of(main)[1].items() for tag in tags}
    out: dict[str, list[Any]] = {}
    for text in texts.of(image)[0].values():
        for kind, tags in host.texts.extra_networks_of(text.full)[1].items():
            for tag in tags:
                if (kind, tag.items[0]) not in known:
                    known.add((kind, tag.items[0]))
                    out.setdefault(kind, []).append(tag)
    return out
