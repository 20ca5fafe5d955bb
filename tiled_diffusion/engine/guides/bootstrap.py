"""Bootstrapping: while a picture takes shape, a region sees plain colours around itself.

The model then draws the region's object inside of its shape, as there is nothing else to see (MultiDiffusion,
arXiv 2302.08113, section 4.2; there for the first 20 % of the process).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.masks import region_mask
from tiled_diffusion.engine.noise import keyed_seed
from tiled_diffusion.engine.placing import moved
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.settings.values import Region, Settings

from . import Guide, Moment

AddNoise = Callable[[Tensor, Tensor], Tensor]
"""(clean [B, C, h, w], noise [B, C, h, w]) -> noisy, as the model is to see it now."""


def plain_colours(count: int = 16) -> Tensor:
    """[count, 3] RGB in -1..1, always the same ones: a host encodes them once to latents."""
    return torch.rand((count, 3), generator=torch.Generator("cpu").manual_seed(0)) * 2 - 1


def wants_bootstrap(settings: Settings) -> bool:
    """Whether any region does."""
    return any(region.enabled and region.bootstrap > 0 for region in settings.regions)


@dataclass
class Bootstrap(Guide):
    """Replaces what lies outside of bootstrapped regions by a plain colour with noise.

    Attributes:
        settings: the regions.
        seed: key of the colours.
        noise: [B, C, H, W], the start noise of the canvas.
        colours: [n, C], latents of plain colours.
        add_noise: noises a clean latent to the present time; the host sets it anew for every step.
    """

    settings: Settings
    seed: int
    noise: Tensor
    colours: Tensor
    add_noise: AddNoise | None = None
    moment: Moment = field(default=Moment(0, 0.0), init=False)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the step: with the seed and the region's number it decides on the colour."""
        self.moment = moment

    def crops(self, crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
        """The crops as the model is to see them; pixels inside of a region's shape are never changed."""
        if not any(self._acts_on(tile) for tile in tiles):
            return crops
        views = torch.split(crops, crops.shape[0] // len(tiles))
        return torch.cat(
            [self._alone(view, tile) if self._acts_on(tile) else view for view, tile in zip(views, tiles, strict=True)]
        )

    def _acts_on(self, tile: Tile) -> bool:
        regions = self.settings.regions
        return 1 <= tile.prompt <= len(regions) and self.moment.progress < regions[tile.prompt - 1].bootstrap

    def _alone(self, view: Tensor, tile: Tile) -> Tensor:
        assert self.add_noise is not None
        noise = self.noise if self.moment.images is None else self.noise[list(self.moment.images)]
        key = keyed_seed(self.seed, "bootstrap", tile.prompt, self.moment.number)
        clean = self.colours[key % len(self.colours)].to(view)[None, :, None, None].expand_as(view)
        around = self.add_noise(clean, tile.view.gather(noise[: view.shape[0]]).to(view))
        inside = _inside(self.settings.regions[tile.prompt - 1], Extent(*self.noise.shape[-2:]), tile.box)
        return torch.where(moved(inside, view.device), view, around)


def _inside(region: Region, canvas: Extent, box: Box) -> Tensor:
    return torch.from_numpy(region_mask(region, canvas, area=box) > 0)
