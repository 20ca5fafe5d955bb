"""What the studio offers to try on the first visit: requests for the shipped model, and a small picture to enlarge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.demo.drawing import drawing
from tiled_diffusion.standalone.demo.scenes import BASE, GUIDED, PANORAMA, SMALL, WIDE

ENLARGED, SCALE, STRENGTH = SMALL, 4, 0.125
"""The small picture, how many times it is enlarged, and the strength that suits the shipped model."""
TWO_SCENES = replace(
    BASE, prompt="grass, blue sky", width=512, height=192, seed=5,
    tiling=Settings(
        regions=(Region("a tree on grass, blue sky", w=0.55), Region("a house on snow, night sky", x=0.45, w=0.55))
    ),
)  # fmt: skip
RING = replace(PANORAMA, width=768, tiling=replace(WIDE, wrap_x=True))


@dataclass(frozen=True)
class Example:
    """A button of the tab Draw.

    Attributes:
        name: of its element.
        title: what it says.
        request: gives the request; files that it names are made in the folder that it gets.
    """

    name: str
    title: str
    request: Callable[[Path], Request]


def _along_a_drawing(folder: Path) -> Request:
    path = folder / "hints" / "drawing.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing().save(path)
    return replace(GUIDED, steps=12, controls=(Control("edges", str(path)),))


EXAMPLES = (
    Example("two_scenes", "Two scenes side by side", lambda _: TWO_SCENES),
    Example("ring", "A ring", lambda _: RING),
    Example("drawing", "Along a drawing", _along_a_drawing),
)
