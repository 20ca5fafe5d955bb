"""Bootstrapping: while a picture takes shape, a region sees plain colours around itself.

The model then draws the region's object inside of its shape, as there is nothing else to see (MultiDiffusion,
arXiv 2302.08113, section 4.2; there for the first 20 % of the process).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import ring_crop
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.masks import region_mask
from tiled_diffusion.engine.noise import keyed_seed
from tiled_diffusion.engine.plan import Job
from tiled_diffusion.settings.values import Region, Settings

AddNoise = Callable[[Tensor, Tensor], Tensor]
"""(clean [B, C, h, w], noise [B, C, h, w]) -> noisy, as the model is to see it now."""


def bootstrapped(job: Job, settings: Settings, progress: float) -> bool:
    """Whether a job's surroundings are to be replaced at this point of the sampling."""
    return job.prompt > 0 and progress < settings.regions[job.prompt - 1].bootstrap


def plain_colours(count: int = 16) -> Tensor:
    """[count, 3] RGB in -1..1, always the same ones: a host encodes them once to latents."""
    return torch.rand((count, 3), generator=torch.Generator("cpu").manual_seed(0)) * 2 - 1


@dataclass(frozen=True)
class Bootstrap:
    """Replaces what lies outside of bootstrapped regions by a plain colour with noise.

    Attributes:
        settings: the regions.
        seed: key of the colours.
        noise: [B, C, H, W], the start noise of the canvas.
        colours: [n, C], latents of plain colours.
    """

    settings: Settings
    seed: int
    noise: Tensor
    colours: Tensor

    def apply(self, crops: Tensor, jobs: Sequence[Job], *, progress: float, step: int, add_noise: AddNoise) -> Tensor:
        """The crops as the model is to see them.

        Args:
            crops: [jobs * B, C, h, w], job by job.
            jobs: what the crops are of.
            progress: fraction of the sampling that is done.
            step: number of the call; with the seed and the region's number it decides on the colour.
            add_noise: noises a clean latent to the present time.

        Returns:
            The same crops where nothing is to be done. Pixels inside of a region's shape are never changed.
        """
        if not any(bootstrapped(job, self.settings, progress) for job in jobs):
            return crops
        views = torch.split(crops, self.noise.shape[0])
        return torch.cat(
            [
                self._alone(view, job, step, add_noise) if bootstrapped(job, self.settings, progress) else view
                for view, job in zip(views, jobs, strict=True)
            ]
        )

    def _alone(self, view: Tensor, job: Job, step: int, add_noise: AddNoise) -> Tensor:
        colour = self.colours[keyed_seed(self.seed, "bootstrap", job.prompt, step) % len(self.colours)]
        clean = colour.to(view)[None, :, None, None].expand_as(view)
        around = add_noise(clean, ring_crop(self.noise, job.box).to(view))
        inside = _inside(self.settings.regions[job.prompt - 1], Extent(*self.noise.shape[-2:]), job.box)
        return torch.where(inside.to(view.device), view, around)


def _inside(region: Region, canvas: Extent, box: Box) -> Tensor:
    return torch.from_numpy(region_mask(region, canvas, area=box) > 0)
