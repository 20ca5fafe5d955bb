"""A program laid over a picture: sizes at each boundary, tiles, and the boxes that they need."""

from __future__ import annotations

from dataclasses import dataclass

from .attention import chunk_rows, key_stride
from .errors import TiledVaeError
from .program import Op, Program, Segment, boxes
from .tiles import Box, grid


@dataclass
class Frame:
    """One picture [1, C, H, W] and a program; nothing is computed on it here.

    Attributes:
        program: what to do.
        size: height and width of the input.
        tile_lp: side of a tile in latent pixels.
        wrap: the rows, the columns form a ring.
        host: activations wait in host memory.
        attention_tokens: most keys of a query in the attention.
        itemsize: bytes per value.
    """

    program: Program
    size: tuple[int, int]
    tile_lp: int
    wrap: tuple[bool, bool] = (False, False)
    host: bool = False
    attention_tokens: int = 2**20
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

    def groups(self, boundary: int) -> int:
        """Groups of the norm that follows a boundary, 0 without one."""
        return self.segment(boundary).groups if boundary < len(self.program.segments) else 0
