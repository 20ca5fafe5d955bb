"""The page that shows a mosaic: OpenSeadragon over Deep Zoom tiles, from a disk and without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .files import write_kept
from .folder import MosaicFolder
from .pyramid import Pyramid

VIEWER = Path(__file__).parent / "viewer"
SHIPPED = ("openseadragon.min.js", "openseadragon-LICENSE.txt")
PAGE = "index.html"
DZI = """<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{format}" Overlap="0" TileSize="{tile}">
  <Size Width="{width}" Height="{height}"/>
</Image>
"""


def write_page(folder: MosaicFolder) -> Path:
    """Writes the page of a mosaic, as `write_viewer`; the entered tiles are doors to the next level."""
    levels, entered = range(1, folder.settings.depth + 1), folder.entered()
    shown = [
        Shown(folder.pyramid(level), folder.grid.columns, entered.get(level), _next(folder, level)) for level in levels
    ]
    return write_viewer(folder.path, folder.settings.request.prompt or "A mosaic", shown)


@dataclass(frozen=True)
class Shown:
    """A picture on the page.

    Attributes:
        pyramid: in FOLDER/NUMBER_files.
        columns: of the grid of its tiles that can be entered.
        enter: the tile that is a door.
        to: number, from 0, of the picture behind it.
    """

    pyramid: Pyramid
    columns: int = 1
    enter: tuple[int, int] | None = None
    to: int | None = None

    def to_dict(self) -> dict[str, object]:
        """For the page's script."""
        width, height = self.pyramid.size
        return {
            "files": self.pyramid.folder.name, "format": self.pyramid.suffix, "width": width, "height": height,
            "tile": self.pyramid.tile, "columns": self.columns, "enter": self.enter, "to": self.to,
        }  # fmt: skip


def write_viewer(path: Path, title: str, shown: Sequence[Shown]) -> Path:
    """Writes index.html with what it needs, and a .dzi file of each picture for other viewers; returns the page's path.

    Args:
        path: the folder.
        title: of the page.
        shown: the pictures, the first one first.

    Raises:
        TiledError: a file cannot be written.
    """
    for name in SHIPPED:
        if not (path / "viewer" / name).is_file():
            write_kept(path / "viewer" / name, (VIEWER / name).read_bytes())
    for pyramid in (picture.pyramid for picture in shown):
        width, height = pyramid.size
        text = DZI.format(format=pyramid.suffix, tile=pyramid.tile, width=width, height=height)
        write_kept(path / f"{pyramid.folder.name.removesuffix('_files')}.dzi", text.encode())
    levels = json.dumps([picture.to_dict() for picture in shown]).replace("<", "\\u003c")
    page = (VIEWER / "page.html").read_text(encoding="utf-8")
    write_kept(path / PAGE, page.replace("LEVELS", levels, 1).replace("TITLE", escape(title), 1).encode())
    return path / PAGE


def _next(folder: MosaicFolder, level: int) -> int | None:
    """Number, from 0, of the level that the entered tile is the picture of."""
    if level < folder.settings.depth:
        return level
    return 0 if folder.settings.loops else None
