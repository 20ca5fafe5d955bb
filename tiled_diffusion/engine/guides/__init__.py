"""Guides: what acts on a step besides the tiles. Each is one object with a few hooks; most need but one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from tiled_diffusion.engine.model import Level, Prediction
from tiled_diffusion.engine.tiles import Plan, Tile


class Moment(NamedTuple):
    """The present denoiser call of the sampler.

    Attributes:
        number: of the call, from 0.
        progress: fraction of the sampling that is done, 0 to 1.
        level: how noisy the latent is that the model sees; None where no guide that is on needs to know.
        prediction: what comes out of the call.
        images: number of the picture of each row of the latent; None: row k is picture k.
    """

    number: int
    progress: float
    level: Level | None = None
    prediction: Prediction = "eps"
    images: Sequence[int] | None = None


class ModelRows(NamedTuple):
    """The rows of one model call, [rows, C, h, w].

    Attributes:
        tiles: of each row.
        images: number of the picture of each row.
        negatives: whether each is a negative prompt's; None where nobody knows.
        on: whether ControlNets may act on each.
    """

    tiles: Sequence[Tile]
    images: Sequence[int]
    negatives: Sequence[bool] | None
    on: Sequence[bool]


class Guide:
    """Does nothing; a guide overrides the hooks that it needs. They are called in this order, once a step or more."""

    def begin_step(self, moment: Moment) -> None:
        """A denoiser call begins."""

    def plan(self, plan: Plan) -> Plan:
        """The plan of the step, perhaps without tiles that this guide makes needless."""
        return plan

    def crops(self, crops: Tensor, tiles: Sequence[Tile]) -> Tensor:  # noqa: ARG002
        """What the model sees of crops [tiles * B, C, h, w], tile by tile."""
        return crops

    def model_call(
        self,
        rows: ModelRows,  # noqa: ARG002
        x: Tensor,  # noqa: ARG002
        inputs: Mapping[str, Any],  # noqa: ARG002
    ) -> AbstractContextManager[dict[str, Any]]:
        """Around one model call on x [rows, C, h, w]; yields further inputs of the model beside `inputs`, by name."""
        return nullcontext({})

    def small(self, tile: Tile, x: Tensor, prediction: Tensor) -> None:
        """The guided prediction of a small picture of the whole (a tile of role "direction"), x and it [B, C, h, w]."""

    def after(self, prediction: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        """The canvas's prediction [B, C, H, W] of x, or another one in its place."""
        return prediction


@dataclass(frozen=True)
class Guides(Guide):
    """Several guides as one; each hook goes through them in their order."""

    guides: tuple[Guide, ...] = ()

    def begin_step(self, moment: Moment) -> None:
        """To all."""
        for guide in self.guides:
            guide.begin_step(moment)

    def plan(self, plan: Plan) -> Plan:
        """Through all."""
        for guide in self.guides:
            plan = guide.plan(plan)
        return plan

    def crops(self, crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
        """Through all."""
        for guide in self.guides:
            crops = guide.crops(crops, tiles)
        return crops

    @contextmanager
    def model_call(self, rows: ModelRows, x: Tensor, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Within all; their inputs together."""
        more: dict[str, Any] = {}
        with ExitStack() as stack:
            for guide in self.guides:
                more |= stack.enter_context(guide.model_call(rows, x, inputs))
            yield more

    def small(self, tile: Tile, x: Tensor, prediction: Tensor) -> None:
        """To all."""
        for guide in self.guides:
            guide.small(tile, x, prediction)

    def after(self, prediction: Tensor, x: Tensor) -> Tensor:
        """Through all."""
        for guide in self.guides:
            prediction = guide.after(prediction, x)
        return prediction
