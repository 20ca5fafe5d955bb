"""What the demo draws: each picture's request, and what the page says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.cli.arguments import columns, joined

from .drawing import SIZE

SCALE = 4
BASE = Request(prompt="", steps=24, cfg_scale=4.5, sampler="Euler a")
WIDE = Settings(tile_width=192, tile_height=192, overlap=96)
"""Half of each tile is shared with its neighbour, so that they agree where the horizon is."""
PANORAMA = replace(
    BASE, prompt="a house, a tree on grass, mountains, blue sky", width=1536, height=192, seed=3, tiling=WIDE
)
COLUMNS = (
    "a green tree on grass, sunset",
    "a purple house on a lavender field, sunset",
    "a green cactus on sand, sunset",
    "a white boat on the sea, sunset",
)
REGIONAL: dict[str, Any] = {
    "prompt": "grass, blue sky", "width": 768, "height": 192, "steps": 25, "cfg_scale": 5.0, "seed": 5,
    "tiling": Settings(
        regions=(
            Region("a tree on grass, blue sky", w=0.36),
            Region("mountains, sunset", x=0.32, w=0.36),
            Region("a blue tower on snow, night sky", x=0.66, w=0.34),
            Region(
                "a red house on grass, blue sky", layer="foreground", x=0.12, y=0.1, w=0.22, h=0.9, feather=0.4
            ),
        )
    ),
}  # fmt: skip
DRAWING = "drawing.png"
GUIDED = replace(
    BASE, prompt="a house, a tree, a tower on grass, mountains, blue sky", width=SIZE[0], height=SIZE[1], seed=3,
    tiling=WIDE, controls=(Control("edges", DRAWING),),
)  # fmt: skip
SMALL = replace(BASE, prompt="a forest, blue sky", width=192, height=128, seed=4)


@dataclass(frozen=True)
class Scene:
    """A picture of the demo.

    Attributes:
        name: of its files.
        title, text: as on the page.
        request: what is drawn; for an upscaling, how the enlarged picture is drawn anew.
        start: for an upscaling, the request of the small picture.
    """

    name: str
    title: str
    text: str
    request: Request
    start: Request | None = None


def scenes() -> tuple[Scene, ...]:
    """The pictures of the demo."""
    ring = replace(PANORAMA, tiling=replace(WIDE, wrap_x=True))
    regions = columns(COLUMNS)
    side_by_side = replace(
        BASE, prompt=joined(regions), width=1152, height=192, seed=5, tiling=Settings(regions=regions)
    )
    return (
        Scene(
            "panorama", "A panorama",
            "One picture, eight times as wide as any that the model was trained on. Overlapping tiles are denoised "
            "together, step by step, so that there is one horizon and no seam.",
            PANORAMA,
        ),
        Scene(
            "ring", "The same as a ring",
            "The left and the right edge meet: this is a view all around. Below, the same picture rolled by half: its "
            "old edges are now in the middle.",
            ring,
        ),
        Scene(
            "prompts", "Prompts side by side",
            "Each column of the canvas has a prompt of its own. They are drawn together and flow into one another.",
            side_by_side,
        ),
        Scene(
            "regions", "Foreground and background",
            "Four prompts: three grounds side by side, and a house in front of them, with a soft edge. This needs a "
            "canvas file, which lies beside the picture.",
            replace(BASE, **REGIONAL),
        ),
        Scene(
            "guided", "Along a drawing",
            "A ControlNet makes the picture follow lines. Each tile sees its own part of the drawing, so that "
            "everything stands where it was drawn, over the whole width. First the drawing.",
            GUIDED,
        ),
        Scene(
            "upscale", f"Enlarged {SCALE} times",
            "A small picture is enlarged, and its details are drawn anew, tile by tile. The first picture is the small "
            "one, stretched to the same size.",
            replace(SMALL, denoising_strength=0.125), SMALL,
        ),
    )  # fmt: skip
