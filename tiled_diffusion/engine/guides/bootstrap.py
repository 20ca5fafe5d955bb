"""Bootstrapping: a small region is sketched by itself first, and shows its object while the picture takes shape.

A region smaller than what the model likes is seen with what lies around it, and its object comes where the noise puts
it, often beside the shape. So its prompt first draws all that is seen, in few steps and from the very noise that lies
there. The object is where the model's prediction of this sketch differs from the main prompt's (DiffEdit, arXiv
2210.11427, section 3.2), and the region is drawn to the part of the sketch that holds most of it. A sketch may lack the
object; then hardly anything differs. So there are two, from noise and its negative, and the one counts that holds more.

MultiDiffusion (arXiv 2302.08113, section 4.2) puts plain colours around a region for the same purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, log, pi

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from tiled_diffusion.engine.geometry import Box
from tiled_diffusion.engine.masks import places, region_box
from tiled_diffusion.engine.model import Level
from tiled_diffusion.engine.noise import canvas_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.settings.values import Settings

from .pictures import kept_times
from .pull import Pull, hold

STEPS = 8
"""Of a sketch: so few leave the object out of 7 of 96, of the project's own model; 14 steps of 3."""
NOISES = 2
"""So often two prompts are compared, with other noise each time."""
HIDDEN = 3.5
"""The noise under which they are compared is so many times as strong as the sketch, or nearly so."""
Clean = Callable[[Tile, Tensor, int, bool], Tensor]
"""(tile, x [B, C, h, w], number of its level, whether with guidance) -> the clean latent in x by the tile's prompt."""


@dataclass(frozen=True)
class Sketcher:
    """A host's model.

    Attributes:
        levels: of a sketch's steps, from the noisiest; sigmas above 0.
        clean: asks the model.
    """

    levels: Sequence[Level]
    clean: Clean


class BootstrapPull(Pull):
    """To a sketch, of which the start noise has nothing yet."""

    def start(self, latent: Tensor, noise: Tensor, level: Level) -> Tensor:  # noqa: ARG002 as in every pull
        """As it is."""
        return latent


def wants_bootstrap(settings: Settings) -> bool:
    """Whether any region does."""
    return any(region.draws and region.bootstrap > 0 for region in settings.regions)


def bootstrap_pulls(planner: Planner, noise: Tensor, sketcher: Sketcher) -> tuple[Pull, ...]:
    """What draws small regions to their sketches, in the order of the list.

    Args:
        planner: of the canvas.
        noise: [B, C, H, W], its start noise.
        sketcher: the model.
    """
    return tuple(_pull(planner, tile, noise, sketcher) for tile in _tiles(planner))


def _tiles(planner: Planner) -> Iterator[Tile]:
    """Of bootstrapped regions that act from the start on and are less than the one tile that they are drawn by."""
    tiles = planner.plan().tiles
    for number, region in enumerate(planner.settings.regions, start=1):
        own = [tile for tile in tiles if tile.prompt == number]
        if region.draws and region.bootstrap > 0 and len(own) == 1:
            box, seen = region_box(region, planner.canvas), own[0].view.extent
            if box.h <= seen.h and box.w <= seen.w and box.extent != seen:
                yield own[0]


def _pull(planner: Planner, tile: Tile, noise: Tensor, sketcher: Sketcher) -> Pull:
    settings, canvas = planner.settings, planner.canvas
    region = settings.regions[tile.prompt - 1]
    box = region_box(region, canvas)
    times = kept_times(settings, tile.prompt - 1, canvas, box, region.bootstrap, np.ones(box.extent))
    target, where = noise.new_zeros(noise.shape), places(box, canvas)
    seen, most = tile.view.gather(noise), [-inf] * noise.shape[0]
    for own in (seen, -seen):
        sketches = sketched(tile, own, sketcher)
        for image, difference in enumerate(differences(tile, sketches, sketcher)):
            window, held = fullest(difference, times / region.bootstrap)
            if held > most[image]:
                most[image] = held
                target[(image, slice(None), *where)] = window.gather(sketches[image])
    keep = torch.zeros((1, 1, *canvas))
    keep[(..., *where)] = times
    return BootstrapPull(target, (keep > 0).float(), hold(keep))


def sketched(tile: Tile, noise: Tensor, sketcher: Sketcher) -> Tensor:
    """What a tile's prompt draws by itself, [B, C, h, w], by DDIM's steps (Song et al., arXiv 2010.02502, eq. 12).

    Args:
        tile: whose prompt it is.
        noise: [B, C, h, w], standard normal.
        sketcher: the model.
    """
    clean = torch.zeros_like(noise)
    for number, level in enumerate(sketcher.levels):
        x = level.noised(clean, noise)
        clean = sketcher.clean(tile, x, number, True)
        alpha, sigma = level.broadcast(x)
        noise = (x - alpha * clean) / sigma
    return clean


def differences(tile: Tile, sketches: Tensor, sketcher: Sketcher) -> Tensor:
    """Mean squared difference between what a tile's prompt and the main one say of sketches, [B, h, w].

    Args:
        tile: whose prompt it is.
        sketches: [B, C, h, w], clean latents.
        sketcher: the model.
    """
    ratios = [float(level.sigma) / max(float(level.alpha), 1e-6) for level in sketcher.levels]
    number = min(range(len(ratios)), key=lambda k: abs(log(ratios[k] / HIDDEN)))
    out = torch.zeros_like(sketches[:, 0])
    for noise in canvas_noise(sketches.shape[1:], range(NOISES)).to(sketches):
        x = sketcher.levels[number].noised(sketches, noise[None].expand_as(sketches))
        own, main = (sketcher.clean(replace(tile, prompt=k), x, number, False) for k in (tile.prompt, 0))
        out += (own - main).square().mean(dim=1)
    return out


def fullest(difference: Tensor, shape: Tensor) -> tuple[Box, float]:
    """The window that holds most of what is different, and how much that is.

    Args:
        difference: [h, w], 0 or more.
        shape: [h', w'] in 0..1, how much each pixel of the window counts; in its middle it counts most.
    """
    h, w = shape.shape
    y, x = (torch.sin(pi * (torch.arange(n) + 0.5) / n) for n in (h, w))
    kernel = (shape * torch.outer(y, x))[None, None]
    sums = conv2d(difference.float().cpu()[None, None], kernel.float())[0, 0]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return Box(top, left, h, w), float(sums[top, left])
