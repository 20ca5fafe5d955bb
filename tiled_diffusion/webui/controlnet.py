"""ControlNet: crops its hints to tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tiled_diffusion.geometry import Box, Extent


class ControlTiles:
    """The units of one job."""

    @classmethod
    def find(cls, p: Any) -> ControlTiles | None:  # noqa: ARG003
        """None where no unit is at work."""
        return None

    def begin(self, canvas: Extent) -> None:
        """A sampling on a canvas begins."""

    @contextmanager
    def selected(self, boxes: Sequence[Box], index: Sequence[int], on: Sequence[bool], rows: int) -> Iterator[None]:  # noqa: ARG002
        """Within the block the hints are those of the crops."""
        yield

    def restore(self) -> None:
        """Puts everything back."""
