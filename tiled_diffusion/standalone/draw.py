"""Draws a plan: tiles in colours over the canvas, overlaps darker, regions by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.tiles import Plan, Tile
from tiled_diffusion.settings.values import Region

Colour = tuple[int, int, int]
Rect = tuple[float, float, float, float]
"""Left, top, right, bottom."""

COLOURS: tuple[Colour, ...] = (
    (214, 39, 40), (31, 119, 180), (44, 140, 44), (255, 127, 14), (148, 103, 189), (0, 150, 160),
    (140, 86, 75), (227, 90, 180), (128, 128, 0), (20, 60, 160),
)  # fmt: skip
"""Of tile 1, tile 2, ...; then from the beginning."""
INK: Colour = (30, 30, 30)
PAPER: Colour = (255, 255, 255)
BARE: Colour = (236, 236, 236)
MARGIN, LONGEST, LEAST_HEIGHT = 16, 1600, 160


def draw_plan(
    plan: Plan,
    regions: Sequence[Region] = (),
    *,
    lines: Sequence[str] = (),
    words: Sequence[str] = (),
    picture: Image.Image | None = None,
    longest: int = LONGEST,
) -> Image.Image:
    """The tiles of a plan on its canvas, with a heading.

    Args:
        plan: what to draw.
        regions: their boxes and prompts are written on the canvas.
        lines: the heading, a line each.
        words: what each tile is drawn with, written into it; of the tiles that lie somewhere, in the plan's order.
        picture: shown faintly below the tiles.
        longest: longest side of the drawn canvas in pixels.

    Returns:
        An RGB image; the canvas keeps its shape, but is at least LEAST_HEIGHT pixels high and wide where that leaves
        its longer side below twice `longest`.
    """
    scale = _scale(plan.canvas, longest)
    size = (max(1, round(plan.canvas.w * scale)), max(1, round(plan.canvas.h * scale)))
    canvas = _ground(picture, size)
    parts = [(i, r, whole) for i, tile in enumerate(_drawn(plan)) for r, whole in _parts(tile.box, plan.canvas, scale)]
    canvas = _tinted(canvas, parts)
    draw = ImageDraw.Draw(canvas)
    stroke = 2
    for i, rect, _ in parts:
        draw.rectangle(_inset(rect, (i % 4) * stroke, size), outline=_colour(i), width=stroke)
    _numbers(draw, parts)
    _words(draw, parts, words)
    _label_regions(draw, regions, size)
    return _framed(canvas, lines)


def _drawn(plan: Plan) -> list[Tile]:
    """All tiles but small pictures of the whole, which lie nowhere."""
    return [tile for tile in plan.tiles if tile.role != "direction"]


def _scale(canvas: Extent, longest: int) -> float:
    """Drawn pixels per latent pixel."""
    fit = longest / max(canvas)
    return min(max(fit, LEAST_HEIGHT / min(canvas)), 2 * fit)


def _colour(i: int) -> Colour:
    return COLOURS[i % len(COLOURS)]


def _ground(picture: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    bare = Image.new("RGB", size, BARE)
    if picture is None:
        return bare
    return Image.blend(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), bare, 0.35)


def _parts(box: Box, canvas: Extent, scale: float) -> Iterator[tuple[Rect, bool]]:
    """The drawn rectangles of a box, cut where it passes the end of a ring; whether it is the largest piece."""
    parts = [
        (y, x, h, w)
        for y, h in _turns(box.y, box.h, canvas.h)
        for x, w in _turns(box.x, box.w, canvas.w)
    ]  # fmt: skip
    largest = max(parts, key=lambda p: p[2] * p[3])
    for part in parts:
        y, x, h, w = part
        yield (x * scale, y * scale, (x + w) * scale - 1, (y + h) * scale - 1), part == largest


def _turns(start: int, length: int, end: int) -> list[tuple[int, int]]:
    if start + length <= end:
        return [(start, length)]
    return [(start, end - start), (0, start + length - end)]


def _inset(rect: Rect, by: int, size: tuple[int, int]) -> Rect:
    """The rectangle drawn a little smaller, so that outlines at the same place lie side by side."""
    left, top, right, bottom = rect
    by = min(by, int(min(right - left, bottom - top) // 3))
    right, bottom = min(right, size[0] - 1), min(bottom, size[1] - 1)
    return left + by, top + by, max(left + by, right - by), max(top + by, bottom - by)


def _tinted(canvas: Image.Image, parts: Sequence[tuple[int, Rect, bool]]) -> Image.Image:
    """Each tile lays a thin grey over the canvas: the more tiles share a place, the darker it is."""
    shade = Image.new("RGB", canvas.size, (24, 24, 60))
    for _, (left, top, right, bottom), _ in parts:
        area = (int(left), int(top), min(canvas.width, int(right) + 1), min(canvas.height, int(bottom) + 1))
        if area[2] > area[0] and area[3] > area[1]:
            part = Image.blend(canvas.crop(area), shade.crop(area), 0.07)
            canvas.paste(part, area[:2])
    return canvas


def _numbers(draw: ImageDraw.ImageDraw, parts: Sequence[tuple[int, Rect, bool]]) -> None:
    """A number in the middle of each tile that has room for it."""
    for i, (left, top, right, bottom), largest in parts:
        room = min(right - left, bottom - top)
        if largest and room >= 22:
            middle = ((left + right) / 2, (top + bottom) / 2)
            _tag(draw, middle, str(i + 1), _colour(i), int(min(24, max(11, room / 6))))


def _words(draw: ImageDraw.ImageDraw, parts: Sequence[tuple[int, Rect, bool]], words: Sequence[str]) -> None:
    """Below the number of each tile as many lines of its words as there is room for, at least one."""
    size = 13
    font = _font(size)
    for i, (left, top, right, bottom), largest in parts:
        if not largest or i >= len(words) or not words[i]:
            continue
        room, middle = right - left - 12, (top + bottom) / 2
        most = max(1, int((bottom - middle - 24) // (size + 8)))
        for k, row in enumerate(_broken(words[i], font, int(room))[:most]):
            if text := _shortened(row, font, room):
                _tag(draw, ((left + right) / 2, middle + 28 + k * (size + 8)), text, _colour(i), size)


def _label_regions(draw: ImageDraw.ImageDraw, regions: Sequence[Region], size: tuple[int, int]) -> None:
    """A dashed box for each region and its prompt along the top of the box."""
    width, height = size
    for k, r in enumerate(regions, start=1):
        rect = (r.x * width, r.y * height, (r.x + r.w) * width - 1, (r.y + r.h) * height - 1)
        _dashed(draw, rect)
        font = _font(15)
        text = _shortened(f"region {k}: {r.prompt or ('a picture' if r.picture else '')}", font, rect[2] - rect[0] - 12)
        if text:
            box = draw.textbbox((0, 0), text, font=font)
            centre = (rect[0] + 8 + (box[2] - box[0]) / 2, rect[1] + 16)
            _tag(draw, centre, text, INK, 15)


def _dashed(draw: ImageDraw.ImageDraw, rect: Rect) -> None:
    left, top, right, bottom = rect
    for x in range(int(left), int(right), 14):
        for y in (top, bottom):
            draw.line((x, y, min(x + 8, right), y), fill=INK, width=2)
    for y in range(int(top), int(bottom), 14):
        for x_side in (left, right):
            draw.line((x_side, y, x_side, min(y + 8, bottom)), fill=INK, width=2)


def _shortened(text: str, font: Any, room: float) -> str:
    """The text, cut to the room in pixels; nothing where not even a few letters fit."""
    if font.getlength(text) <= room:
        return text
    while len(text) > 3 and font.getlength(text + "...") > room:
        text = text[:-1]
    return text + "..." if len(text) > 3 else ""


def _tag(draw: ImageDraw.ImageDraw, centre: tuple[float, float], text: str, colour: Colour, size: int) -> None:
    """Text on a white plate."""
    font = _font(size)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    x, y = centre[0] - (right - left) / 2 - left, centre[1] - (bottom - top) / 2 - top
    draw.rectangle((x + left - 4, y + top - 3, x + right + 4, y + bottom + 3), fill=PAPER, outline=colour)
    draw.text((x, y), text, font=font, fill=colour)


def _font(size: int) -> Any:
    try:
        return ImageFont.load_default(size=size)
    except TypeError:  # Pillow before 10.1 has one small font only
        return ImageFont.load_default()


def _framed(canvas: Image.Image, lines: Sequence[str]) -> Image.Image:
    """The canvas on white paper, under its heading; long lines are broken at spaces."""
    font = _font(16)
    room = max(canvas.width, 480)
    rows = [row for line in lines for row in _broken(line, font, room)]
    heading = 24 * len(rows) + (8 if rows else 0)
    sheet = Image.new("RGB", (room + 2 * MARGIN, canvas.height + heading + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        draw.text((MARGIN, MARGIN + 24 * i), row, font=font, fill=INK)
    sheet.paste(canvas, (MARGIN, MARGIN + heading))
    return sheet


def _broken(line: str, font: Any, room: int) -> list[str]:
    rows = [""]
    for word in line.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > room:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows
