"""Tiles of one step at workers: what is sent of a batch, what is sent once, and what comes back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, evaluated_in_halves
from tiled_diffusion.engine.guidance import Guidance, Wanted, guided
from tiled_diffusion.engine.guides import Guide, Moment
from tiled_diffusion.engine.runner import Runner, Shared, ordered
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.control import ControlNets, load_controls, with_full_paths
from tiled_diffusion.standalone.control_hints import open_hint
from tiled_diffusion.standalone.denoiser import Denoiser
from tiled_diffusion.standalone.prompts import Conditioning

from .replica import Replica
from .wire import Parcel


@dataclass(frozen=True)
class Context:
    """All that the tiles of a run have in common; sent to each worker once.

    Attributes:
        request: size, tiling and ControlNets.
        guidances: by a tile's prompt number.
        encoded: (text, pooled or None) of every text.
        context: what an inpainting U-Net sees beside the latent.
        own: the texts of pictures that have their own.
        hints: bytes of the ControlNets' hint files, in the request's order.
    """

    request: Request
    guidances: tuple[Guidance, ...]
    encoded: dict[str, tuple[Parcel, Parcel | None]]
    context: Parcel | None
    own: dict[str, tuple[str, ...]]
    hints: tuple[bytes, ...]

    @classmethod
    def of(cls, denoiser: Denoiser) -> Context:
        """Of a denoiser on this side."""
        encoded = {
            text: (Parcel.of(c.text), None if c.pooled is None else Parcel.of(c.pooled))
            for text, c in denoiser.encoded.items()
        }
        context = None if denoiser.context is None else Parcel.of(denoiser.context)
        own = {text: tuple(texts) for text, texts in denoiser.own.items()}
        hints = tuple(Path(control.image).read_bytes() for control in denoiser.request.controls)
        return cls(with_full_paths(denoiser.request), denoiser.guidances, encoded, context, own, hints)

    def at(self, replica: Replica) -> tuple[Denoiser, ControlNets]:
        """The denoiser and its ControlNets with a worker's model."""
        model, device = replica.model, replica.model.device
        encoded = {
            text: Conditioning(words.tensor(device), None if pooled is None else pooled.tensor(device))
            for text, (words, pooled) in self.encoded.items()
        }
        context = None if self.context is None else self.context.tensor(device)
        controls = load_controls(model, self.request, [open_hint(io.BytesIO(hint)) for hint in self.hints])
        return Denoiser(model, self.request, self.guidances, encoded, context, self.own), controls


@dataclass(frozen=True)
class TilesJob:
    """One batch of tiles to be evaluated.

    Attributes:
        context: of a Context.
        crops: [tiles * B, C, h, w], as the model sees them.
        time: that the model is told.
        tiles: of the crops; what weighs them stays behind.
        moment: the step.
        channels: of what the model predicts.
    """

    context: Shared
    crops: Parcel
    time: Parcel
    tiles: tuple[Tile, ...]
    moment: Moment
    channels: int

    @torch.no_grad()
    def __call__(self, replica: Replica) -> Evaluated:
        """The guided predictions; where memory runs out, of half as many tiles at a time."""
        made: tuple[Denoiser, ControlNets] = replica.made_of(self.context, lambda context: context.at(replica))
        denoiser, controls = made
        device = replica.model.device
        time, crops = self.time.tensor(device), self.crops.tensor(device)
        controls.begin_step(self.moment)
        smalls = dict[int, Parcel]()

        def small(tile: Tile, _: Tensor, whole: Tensor) -> None:
            smalls[next(k for k, own in enumerate(self.tiles) if own is tile)] = Parcel.of(whole)

        def evaluate(wanted: Sequence[Wanted]) -> Sequence[Tensor]:
            return denoiser.evaluate(wanted, time, controls)

        def predicted(some: Tensor, tiles: Sequence[Tile]) -> Tensor:
            return guided(some, tiles, denoiser.guidances, evaluate, small)

        out = evaluated_in_halves(crops, self.tiles, predicted, Batching(len(self.tiles)))
        return Evaluated(Parcel.of(out), smalls)

    def check(self, result: Any) -> None:
        """The shape must be the crops', and all numbers finite."""
        rows, _, height, width = self.crops.shape
        wanted = (rows, self.channels, height, width)
        if not isinstance(result, Evaluated) or result.prediction.shape != wanted:
            raise ValueError(f"a batch of tiles came back in another shape than {wanted}")
        if not torch.isfinite(result.prediction.tensor()).all():
            raise ValueError("a batch of tiles came back with numbers that are not finite (NaN)")


@dataclass(frozen=True)
class Evaluated:
    """What comes back of a TilesJob.

    Attributes:
        prediction: [tiles * B, C', h, w].
        smalls: by the number of the tile, the whole guided prediction of each that contributes its direction alone.
    """

    prediction: Parcel
    smalls: dict[int, Parcel]


@dataclass
class Spreading:
    """Sends the tiles of one denoiser to a runner.

    Attributes:
        runner: where they go.
        denoiser: whose they are.
        context: what has been sent of it.
    """

    runner: Runner
    denoiser: Denoiser
    context: Shared

    @classmethod
    def of(cls, runner: Runner, denoiser: Denoiser) -> Spreading:
        """Sends what all tiles have in common."""
        return cls(runner, denoiser, runner.share(Context.of(denoiser)))

    def evaluate(
        self,
        batches: Iterable[tuple[Tensor, Sequence[Tile]]],
        idle: Callable[[], None],
        t: Tensor,
        moment: Moment,
        guide: Guide,
    ) -> Iterator[Tensor]:
        """See engine.fuse.Spread; what acts on crops and what looks at small pictures does so on this side."""
        sent: dict[int, tuple[Sequence[Tile], Tensor]] = {}
        model, time = self.denoiser.model, Parcel.of(t)
        told = moment._replace(level=None)

        def jobs() -> Iterator[TilesJob]:
            for number, (crops, tiles) in enumerate(batches):
                seen = guide.crops(crops, tiles)
                if any(tile.role == "direction" for tile in tiles):
                    sent[number] = tiles, seen
                bare = tuple(replace(tile, weight=_NOTHING) for tile in tiles)
                data = Parcel.of(seen.to(model.dtype))
                yield TilesJob(self.context, data, time, bare, told, model.traits.channels)

        for number, result in enumerate(ordered(self.runner.submit(jobs(), idle))):
            tiles, seen = sent.pop(number, ((), None))
            for k, whole in sorted(result.smalls.items()):
                assert seen is not None
                view = torch.split(seen, seen.shape[0] // len(tiles))[k]
                guide.small(tiles[k], view, whole.tensor(model.device))
            yield result.prediction.tensor(model.device)


_NOTHING: Any = torch.empty(0)
