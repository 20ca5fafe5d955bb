"""Contact sheets: many pictures with their labels in one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

LABEL = 36  # pixels below each picture


def contact_sheet(
    pictures: Sequence[Image.Image], labels: Sequence[str], path: Path, columns: int = 8, wrap: int = 22
) -> None:
    """Writes a PNG; labels are broken after `wrap` characters, three lines at most."""
    w, h = max(p.width for p in pictures), max(p.height for p in pictures)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (w + 4), rows * (h + LABEL)), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = (i % columns) * (w + 4), (i // columns) * (h + LABEL)
        sheet.paste(picture, (x, y))
        pen.text((x + 1, y + h), "\n".join(textwrap.wrap(label, wrap)[:3]), fill=(0, 0, 0), spacing=0)
    sheet.save(path)
