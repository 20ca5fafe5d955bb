"""Draws the SVG files of docs/why.md, with the weights that the engine itself gives: `python -m bench.drawings`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.settings.values import METHODS as CHOICES

DOCS = Path(__file__).parents[1] / "docs"
LENGTH, TILE = 96, 32
"""Of the axis and of a tile, latent pixels."""
WIDTH = 720
COLOURS = ("#c2410c", "#0369a1", "#4d7c0f", "#7e22ce", "#b45309", "#0f766e", "#be123c", "#4338ca", "#57534e")
AXES = (("multidiffusion", 16), ("mixture", 16), ("spot", 0), ("jittered", 4))
"""Methods that differ along one axis, and an overlap of each."""


def svg(height: int, parts: Sequence[str], title: str) -> str:
    """A drawing on a white ground, so that it can be read in dark pages too."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="14" role="img">\n<title>{title}</title>\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        f"{body}\n</svg>\n"
    )


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 14) -> str:
    """Words at a place."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="#1f2937">{words}</text>'


def box(x: float, y: float, w: float, h: float, colour: str, fill: float = 0.0) -> str:
    """A rectangle with an outline."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" fill="{colour}" fill-opacity="{fill:g}" '
        f'stroke="{colour}" stroke-width="2"/>'
    )


def arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    """A line with a head."""
    angle = np.arctan2(y1 - y0, x1 - x0)
    wings = [(x1 - 9 * np.cos(angle + a), y1 - 9 * np.sin(angle + a)) for a in (0.45, -0.45)]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in ((x1, y1), *wings))
    line = f'<line x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1:g}" stroke="#374151" stroke-width="2"/>'
    return f'{line}<polygon points="{head}" fill="#374151"/>'


def curve(x: float, y: float, w: float, h: float, values: np.ndarray, colour: str) -> str:
    """Steps of values from 0 to 1, above a line that begins at (x, y)."""
    unit = w / len(values)
    points = [(x, y)]
    for i, value in enumerate(values):
        points += [(x + i * unit, y - h * value), (x + (i + 1) * unit, y - h * value)]
    written = " ".join(f"{a:.1f},{b:.1f}" for a, b in (*points, (x + w, y)))
    return f'<polygon points="{written}" fill="{colour}" fill-opacity="0.15" stroke="{colour}" stroke-width="1.5"/>'


def weights() -> str:
    """How much each tile counts along an axis, method by method."""
    parts, y = [], 0
    labels = {choice.value: choice.label for choice in CHOICES.options}
    for name, overlap in AXES:
        y += 110
        tiles = METHODS[name].axis(LENGTH, TILE, overlap, False, 0.3)
        unit = 500 / LENGTH
        parts += [text(12, y - 40, labels[name]), text(12, y - 20, f"overlap {8 * overlap} px", size=12)]
        for k, (start, own) in enumerate(zip(tiles.starts, tiles.weights, strict=True)):
            parts.append(curve(200 + start * unit, y, len(own) * unit, 70, own, COLOURS[k % len(COLOURS)]))
        parts += [text(190, y - 64, "1", "end", 12), text(190, y + 4, "0", "end", 12)]
    return svg(y + 30, parts, "Weights of the tiles along an axis; they sum to 1 at every pixel")


def fusing() -> str:
    """One step: cut, evaluate, weigh, add."""
    parts = [text(110, 24, "canvas x", "middle"), text(360, 24, "the model, tile by tile", "middle"),
             text(610, 24, "canvas D(x)", "middle")]  # fmt: skip
    parts += [box(x, 60, 180, 100, "#374151") for x in (20, 520)]
    for k, (x, colour) in enumerate(zip((20, 70, 120), COLOURS, strict=False)):
        parts += [box(x, 60, 80, 100, colour, 0.1), box(x + 500, 60, 80, 100, colour, 0.1)]
        y = 40 + 62 * k
        parts += [box(320, y, 80, 50, colour, 0.15), text(360, y + 30, f"tile {k + 1}", "middle")]
        parts += [arrow(206, 110, 312, y + 25), arrow(408, y + 25, 514, 110)]
    parts += [text(110, 190, "cut", "middle"), text(360, 240, "its rows combined", "middle"),
              text(610, 190, "weighed, added up", "middle")]  # fmt: skip
    return svg(256, parts, "One denoising step: the canvas is cut into tiles, each is evaluated, and they are fused")


def views() -> str:
    """What a view may be: a box, a ring's box, every second pixel, a window over two pictures."""
    parts = []
    for k, words in enumerate(("a box", "a box on a ring", "one pixel of each cell", "over two pictures")):
        x = 16 + 178 * k
        parts += [box(x, 30, 150, 100, "#374151"), text(x + 75, 156, words, "middle")]
    colour = COLOURS[0]
    parts += [box(50, 50, 70, 60, colour, 0.25), box(194, 50, 35, 60, colour, 0.25), box(309, 50, 35, 60, colour, 0.25)]
    parts += [box(376 + 25 * i, 34 + 25 * j, 6, 6, colour, 0.6) for i in range(6) for j in range(4)]
    parts += ['<line x1="625" y1="30" x2="625" y2="130" stroke="#374151" stroke-width="2"/>']
    parts += [box(595, 50, 60, 60, colour, 0.25)]
    return svg(172, parts, "Four kinds of views of a canvas")


def drawings() -> dict[Path, str]:
    """The files and what they hold."""
    every = {"why-fusing": fusing(), "why-weights": weights(), "why-views": views()}
    return {DOCS / f"{name}.svg": drawing for name, drawing in every.items()}


def main() -> None:
    """Writes them."""
    for path, drawing in drawings().items():
        path.write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    main()
