"""The small picture of the whole canvas from which ElasticDiffusion takes its structure (arXiv 2311.18822).

The canvas is cut into cells, as many as the model's own size has pixels. In each round one pixel of every cell is read,
the model is asked what the prompt changes in that small picture, and the change is written to the pixels that were
read. Pixels that no round has read take the last round's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

from .geometry import Box, Extent
from .model import ModelTraits
from .noise import keyed_generator
from .tiles import Role, Tile
from .view import Reference

RENEWED = 0.3
"""How probably a cell's pixel is another one in the next round."""


def plain_colours(count: int = 16) -> Tensor:
    """[count, 3] RGB in -1..1, always the same ones: a host encodes them once to latents."""
    return torch.rand((count, 3), generator=torch.Generator("cpu").manual_seed(0)) * 2 - 1


def check_structure(settings: Settings, scale: float) -> None:
    """Raises TiledError where a job has no direction of its one prompt to enlarge."""
    if scale == 1:
        raise TiledError("cfg_scale: got 1, but elastic draws by what the prompt changes: take a CFG scale above 1")
    if any(region.draws for region in settings.regions):
        raise TiledError("regions: elastic draws one prompt: take another method, or regions without prompts")


def reference_extent(canvas: Extent, model: ModelTraits, kind: str) -> Extent | None:
    """Cells of the small picture, down and across; None for a canvas that is no larger than the model's own size.

    Args:
        canvas: latent pixels.
        model: its native size and multiple.
        kind: "area" keeps the shape and has the area of the native square; "pad" has its longer side.
    """
    if max(canvas) <= model.native:
        return None
    shrink = max(canvas) / model.native if kind == "pad" else math.sqrt(canvas.h * canvas.w) / model.native
    sides = (round(side / max(1.0, shrink) / model.multiple) * model.multiple for side in canvas)
    return Extent(*(min(length, max(model.multiple, side)) for length, side in zip(canvas, sides, strict=True)))


@dataclass(frozen=True, eq=False)
class References:
    """The rounds of one denoiser call.

    Attributes:
        canvas: latent pixels.
        cells: of the small picture.
        frame: size of what the model sees of it, the plain ground around it included; None: as many as there are cells.
        rounds: how many follow the first one.
        rings: axes that are rings, (down, across): the small picture begins anywhere on them.
        seed: with the number of the call it is the key of the picks.
        step: number of the call.
        prompt, role: as in Tile.
    """

    canvas: Extent
    cells: Extent
    frame: Extent | None
    rounds: int
    rings: tuple[bool, bool]
    seed: int
    step: int
    prompt: int = 0
    role: Role = "direction"

    @property
    def extent(self) -> Extent:
        """Of what the model sees of each."""
        return self.frame or self.cells

    @property
    def count(self) -> int:
        """Small pictures that are evaluated."""
        return self.rounds + 1

    def boxes(self) -> Iterator[Box]:
        """The whole canvas, each."""
        for _ in range(self.count):
            yield Box(0, 0, *self.canvas)

    def tiles(self) -> Iterator[Tile]:
        """Each counts at the pixels that it was the last to read; the last one also where none has."""
        generator = keyed_generator(self.seed, "elastic", self.step)
        offset = Extent(*(_offset(n, ring, generator) for n, ring in zip(self.canvas, self.rings, strict=True)))
        picks = picked(self.canvas, self.cells, self.rounds, generator)
        for (rows, cols), weight in zip(picks, written(self.canvas, picks), strict=True):
            moved = (rows + offset.h) % self.canvas.h, (cols + offset.w) % self.canvas.w
            view = Reference(*moved, None, self.canvas, offset, self.frame)
            yield Tile(view, weight.roll(tuple(offset), (0, 1)), self.prompt, self.role)


def _offset(length: int, ring: bool, generator: torch.Generator) -> int:
    return int(torch.randint(length, (1,), generator=generator)) if ring else 0


def picked(canvas: Extent, cells: Extent, rounds: int, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Which row and column of the canvas each cell reads, [h, w] each, for the first round and those that follow.

    The first round reads the cells' first pixels. In each further one a cell goes on to its next pixel with the
    probability RENEWED; it comes back to one only after it has been at all of them.
    """
    (top, high), (left, wide) = (_spans(n, parts) for n, parts in zip(canvas, cells, strict=True))
    places = torch.arange(int(high.max()) * int(wide.max()))
    down, across = places // int(wide.max()), places % int(wide.max())
    inside = (down < high[:, None, None]) & (across < wide[None, :, None])
    keys = torch.rand(inside.shape, generator=generator).masked_fill(~inside, 2.0)
    keys[..., 0] = -1.0
    order, count = keys.argsort(dim=-1), inside.sum(dim=-1)
    turn, picks = torch.zeros(tuple(cells), dtype=torch.long), []
    for number in range(rounds + 1):
        if number:
            turn = turn + (torch.rand(tuple(cells), generator=generator) < RENEWED)
        place = order.gather(-1, (turn % count)[..., None])[..., 0]
        picks.append((top[:, None] + down[place], left[None] + across[place]))
    return picks


def _spans(length: int, parts: int) -> tuple[Tensor, Tensor]:
    """(first pixel, length) of the cells of an axis, such that pixel y lies in the cell y * parts // length."""
    edges = -(-torch.arange(parts + 1) * length // parts)
    return edges[:-1], edges.diff()


def written(canvas: Extent, picks: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Of each round, [H, W]: 1 where it was the last to read a pixel, and else 0; unread pixels are the last one's."""
    last = torch.full(tuple(canvas), len(picks) - 1)
    for number, (rows, cols) in enumerate(picks):
        last[rows, cols] = number
    return [(last == number).float() for number in range(len(picks))]
