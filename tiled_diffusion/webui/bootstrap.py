"""Sketches of bootstrapped regions in a job of the WebUI: drawn at the first model call of a sampling."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tiled_diffusion.engine.composition import Part
from tiled_diffusion.engine.guidance import Guidance, Wanted, guided
from tiled_diffusion.engine.guides.bootstrap import STEPS, Sketcher, bootstrap_pulls, wants_bootstrap
from tiled_diffusion.engine.guides.pull import Pull
from tiled_diffusion.engine.inversion import stepped
from tiled_diffusion.engine.model import cleaned
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Tile

from .hosts import host
from .hosts.port import Job
from .prompts import RegionPrompts, encode_main
from .structure import NEGATIVE, evaluated

if TYPE_CHECKING:
    from .denoiser import Call


@dataclass(frozen=True)
class Sketches:
    """What the sketches of one sampling need beside a model call.

    Attributes:
        p: the host's job.
        planner: of the canvas.
        noise: [B, C, H, W], its start noise.
        values: what the model is told at each of a sketch's steps, from the noisiest.
        main: the encoded main prompts.
    """

    p: Job
    planner: Planner
    noise: Tensor
    values: Sequence[float]
    main: RegionPrompts

    @classmethod
    def of(cls, p: Job, planner: Planner, noise: Tensor) -> Sketches | None:
        """None where no region wants one.

        Args:
            p: the host's job, whose sampling is about to begin with noise alone.
            planner: of the canvas.
            noise: [B, C, H, W], the start noise.
        """
        if not wants_bootstrap(planner.settings):
            return None
        values = stepped(host.sampling.noise_values(p, None, from_picture=False), STEPS)[::-1]
        px = host.sampling.LATENT_PX
        main = encode_main(p, None, (planner.canvas.w * px, planner.canvas.h * px)).own
        return cls(p, planner, noise.clone(), values, main)

    def pulls(self, call: Call) -> tuple[Pull, ...]:
        """Draws the sketches.

        Args:
            call: the first one of the sampling, without guides; it lends everything but latents, levels and texts.
        """
        levels = [host.sampling.noise_level(self.p, torch.tensor([value])) for value in self.values]

        def clean(tile: Tile, x: Tensor, number: int, guidance: bool) -> Tensor:
            if host.jobs.stop_wanted():
                raise host.jobs.INTERRUPT
            level, prediction = levels[number]
            own = replace(call, sigma=torch.full_like(call.sigma, self.values[number]))
            said = [self._said(own, tile, x[i : i + 1].to(call.x), i, guidance) for i in range(x.shape[0])]
            return cleaned(torch.cat(said).float(), x.float(), level, prediction)

        return bootstrap_pulls(self.planner, self.noise, Sketcher([level for level, _ in levels], clean))

    def _said(self, call: Call, tile: Tile, x: Tensor, image: int, guidance: bool) -> Tensor:
        """The model's prediction of a picture's tile, [1, C, h, w], by the tile's prompt."""
        prompts = call.tiling.regions[tile.prompt] if tile.prompt else self.main
        parts, against = prompts.texts(image, call.step.schedule_step)
        texts = {str(k): text for k, text in enumerate(parts)} | {NEGATIVE: against}
        weights = [part.weight for part in prompts.parts[image]]
        scale = call.step.scale if prompts.scale is None else prompts.scale
        named = tuple(Part(str(k), weight) for k, weight in enumerate(weights))
        how = Guidance(named, NEGATIVE, scale if guidance and not call.step.unguided else 1.0)
        row = next((i for i, row in enumerate(call.rows) if row.image == image), 0)

        def rows(wanted: Sequence[Wanted]) -> Sequence[Tensor]:
            return evaluated(call, [(w._replace(tile=tile), texts[w.text], w.text == NEGATIVE) for w in wanted], row)

        networks = call.tiling.networks
        with nullcontext() if networks is None or not prompts.networks else networks.only(prompts.networks):
            return guided(x, [replace(tile, prompt=0)], [how], rows)
