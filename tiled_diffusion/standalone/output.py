"""Where pictures go: a folder, in which they are numbered, or one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tiled_diffusion.errors import TiledError

_NUMBERED = re.compile(r"(\d{5,})-.*\.png")


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The folder's numbered pictures, each with its number, from the first to the last."""
    names = ((path, _NUMBERED.fullmatch(path.name)) for path in folder.glob("*.png"))
    return sorted((int(match[1]), path) for path, match in names if match)


@dataclass(frozen=True)
class Target:
    """A folder, in which pictures are numbered, or one file: what ends in .png."""

    path: Path

    def prepare(self) -> None:
        """Makes the folder, so that a wrong place is told before the work and not after it.

        Raises:
            TiledError: it cannot be made, or the name asks for another format than PNG.
        """
        folder = self.path.parent if self.is_file else self.path
        if self.path.suffix and not self.is_file and not self.path.is_dir():
            raise TiledError(f"--out: pictures are written as .png, got {self.path.name}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise TiledError(f"--out: {folder} cannot be made ({e.strerror})") from e

    @property
    def is_file(self) -> bool:
        """Whether the path names a file."""
        return self.path.suffix.lower() == ".png"

    def names(self, seeds: Sequence[int]) -> list[Path]:
        """A file for each seed; numbered ones never take the place of an old one."""
        if self.is_file and len(seeds) == 1:
            return [self.path]
        if self.is_file:
            return [self.path.with_name(f"{self.path.stem}-{seed}.png") for seed in seeds]
        return numbered_names(self.path, seeds)


def numbered_names(folder: Path, seeds: Sequence[int]) -> list[Path]:
    """A new file in the folder for each seed, numbered after the last one there: 00001-SEED.png and so on."""
    last = max((number for number, _ in numbered(folder)), default=0)
    return [folder / f"{number:05d}-{seed}.png" for number, seed in enumerate(seeds, start=last + 1)]
