"""Prompts of tiles: what each tile outside of the regions is drawn with.

The same prompt in every tile draws the same object in every tile (AccDiffusion, arXiv 2407.10738, section 3.1). A
source says the text of a tile: a list goes by its place, and `content.py` by what the start picture has there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tiled_diffusion.engine.composition import joined
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Plan, Tile
from tiled_diffusion.engine.view import View
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.tile_texts import TileText
from tiled_diffusion.settings.values import Settings

from . import Guide

PromptFor = Callable[[View, int], str]
"""(view, number of the picture in the batch) -> the prompt that the tile is drawn with."""


@dataclass
class TilePrompts(Guide):
    """Gives tiles of the main prompt numbers of prompts of their own, after those of the regions.

    Attributes:
        first: number of the first text.
        mains: the main prompt of each picture of the batch; one that all of them share may stand once.
        prompt_for: the source.
        texts: of the number `first` and those after it, for each picture; grows as tiles come.
    """

    first: int
    mains: Sequence[str]
    prompt_for: PromptFor
    texts: list[tuple[str, ...]] = field(default_factory=list)
    _latest: tuple[Plan, Plan] | None = None

    def plan(self, plan: Plan) -> Plan:
        """The plan with their numbers; a tile that is the whole canvas keeps the main prompt."""
        if plan.is_whole:
            return plan
        if self._latest is None or self._latest[0] is not plan:
            tiles = tuple(self._numbered(tile) for tile in plan.tiles)
            self._latest = plan, Plan(plan.canvas, tiles)
        return self._latest[1]

    def _numbered(self, tile: Tile) -> Tile:
        if tile.prompt or tile.role != "all":
            return tile
        texts = tuple(self.prompt_for(tile.view, image) for image in range(len(self.mains)))
        if texts == tuple(self.mains):
            return tile
        if texts not in self.texts:
            self.texts.append(texts)
        return replace(tile, prompt=self.first + self.texts.index(texts))


def first_number(settings: Settings) -> int:
    """The number of the first prompt that is no region's."""
    return len(settings.regions) + 1


def of_list(planner: Planner, mains: Sequence[str]) -> PromptFor:
    """The source that goes by `tile_texts` of the planner's settings, joined to the main prompt as they say.

    A tile takes the text of its row and column; else of the box that shares most with it, as far as that is at least
    `tile_prompts_share` of the smaller one of the two; else the main prompt.

    Raises:
        TiledError: a text has a row and a column that no tile has, or the method's tiles do not stay in their places.
    """
    settings = planner.settings
    by_place = _by_place(planner)
    boxes = [(_on_canvas(text, planner.canvas), text) for text in settings.tile_texts if text.row is None]
    rings = (settings.wrap_y, settings.wrap_x)

    def prompt_for(view: View, image: int) -> str:
        box = view.box
        text = by_place.get((box.y, box.x))
        if text is None:
            text = _nearest(box, boxes, planner.canvas, rings, settings.tile_prompts_share)
        return mains[image] if text is None else joined(mains[image], text.prompt, settings.tile_prompts_join)

    return prompt_for


def captioned(planner: Planner, caption: Callable[[Box], str]) -> Settings:
    """The planner's settings with a list of captions in place of 'captions'.

    Args:
        planner: of the canvas.
        caption: says what the start picture shows in a box of the canvas, which may pass the end of a ring; asked
            once for every tile of the main prompt.
    """
    canvas, texts = planner.canvas, []
    for box in (tile.box for tile in planner.plan().tiles if tile.prompt == 0):
        y, x, h, w = box.y, box.x, min(box.h, canvas.h - box.y), min(box.w, canvas.w - box.x)
        place = (x / canvas.w, y / canvas.h, w / canvas.w, h / canvas.h)
        texts.append(TileText(caption(box).strip(), None, None, *place))
    return replace(planner.settings, tile_prompts="list", tile_texts=tuple(texts))


def _by_place(planner: Planner) -> dict[tuple[int, int], TileText]:
    texts = [text for text in planner.settings.tile_texts if text.row is not None]
    if not texts:
        return {}
    if planner.method.moves:
        raise TiledError(
            f"tile_texts: got a row, but the tiles of {planner.settings.method} move from step to step: say boxes "
            "(x, y, w, h), or take another method"
        )
    rows, columns = (axis.starts for axis in planner.axes(planner.canvas, 0))
    placed = {}
    for text in texts:
        assert text.row is not None
        assert text.column is not None
        if text.row > len(rows) or text.column > len(columns):
            raise TiledError(
                f"tile_texts: got row {text.row}, column {text.column}, but the grid has {len(rows)} rows and "
                f"{len(columns)} columns"
            )
        placed[rows[text.row - 1], columns[text.column - 1]] = text
    return placed


def _on_canvas(text: TileText, canvas: Extent) -> tuple[float, float, float, float]:
    return text.y * canvas.h, text.x * canvas.w, text.h * canvas.h, text.w * canvas.w


def _nearest(
    tile: Box,
    boxes: Sequence[tuple[tuple[float, float, float, float], TileText]],
    canvas: Extent,
    rings: tuple[bool, bool],
    least: float,
) -> TileText | None:
    """Of the boxes that share enough with a tile the one with the largest intersection over union."""
    best, most = None, 0.0
    for (y, x, h, w), text in boxes:
        common = _common((tile.y, tile.h), (y, h), canvas.h, rings[0]) * _common(
            (tile.x, tile.w), (x, w), canvas.w, rings[1]
        )
        smaller, union = min(tile.h * tile.w, h * w), tile.h * tile.w + h * w - common
        if common > 0 and common >= least * smaller and common / union > most:
            best, most = text, common / union
    return best


def _common(a: tuple[float, float], b: tuple[float, float], length: int, ring: bool) -> float:
    """Length that two spans (start, length) of an axis share."""
    turns = (-length, 0, length) if ring else (0,)
    return sum(max(0.0, min(a[0] + a[1], b[0] + turn + b[1]) - max(a[0], b[0] + turn)) for turn in turns)
