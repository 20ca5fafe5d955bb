"""One denoiser call on the canvas: crop, evaluate, accumulate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tiled_diffusion.errors import OutOfMemoryError

from .dilated import Seen
from .geometry import Extent
from .placing import Placed
from .plan import Planner, dilations
from .runner import Runner
from .tiles import Plan, Tile

log = logging.getLogger("tiled_diffusion")

Evaluate = Callable[[Tensor, Sequence[Tile]], Tensor]
"""(crops [k * B, C, h, w], k tiles) -> predictions [k * B, C', h, w]; rows i * B to (i + 1) * B are tile i's."""

Spread = Callable[[Iterable[tuple[Tensor, Sequence[Tile]]], Callable[[], None]], Iterator[Tensor]]
"""Evaluates batches at several places at once: (batches as for Evaluate, taken as there is room for them; what to call
while it waits, which may raise to stop) -> predictions of each batch, in the order of the batches."""


@dataclass
class Batching:
    """How many tiles go into one call; shrinks when memory runs out, and stays small for the rest of the run.

    Attributes:
        size: tiles per call.
        on_batch: called after every call with the number of tiles done so far; may raise to stop.
        runner: where batches are evaluated; None: here.
        shrunk: whether memory ran out before.
        done: tiles of the present call.
        placed: what was brought to the device.
    """

    size: int
    on_batch: Callable[[int], None] = lambda done: None  # noqa: ARG005
    runner: Runner | None = None
    shrunk: bool = False
    done: int = 0
    placed: Placed = field(default_factory=Placed, repr=False)

    def add(self, tiles: int) -> None:
        """So many more tiles are done."""
        self.done += tiles
        self.on_batch(self.done)

    def still(self) -> None:
        """Nothing has come since; the place to stop while one waits."""
        self.on_batch(self.done)

    def halve(self, tile: Extent, error: BaseException) -> None:
        """Half as many tiles from now on; says so the first time.

        Raises:
            OutOfMemoryError: there is but one tile left in a batch.
        """
        if self.size <= 1:
            raise OutOfMemoryError(
                f"out of memory with a single tile of {tile.w} x {tile.h} latent pixels: take a smaller one ({error})"
            ) from error
        self.size //= 2
        if not self.shrunk:
            log.warning("Out of memory: going on with %d tile(s) at a time, fewer if need be", self.size)
        self.shrunk = True


BYTES_PER_LATENT_PIXEL = 32 * 1024
"""Activations of a U-Net for one row, with an attention that keeps no matrix.

Counted on tensors without numbers they are 16.3 KiB for SD 1 and 9.8 KiB for SDXL in 16 bits, and twice that in 32.
The rest is for what kernels take for themselves.
"""
MOST_TILES_A_CALL = 64


def automatic_batch(planner: Planner, images: int, free: int | None) -> int:
    """Tiles per model call where the user leaves it to us.

    Args:
        planner: of the canvas.
        images: pictures of the batch.
        free: bytes of a graphics card, of which a third is used by a rough figure (it is halved when that is too
            much); None on a processor, where one tile at a time is quickest: its caches hold no more.
    """
    if free is None:
        return 1
    crops = [planner.largest_crop(), *(views.extent for views in dilations(planner))]
    per_tile = 2 * images * max(crop.h * crop.w for crop in crops) * BYTES_PER_LATENT_PIXEL
    return max(1, min(MOST_TILES_A_CALL, free // 3 // per_tile))


def fitted_batch(size: int, planner: Planner, places: int) -> int:
    """Tiles per model call, at most `size`, so that none of several places is left without any."""
    if places == 1:
        return size
    tiles = len(planner.plan().tiles) + sum(views.count for views in dilations(planner))
    return max(1, min(size, -(-tiles // places)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def evaluated_in_halves(crops: Tensor, tiles: Sequence[Tile], evaluate: Evaluate, batching: Batching) -> Tensor:
    """A batch at one place, at once or, where memory runs out there, of half as many tiles at a time.

    Args:
        crops: [k * B, C, h, w].
        tiles: k, of the crops.
        evaluate: the place's own.
        batching: the place's own; it stays as small as it had to become.

    Returns:
        As of Evaluate.

    Raises:
        OutOfMemoryError: a single tile is too large.
    """
    rows, first, out = crops.shape[0] // len(tiles), 0, list[Tensor]()
    while first < len(tiles):
        some = tiles[first : first + batching.size]
        part = crops[first * rows : (first + len(some)) * rows]
        try:
            out.append(evaluate(part, some))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            batching.size = len(some)
            batching.halve(Extent(*part.shape[-2:]), error)
            continue
        first += len(some)
    return torch.cat(out)


def fuse(x: Tensor, plan: Plan, evaluate: Evaluate, batching: Batching, spread: Spread | None = None) -> Tensor:
    """The canvas's prediction: sum_i V_i^T [ w_i * D(V_i x) ] with weights that sum to 1 at every pixel.

    Args:
        x: [B, C, H, W], the noisy latent; H and W are the plan's canvas.
        plan: the tiles. Where a guide has taken tiles away, what they alone would have drawn stays 0.
        evaluate: the denoiser; it may return eps, v or x0, which are affine in one another at a fixed x.
        batching: tiles per call.
        spread: evaluates all but the untiled call in place of `evaluate`. Predictions are added up in the plan's
            order, so that the sum is the same wherever they come from.

    Returns:
        [B, C', H, W] in x's dtype (accumulated in float32, float64 for float64). A plan of one tile that is the canvas
        returns the denoiser's own result, bit for bit.
    """
    if plan.is_whole:
        result = evaluate(x, plan.tiles)
        batching.on_batch(1)
        return result
    padded = _ring_padded(x, plan)
    seen = Seen(padded)
    batches = _spread(seen, plan, spread, batching) if spread else _evaluated(seen, plan, evaluate, batching)
    total: Tensor | None = None
    batching.done = 0
    for tiles, out in batches:
        if total is None:
            accumulate = torch.promote_types(out.dtype, torch.float32)
            total = torch.zeros((x.shape[0], out.shape[1], *padded.shape[2:]), dtype=accumulate, device=out.device)
        for tile, part in zip(tiles, torch.split(out, out.shape[0] // len(tiles)), strict=True):
            view, weight = batching.placed.of(tile, total.device)
            view.scatter_add(total, part, weight)
        batching.add(len(tiles))
    return torch.zeros_like(x) if total is None else _ring_folded(total, plan).to(x.dtype)


def _evaluated(
    seen: Seen, plan: Plan, evaluate: Evaluate, batching: Batching
) -> Iterator[tuple[Sequence[Tile], Tensor]]:
    """Batches and their predictions; a batch for which memory runs out is halved."""
    pending = list(plan.batches(batching.size))[::-1]
    while pending:
        tiles = pending.pop()
        if len(tiles) > batching.size:
            pending += [tiles[i : i + batching.size] for i in range(0, len(tiles), batching.size)][::-1]
            continue
        out = _try(evaluate, seen, tiles, batching.placed)
        if isinstance(out, Exception):
            batching.halve(tiles[0].view.extent, out)
            pending.append(tiles)
            continue
        yield tiles, out


def _spread(
    seen: Seen, plan: Plan, spread: Spread, batching: Batching
) -> Iterator[tuple[Sequence[Tile], Tensor]]:
    """Batches and their predictions; places halve their own where memory runs out, see evaluated_in_halves."""
    batches = list(plan.batches(batching.size))
    crops = ((_crops(seen, tiles, batching.placed), tiles) for tiles in batches)
    return zip(batches, spread(crops, batching.still), strict=True)


def _crops(seen: Seen, tiles: Sequence[Tile], placed: Placed) -> Tensor:
    return torch.cat([seen.through(placed.of(tile, seen.x.device)[0]) for tile in tiles])


def _try(evaluate: Evaluate, seen: Seen, tiles: Sequence[Tile], placed: Placed) -> Tensor | Exception:
    """The predictions, or the exception if memory ran out; any other exception passes."""
    try:
        return evaluate(_crops(seen, tiles, placed), tiles)
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        return e.with_traceback(None)  # lets go of the frames, and of the tensors in them


def _reach(plan: Plan) -> Extent:
    """How far tiles reach past the end of the canvas, on rings."""
    return Extent(
        max((tile.box.y + tile.box.h - plan.canvas.h for tile in plan.tiles), default=0),
        max((tile.box.x + tile.box.w - plan.canvas.w for tile in plan.tiles), default=0),
    )


def _ring_padded(x: Tensor, plan: Plan) -> Tensor:
    """The canvas with its beginning repeated after its end, as far as tiles reach: every box is a plain slice."""
    past = _reach(plan)
    if past.h > 0:
        x = torch.cat([x, x[..., : past.h, :]], dim=-2)
    if past.w > 0:
        x = torch.cat([x, x[..., : past.w]], dim=-1)
    return x


def _ring_folded(total: Tensor, plan: Plan) -> Tensor:
    """Adds what was accumulated past the end of the canvas to its beginning."""
    past = _reach(plan)
    h, w = plan.canvas
    if past.w > 0:
        total[..., : past.w] += total[..., w:]
    if past.h > 0:
        total[..., : past.h, :] += total[..., h:, :]
    return total[..., :h, :w]
