"""Pictures of regions in a job of the WebUI: what they draw the canvas to, and the noise that it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.pictures import picture_pulls
from tiled_diffusion.engine.guides.pull import Pull, started
from tiled_diffusion.settings.values import Settings

from .hosts import host
from .hosts.port import Job


def folders() -> tuple[Path, ...]:
    """Where files of pictures may lie: in one folder, so that neither page nor API reads whatever there is."""
    return (host.page.data_folder() / "tiled-diffusion" / "pictures",)


def job_pulls(p: Job, settings: Settings, canvas: Extent) -> tuple[Pull, ...]:
    """The pulls of all pictures; raises TiledError that names the one that cannot be read."""

    def read(number: int, size: Extent) -> tuple[Any, Any]:
        return settings.regions[number].fitted_picture(f"regions[{number}].picture", size, folders())

    return picture_pulls(settings, canvas, host.sampling.LATENT_PX, read, lambda x: host.sampling.encoded(p, x))


def noise_towards(p: Job, pulls: Sequence[Pull], x: Tensor, noise: Tensor, *, from_picture: bool) -> Tensor:
    """Start noise of which the host makes the pictures with noise, where they are kept.

    Args:
        p: the job.
        pulls: of the pictures.
        x: [B, C, H, W], the latent that the host adds the noise to, where it does.
        noise: [B, C, H, W], standard normal.
        from_picture: whether it does.
    """
    if not pulls:
        return noise
    level, factor = host.sampling.start_level(p, from_picture=from_picture)
    scale = factor.to(noise).reshape(-1, 1, 1, 1)
    clean = x * level.alpha.to(noise).reshape(-1, 1, 1, 1) if from_picture else 0.0 * noise
    begun = started(pulls, clean + scale * noise, noise, level)
    return ((begun - clean) / scale).to(noise)
