"""Runs a program tile by tile; all tiles meet at each norm, where their statistics are merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .attention import attend, chunk_rows, key_stride
from .errors import Interrupted, NotFiniteError, TiledVaeError
from .group_norm import Moments, measure, normalise
from .program import Add, Attention, Keep, Norm, Op, Program, Segment, boxes
from .tiles import Box, crop, grid, read

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
class Run:
    """One picture [1, C, H, W] on its way through a program.

    Attributes:
        program: what to do.
        size: height and width of the input.
        tile_lp: side of a tile in latent pixels.
        wrap: the rows, the columns form a ring.
        host: activations wait in host memory.
        attention_tokens: most keys of a query in the attention.
        watch: progress and interruption.
        device: where the network is.
        itemsize: bytes per value.
    """

    program: Program
    size: tuple[int, int]
    tile_lp: int
    wrap: tuple[bool, bool] = (False, False)
    host: bool = False
    attention_tokens: int = 2**20
    watch: Watch = field(default_factory=Watch)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    itemsize: int = 4

    def __post_init__(self) -> None:
        self.heights = self.program.sizes(self.size[0])
        self.widths = self.program.sizes(self.size[1])
        if min(self.heights + self.widths) < 1:
            raise TiledVaeError(
                f"{self.size[1]} x {self.size[0]} is too small; at least {self.program.factor} px a side"
            )

    def segment(self, k: int) -> Segment:
        """Segment k."""
        return self.program.segments[k]

    def grid(self, boundary: int) -> list[Box]:
        """The tiles at a boundary; they cover each of its pixels once."""
        latent = self.heights[0 if not self.program.encodes else -1], self.widths[0 if not self.program.encodes else -1]
        height, width = self.heights[boundary], self.widths[boundary]
        scale = max(1, round(max(height / latent[0], width / latent[1])))
        return grid(height, width, self.tile_lp * scale)

    def ops(self, start: int, stop: int) -> list[Op]:
        """Operations of segments start .. stop - 1."""
        return [op for segment in self.program.segments[start:stop] for op in segment.ops]

    def op_boxes(self, start: int, stop: int, want: Box) -> list[Box]:
        """Box before each of these operations, so that `want` comes out at boundary `stop`."""
        ops = self.ops(start, stop)
        sizes = []
        for n in (self.heights[start], self.widths[start]):
            axis = [n]
            for op in ops:
                axis.append(op.size(axis[-1]))
            sizes.append(axis)
        return boxes(ops, (sizes[0], sizes[1]), self.wrap, want)

    def steps(self, recompute: bool) -> int:
        """Number of tiles that a run goes through, a chunk of attention counting as one."""
        tiled = self.program.tiled if recompute else range(0)
        stops = [k for k in range(1, len(self.heights)) if k <= tiled.start or k >= tiled.stop or self.groups(k)]
        return sum(self.chunks(k - 1) or len(self.grid(k)) for k in stops)

    def chunks(self, k: int) -> int:
        """Chunks of queries if segment k is the attention, else 0."""
        if not self.segment(k).attention:
            return 0
        height, width = self.heights[k], self.widths[k]
        stride = key_stride(height, width, self.attention_tokens)
        tokens = -(-height // stride) * -(-width // stride)
        return -(-height // chunk_rows(width, tokens, self.itemsize))

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

    def groups(self, boundary: int) -> int:
        """Groups of the norm that follows a boundary, 0 without one."""
        return self.segment(boundary).groups if boundary < len(self.program.segments) else 0

    def settle(self, boundary: int, moments: dict[int, Moments]) -> None:
        """Refuses statistics that are not finite.

        Raises:
            NotFiniteError: an activation overflowed or was NaN.
        """
        found = moments.get(boundary)
        if found is not None and not found.m2.is_meta and not bool((found.mean + found.m2).isfinite().all()):
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
