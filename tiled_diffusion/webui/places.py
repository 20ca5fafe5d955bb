"""Tiles of one step on several devices of this machine: a thread and a copy of the U-Net for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import MOST_TILES_A_CALL, Batching, Evaluate, Spread, evaluated_in_halves
from tiled_diffusion.engine.pool import Pool
from tiled_diffusion.engine.positions import CanvasPositions
from tiled_diffusion.engine.runner import Runner, kept, ordered
from tiled_diffusion.engine.threads import ThreadWorker
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.errors import TiledError

from .hosts import host
from .hosts.port import Copies, Job
from .hosts.values import DRAW_ON

if TYPE_CHECKING:
    from .denoiser import Tiling

OPTION = "tiled_diffusion_devices"


@dataclass(frozen=True)
class Place:
    """A device with its copy of the U-Net.

    Attributes:
        copies: of all places.
        number: of this one.
        batching: how many tiles fit into its memory.
    """

    copies: Copies
    number: int
    batching: Batching = field(default_factory=lambda: Batching(MOST_TILES_A_CALL))


@dataclass(frozen=True)
class TileCall:
    """A batch of tiles for one of the threads.

    Attributes:
        evaluate: the sampling's own.
        crops: [tiles * rows, C, h, w].
        tiles: of the crops.
    """

    evaluate: Evaluate
    crops: Tensor
    tiles: Sequence[Tile]

    def __call__(self, replica: Place) -> Tensor:
        """The predictions, by the copy of a place; where memory runs out, of half as many tiles at a time."""
        with replica.copies.at(replica.number):
            return evaluated_in_halves(self.crops, self.tiles, self.evaluate, replica.batching)

    def check(self, result: Any) -> None:
        """Numbers of the crops' size, all of them finite."""
        if not isinstance(result, Tensor) or result.shape[-2:] != self.crops.shape[-2:]:
            raise ValueError("tiles came back in another shape")
        if not torch.isfinite(result).all():
            raise ValueError("tiles came back with numbers that are not finite (NaN)")


@dataclass
class Places:
    """The threads of one sampling.

    Attributes:
        copies: of the U-Net.
        pool: hands out the tiles.
    """

    copies: Copies
    pool: Pool

    @classmethod
    def wanted(cls, p: Job, tiling: Tiling) -> Places | None:
        """As the WebUI's settings say; None where they name no device or one alone.

        Raises:
            TiledError: says which device is not there, or what copies cannot do.
        """
        names = [name.strip() for name in str(host.page.option(OPTION, "") or "").split(",") if name.strip()]
        if len(names) < 2:
            return None
        check_served(tiling)
        copies = host.sampling.copies(p, names)
        workers = [ThreadWorker(name, Place(copies, number)) for number, name in enumerate(copies.names)]
        return cls(copies, Pool(workers, Place(copies, 0), kept))

    def close(self) -> None:
        """Nothing of it is left on the model."""
        self.pool.close()
        self.copies.take_off()


def check_served(tiling: Tiling) -> None:
    """Raises TiledError that names what acts on the one model alone, and so on no copy of it."""
    if tiling.controls is not None:
        raise TiledError(f"{DRAW_ON}: ControlNets act on one U-Net alone: switch them off, or leave the setting empty")
    if tiling.networks is not None:
        raise TiledError(f"{DRAW_ON}: LoRAs of single regions act on one U-Net alone; leave the setting empty")
    if CanvasPositions.wanted(tiling.planner.settings.positions, tiling.planner.model, tiling.planner.canvas):
        raise TiledError(f"{DRAW_ON}: positions in the canvas are told to one model alone; leave the setting empty")
    if tiling.main is not None:
        raise TiledError(f"{DRAW_ON}: elastic draws its small picture first, at one place; leave the setting empty")


def spread_by(runner: Runner, evaluate: Evaluate) -> Spread:
    """What hands the batches of a call to the threads."""

    def spread(batches: Iterable[tuple[Tensor, Sequence[Tile]]], idle: Callable[[], None]) -> Iterator[Tensor]:
        jobs = (TileCall(evaluate, crops, tiles) for crops, tiles in batches)
        return ordered(runner.submit(jobs, idle))

    return spread
