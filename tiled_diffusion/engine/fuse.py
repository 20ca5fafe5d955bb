"""One denoiser call on the canvas: crop, evaluate, accumulate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tiled_diffusion.errors import OutOfMemoryError

from .geometry import Box, Extent
from .plan import Job, Plan

log = logging.getLogger("tiled_diffusion")

Evaluate = Callable[[Tensor, Sequence[Job]], Tensor]
"""(crops [k * B, C, h, w], k jobs) -> predictions [k * B, C', h, w]; rows i * B to (i + 1) * B are job i's."""


@dataclass
class Batching:
    """How many tiles go into one call; shrinks when memory runs out, and stays small for the rest of the run.

    Attributes:
        size: tiles per call.
        on_batch: called after every call with the number of tiles done so far; may raise to stop.
        shrunk: whether memory ran out before.
    """

    size: int
    on_batch: Callable[[int], None] = lambda done: None  # noqa: ARG005
    shrunk: bool = False

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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def fuse(x: Tensor, plan: Plan, evaluate: Evaluate, batching: Batching) -> Tensor:
    """The canvas's prediction: sum_i F_i^T [ w_i * D(F_i x) ] with weights that sum to 1 at every pixel.

    Args:
        x: [B, C, H, W], the noisy latent; H and W are the plan's canvas, or an integer multiple of it.
        plan: the jobs.
        evaluate: the denoiser; it may return eps, v or x0, which are affine in one another at a fixed x.
        batching: tiles per call.

    Returns:
        [B, C', H, W] in x's dtype (accumulated in float32, float64 for float64). A plan of one job that is the canvas
        returns the denoiser's own result, bit for bit.
    """
    if plan.is_whole:
        result = evaluate(x, plan.jobs)
        batching.on_batch(1)
        return result
    return _fused(_ring_padded(x, plan), x.shape[0], plan, evaluate, batching)


def ring_crop(x: Tensor, box: Box) -> Tensor:
    """The box in [..., H, W]; what reaches past the end is the beginning again."""
    y, x_ = (torch.arange(n, device=x.device) for n in (box.h, box.w))
    return x[..., ((y + box.y) % x.shape[-2])[:, None], (x_ + box.x) % x.shape[-1]]


def _fused(padded: Tensor, images: int, plan: Plan, evaluate: Evaluate, batching: Batching) -> Tensor:
    total: Tensor | None = None
    done = 0
    pending = list(plan.batches(batching.size))[::-1]
    while pending:
        jobs = pending.pop()
        if len(jobs) > batching.size:
            pending += [jobs[i : i + batching.size] for i in range(0, len(jobs), batching.size)][::-1]
            continue
        out = _try(evaluate, padded, jobs)
        if isinstance(out, Exception):
            batching.halve(jobs[0].box.extent, out)
            pending.append(jobs)
            continue
        if total is None:
            accumulate = torch.promote_types(out.dtype, torch.float32)
            total = torch.zeros((images, out.shape[1], *padded.shape[2:]), dtype=accumulate, device=out.device)
        for job, part in zip(jobs, torch.split(out, images), strict=True):
            crop(total, job.box).add_(part * job.weight.to(total))
        done += len(jobs)
        batching.on_batch(done)
    assert total is not None  # a plan has at least one job
    return _ring_folded(total, plan).to(padded.dtype)


def _try(evaluate: Evaluate, padded: Tensor, jobs: Sequence[Job]) -> Tensor | Exception:
    """The predictions, or the exception if memory ran out; any other exception passes."""
    try:
        return evaluate(torch.cat([crop(padded, j.box) for j in jobs]), jobs)
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        return e.with_traceback(None)  # lets go of the frames, and of the tensors in them


def crop(x: Tensor, box: Box) -> Tensor:
    """A view of the box in [..., H, W]."""
    return x[..., box.y : box.y + box.h, box.x : box.x + box.w]


def _reach(plan: Plan) -> Extent:
    """How far jobs reach past the end of the canvas, on rings."""
    return Extent(
        max(0, max(j.box.y + j.box.h for j in plan.jobs) - plan.canvas.h),
        max(0, max(j.box.x + j.box.w for j in plan.jobs) - plan.canvas.w),
    )


def _ring_padded(x: Tensor, plan: Plan) -> Tensor:
    """The canvas with its beginning repeated after its end, as far as jobs reach: every crop is a plain slice."""
    past = _reach(plan)
    if past.h:
        x = torch.cat([x, x[..., : past.h, :]], dim=-2)
    if past.w:
        x = torch.cat([x, x[..., : past.w]], dim=-1)
    return x


def _ring_folded(total: Tensor, plan: Plan) -> Tensor:
    """Adds what was accumulated past the end of the canvas to its beginning."""
    past = _reach(plan)
    h, w = plan.canvas
    if past.w:
        total[..., : past.w] += total[..., w:]
    if past.h:
        total[..., : past.h, :] += total[..., h:, :]
    return total[..., :h, :w]
