"""The pull to the small picture: while the noise is strong, the canvas is drawn to its own shrunk picture, enlarged.

ElasticDiffusion's reduced-resolution guidance (arXiv 2311.18822) moves the next latent against the gradient of
w mean((T - D)^2), which is x' + rho (T - D) with rho = 2 w / N. Here rho is the setting, so that it does not depend on
size and channels, and D is moved instead: a step multiplies it by k, so the same comes out for m = rho / k. Both are
taken at the noise level for a step of a fiftieth of the schedule, so that neither sampler nor steps matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tiled_diffusion.engine.model import Level, cleaned, predicted
from tiled_diffusion.engine.noise import keyed_generator, keyed_seed
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Plan, Tile
from tiled_diffusion.engine.view import Reference, View
from tiled_diffusion.errors import TiledError

from . import Guide, Moment
from .pull import drawn

TIMES = 1000
STRIDE = 20
"""Of a step, in training steps: 50 steps are the published ones."""
ENDS = 0.8
"""Fraction of the schedule after which nothing is pulled."""
_PRODUCT = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, TIMES) ** 2)
"""alpha^2 of Stable Diffusion's schedule ("scaled linear")."""
_RATIOS = np.sqrt((1 - _PRODUCT) / _PRODUCT)


def schedule_time(level: Level) -> float:
    """Where on Stable Diffusion's schedule a noise level stands, 0 (clean) to 999; flows begin with noise alone."""
    sigma, alpha = float(level.sigma.flatten()[0]), float(level.alpha.flatten()[0])
    ratio = sigma / alpha if alpha > 0 else math.inf
    return float(np.interp(ratio, _RATIOS, np.arange(TIMES)))


def schedule_done(level: Level) -> float:
    """The same as the fraction of the schedule that lies behind, 0 to 1."""
    return 1 - schedule_time(level) / (TIMES - 1)


def step_share(time: float) -> float:
    """K: what a DDIM step from `time` on multiplies the clean latent by (arXiv 2010.02502, eq. 12)."""
    now, after = (float(np.interp(max(0.0, t), np.arange(TIMES), _PRODUCT)) for t in (time, time - STRIDE))
    return math.sqrt(after) - math.sqrt((1 - after) * now / (1 - now))


def pull_strength(level: Level, pull: float, decay: float) -> float:
    """M, 0 to 1: how far the clean latent is moved.

    Args:
        level: of the noise.
        pull: rho, 0 to 0.06.
        decay: power of the half cosine by which rho falls over the first 80 % of the schedule.
    """
    done = schedule_done(level)
    if done >= ENDS:
        return 0.0
    rho: float = pull * (0.5 * (1 + math.cos(math.pi * done / ENDS))) ** decay
    return min(1.0, rho / step_share(schedule_time(level)))


@dataclass
class StructurePull(Guide):
    """Draws the canvas to what the first round of its small picture shows.

    The first round reads the same pixels at every step, so that what it shows is one picture in the making; the others
    begin with other noise, and show others.

    Attributes:
        pull: rho, 0 to 0.06.
        decay: see pull_strength.
        late: the plan from `until` on, in which tiles are drawn by the prompt; None: there is none.
        until: fraction of the schedule.
    """

    pull: float
    decay: float
    late: Plan | None = None
    until: float = 1.0
    moment: Moment = field(default=Moment(0, 0.0), init=False)
    first: Tile | None = field(default=None, init=False)
    shown: Tensor | None = field(default=None, init=False)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the step's noise level."""
        self.moment, self.first, self.shown = moment, None, None

    def plan(self, plan: Plan) -> Plan:
        """Where the small picture is all that counts, nothing else is asked for; in the end it is not asked for."""
        if self.late is not None and schedule_done(self._level()) >= self.until:
            return self.late
        strength = self.strength()
        if strength == 0:
            return plan
        self.first = next((tile for tile in plan.tiles if tile.role == "direction"), None)
        return plan if strength < 1 or self.first is None else replace(plan, tiles=(self.first,))

    def strength(self) -> float:
        """M at this step."""
        if self.pull == 0:
            return 0.0
        return pull_strength(self._level(), self.pull, self.decay)

    def small(self, tile: Tile, x: Tensor, prediction: Tensor) -> None:
        """Keeps the clean latent of the first round."""
        if tile is self.first:
            self.shown = cleaned(prediction, x, self._level(), self.moment.prediction)

    def after(self, prediction: Tensor, x: Tensor) -> Tensor:
        """The prediction drawn to the enlarged small picture."""
        if self.first is None or self.shown is None:
            return prediction
        target = torch.zeros_like(x, dtype=torch.float32)
        self.first.view.scatter_add(target, self.shown, torch.ones(tuple(x.shape[-2:]), device=x.device))
        wanted = predicted(target.to(x), x, self._level(), self.moment.prediction).to(prediction)
        return drawn(prediction, wanted, torch.full_like(prediction[:1, :1], self.strength()))

    def _level(self) -> Level:
        if self.moment.level is None:
            raise TiledError("elastic: this host does not say how noisy the latent is")
        return self.moment.level


@dataclass
class Surroundings(Guide):
    """Around small pictures that stand in a frame, a plain colour with noise, another one at every step.

    Attributes:
        seed: key of colours and noise.
        colours: [n, C], latents of plain colours.
    """

    seed: int
    colours: Tensor
    moment: Moment = field(default=Moment(0, 0.0), init=False)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the step and its noise level."""
        self.moment = moment

    def crops(self, crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
        """The frames filled."""
        if not any(_is_framed(tile) for tile in tiles):
            return crops
        views = torch.split(crops, crops.shape[0] // len(tiles))
        pairs = zip(views, tiles, strict=True)
        return torch.cat([self._filled(view, tile.view) if _is_framed(tile) else view for view, tile in pairs])

    def _filled(self, view: Tensor, small: View) -> Tensor:
        assert isinstance(small, Reference)
        assert self.moment.level is not None
        number = self.moment.number
        colour = self.colours[keyed_seed(self.seed, "surroundings", number) % len(self.colours)]
        noise = torch.randn(view.shape[1:], generator=keyed_generator(self.seed, "around", number)).to(view)
        around = self.moment.level.noised(colour.to(view)[None, :, None, None], noise[None]).expand_as(view).clone()
        h, w = small.cells
        around[..., :h, :w] = view[..., :h, :w]
        return around


def _is_framed(tile: Tile) -> bool:
    return isinstance(tile.view, Reference) and tile.view.frame is not None


def structure_guides(planner: Planner, colours: Tensor | None) -> tuple[Guide, ...]:
    """All that acts on a step where a small picture of the whole is drawn.

    Args:
        planner: of the canvas.
        colours: [n, C], latents of plain colours, where it stands in a frame.
    """
    settings = planner.settings
    late = planner.late_plan() if settings.elastic_until < 1 else None
    pull = StructurePull(settings.elastic_pull, settings.elastic_decay, late, settings.elastic_until)
    return (pull,) if colours is None else (Surroundings(planner.seed, colours), pull)
