"""One denoiser call on the canvas: crop, evaluate, accumulate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tiled_diffusion.errors import OutOfMemoryError

from .geometry import Extent
from .placing import Placed
from .plan import Planner
from .tiles import Plan, Tile
from .view import View

log = logging.getLogger("tiled_diffusion")

Evaluate = Callable[[Tensor, Sequence[Tile]], Tensor]
"""(crops [k * B, C, h, w], k tiles) -> predictions [k * B, C', h, w]; rows i * B to (i + 1) * B are tile i's."""


@dataclass
class Batching:
    """How many tiles go into one call; shrinks when memory runs out, and stays small for the rest of the run.

    Attributes:
        size: tiles per call.
        on_batch: called after every call with the number of tiles done so far; may raise to stop.
        shrunk: whether memory ran out before.
        placed: what was brought to the device.
    """

    size: int
    on_batch: Callable[[int], None] = lambda done: None  # noqa: ARG005
    shrunk: bool = False
    placed: Placed = field(default_factory=Placed, repr=False)

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
    tile = planner.largest_crop()
    per_tile = 2 * images * tile.h * tile.w * BYTES_PER_LATENT_PIXEL
    return max(1, min(MOST_TILES_A_CALL, free // 3 // per_tile))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def fuse(x: Tensor, plan: Plan, evaluate: Evaluate, batching: Batching) -> Tensor:
    """The canvas's prediction: sum_i V_i^T [ w_i * D(V_i x) ] with weights that sum to 1 at every pixel.

    Args:
        x: [B, C, H, W], the noisy latent; H and W are the plan's canvas.
        plan: the tiles. Where a guide has taken tiles away, what they alone would have drawn stays 0.
        evaluate: the denoiser; it may return eps, v or x0, which are affine in one another at a fixed x.
        batching: tiles per call.

    Returns:
        [B, C', H, W] in x's dtype (accumulated in float32, float64 for float64). A plan of one tile that is the canvas
        returns the denoiser's own result, bit for bit.
    """
    if plan.is_whole:
        result = evaluate(x, plan.tiles)
        batching.on_batch(1)
        return result
    return _fused(_ring_padded(x, plan), x.shape[0], plan, evaluate, batching)


def _fused(padded: Tensor, images: int, plan: Plan, evaluate: Evaluate, batching: Batching) -> Tensor:
    total: Tensor | None = None
    done = 0
    pending = list(plan.batches(batching.size))[::-1]
    while pending:
        tiles = pending.pop()
        if len(tiles) > batching.size:
            pending += [tiles[i : i + batching.size] for i in range(0, len(tiles), batching.size)][::-1]
            continue
        views = [batching.placed.of(tile, padded.device) for tile in tiles]
        out = _try(evaluate, padded, tiles, [view for view, _ in views])
        if isinstance(out, Exception):
            batching.halve(tiles[0].view.extent, out)
            pending.append(tiles)
            continue
        if total is None:
            accumulate = torch.promote_types(out.dtype, torch.float32)
            total = torch.zeros((images, out.shape[1], *padded.shape[2:]), dtype=accumulate, device=out.device)
        for (view, weight), part in zip(views, torch.split(out, out.shape[0] // len(tiles)), strict=True):
            view.scatter_add(total, part, weight)
        done += len(tiles)
        batching.on_batch(done)
    if total is None:
        return torch.zeros_like(padded[..., : plan.canvas.h, : plan.canvas.w])
    return _ring_folded(total, plan).to(padded.dtype)


def _try(evaluate: Evaluate, padded: Tensor, tiles: Sequence[Tile], views: Sequence[View]) -> Tensor | Exception:
    """The predictions, or the exception if memory ran out; any other exception passes."""
    try:
        return evaluate(torch.cat([view.gather(padded) for view in views]), tiles)
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
