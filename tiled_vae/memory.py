"""Free memory now, and the peak of a run before it starts."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from .attention import chunk_rows, key_stride, score_bytes
from .executor import Run
from .program import Add, Attention, Conv, Down, Keep, Norm, Op, Up
from .tiles import Box, Span

GIB = 2**30


class Memory(NamedTuple):
    """Free bytes.

    Attributes:
        device: on the device of the model.
        host: in main memory.
        shared: both are the same memory (CPU, Apple).
    """

    device: int
    host: int
    shared: bool = False

    def fits(self, device: int, host: int) -> bool:
        """Whether so many bytes can be had, with a tenth to spare."""
        if self.shared:
            return device + host <= 0.9 * self.device
        return device <= 0.9 * self.device and host <= 0.9 * self.host


class _WindowsMemory(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "free", "d", "e", "f", "g", "h")),
    )


def free_host() -> int:
    """Bytes of main memory that a program could get now."""
    if sys.platform == "win32":
        status = _WindowsMemory(length=ctypes.sizeof(_WindowsMemory))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.free)
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def free_memory(device: torch.device) -> Memory:
    """What is free now for a model on that device."""
    host = free_host()
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(torch.cuda.mem_get_info(device)[0] + unused, host)
    return Memory(host, host, shared=True)


class Peak(NamedTuple):
    """Bytes of activations at the worst moment of a run, input and result included."""

    device: int
    host: int


class _Walk:
    """Live bytes along a chain of operations on one tile, as the executor (or the host's own forward) frees them."""

    def __init__(self, itemsize: int, channels: int, main: int, kept: int, untiled: bool) -> None:
        self.itemsize, self.channels, self.untiled = itemsize, channels, untiled
        self.main, self.kept, self.aliased = main, kept, False
        self.held = 0
        self.peak = main + kept

    def bytes(self, box: Box, channels: int | None = None) -> int:
        return (self.channels if channels is None else channels) * box.area * self.itemsize

    def see(self, extra: int) -> None:
        self.peak = max(self.peak, self.main + self.kept + self.held + extra)

    def replace(self, new: int, extra: int = 0) -> None:
        """A new main tensor; the old one lives on if it is kept."""
        self.see(new + extra)
        if self.aliased:
            self.kept, self.aliased = self.main, False
        self.main = new

    def op(self, op: Op, box: Box) -> None:
        if isinstance(op, Keep):
            self.aliased = True
        elif isinstance(op, Norm):
            size = self.bytes(box)
            self.replace(size, size if self.untiled else 0)
        elif isinstance(op, Conv):
            self.replace(self.bytes(box, op.channels(0)))
        elif isinstance(op, Add):
            self.add(op, box)
        elif isinstance(op, Up | Down):
            self.resample(op, box)
        elif isinstance(op, Attention):
            self.see(6 * self.bytes(box) + score_bytes(op, box.area, box.area, self.itemsize))
        self.channels = op.channels(self.channels)

    def add(self, op: Add, box: Box) -> None:
        extra = self.bytes(box) if op.shortcut is not None else 0
        if extra and self.untiled:
            self.see(extra)
            self.kept, extra = extra, 0  # the host's variable of the block input is overwritten, its caller's lives on
        self.see(extra + (self.bytes(box) if self.untiled else 0))
        self.kept = 0

    def resample(self, op: Up | Down, box: Box) -> None:
        made = op.channels(0) * op.covers(box.y).length * op.covers(box.x).length * self.itemsize
        if isinstance(op, Up):
            between = 4 * self.bytes(box)
        else:
            between = self.bytes(Box(Span(0, box.y.length + 1), Span(0, box.x.length + 1)))
        self.replace(made, between)


def chain_peak(run: Run, start: int, stop: int, itemsize: int, loads: bool) -> int:
    """Peak bytes of the largest tile of boundary `stop`, made from the stored boundary `start`.

    Args:
        run: the run.
        start: boundary that is stored.
        stop: boundary whose tiles are made.
        itemsize: bytes per value.
        loads: the stored pictures lie in host memory, so that a tile's part of them is copied to the device.
    """
    channels = run.program.channels()
    worst = 0
    for box in _largest(run.grid(stop)):
        at = run.op_boxes(start, stop, box)
        size = at[0].area * itemsize if loads else 0
        kept = size * channels[start - 1] if _has_kept(run, start) else 0
        walk = _Walk(itemsize, channels[start], size * channels[start], kept, untiled=False)
        for op, have in zip(run.ops(start, stop), at, strict=False):
            walk.op(op, have)
        if itemsize < 4 and run.groups(stop):
            walk.see(4 * walk.channels * box.area)
        worst = max(worst, walk.peak)
    return worst


def _has_kept(run: Run, boundary: int) -> bool:
    """A residual block is open at the boundary."""
    return 0 < boundary < len(run.program.segments) and run.segment(boundary - 1).keeps


def _largest(tiles: Sequence[Box]) -> list[Box]:
    """A corner tile, an edge tile and the tile nearest to the middle stand for all tiles of a balanced grid."""
    return [tiles[0], max(tiles, key=lambda b: b.area), tiles[len(tiles) // 2], *tiles[len(tiles) // 3 :: len(tiles)]]


def attention_peak(run: Run, k: int, op: Attention, itemsize: int, loads: bool) -> int:
    """Peak bytes of the attention that is segment k: keys and values of all tokens and a chunk of queries."""
    height, width, channels = run.heights[k], run.widths[k], run.program.channels()[k]
    stride = key_stride(height, width, run.attention_tokens)
    tokens = -(-height // stride) * -(-width // stride)
    rows = chunk_rows(width, tokens, itemsize)
    whole = height * width * channels * itemsize
    if rows >= height and stride == 1:
        return whole * (7 if loads else 6) + score_bytes(op, tokens, tokens, itemsize)
    queries = min(rows, height) * width
    return (2 * tokens + 6 * queries) * channels * itemsize + score_bytes(op, queries, tokens, itemsize)


def segment_peak(run: Run, start: int, stop: int, itemsize: int, loads: bool) -> int:
    """Peak bytes on the way from one stored boundary to the next, what is stored aside."""
    op = run.segment(start).attention
    if op is not None:
        return attention_peak(run, start, op, itemsize, loads)
    return chain_peak(run, start, stop, itemsize, loads)


def exact_peak(run: Run, itemsize: int) -> Peak:
    """Peak of a run through all segments with every boundary stored."""
    device = host = 0
    sizes = [c * h * w * itemsize for c, h, w in zip(run.program.channels(), run.heights, run.widths, strict=True)]
    last = len(run.program.segments) - 1
    for k in range(last + 1):
        loads = run.host and k > 0
        work = segment_peak(run, k, k + 1, itemsize, loads)
        given, made = sizes[k] + (sizes[k - 1] if _has_kept(run, k) else 0), sizes[k + 1]
        waits = (sizes[0] if k else 0) + (0 if loads else given)
        room = made if k == last or not run.host else 0
        device = max(device, waits + (work + room if len(run.grid(k + 1)) > 1 else max(work, made + room)))
        host = max(host, (given if loads else 0) + (made if run.host and k < last else 0))
    return Peak(device, host)


def one_pass_peak(run: Run, itemsize: int) -> Peak:
    """Peak of a run that stores nothing between the middle and the picture (`fast` and `recompute`)."""
    tiled = run.program.tiled
    device, host = 0, 0
    sizes = [c * h * w * itemsize for c, h, w in zip(run.program.channels(), run.heights, run.widths, strict=True)]
    for k in range(len(run.program.segments)):
        if k in tiled and k != tiled.start:
            continue
        loads = run.host and k > 0
        stop = tiled.stop if k == tiled.start else k + 1
        work = segment_peak(run, k, stop, itemsize, loads)
        stored = sizes[k] + sizes[stop]
        device = max(
            device, work + sizes[0] + (sizes[-1] if stop == len(sizes) - 1 else 0) + (0 if run.host else stored)
        )
        host = max(host, 2 * stored if run.host else 0)
    return Peak(device, host)


class _Held:
    """What an encoder's own pass keeps besides: every block's input (ldm), or the present level's (diffusers)."""

    def __init__(self, hoards: bool) -> None:
        self.hoards = hoards
        self.block = self.level = self.bytes = 0

    def after(self, op: Op, made: int) -> int:
        """Bytes that are held after an operation of the way down whose result has `made` bytes."""
        if isinstance(op, Add | Down):
            self.bytes = self.bytes + self.block if self.hoards else self.level
            self.block = made
        if isinstance(op, Down) or not self.level:
            self.block = self.level = made
            self.bytes = self.bytes if self.hoards else 0
        return self.bytes


def untiled_peak(run: Run, itemsize: int) -> Peak:
    """Peak of the host's own pass."""
    program = run.program
    at = Box(Span(0, run.size[0]), Span(0, run.size[1]))
    walk = _Walk(itemsize, program.in_channels, 0, 0, untiled=True)
    held = _Held(program.hoards)
    down = len(run.ops(0, program.tiled.stop)) if program.encodes else 0
    for i, op in enumerate(run.ops(0, len(program.segments))):
        walk.op(op, at)
        at = Box(Span(0, op.size(at.y.hi)), Span(0, op.size(at.x.hi)))
        if i < down:
            walk.held = held.after(op, walk.main)
        elif not program.hoards:
            walk.held = 0
    return Peak(walk.peak + program.in_channels * run.size[0] * run.size[1] * itemsize, 0)
