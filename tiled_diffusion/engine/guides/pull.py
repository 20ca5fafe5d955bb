"""Pulls: the canvas's clean latent is drawn towards a target, where a mask says and while a schedule says.

D <- D + m (T - D), D the clean latent that the model predicts, T the target, m = mask x schedule in 0..1. Only the
prediction changes, so every sampler works, those with a memory of earlier predictions too. Image regions, masked
inpainting, the hold of mosaics and the skip residual of DemoFusion (arXiv 2311.16973) are pulls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tiled_diffusion.engine.model import Level, predicted
from tiled_diffusion.engine.placing import moved
from tiled_diffusion.engine.tiles import Plan, Tile
from tiled_diffusion.errors import TiledError

from . import Guide, Moment

Schedule = Callable[[float], "float | Tensor"]
"""Progress of the sampling (0 to 1; 1 is after the last step) to how strongly, 0 to 1: a number, or one a pixel."""


def hold(keep: float | Tensor) -> Schedule:
    """Fully while progress < keep, then not at all; keep = 1 holds to the end.

    Args:
        keep: 0 to 1; a tensor [1 or B, 1, H, W] holds each pixel as long as it says.
    """

    def schedule(progress: float) -> float | Tensor:
        if isinstance(keep, Tensor):
            return ((progress < keep) | (keep >= 1)).to(torch.float32)
        return 1.0 if progress < keep or keep >= 1 else 0.0

    return schedule


@dataclass
class Pull(Guide):
    """One pull.

    Attributes:
        target: T, [1 or B, C, H, W], a clean latent.
        mask: [1 or B, 1, H, W] in 0..1; kept in main memory, where it is decided what is drawn at all.
        schedule: see Schedule.

    Raises:
        TiledError: mask or target do not have the shapes above, or the mask's numbers are not within 0..1.
    """

    target: Tensor
    mask: Tensor
    schedule: Schedule
    moment: Moment = field(default=Moment(0, 0.0), init=False)

    def __post_init__(self) -> None:
        if self.target.dim() != 4 or self.mask.dim() != 4 or self.mask.shape[1] != 1:
            shapes = f"{tuple(self.target.shape)} and {tuple(self.mask.shape)}"
            raise TiledError(f"pull: got target and mask of shapes {shapes}, allowed are [B, C, H, W] and [B, 1, H, W]")
        if self.target.shape[-2:] != self.mask.shape[-2:]:
            raise TiledError(
                f"pull: the target is {tuple(self.target.shape[-2:])}, its mask {tuple(self.mask.shape[-2:])}"
            )
        self.mask = self.mask.cpu()
        if not (float(self.mask.min()) >= 0 and float(self.mask.max()) <= 1):
            raise TiledError("pull: the mask's numbers may be 0 to 1")

    def strength(self, progress: float) -> Tensor:
        """m, [1 or B, 1, H, W], at a point of the sampling; in main memory."""
        now = self.schedule(progress)
        return self.mask * (now.cpu() if isinstance(now, Tensor) else now)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the step's noise level."""
        self.moment = moment

    def plan(self, plan: Plan) -> Plan:
        """Without the tiles whose every pixel that counts is the target's alone, in all pictures."""
        held = (self.strength(self.moment.progress) >= 1).all(dim=0, keepdim=True)
        if not held.any():
            return plan
        tiles = tuple(t for t in plan.tiles if not _needless(t, held))
        return replace(plan, tiles=tiles)

    def after(self, prediction: Tensor, x: Tensor) -> Tensor:
        """The prediction drawn towards the target; the same object where nothing is drawn."""
        strength = self._of_rows(self.strength(self.moment.progress))
        if not strength.any():
            return prediction
        if self.moment.level is None:
            raise TiledError("pull: this host does not say how noisy the latent is")
        wanted = predicted(self._of_rows(self.target).to(x), x, self.moment.level, self.moment.prediction).to(
            prediction
        )
        return self.mixed(prediction, wanted, moved(strength, prediction.device).to(prediction.dtype))

    def mixed(self, prediction: Tensor, wanted: Tensor, strength: Tensor) -> Tensor:
        """A prediction drawn towards what the model would say of the target, [B, C, H, W] all, by a strength."""
        return drawn(prediction, wanted, strength)

    def _of_rows(self, value: Tensor) -> Tensor:
        """What belongs to each row of the latent, where pictures differ."""
        return value if value.shape[0] == 1 or self.moment.images is None else value[list(self.moment.images)]

    def start(self, latent: Tensor, noise: Tensor, level: Level) -> Tensor:
        """The latent [B, C, H, W] that the sampling starts from: where it is held from the start, the noised target.

        Were pure noise left there, the noise would keep a part of the target's negative to the end.

        Args:
            latent: as it would be.
            noise: [B, C, H, W], standard normal.
            level: of the start, in the sampler's coordinates.
        """
        noised = level.noised(self.target.to(latent).expand_as(latent), noise)
        return drawn(latent, noised, self.strength(0.0).to(latent))

    def finish(self, latent: Tensor) -> Tensor:
        """The finished latent [B, C, H, W]; what is held to the end is the target, where samplers leave some noise."""
        return drawn(latent, self.target.to(latent), self.strength(1.0).to(latent))


class Start(Pull):
    """A pull of the start alone: the sampling begins as the noised target, and then is free.

    At the noisiest level a little of the clean latent is still there. Pure noise says that its mean is grey, and what
    is drawn from it is lighter or darker than what lies around.
    """

    def plan(self, plan: Plan) -> Plan:
        """As it is."""
        return plan

    def after(self, prediction: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002 as in every guide
        """As it is."""
        return prediction

    def finish(self, latent: Tensor) -> Tensor:
        """As it is."""
        return latent


def _needless(tile: Tile, held: Tensor) -> bool:
    """Whether it draws held pixels [1, 1, H, W] alone; what the whole is asked for is always needed."""
    return tile.role != "direction" and bool((tile.view.gather(held) | (tile.weight.to(held.device) == 0)).all())


def drawn(before: Tensor, target: Tensor, strength: Tensor) -> Tensor:
    """The first as far drawn to the second as a strength, 0 to 1, says.

    Nothing changes where it is 0, and only the target counts where it is 1, even beside NaN.
    """
    mixed = torch.where(strength > 0, before + strength * (target - before), before)
    return torch.where(strength >= 1, target, mixed)


def started(pulls: Sequence[Pull], latent: Tensor, noise: Tensor, level: Level) -> Tensor:
    """The start of all pulls, a later one above an earlier one."""
    for pull in pulls:
        latent = pull.start(latent, noise, level)
    return latent


def finished(pulls: Sequence[Pull], latent: Tensor) -> Tensor:
    """The end of all pulls."""
    for pull in pulls:
        latent = pull.finish(latent)
    return latent
