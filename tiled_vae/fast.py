"""One pass with statistics estimated on full-resolution samples, and the error that this makes."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from .executor import Run, State, run_ops
from .group_norm import Moments
from .tiles import Box, Span, cut

SAMPLE_LP = 8  # side of a sample in latent pixels, its halo aside
SAMPLES = 32  # most samples


def run_fast(run: Run, state: State, say: Callable[[str], None]) -> State:
    """The middle exactly; everything else in one pass with the statistics of the samples.

    Says the estimated error: a sample is computed with the statistics that the pass met and with those that it used.
    """
    tiled, end = run.program.tiled, len(run.program.segments)
    moments: dict[int, Moments] = {}
    state = run.whole(0, tiled.start, state, moments)
    if tiled:
        run.watch.total = len(run.grid(tiled.stop)) + run.watch.done
        sample_moments(run, state, moments)
        before = state
        state, met = one_pass(run, before, moments)
        say(f"Tiled VAE: fast, estimated error {error_text(run, before, moments, met)}")
    return run.whole(tiled.stop, end, state, moments)


def samples(run: Run, boundary: int) -> list[Box]:
    """Boxes spread evenly over a boundary, in its pixels; the whole picture if that is hardly more."""
    height, width = run.heights[boundary], run.widths[boundary]
    side = SAMPLE_LP * (1 if run.program.encodes else run.program.factor)
    rows = max(1, min(round(math.sqrt(SAMPLES * height / width)), SAMPLES, -(-height // side)))
    columns = max(1, min(SAMPLES // rows, -(-width // side)))
    return [
        Box(_centre(y, side), _centre(x, side))
        for y in cut(height, -(-height // rows))
        for x in cut(width, -(-width // columns))
    ]


def _centre(span: Span, side: int) -> Span:
    """The middle `side` pixels of a span."""
    lo = span.lo + max(0, span.length - side) // 2
    return Span(lo, min(lo + side, span.hi))


def sample_moments(run: Run, state: State, moments: dict[int, Moments]) -> None:
    """Statistics of every boundary outside the middle, from samples that advance together from norm to norm.

    The samples are cut from the activations at full resolution with their true halo, so that each is computed exactly
    as in the picture, statistics aside; what they have of their halo left counts too.
    """
    start, stop = run.program.tiled.start, run.program.tiled.stop
    at = [run.op_boxes(start, stop, box) for box in samples(run, stop)]
    tiles = [State(run.load(state.main, boxes[0])) for boxes in at]
    done = 0
    for k in range(start, stop - 1):
        ops = run.segment(k).ops
        for i, boxes in enumerate(at):
            run.watch.check()
            run_ops(ops, tiles[i], moments.get(k), boxes[done : done + len(ops) + 1])
            run.note(k + 1, tiles[i].main, moments)
        run.settle(k + 1, moments)
        done += len(ops)


def one_pass(run: Run, state: State, moments: dict[int, Moments]) -> tuple[State, dict[int, Moments]]:
    """The picture with given statistics; also the statistics that the tiles had on the way."""
    start, stop = run.program.tiled.start, run.program.tiled.stop
    met: dict[int, Moments] = {}

    def visit(boundary: int, tile: Tensor) -> None:
        run.note(boundary, tile, met)

    out = run.cover(start, stop, state, moments, visit=visit)
    if start in moments:
        met[start] = moments[start]
    return State(out), met


def error_text(run: Run, before: State, used: dict[int, Moments], met: dict[int, Moments]) -> str:
    """The error of the pass, as the difference that the statistics make on one sample in the middle of the picture."""
    start, stop = run.program.tiled.start, run.program.tiled.stop
    boxes = samples(run, stop)
    box = boxes[len(boxes) // 2]
    a, b = (run.tile(start, stop, before, moments, box).main.float() for moments in (used, met))
    rms = float((a - b).square().mean().sqrt())
    span = float(b.max() - b.min())
    if rms == 0 or span == 0:
        return "none"
    return f"{20 * math.log10(span / rms):.1f} dB (rms {rms:.2g} of a range of {span:.2g})"
