"""The page that shows a mosaic: OpenSeadragon over the Deep Zoom tiles, from a disk and without a network."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from .files import write_kept
from .folder import MosaicFolder

VIEWER = Path(__file__).parent / "viewer"
SHIPPED = ("openseadragon.min.js", "openseadragon-LICENSE.txt")
PAGE = "index.html"
DZI = """<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{format}" Overlap="0" TileSize="{tile}">
  <Size Width="{width}" Height="{height}"/>
</Image>
"""


def write_page(folder: MosaicFolder) -> Path:
    """Writes index.html with what it needs, and a .dzi file of each level for other viewers; returns the page's path.

    Raises:
        TiledError: a file cannot be written.
    """
    for name in SHIPPED:
        if not (folder.path / "viewer" / name).is_file():
            write_kept(folder.path / "viewer" / name, (VIEWER / name).read_bytes())
    for level in range(1, folder.settings.depth + 1):
        width, height = folder.pyramid(level).size
        text = DZI.format(format=folder.settings.suffix, tile=folder.tile, width=width, height=height)
        write_kept(folder.path / f"{level}.dzi", text.encode())
    levels = json.dumps(_levels(folder)).replace("<", "\\u003c")
    page = (VIEWER / "page.html").read_text(encoding="utf-8")
    page = page.replace("LEVELS", levels, 1).replace("TITLE", escape(folder.settings.request.prompt or "A mosaic"), 1)
    write_kept(folder.path / PAGE, page.encode())
    return folder.path / PAGE


def _levels(folder: MosaicFolder) -> list[dict[str, object]]:
    settings, entered = folder.settings, folder.entered()
    return [
        {
            "files": f"{level}_files",
            "format": settings.suffix,
            "columns": folder.grid.columns,
            "rows": folder.grid.rows,
            "tile": folder.tile,
            "enter": entered.get(level),
            "to": _next(folder, level),
        }
        for level in range(1, settings.depth + 1)
    ]


def _next(folder: MosaicFolder, level: int) -> int | None:
    """Number, from 0, of the level that the entered tile is the picture of."""
    if level < folder.settings.depth:
        return level
    return 0 if folder.settings.loops else None
