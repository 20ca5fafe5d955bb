"""Styles of the user's book in regions' prompts: <style:NAME> is replaced by what the style adds around the rest."""

from __future__ import annotations

import re
from dataclasses import replace

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.quoting import quoted
from tiled_diffusion.settings.values import Region, Settings

from .hosts import host

_TAG = re.compile(r",?[ \t]*<style:([^<>]*)>")
MOST_NAMED = 20
"""Styles that an error lists."""


def with_styles(settings: Settings) -> Settings:
    """The settings with each region's named styles in its prompts.

    A style's negative prompt goes to the region's own one; a region that takes the main one keeps to that.

    Raises:
        SettingsError: there is no style of that name, or it stands in a negative prompt.
    """
    regions = tuple(_styled(region, f"regions[{k}].") for k, region in enumerate(settings.regions))
    return settings if regions == settings.regions else replace(settings, regions=regions)


def _styled(region: Region, name: str) -> Region:
    against = region.negative_prompt
    if against is not None and _TAG.search(against):
        raise SettingsError(f"{name}negative_prompt: <style:...> stands in the prompt, and brings its negative prompt")
    names = [_known(word.strip(), f"{name}prompt") for word in _TAG.findall(region.prompt)]
    if not names:
        return region
    prompt = host.texts.styled(_TAG.sub("", region.prompt).strip(" ,"), names, False)
    if against is not None:
        against = host.texts.styled(against, names, True)
    return replace(region, prompt=prompt, negative_prompt=against)


def _known(style: str, name: str) -> str:
    every = host.texts.style_names()
    if style not in every:
        known = ", ".join(map(quoted, every[:MOST_NAMED])) or "none: the book of styles is empty"
        raise SettingsError(f"{name}: there is no style {quoted(style)}, known are {known}")
    return style
