"""Runs a program tile by tile; all tiles meet at each norm, where their statistics are merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .attention import attend
from .errors import Interrupted, NotFiniteError
from .frame import Frame
from .group_norm import Moments, measure, normalise
from .program import Add, Attention, Keep, Norm, Op
from .tiles import Box, crop, read

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]
Visit = Callable[[int, Tensor], None]


@dataclass
class State:
    """Activations at a boundary: pictures [1, C, H, W], the kept input of an open residual block among them."""

    main: Tensor
    kept: Tensor | None = None


@dataclass
class Watch:
    """Tells the caller how far the run is, and stops when he asks.

    Attributes:
        on_progress: called with (tiles done, tiles in all) after each tile.
        should_stop: asked before each tile.
    """

    on_progress: Progress | None = None
    should_stop: ShouldStop | None = None
    total: int = 0
    done: int = 0

    def check(self) -> None:
        """Stops here if the caller asked for it.

        Raises:
            Interrupted: he did.
        """
        if self.should_stop is not None and self.should_stop():
            raise Interrupted

    def step(self) -> None:
        """One more tile is done."""
        self.done += 1
        self.total = max(self.total, self.done)
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def host_empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Room in host memory."""
    return torch.empty(tuple(shape), dtype=like.dtype, device="meta" if like.is_meta else "cpu")


def to_device(part: Tensor, device: torch.device) -> Tensor:
    """Part of a stored picture on the device; a view if it is there already."""
    return part.to(device, non_blocking=True)


def device_empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Room in device memory."""
    return torch.empty(tuple(shape), dtype=like.dtype, device=like.device)


@dataclass
class Run(Frame):
    """One picture on its way through a program.

    Attributes:
        watch: progress and interruption.
        device: where the network is.
    """

    watch: Watch = field(default_factory=Watch)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def load(self, picture: Tensor, box: Box) -> Tensor:
        """A box of a stored picture on the device; a view if it is there already."""
        return to_device(read(picture, box), self.device)

    def tile(
        self, start: int, stop: int, state: State, moments: dict[int, Moments], want: Box, visit: Visit | None = None
    ) -> State:
        """The box `want` of boundary `stop`, from a stored boundary `start`: the halo is cropped as it is used up.

        `visit` sees what the tile has at each boundary in between.
        """
        at = self.op_boxes(start, stop, want)
        tile = State(self.load(state.main, at[0]))
        if state.kept is not None:
            tile.kept = self.load(state.kept, at[0])
        done = 0
        for k in range(start, stop):
            ops = self.segment(k).ops
            run_ops(ops, tile, moments.get(k), at[done : done + len(ops) + 1])
            done += len(ops)
            if visit is not None and k + 1 < stop:
                visit(k + 1, tile.main)
        return tile

    def between(self, k: int, state: State, moments: dict[int, Moments]) -> State:
        """Takes the whole picture from boundary k to k + 1 and puts the statistics there into `moments`."""
        segment = self.segment(k)
        if segment.attention:
            out = self.attention(segment.attention, k, state, moments[k])
            self.measure_stored(k + 1, out, moments)
            return State(out)
        return State(self.cover(k, k + 1, state, moments), state.main if segment.keeps else None)

    def cover(
        self,
        start: int,
        stop: int,
        state: State,
        moments: dict[int, Moments],
        store: bool = True,
        visit: Visit | None = None,
    ) -> Tensor:
        """Boundary `stop` of the whole picture from a stored boundary `start`, and its statistics into `moments`.

        Without `store` only the statistics are wanted; the result is then empty.
        """
        out = state.main.new_empty(0)
        for box in self.grid(stop):
            self.watch.check()
            tile = self.tile(start, stop, state, moments, box, visit).main
            if store:
                out = out if out.numel() else self.room(stop, tile)
                out[..., box.y.lo : box.y.hi, box.x.lo : box.x.hi] = tile
            self.note(stop, tile, moments)
            del tile  # before the next one is made
            self.watch.step()
        self.settle(stop, moments)
        return out

    def room(self, boundary: int, like: Tensor) -> Tensor:
        """Room for the activations of a boundary; the last one is the result and stays on the device."""
        last = boundary == len(self.heights) - 1
        shape = (1, like.shape[1], self.heights[boundary], self.widths[boundary])
        return host_empty(shape, like) if self.host and not last else device_empty(shape, like)

    def note(self, boundary: int, tile: Tensor, moments: dict[int, Moments]) -> None:
        """Adds an owned tile to the statistics of a boundary, if the next segment needs any."""
        groups = self.groups(boundary)
        if groups:
            mine = measure(tile, groups)
            moments[boundary] = mine if boundary not in moments else moments[boundary].merge(mine)

    def settle(self, boundary: int, moments: dict[int, Moments]) -> None:
        """Refuses statistics that are not finite.

        Raises:
            NotFiniteError: an activation overflowed or was NaN.
        """
        statistics = moments.get(boundary)
        if statistics is None or statistics.m2.is_meta:
            return
        if not bool((statistics.mean + statistics.m2).isfinite().all()):
            raise NotFiniteError(f"activations before segment {boundary} are not finite")

    def attention(self, op: Attention, k: int, state: State, moments: Moments) -> Tensor:
        """The middle attention, chunk by chunk."""
        height, width = self.heights[k], self.widths[k]

        def rows_of(lo: int, hi: int) -> Tensor:
            return to_device(state.main[..., lo:hi, :], self.device)

        out = state.main.new_empty(0)
        lo = 0
        self.watch.check()
        for rows in attend(op, rows_of, (height, width), moments, self.attention_tokens):
            out = out if out.numel() else self.room(k + 1, rows)
            out[..., lo : lo + rows.shape[-2], :] = rows
            lo += rows.shape[-2]
            self.watch.step()
            self.watch.check()
        return out

    def whole(self, start: int, stop: int, state: State, moments: dict[int, Moments]) -> State:
        """Takes the whole picture from boundary to boundary, keeping each only as long as it is needed."""
        for k in range(start, stop):
            state = self.between(k, state, moments)
        return state

    def measure_stored(self, boundary: int, picture: Tensor, moments: dict[int, Moments]) -> None:
        """Statistics of a boundary that lies in memory as a whole."""
        for box in self.grid(boundary):
            self.note(boundary, self.load(picture, box), moments)
        self.settle(boundary, moments)

    def recompute(self, start: int, stop: int, state: State, moments: dict[int, Moments]) -> State:
        """As `whole`, but nothing is stored between the two boundaries: each tile starts from `start` at every norm."""
        for k in range(start + 1, stop):
            if self.groups(k) and k not in moments:
                self.cover(start, k, state, moments, store=False)
        return State(self.cover(start, stop, state, moments))


def run_ops(ops: Sequence[Op], tile: State, moments: Moments | None, at: Sequence[Box]) -> None:
    """Runs operations on a tile, in place; at[i] is the box before operation i, at[-1] the box after the last."""
    for op, have, want in zip(ops, at, at[1:], strict=False):
        run_op(op, tile, moments)
        made = Box(op.covers(have.y), op.covers(have.x))
        if made != want:
            tile.main = crop(tile.main, made, want)
            tile.kept = None if tile.kept is None else crop(tile.kept, made, want)


def run_op(op: Op, tile: State, moments: Moments | None) -> None:
    """One operation on a tile, in place: no other name holds what is no longer needed."""
    if isinstance(op, Keep):
        tile.kept = tile.main
    elif isinstance(op, Add):
        tile.main, tile.kept = _add(op, tile), None
    elif isinstance(op, Norm):
        if moments is None:
            raise TypeError("a norm without statistics")
        tile.main = op.act(normalise(tile.main, moments, op.module))
    else:
        module: Any = op.module
        tile.main = module(tile.main)


def _add(op: Add, tile: State) -> Tensor:
    kept: Any = tile.kept if op.shortcut is None else op.shortcut(tile.kept)
    total: Tensor = tile.main.add_(kept)
    return total if op.scale == 1 else total.div_(op.scale)
