"""decode and encode: plan, run, and what happens when memory or float16's range is not enough."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import NotFiniteError, TiledVaeError
from .executor import Progress, Run, ShouldStop, State, Watch
from .fast import run_fast
from .layout import read_decoder, read_encoder
from .memory import GIB, Memory, free_memory
from .plan import Plan, Planner
from .program import Program
from .settings import TiledVaeSettings

log = logging.getLogger("tiled_vae")
ORIGINAL = "tiled_vae_original"  # attribute of a swapped forward: the one below it


@dataclass(frozen=True)
class Callbacks:
    """What the caller wants to hear. All are called in the thread of the run.

    Attributes:
        on_progress: (tiles done, tiles in all) after each tile.
        should_stop: asked before each tile; true ends the run with `Interrupted`.
        on_plan: the plan of each picture before it starts, and again when memory made it change.
        say: lines for the user: the plan, the estimated error of the fast mode. Without it they go to the log.
    """

    on_progress: Progress | None = None
    should_stop: ShouldStop | None = None
    on_plan: Callable[[Plan], None] | None = None
    say: Callable[[str], None] | None = None

    def tell(self, line: str) -> None:
        """A line for the user."""
        (self.say or log.info)(line)


def decode(
    decoder: Any,
    z: Tensor,
    settings: TiledVaeSettings | None = None,
    callbacks: Callbacks | None = None,
    *,
    memory: Memory | None = None,
) -> Tensor:
    """Pictures of latents, as `decoder(z)` gives them.

    Args:
        decoder: an ldm, sgm, Forge or diffusers decoder.
        z: latents [B, C, h, w] (after post_quant_conv) on the decoder's device and in its dtype.
        settings: mode, tiles, rings.
        callbacks: progress, interruption, messages.
        memory: free bytes; measured by default.

    Returns:
        [B, 3, 8 h, 8 w] on z's device.

    Raises:
        TiledVaeError: unknown layout, wrong input, or not even the smallest tile fits into memory.
        Interrupted: `should_stop` asked for it.
    """
    return _each(decoder, read_decoder, z, settings or TiledVaeSettings(), callbacks or Callbacks(), memory)


def encode(
    encoder: Any,
    x: Tensor,
    settings: TiledVaeSettings | None = None,
    callbacks: Callbacks | None = None,
    *,
    memory: Memory | None = None,
) -> Tensor:
    """Moments of pictures, as `encoder(x)` gives them (before quant_conv).

    Args:
        encoder: an ldm, sgm, Forge or diffusers encoder.
        x: pictures [B, 3, H, W] on the encoder's device and in its dtype.
        settings: mode, tiles, rings.
        callbacks: progress, interruption, messages.
        memory: free bytes; measured by default.

    Returns:
        [B, 2 C, H // 8, W // 8] on x's device.

    Raises:
        TiledVaeError: unknown layout, wrong input, or not even the smallest tile fits into memory.
        Interrupted: `should_stop` asked for it.
    """
    return _each(encoder, read_encoder, x, settings or TiledVaeSettings(), callbacks or Callbacks(), memory)


def plan(
    net: Any,
    size: tuple[int, int],
    settings: TiledVaeSettings | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    memory: Memory | None = None,
) -> Plan:
    """What `decode` or `encode` would do with an input of this height and width.

    Raises:
        TiledVaeError: unknown layout, or a size that cannot be.
    """
    program = read_decoder(net) if _is_decoder(net) else read_encoder(net)
    free = memory or free_memory(next(net.parameters()).device)
    return Planner(program, size, dtype.itemsize, settings or TiledVaeSettings(), free).plan()


def _is_decoder(net: Any) -> bool:
    return hasattr(net, "up") or hasattr(net, "up_blocks")


def _each(
    net: Any,
    read: Callable[[Any], Program],
    x: Tensor,
    settings: TiledVaeSettings,
    callbacks: Callbacks,
    memory: Memory | None,
) -> Tensor:
    """Each picture of the batch on its own: they share no statistics, and memory stays that of one."""
    program = read(net)
    _check_input(x, program)
    with torch.no_grad():
        out = [_one(net, read, x[i : i + 1], settings, callbacks, memory) for i in range(x.shape[0])]
    return out[0] if len(out) == 1 else torch.cat(out)


def _check_input(x: Tensor, program: Program) -> None:
    if x.dim() != 4 or x.shape[1] != program.in_channels or 0 in x.shape:
        raise TiledVaeError(
            f"the input is {tuple(x.shape)}; [batch, {program.in_channels} channels, height, width] is needed"
        )
    if not x.is_floating_point():
        raise TiledVaeError(f"the input is {x.dtype}; a floating point type is needed")
    if x.requires_grad and torch.is_grad_enabled():
        raise TiledVaeError("the input wants gradients; tiles give none. Use torch.no_grad(), or the untiled pass")


def _one(
    net: Any,
    read: Callable[[Any], Program],
    x: Tensor,
    settings: TiledVaeSettings,
    callbacks: Callbacks,
    memory: Memory | None,
) -> Tensor:
    """One picture, and once more in a wider type if float16 overflows."""
    try:
        out = _in_memory(net, read(net), x, settings, callbacks, memory)
        finite = x.is_meta or not bool(out.isnan().any())
    except NotFiniteError as error:
        out, finite = _nan_result(read(net), x), False
        log.debug("%s", error)
    if finite:
        return out
    if x.dtype == torch.float16 and settings.retry_nan and bool(x.isfinite().all()):
        wide = _wide_dtype(x.device)
        callbacks.tell(f"Tiled VAE: NaN in float16, once more in {str(wide).removeprefix('torch.')}")
        twin = copy.deepcopy(net).to(wide)
        twin.__dict__.pop("forward", None)  # a forward of the instance still speaks of the original's weights
        out = _one(twin, read, x.to(wide), settings, callbacks, memory).to(x.dtype)
        if bool(out.isfinite().all()):
            return out
    log.warning("Tiled VAE: the result has NaN")
    out.view(-1)[0] = float("nan")  # where hosts look
    return out


def _wide_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def _nan_result(program: Program, x: Tensor) -> Tensor:
    shape = (1, program.channels()[-1], program.sizes(x.shape[-2])[-1], program.sizes(x.shape[-1])[-1])
    return x.new_full(shape, float("nan"))


def _in_memory(
    net: Any, program: Program, x: Tensor, settings: TiledVaeSettings, callbacks: Callbacks, memory: Memory | None
) -> Tensor:
    """Runs the plan; when memory runs out, the next smaller one.

    Raises:
        TiledVaeError: the smallest did not fit; names the numbers.
    """
    size = (int(x.shape[-2]), int(x.shape[-1]))
    planner = Planner(program, size, x.element_size(), settings, memory or free_memory(x.device))
    first = planner.plan()
    last = first
    for current in (p for plans in ([first], planner.smaller(first)) for p in plans):
        last = current
        callbacks.tell(current.describe())
        if callbacks.on_plan is not None:
            callbacks.on_plan(current)
        try:
            return _run(net, planner, current, x, callbacks)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        if x.device.type == "cuda":
            torch.cuda.empty_cache()
    raise TiledVaeError(
        f"out of memory: {last.size[1]}x{last.size[0]} px with the smallest tile, {last.tile_lp} latent px, needs "
        "about "
        f"{last.peak.device / GIB:.2f} GiB on {x.device} and {last.peak.host / GIB:.2f} GiB of host memory; "
        f"{last.memory.device / GIB:.2f} and {last.memory.host / GIB:.2f} GiB were free"
    )


def is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA, MPS and CPU each say it in their own way."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory"))


def _run(net: Any, planner: Planner, plan: Plan, x: Tensor, callbacks: Callbacks) -> Tensor:
    watch = Watch(callbacks.on_progress, callbacks.should_stop)
    if plan.mode == "untiled":
        watch.total = 1
        watch.check()
        result: Tensor = getattr(getattr(net, "forward", None), ORIGINAL, net)(x)
        watch.step()
        return result
    run = planner.run(plan.tile_lp, plan.store)
    run.watch, run.device, run.itemsize = watch, x.device, x.element_size()
    if plan.key_stride > 1:
        log.warning(
            "Tiled VAE: attention over %d latent px is too long to be exact; each query sees every %d. row and column",
            run.size[0] * run.size[1],
            plan.key_stride,
        )
    state = run_fast(run, State(x), callbacks.tell) if plan.mode == "fast" else run_exact(run, State(x), plan)
    return run.program.finish(state.main) if run.program.finish else state.main


def run_exact(run: Run, state: State, plan: Plan) -> State:
    """All segments, with or without stored boundaries between the middle and the picture."""
    tiled, end = run.program.tiled, len(run.program.segments)
    run.watch.total = run.steps(plan.store == "recompute")
    moments: dict[int, Any] = {}
    if plan.store != "recompute" or not tiled:
        return run.whole(0, end, state, moments)
    state = run.whole(0, tiled.start, state, moments)
    state = run.recompute(tiled.start, tiled.stop, state, moments)
    return run.whole(tiled.stop, end, state, moments)
