"""The regions' own prompts, on their way through what other extensions do to the main prompt.

Wildcards, dynamic prompts and the like rewrite a job's list of prompts, picture by picture. So the regions' prompts
travel in that list, behind the main prompt and between words that nobody writes, and are taken out of it again before
anything is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tiled_diffusion.settings.values import Region, Settings

from .hosts import host
from .hosts.port import Job

NEXT, OWN = "TiledRegion", "TiledOwn"
_NEXT = re.compile(rf"[\n ]?\b{NEXT}(\d+)\b[\n ]?", re.IGNORECASE)
_OWN = re.compile(rf"{OWN}[\n ]?(.*?)[\n ]?{OWN}", re.IGNORECASE | re.DOTALL)
"""What the user wrote, between two words and the one character that parts each from it; what is around is a style's."""


@dataclass(frozen=True)
class Text:
    """A region's prompt for one picture.

    Attributes:
        own: as the user could have written it.
        full: with the styles.
    """

    own: str
    full: str


@dataclass
class RegionTexts:
    """Own prompts and negative prompts of the enabled regions.

    Attributes:
        settings: the regions.
        prompts: for each picture of the job, by the region's number from 1; empty until they have arrived.
        negatives: likewise; regions that take the main negative prompt have none.
        sent: they are on their way.
        lost: another extension did not give them back, so they hold as the user wrote them.
    """

    settings: Settings
    prompts: list[dict[int, Text]] = field(default_factory=list)
    negatives: list[dict[int, Text]] = field(default_factory=list)
    sent: bool = False
    lost: bool = False

    def send(self, p: Job) -> None:
        """Puts them behind the main prompts, once."""
        if self.sent:
            return
        self.sent = True
        good, bad = self._segments(p.styles, negative=False), self._segments(p.styles, negative=True)
        p.all_prompts = [packed(text, good) for text in p.all_prompts]
        p.all_negative_prompts = [packed(text, bad) for text in p.all_negative_prompts]

    def receive(self, p: Job) -> None:
        """Takes them out of the main prompts, which are then as without them, once."""
        if self.prompts:
            return
        self.prompts = [self._arrived(t, p.styles, negative=False) for t in p.all_prompts]
        self.negatives = [self._arrived(t, p.styles, negative=True) for t in p.all_negative_prompts]
        host.jobs.rewrite_texts(p, lambda text: unpacked(text)[0])

    def of(self, image: int) -> tuple[Mapping[int, Text], Mapping[int, Text]]:
        """(prompts, negative prompts) of a picture of the job; a picture too many has the last one's."""
        k = min(image, len(self.prompts) - 1)
        return self.prompts[k], self.negatives[min(k, len(self.negatives) - 1)]

    def resolved(self, image: int, *, styled: bool = False) -> Settings:
        """The settings that draw one picture alone: its own texts, and seeds that count up as the picture's does.

        Args:
            image: number of the picture in the job.
            styled: with the styles in the texts, for a job that has none.
        """
        which = "full" if styled else "own"
        prompts, negatives = self.of(image)
        regions = list(self.settings.regions)
        for k, region in enumerate(regions, start=1):
            if k in prompts:
                against = getattr(negatives[k], which) if k in negatives else region.negative_prompt
                regions[k - 1] = replace(region, prompt=getattr(prompts[k], which), negative_prompt=against)
            if region.seed is not None:
                regions[k - 1] = replace(regions[k - 1], seed=region.seed + image)
        rerolls = tuple(replace(r, seed=r.seed + image) for r in self.settings.rerolls)
        return replace(self.settings, regions=tuple(regions), rerolls=rerolls)

    def _written(self, *, negative: bool) -> dict[int, tuple[str, Region]]:
        found = {}
        for k, region in enumerate(self.settings.regions, start=1):
            own = region.negative_prompt if negative else region.prompt
            if region.enabled and own is not None:
                found[k] = own, region
        return found

    def _segments(self, styles: list[str], *, negative: bool) -> dict[int, str]:
        return {
            k: styled(f"{OWN}\n{own}\n{OWN}", styles, region, negative=negative)
            for k, (own, region) in self._written(negative=negative).items()
        }

    def _arrived(self, text: str, styles: list[str], *, negative: bool) -> dict[int, Text]:
        written = self._written(negative=negative)
        found = {k: text_of(segment) for k, segment in unpacked(text)[1].items()}
        if set(found) == set(written) and None not in found.values():
            return {k: v for k, v in found.items() if v is not None}
        self.lost = True
        return {
            k: Text(own, styled(host.texts.without_comments(own), styles, region, negative=negative))
            for k, (own, region) in written.items()
        }


def styled(own: str, styles: list[str], region: Region, *, negative: bool) -> str:
    """With the job's styles, unless the main prompt brings them."""
    return host.texts.styled(own, styles, negative) if region.join == "replace" else own


def packed(main: str, segments: Mapping[int, str]) -> str:
    """The main prompt with segments behind it."""
    if not segments:
        return main
    return main + "".join(f"\n{NEXT}{k}\n{text}" for k, text in segments.items()) + f"\n{NEXT}0\n"


def unpacked(text: str) -> tuple[str, dict[int, str]]:
    """The main prompt, with what was added behind everything, and the segments."""
    main, *rest = _NEXT.split(text)
    segments = {int(k): segment for k, segment in zip(rest[::2], rest[1::2], strict=True)}
    return main + segments.pop(0, ""), segments


def text_of(segment: str) -> Text | None:
    """What the user wrote within what the styles made of it, or None where that cannot be told any more."""
    own = _OWN.findall(segment)
    return Text(own[0], _OWN.sub(r"\1", segment)) if len(own) == 1 else None
