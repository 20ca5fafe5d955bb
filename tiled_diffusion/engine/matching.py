"""Pictures of a batch whose chosen edges fit together: windows that reach over both of two edges that meet.

Near such an edge a picture is not drawn by its own tiles but by a window of which one half lies in the other picture
(Tiled Diffusion, arXiv 2412.15185). Where an edge may meet several others, all edges on either side of the border are
one group: each is drawn with the first one of the other side, and after every step a band along it is the first one's
of its own side. So each fits each. An edge that meets its own picture's opposite one makes a ring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.match import OPPOSITE, Edge, Join
from tiled_diffusion.settings.values import Settings

from .geometry import Extent
from .plan import Planner
from .tiles import Plan, Tile
from .view import Indexed
from .windows import RISES, AxisTiles

BESIDE = 12
"""So much of what meets an edge is decoded with it, latent pixels."""

LEAST = 1e-4
"""What a picture's own tiles count at an edge that meets another: nothing, but where two such edges cross."""


def check_matching(settings: Settings) -> None:
    """Raises TiledError where a job has what cannot be drawn over several pictures."""
    if any(region.draws for region in settings.regions):
        raise TiledError("match: pictures that fit together have one prompt: take regions with prompts out")
    if settings.wrap_x or settings.wrap_y:
        raise TiledError('match: got seamless axes too, say that by edges: "1.right=1.left" or "1.bottom=1.top"')
    if settings.dilated:
        raise TiledError("match: dilated views see one picture: leave one of the two out")
    if settings.method == "elastic":
        raise TiledError("match: elastic draws each picture by itself: take another method")


class Window(NamedTuple):
    """A window along two edges that meet, and whether it draws the first and the second one's side."""

    join: Join
    draws: tuple[bool, bool]


def groups(joins: Sequence[Join]) -> list[tuple[tuple[Edge, ...], tuple[Edge, ...]]]:
    """(all right or bottom edges, all left or top edges) of each border, in the order of the joins."""
    found: list[tuple[dict[Edge, None], dict[Edge, None]]] = []
    for first, second in joins:
        mine = [g for g in found if first in g[0] or second in g[1]]
        firsts = {edge: None for g in mine for edge in g[0]} | {first: None}
        seconds = {edge: None for g in mine for edge in g[1]} | {second: None}
        found = [g for g in found if g not in mine] + [(firsts, seconds)]
    return [(tuple(firsts), tuple(seconds)) for firsts, seconds in found]


def windows(joins: Sequence[Join]) -> list[Window]:
    """So many that every edge is drawn by one, with the first edge of the other side."""
    out = []
    for firsts, seconds in groups(joins):
        out.append(Window(Join(firsts[0], seconds[0]), (True, True)))
        out += [Window(Join(edge, seconds[0]), (True, False)) for edge in firsts[1:]]
        out += [Window(Join(firsts[0], edge), (False, True)) for edge in seconds[1:]]
    return out


@dataclass(frozen=True)
class MatchedPlanner:
    """Makes the plan of every denoiser call on a batch of pictures.

    Attributes:
        planner: of one picture by itself.
        joins: the edges that meet.
        images: pictures of the batch.
    """

    planner: Planner
    joins: Sequence[Join]
    images: int

    def plan(self, step: int = 0, progress: float = 0.0) -> Plan:
        """Tiles of each picture by itself, and windows across; at every pixel of every picture weights sum to 1."""
        own = self.planner.plan(step, progress).tiles
        tiles = [tile for image in range(self.images) for tile in self._within(image, own)]
        rows, cols = self.planner.axes(self.planner.canvas, step)
        for window in windows(self.joins):
            tiles += self._across(window, rows if window.join.first.side == "right" else cols)
        return Plan(self.planner.canvas, tuple(tiles))

    def tied(self, latents: Tensor) -> Tensor:
        """Latents [B, C, H, W] in which all edges of one side of a border have the first one's band, in a copy."""
        out = latents.clone()
        for side in (edges for group in groups(self.joins) for edges in group):
            for edge in side[1:]:
                self._band(out, edge).copy_(self._band(latents, side[0]))
        return out

    @property
    def bands(self) -> Extent:
        """How far from its top and bottom, and from its sides, a picture's own tiles do not count, latent pixels."""
        return Extent(*(max(1, n // 4) for n in self._reach))

    def _band(self, latents: Tensor, edge: Edge) -> Tensor:
        """[C, h, w]: of an edge."""
        height, width = self.bands
        image = latents[edge.picture - 1]
        return {
            "left": image[..., :width],
            "right": image[..., -width:],
            "top": image[..., :height, :],
            "bottom": image[..., -height:, :],
        }[edge.side]

    @property
    def _reach(self) -> Extent:
        """How far windows reach into a picture from its sides and from its top and bottom."""
        tile, canvas = self.planner.tile_size(), self.planner.canvas
        return Extent(min(tile.h // 2, canvas.h), min(tile.w // 2, canvas.w))

    @cached_property
    def _shares(self) -> tuple[dict[str, Tensor], ...]:
        """Of each picture, [H, W] float32: what its own tiles ("") and each of its edges that meet others draw."""
        return tuple(self._shares_of(image) for image in range(self.images))

    def _shares_of(self, image: int) -> dict[str, Tensor]:
        met = dict.fromkeys(edge for join in self.joins for edge in join)
        far = {side: self._far(side) for number, side in met if number == image + 1}
        whole = torch.ones(tuple(self.planner.canvas), dtype=torch.float64)
        shares = {"": math.prod(far.values(), start=whole)}
        for side, rise in far.items():
            others = (f for other, f in far.items() if other != side)
            shares[side] = math.prod(others, start=whole) * (1 - rise)
        total = sum(shares.values(), torch.zeros_like(whole))
        return {name: (share / total).float() for name, share in shares.items()}

    def _far(self, side: str) -> Tensor:
        """[H, 1] or [1, W]: next to 0 at an edge, 1 where windows end; between them it changes over half of the reach.

        Neither tiles nor windows count where they end, for models see borders.
        """
        across = side in ("left", "right")
        length, reach = (n.w if across else n.h for n in (self.planner.canvas, self._reach))
        distance = np.arange(length) + 0.5
        rise = torch.from_numpy(RISES["smooth"](np.clip(2 * distance / reach - 0.5, 0, 1))).clamp_min(LEAST)
        rise = rise.flip(0) if side in OPPOSITE else rise
        return rise[None] if across else rise[:, None]

    def _within(self, image: int, tiles: Sequence[Tile]) -> Iterator[Tile]:
        share, number = self._shares[image][""], torch.tensor([[image]])
        for tile in tiles:
            box = tile.box
            rows, cols = torch.arange(box.h)[:, None] + box.y, torch.arange(box.w)[None] + box.x
            weight = tile.weight * share[rows, cols]
            if weight.any():
                yield Tile(Indexed(rows, cols, number), weight)

    def _across(self, window: Window, along: AxisTiles) -> Iterator[Tile]:
        """Its tiles along the edges; of bottom and top they are those of right and left, turned."""
        join = window.join
        side = join.first.side == "right"
        length, reach = (n.w if side else n.h for n in (self.planner.canvas, self._reach))
        across = torch.cat([torch.arange(length - reach, length), torch.arange(reach)])
        number = torch.tensor([edge.picture - 1 for edge in join]).repeat_interleave(reach)
        shares = torch.stack(
            [self._shares[e.picture - 1][e.side] * on for e, on in zip(join, window.draws, strict=True)]
        )
        which = torch.tensor([0, 1]).repeat_interleave(reach)
        for start, w in zip(along.starts, along.weights, strict=True):
            along_it = torch.arange(along.tile) + start
            rows, cols = (along_it[:, None], across[None]) if side else (across[:, None], along_it[None])
            share = shares[which[None], rows, cols] if side else shares[which[:, None], rows, cols]
            line = torch.from_numpy(w).float()
            weight = share * (line[:, None] if side else line[None])
            yield Tile(Indexed(rows, cols, number[None] if side else number[:, None]), weight)


def with_neighbours(latents: Tensor, joins: Sequence[Join]) -> Tensor:
    """Latents [B, C, H, W] with BESIDE pixels of what meets them around, so that a decoder sees no border there.

    Where an edge may meet several others, the first one; where it meets none, and past the end of a picture that is
    smaller than that, its own last pixels repeated.
    """
    h, w = latents.shape[-2:]
    around = pad(latents, (BESIDE,) * 4, mode="replicate")
    met = {edge: other for firsts, seconds in groups(joins) for edge, other in _first_met(firsts, seconds)}
    inner, across, down = slice(BESIDE, -BESIDE), min(BESIDE, w), min(BESIDE, h)
    for edge, other in met.items():
        place, part = {
            "left": ((inner, slice(BESIDE - across, BESIDE)), (slice(None), slice(w - across, w))),
            "right": ((inner, slice(w + BESIDE, w + BESIDE + across)), (slice(None), slice(0, across))),
            "top": ((slice(BESIDE - down, BESIDE), inner), (slice(h - down, h), slice(None))),
            "bottom": ((slice(h + BESIDE, h + BESIDE + down), inner), (slice(0, down), slice(None))),
        }[edge.side]
        around[edge.picture - 1][(slice(None), *place)] = latents[other.picture - 1][(slice(None), *part)]
    return around


def _first_met(firsts: Sequence[Edge], seconds: Sequence[Edge]) -> Iterator[tuple[Edge, Edge]]:
    yield from ((edge, seconds[0]) for edge in firsts)
    yield from ((edge, firsts[0]) for edge in seconds)
