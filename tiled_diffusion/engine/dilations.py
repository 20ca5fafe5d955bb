"""The sub-grids of a canvas as tiles: each shows the whole picture in about the model's own size (arXiv 2311.16973).

What the model draws in one of them is therefore one picture, and not a part of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

from .dilated import Rings, dilated
from .geometry import Box, Extent
from .model import ModelTraits
from .noise import keyed_generator
from .tiles import Role, Tile


def check_dilated(settings: Settings) -> None:
    """Raises TiledError where a job has what dilated views do not know."""
    if any(region.draws for region in settings.regions):
        raise TiledError("regions: dilated views draw one prompt: take regions with prompts out, or dilated views off")
    if settings.method == "elastic":
        raise TiledError("dilated: elastic has a small picture of its own: take another method, or dilated views off")


def dilation(canvas: Extent, model: ModelTraits) -> int:
    """S, the least that brings a canvas to the area of the model's own square, or less; 1: it is no larger."""
    return max(1, math.ceil(math.sqrt(canvas.h * canvas.w) / model.native - 1e-6))


@dataclass(frozen=True, eq=False)
class Dilations:
    """All sub-grids of one denoiser call: together they are the canvas, each pixel once.

    Attributes:
        canvas: latent pixels.
        step: s.
        multiple: of the sides that the model takes.
        rings: see Dilated.
        seed: with the number of the call it is the key of where sub-grids begin on rings.
        number: of the call.
        prompt, role: as in Tile.
    """

    canvas: Extent
    step: int
    multiple: int
    rings: Rings
    seed: int
    number: int = 0
    prompt: int = 0
    role: Role = "all"

    @property
    def extent(self) -> Extent:
        """Of each."""
        return dilated(self.canvas, Extent(0, 0), self.step, self.multiple).extent

    @property
    def count(self) -> int:
        """How many there are."""
        return min(self.step, self.canvas.h) * min(self.step, self.canvas.w)

    def boxes(self) -> Iterator[Box]:
        """The whole canvas, each."""
        for _ in range(self.count):
            yield Box(0, 0, *self.canvas)

    def tiles(self, blur: float = 0.0) -> Iterator[Tile]:
        """With weights that sum to 1 at every pixel of the canvas."""
        generator = keyed_generator(self.seed, "dilated", self.number)
        turns = (int(torch.randint(n, (1,), generator=generator)) for n in self.canvas)
        turn = Extent(*(t if ring else 0 for t, ring in zip(turns, self.rings, strict=True)))
        for y in range(min(self.step, self.canvas.h)):
            for x in range(min(self.step, self.canvas.w)):
                view = dilated(self.canvas, Extent(y, x), self.step, self.multiple, self.rings, turn, blur)
                yield Tile(view, view.weights(), self.prompt, self.role)
