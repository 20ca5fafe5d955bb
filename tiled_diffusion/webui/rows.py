"""Which row of a denoiser call is what.

The WebUI's denoiser calls its model with rows in a fixed order: for each picture its prompt's parts, then for each
picture the negative prompt. It may do that in one call or in several, and leave the negatives out. So rows are counted:
what a row is follows from how many came before it in the same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        image: number of the picture in the batch.
        part: number of its prompt's part, or None for the negative prompt.
    """

    image: int
    part: int | None

    @property
    def negative(self) -> bool:
        """Whether it is the negative prompt's."""
        return self.part is None


class RowCounter:
    """Tells the rows of each call of one step.

    Args:
        parts: parts of each picture's prompt.
    """

    def __init__(self, parts: Sequence[int]) -> None:
        self.rows = [Row(image, part) for image, count in enumerate(parts) for part in range(count)]
        self.rows += [Row(image, None) for image in range(len(parts))]
        self.seen = 0

    def next(self, count: int) -> list[Row] | None:
        """The next `count` rows, or None where the call has more rows than a step can have."""
        if self.seen + count > len(self.rows):
            return None
        self.seen += count
        return self.rows[self.seen - count : self.seen]
