"""DemoFusion's two terms (arXiv 2311.16973), for every sampler: the dilated views, and the skip residual.

Both fade with the noise: by c = (1 + cos(pi d)) / 2, d the part of Stable Diffusion's schedule that is done. Dilated
views count c, tiles 1 - c, and the views are blurred by a deviation of 0.99 c + 0.01. The clean latent is drawn by
c^3 to the picture that the sampling started from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from torch import Tensor

from tiled_diffusion.engine.dilations import Dilations
from tiled_diffusion.engine.model import Level, predicted
from tiled_diffusion.engine.plan import Planner, dilations
from tiled_diffusion.engine.tiles import Plan
from tiled_diffusion.errors import TiledError

from . import Guide, Moment
from .structure import schedule_done

LEAST = 1e-3
"""Dilated views that count less are left out."""
HOLD_POWER = 3.0


def fading(level: Level) -> float:
    """C: 1 where all is noise, and 0 where none is."""
    return 0.5 * (1 + math.cos(math.pi * schedule_done(level)))


@dataclass
class DilatedViews(Guide):
    """Adds the dilated views to each plan.

    Attributes:
        views: of the canvas.
    """

    views: Dilations
    moment: Moment = field(default=Moment(0, 0.0), init=False)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the step's noise level."""
        self.moment = moment

    def plan(self, plan: Plan) -> Plan:
        """Tiles and views, which together weigh 1 at every pixel."""
        if self.moment.level is None:
            raise TiledError("dilated: this host does not say how noisy the latent is")
        share = fading(self.moment.level)
        if share < LEAST:
            return plan
        views = replace(self.views, number=self.moment.number).tiles(0.99 * share + 0.01)
        tiles = [replace(tile, weight=tile.weight * (1 - share)) for tile in plan.tiles if share < 1]
        return replace(plan, tiles=(*tiles, *(replace(view, weight=view.weight * share) for view in views)))


@dataclass
class SkipResidual(Guide):
    """Draws the clean latent to the one that the sampling started from.

    Attributes:
        target: [1 or B, C, H, W].
        hold: 0 to 1, what c^3 is multiplied by.
    """

    target: Tensor
    hold: float
    moment: Moment = field(default=Moment(0, 0.0), init=False)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the step's noise level."""
        self.moment = moment

    def after(self, prediction: Tensor, x: Tensor) -> Tensor:
        """The prediction, moved."""
        level = self.moment.level
        if level is None:
            raise TiledError("skip_residual: this host does not say how noisy the latent is")
        images, target = self.moment.images, self.target
        if target.shape[0] > 1 and images is not None:
            target = target[list(images)]
        wanted = predicted(target.to(x), x, level, self.moment.prediction).to(prediction)
        strength: float = self.hold * fading(level) ** HOLD_POWER
        return prediction + strength * (wanted - prediction)


def demofusion_guides(planner: Planner, start: Tensor | None) -> tuple[Guide, ...]:
    """Those of the two terms that the settings ask for.

    Args:
        planner: of the canvas.
        start: the clean latent that the sampling starts from, [1 or B, C, H, W]; None where it starts from noise.

    Raises:
        TiledError: the settings have what dilated views do not know.
    """
    views = tuple(DilatedViews(views) for views in dilations(planner))
    hold = planner.settings.skip_residual
    return views if start is None or hold == 0 else (*views, SkipResidual(start, hold))
