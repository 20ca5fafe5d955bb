"""Deep Zoom pictures: the tiles as they are, and above them ever smaller ones, each made of four.

The layout is Microsoft's Deep Zoom ("DZI"), which OpenSeadragon and many others show: NAME_files/LEVEL/COLUMN_ROW.png,
no overlap, the last level the full size, level 0 a single pixel. No more than a few tiles are ever in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tiled_diffusion.errors import TiledError

from .files import picture_bytes, write_kept

PNG_BYTES, JPEG_BYTES = 2.2, 0.7
"""On disk for each pixel of full size, with the smaller levels: for noisy pictures, so that the guess is no promise
that breaks."""


@dataclass(frozen=True)
class Pyramid:
    """A Deep Zoom picture in a folder.

    Attributes:
        folder: of its levels, NAME_files.
        size: width and height of the full picture in pixels.
        tile: side of a tile, image pixels; the last column and row are as narrow as the size leaves them.
        jpeg: quality of the files, or None for PNG.
    """

    folder: Path
    size: tuple[int, int]
    tile: int
    jpeg: int | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of full size."""
        return self.grid_of(self.top)

    @property
    def top(self) -> int:
        """Number of the level of full size."""
        return (max(self.size) - 1).bit_length()

    def size_of(self, level: int) -> tuple[int, int]:
        """Width and height of a level."""
        scale = 2 ** (self.top - level)
        return -(-self.size[0] // scale), -(-self.size[1] // scale)

    def grid_of(self, level: int) -> tuple[int, int]:
        """Columns and rows of a level."""
        width, height = self.size_of(level)
        return -(-width // self.tile), -(-height // self.tile)

    @property
    def suffix(self) -> str:
        """Of the tiles' files, without a dot."""
        return "png" if self.jpeg is None else "jpg"

    def path(self, level: int, x: int, y: int) -> Path:
        """The file of a tile of a level."""
        return self.folder / str(level) / f"{x}_{y}.{self.suffix}"

    def tile_path(self, x: int, y: int) -> Path:
        """The file of a tile of full size."""
        return self.path(self.top, x, y)

    def box(self, x: int, y: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a tile of full size, in the picture."""
        left, top = x * self.tile, y * self.tile
        return left, top, min(left + self.tile, self.size[0]), min(top + self.tile, self.size[1])

    def has(self, x: int, y: int) -> bool:
        """Whether a tile of full size is there, and is one.

        Raises:
            TiledError: a file of its name is there, and is no such tile.
        """
        path = self.tile_path(x, y)
        if not path.is_file():
            return False
        check_picture(path, self._tile_size(x, y))
        return True

    def _tile_size(self, x: int, y: int) -> tuple[int, int]:
        left, top, right, bottom = self.box(x, y)
        return right - left, bottom - top

    def put(self, x: int, y: int, image: Image.Image) -> None:
        """Writes a tile of full size, and above it every tile that now has all of its four."""
        write_kept(self.tile_path(x, y), picture_bytes(image, self.jpeg))
        for level in range(self.top - 1, -1, -1):
            x, y = x // 2, y // 2
            if not self._make(level, x, y):
                return

    def complete(self) -> None:
        """Makes every tile above that is missing and has all of its four: after a crash there may be some."""
        for level in range(self.top - 1, -1, -1):
            columns, rows = self.grid_of(level)
            for y in range(rows):
                for x in range(columns):
                    if not self.path(level, x, y).is_file():
                        self._make(level, x, y)

    def tile_image(self, level: int, x: int, y: int) -> Image.Image:
        """A tile of a level, RGB.

        Raises:
            TiledError: it is not there yet, or cannot be read.
        """
        path = self.path(level, x, y)
        if not path.is_file():
            raise TiledError(f"{path}: this tile is not there yet: finish the picture first")
        with opened(path) as image:
            return image.convert("RGB")

    def forget_above(self, x: int, y: int) -> None:
        """Removes what was made of a tile of full size, the smallest first: what is there is never out of date."""
        for level in range(self.top):
            shift = self.top - level
            self.path(level, x >> shift, y >> shift).unlink(missing_ok=True)

    def _make(self, level: int, x: int, y: int) -> bool:
        columns, rows = self.grid_of(level + 1)
        places = [(cx, cy) for cy in (2 * y, 2 * y + 1) for cx in (2 * x, 2 * x + 1) if cx < columns and cy < rows]
        paths = [self.path(level + 1, cx, cy) for cx, cy in places]
        if not all(path.is_file() for path in paths):
            return False
        width, height = (
            min(2 * self.tile, side - 2 * self.tile * at)
            for side, at in zip(self.size_of(level + 1), (x, y), strict=True)
        )
        whole = Image.new("RGB", (width, height))
        for (cx, cy), path in zip(places, paths, strict=True):
            with opened(path) as child:
                whole.paste(child.convert("RGB"), ((cx - 2 * x) * self.tile, (cy - 2 * y) * self.tile))
        write_kept(self.path(level, x, y), picture_bytes(whole.reduce(2), self.jpeg))
        return True


def check_picture(path: Path, size: tuple[int, int]) -> None:
    """Raises TiledError where a file is no picture of a size."""
    with opened(path) as image:
        if image.size != size:
            raise TiledError(
                f"{path}: got {image.width}x{image.height} px, allowed is {size[0]}x{size[1]}: this is no part of this "
                "picture; move it away, and it is drawn again"
            )


def pyramid_bytes(pixels: int, jpeg: int | None) -> int:
    """What so many pixels of full size take on disk with the smaller levels, more or less: as if they were noisy."""
    return int(pixels * (PNG_BYTES if jpeg is None else JPEG_BYTES))


def opened(path: Path) -> Image.Image:
    """A picture's file; raises TiledError that names one that is none."""
    try:
        return Image.open(path)
    except (OSError, ValueError, Image.DecompressionBombError) as e:
        raise TiledError(f"{path}: this is no picture that can be read ({e}); move it away") from e
