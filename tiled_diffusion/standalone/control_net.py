"""One ControlNet of a run, and the model call that it is evaluated for: each row with its own crop of the hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from tiled_diffusion.engine.guides.control import hint_crops
from tiled_diffusion.engine.placing import moved
from tiled_diffusion.engine.view import View


@dataclass(frozen=True)
class Call:
    """What the rows of one model call are.

    Attributes:
        crops: [n, C, h, w], as the model sees them.
        t: the time.
        text: [n, tokens, width].
        added: what the model is told beside the text, each [n, ...], or None; see Denoiser.
        views: of each row.
        controlled: whether ControlNets act on it.
    """

    crops: Tensor
    t: Tensor
    text: Tensor
    added: dict[str, Tensor] | None
    views: Sequence[View]
    controlled: Sequence[bool]

    def only(self, rows: Sequence[int]) -> Call:
        """Some of its rows; itself where these are all."""
        if len(rows) == len(self.views):
            return self
        return replace(
            self,
            crops=self.crops[rows],
            text=self.text[rows],
            added=self.added and {name: value[rows] for name, value in self.added.items()},
            views=[self.views[i] for i in rows],
            controlled=[True] * len(rows),
        )


@dataclass(frozen=True)
class ControlNet:
    """A loaded ControlNet with its hint, for a U-Net.

    Attributes:
        net: diffusers' ControlNetModel.
        hint: [1, 3, factor H, factor W] in 0..1 on the whole canvas.
        weight, start, end: see Control.
        factor: pixels of the hint for each latent pixel.
    """

    net: Any
    hint: Tensor
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    factor: int = 8

    def seen(self, call: Call) -> Tensor:
        """Each row's crop of the hint, [n, C, factor h, factor w]."""
        crops = hint_crops(self.hint, call.views, [0] * len(call.views), self.factor)
        return moved(crops.to(call.crops.dtype), call.crops.device)

    def residuals(self, call: Call) -> Sequence[Tensor | None]:
        """What is added within the model, in the order of its blocks; all rows of the call are controlled.

        A tensor may stand in several places; None: nothing is added there.
        """
        down, middle = self.net(
            call.crops, call.t, call.text, self.seen(call), self.weight, added_cond_kwargs=call.added, return_dict=False
        )
        return [*down, middle]

    def inputs(self, residuals: Sequence[Tensor | None]) -> dict[str, Any]:
        """Residuals, or sums of several ControlNets', as arguments of the model."""
        return {"down_block_additional_residuals": residuals[:-1], "mid_block_additional_residual": residuals[-1]}
