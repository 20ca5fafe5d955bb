"""Encoder or decoder as a list of segments between norms; each operation knows which pixels it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .errors import TiledVaeError
from .tiles import Box, Span

Act = Callable[[Tensor], Tensor]


class Pointwise:
    """An operation whose output pixel needs its own input pixel only."""

    def size(self, n: int) -> int:
        """Length of an axis after the operation."""
        return n

    def needs(self, span: Span) -> Span:
        """Input pixels for these output pixels, borders aside."""
        return span

    def covers(self, span: Span) -> Span:
        """Output pixels that come from running on these input pixels."""
        return span

    def channels(self, n: int) -> int:
        """Number of channels after the operation."""
        return n


class Keep(Pointwise):
    """Start of a residual block: its input is kept for the sum."""


@dataclass
class Norm(Pointwise):
    """GroupNorm and activation."""

    module: Any
    act: Act

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.module.num_groups)


@dataclass
class Add(Pointwise):
    """End of a residual block: adds the kept input (through the host's 1x1 shortcut), divides by `scale`."""

    shortcut: Any = None
    scale: float = 1.0


@dataclass
class Conv(Pointwise):
    """A host convolution that keeps the size. It runs with its own padding; what that touched is cropped away."""

    module: Any

    @property
    def halo(self) -> int:
        """Pixels that it looks to each side."""
        return int(self.module.kernel_size[0]) // 2

    def needs(self, span: Span) -> Span:
        """Its halo on either side."""
        return Span(span.lo - self.halo, span.hi + self.halo)

    def channels(self, n: int) -> int:  # noqa: ARG002
        """Its output channels."""
        return int(self.module.out_channels)


@dataclass
class Up(Pointwise):
    """The host's upsampling block: nearest neighbour to twice the size, then a 3x3 convolution."""

    module: Any

    def size(self, n: int) -> int:
        """Twice the length."""
        return 2 * n

    def needs(self, span: Span) -> Span:
        """One pixel of the doubled picture on either side."""
        return Span((span.lo - 1) // 2, (span.hi + 2) // 2)

    def covers(self, span: Span) -> Span:
        """Twice the span."""
        return Span(2 * span.lo, 2 * span.hi)

    def channels(self, n: int) -> int:  # noqa: ARG002
        """Output channels of its convolution."""
        return int(self.module.conv.out_channels)


@dataclass
class Down(Pointwise):
    """The host's downsampling block: one pixel of padding on the right and bottom, 3x3 convolution of stride 2."""

    module: Any

    def size(self, n: int) -> int:
        """Half the length, rounded down."""
        return n // 2

    def needs(self, span: Span) -> Span:
        """Pixels 2k .. 2k + 2 of each output pixel k."""
        return Span(2 * span.lo, 2 * span.hi + 1)

    def covers(self, span: Span) -> Span:
        """Half the span; it starts at an even pixel."""
        return Span(span.lo // 2, span.lo // 2 + span.length // 2)

    def channels(self, n: int) -> int:  # noqa: ARG002
        """Output channels of its convolution."""
        return int(self.module.conv.out_channels)


@dataclass
class Attention(Pointwise):
    """The host's attention block over all pixels, norm and residual included.

    Attributes:
        module: the block.
        norm: its GroupNorm.
        parts: names of its norm, query, key and value.
        writes_scores: whether it writes the scores of all queries out; None as long as nobody has tried.
    """

    module: Any
    norm: Any
    parts: tuple[str, str, str, str]
    writes_scores: bool | None = None

    @property
    def groups(self) -> int:
        """Number of groups of its norm."""
        return int(self.norm.num_groups)


Op = Keep | Norm | Add | Conv | Up | Down | Attention


@dataclass
class Segment:
    """Operations between two places where all tiles meet.

    Attributes:
        ops: what is done; `Attention` stands alone.
        groups: number of groups of the norm that opens the segment, 0 without one.
        middle: it belongs to the middle block or to the convolution on the latent's side of it.
    """

    ops: list[Op]
    groups: int = 0
    middle: bool = False

    @property
    def keeps(self) -> bool:
        """Its input is kept and added by the next segment."""
        return isinstance(self.ops[0], Keep)

    @property
    def attention(self) -> Attention | None:
        """The attention that this segment is, if it is one."""
        return self.ops[0] if isinstance(self.ops[0], Attention) else None


@dataclass
class Program:
    """A network as segments, and what goes with it."""

    segments: list[Segment]
    in_channels: int
    finish: Act | None = None
    factor: int = 8  # image pixels per latent pixel
    encodes: bool = False
    hoards: bool = False  # the host's own pass keeps the result of every block until its end
    circular: bool = False  # the host has set its convolutions to circular padding
    tiled: range = field(default_factory=lambda: range(0))  # segments outside the middle

    def sizes(self, n: int) -> list[int]:
        """Length of an axis at each boundary: before segment 0, ..., after the last."""
        out = [n]
        for segment in self.segments:
            for op in segment.ops:
                n = op.size(n)
            out.append(n)
        return out

    def channels(self) -> list[int]:
        """Channels at each boundary."""
        n = self.in_channels
        out = [n]
        for segment in self.segments:
            for op in segment.ops:
                n = op.channels(n)
            out.append(n)
        return out


def segments_of(ops: Sequence[Op], middle: range) -> list[Segment]:
    """Cuts a flat list of operations where statistics are needed: before each norm (with its `Keep`) and attention."""
    out: list[Segment] = []
    for i, op in enumerate(ops):
        opens = isinstance(op, Keep | Attention) or (isinstance(op, Norm) and not isinstance(ops[i - 1], Keep))
        if not out or opens or out[-1].attention:
            out.append(Segment([], middle=i in middle))
        out[-1].ops.append(op)
        if isinstance(op, Norm | Attention):
            out[-1].groups = op.groups
    return out


def boxes(ops: Sequence[Op], sizes: tuple[list[int], list[int]], wrap: tuple[bool, bool], want: Box) -> list[Box]:
    """The box that each operation must be given for `want` to come out of the last one, and `want` itself.

    Args:
        ops: operations that run one after the other.
        sizes: height and width before each operation.
        wrap: the axis is a ring: a span may reach beyond its ends. Otherwise it stops at the picture's border, where
            the host's own padding is the right one.
        want: box after the last operation.
    """
    out = [want]
    for i in range(len(ops) - 1, -1, -1):
        spans = []
        for axis in (0, 1):
            span = ops[i].needs(out[-1][axis])
            spans.append(span if wrap[axis] else span.clamp(sizes[axis][i]))
        out.append(Box(*spans))
    return out[::-1]


def check_ring(program: Program, height: int, width: int, wrap: tuple[bool, bool]) -> None:
    """Refuses a ring whose length does not survive the encoder's halvings.

    Raises:
        TiledVaeError: names the axis and the multiple.
    """
    for name, n, ring in (("height", height, wrap[0]), ("width", width, wrap[1])):
        if ring and program.encodes and n % program.factor:
            raise TiledVaeError(f"the {name} is {n} px; around a ring it must be a multiple of {program.factor}")
