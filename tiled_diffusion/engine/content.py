"""What of a prompt a picture has where: the place of each phrase, and the prompt of a tile by the phrases in it.

A phrase is where a model's prediction of the picture, made noisy, changes when the phrase is left out of the prompt
(DiffEdit, arXiv 2210.11427, section 3.2). That needs nothing of a model but that it predicts, so it is the same with
every U-Net and transformer, and with weights in the prompt. AccDiffusion (arXiv 2407.10738) reads cross-attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from .geometry import Extent
from .model import ModelTraits
from .phrases import Phrase, phrases, without
from .view import View

Predict = Callable[[str], Tensor]
"""A prompt to the model's predictions of the small picture with some noises, [noises, C, h, w]."""
MOST_PHRASES = 32
"""Later ones act everywhere: each costs a prediction."""


@dataclass(frozen=True, eq=False)
class Content:
    """A prompt's phrases, and where they are.

    Attributes:
        prompt: the phrases.
        places: [phrases, H, W] bool, on the canvas; a phrase that is nowhere acts everywhere, as words of style do.
    """

    prompt: tuple[Phrase, ...]
    places: Tensor
    _fullest: dict[Extent, Tensor] = field(default_factory=dict)

    def text(self, view: View, share: float) -> str:
        """The prompt of a tile: the phrases of which it holds enough.

        Args:
            view: of the tile.
            share: a phrase counts in a tile that holds at least this share of what a tile of its size can hold of it,
                wherever that lies: so a small object counts as much as a sky. Where none does, the one that comes
                nearest does.
        """
        inside = view.gather(self.places.float()[None])[0].sum(dim=(-2, -1))
        most = self._most(view.extent)
        held = torch.where(most > 0, inside / most.clamp(1), 1.0)
        left_out = {k for k, part in enumerate(held.tolist()) if part < share}
        if len(left_out) == len(self.prompt):
            left_out.discard(int(held.argmax()))
        return without(self.prompt, left_out)

    def _most(self, extent: Extent) -> Tensor:
        """[phrases]: pixels of each place in the window of this size that holds most of it."""
        if extent not in self._fullest:
            h, w = (min(n, side) for n, side in zip(extent, self.places.shape[-2:], strict=True))
            sums = pad(self.places.double(), (1, 0, 1, 0)).cumsum(-2).cumsum(-1)
            windows = sums[:, h:, w:] - sums[:, :-h, w:] - sums[:, h:, :-w] + sums[:, :-h, :-w]
            self._fullest[extent] = windows.amax(dim=(-2, -1)).float()
        return self._fullest[extent]


def small_canvas(canvas: Extent, model: ModelTraits) -> Extent:
    """The size at which a picture is looked at: the canvas's shape, with the area of the model's native pictures."""
    scale = min(1.0, model.native / sqrt(canvas.h * canvas.w))
    return Extent(*(max(1, round(n * scale / model.multiple)) * model.multiple for n in canvas))


def content_of(prompt: str, predict: Predict, canvas: Extent) -> Content:
    """Where each phrase of a prompt is in a picture.

    Args:
        prompt: the whole one.
        predict: tells the model's predictions of the picture for other texts.
        canvas: size of the places that come out, latent pixels.
    """
    every = phrases(prompt)
    places = torch.zeros((len(every), *canvas), dtype=torch.bool)
    if len(every) > 1:
        whole = predict(prompt)
        for k in range(min(len(every), MOST_PHRASES)):
            difference = (predict(without(every, {k})) - whole).square().mean(dim=(0, 1))
            places[k] = _enlarged(place(difference), canvas)
    return Content(every, places)


PLACE = 0.35
"""A phrase is where differences are above this part of their height."""


def place(difference: Tensor) -> Tensor:
    """[h, w] bool of mean squared differences [h, w]: where their root is above PLACE of its height."""
    smooth = avg_pool2d(pad(difference.float()[None, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0, 0].sqrt()
    low, high = smooth.quantile(0.02), smooth.quantile(0.98)
    return smooth > low + (high - low) * PLACE


def _enlarged(mask: Tensor, canvas: Extent) -> Tensor:
    return interpolate(mask.float().cpu()[None, None], canvas, mode="bilinear")[0, 0] >= 0.5
