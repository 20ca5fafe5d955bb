"""Random numbers by key: start noise of the canvas, and everything else that is drawn.

Nothing here reads or changes torch's global generator. The same key gives the same numbers on every machine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from tiled_diffusion.settings.values import Region, Settings

from .geometry import Box, Extent
from .masks import box_of_fractions, places, region_box, region_mask

Draw = Callable[[int, tuple[int, int, int], int], Tensor]
"""(seed, (C, h, w), number of the image in the batch) -> [C, h, w], standard normal."""

PATCH = 64
"""Side of the pieces, latent pixels, that noise by place is drawn in."""


def keyed_seed(seed: int, purpose: str, *index: int) -> int:
    """A 63-bit seed for one purpose, e.g. ("grid", step, axis); different keys give independent seeds."""
    key = ":".join([str(seed), purpose, *map(str, index)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def keyed_generator(seed: int, purpose: str, *index: int) -> torch.Generator:
    """A CPU generator of its own for one purpose."""
    return torch.Generator("cpu").manual_seed(keyed_seed(seed, purpose, *index))


def uniform_draw(seed: int, purpose: str, *index: int) -> float:
    """One number in [0, 1)."""
    return keyed_seed(seed, purpose, *index) / 2**63


def canvas_noise(shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """Start noise on the canvas, float32 on the CPU.

    Args:
        shape: (C, H, W) of one image.
        seeds: one for each image of the batch; image k depends on seeds[k] alone, not on the batch around it.

    Returns:
        [len(seeds), C, H, W], standard normal.
    """
    return torch.stack([torch.randn(tuple(shape), generator=torch.Generator("cpu").manual_seed(s)) for s in seeds])


def placed_noise(shape: tuple[int, int, int], seed: int, top: int, left: int) -> Tensor:
    """A part of noise without borders: parts that overlap hold the same numbers where they do.

    Args:
        shape: (C, h, w) of the part.
        seed: of the noise.
        top: first row of the part, latent pixels from 0.
        left: first column of the part.

    Returns:
        [C, h, w], standard normal, float32 on the CPU.
    """
    channels, h, w = shape
    out = torch.empty(shape)
    for row in range(top // PATCH, (top + h - 1) // PATCH + 1):
        for column in range(left // PATCH, (left + w - 1) // PATCH + 1):
            generator = keyed_generator(seed, "place", row, column)
            patch = torch.randn((channels, PATCH, PATCH), generator=generator)
            y, x = row * PATCH - top, column * PATCH - left
            inside = patch[:, max(0, -y) : h - y, max(0, -x) : w - x]
            out[:, max(0, y) : y + PATCH, max(0, x) : x + PATCH] = inside
    return out


def keyed_draw(seed: int, shape: tuple[int, int, int], image: int) -> Tensor:
    """Noise of one box of one image, from a CPU generator of its own: seed + image."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed + image))


def region_noise(noise: Tensor, settings: Settings, draw: Draw = keyed_draw) -> Tensor:
    """Start noise with the regions' and rerolls' own seeds pasted in.

    Backgrounds first, then foregrounds, then rerolls, each in the order of its list. A later one takes the place of an
    earlier one: nothing is averaged, so that the variance is 1 everywhere.

    Args:
        noise: [B, C, H, W], the canvas's.
        settings: regions and rerolls.
        draw: where the numbers come from.

    Returns:
        A new tensor [B, C, H, W].
    """
    out = noise.clone()
    canvas = Extent(*noise.shape[-2:])
    for seed, box, inside, amount in _patches(settings, canvas):
        for image in range(noise.shape[0]):
            fresh = draw(seed, (noise.shape[1], box.h, box.w), image).to(out)
            own = out[image][(slice(None), *places(box, canvas))]
            if amount < 1:
                fresh = math.sqrt(1 - amount**2) * own + amount * fresh
            own = fresh if inside is None else torch.where(inside.to(out.device), fresh, own)
            out[image][(slice(None), *places(box, canvas))] = own
    return out


def _patches(settings: Settings, canvas: Extent) -> Iterator[tuple[int, Box, Tensor | None, float]]:
    """(seed, box, which of its pixels, how much of them) in the order of pasting."""
    seeded = [(r, r.seed) for r in settings.regions if r.enabled and r.seed is not None]
    for region, seed in sorted(seeded, key=lambda pair: pair[0].layer == "foreground"):
        box = region_box(region, canvas)
        yield seed, box, _shape(region, canvas, box), 1.0
    boxes = [box_of_fractions(r.x, r.y, r.w, r.h, canvas) for r in settings.rerolls]
    for k, (reroll, box) in enumerate(zip(settings.rerolls, boxes, strict=True)):
        others = boxes[:k] + boxes[k + 1 :]
        yield reroll.seed, box, _without(box, others, canvas) if reroll.mode == "exclusive" else None, reroll.noise


def _shape(region: Region, canvas: Extent, box: Box) -> Tensor | None:
    if region.mask is None:
        return None
    return torch.from_numpy(region_mask(region, canvas, area=box) > 0.5)


def _without(box: Box, others: Sequence[Box], canvas: Extent) -> Tensor:
    """[h, w]: the pixels of the box that lie in none of the others."""
    free = torch.ones(canvas, dtype=torch.bool)
    for other in others:
        free[other.y : other.y + other.h, other.x : other.x + other.w] = False
    return free[box.y : box.y + box.h, box.x : box.x + box.w]
