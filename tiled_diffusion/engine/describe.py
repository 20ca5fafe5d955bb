"""A plan in figures and in one line, for panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

from .dilations import Dilations
from .geometry import Box, Extent
from .grid import Group
from .guidance import guidances
from .guides.tile_prompts import of_list
from .masks import region_box
from .model import ModelTraits
from .plan import Planner, dilations
from .structure import References

MOST_BOXES = 4000
SMALL = 0.6
"""Regions whose sides are at most so much of the model's native ones get their objects in three cases of four."""
MOST_NAMED = 8


@dataclass(frozen=True)
class Description:
    """What one denoiser call on a canvas costs.

    Attributes:
        tiles: crops.
        batches: model calls.
        rows: images that the model sees, with and without prompt, for one picture.
        work_ratio: pixels evaluated / pixels of the canvas.
        tile: width and height of a tile, image pixels.
        boxes: (x, y, width, height in fractions of the canvas, prompt number) of the first 4000 crops.
        unit: sides that suit the model are multiples of this, image pixels.
        problems: what the user should know.
        words: what a list of prompts says of each of the boxes, beside the main prompt; empty where there is none.
        small: how many of the crops are small pictures of the whole, their width and their height, image pixels.
    """

    tiles: int
    batches: int
    rows: int
    work_ratio: float
    tile: tuple[int, int]
    boxes: tuple[tuple[float, float, float, float, int], ...]
    unit: int = 1
    problems: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    small: tuple[int, int, int] = (0, 0, 0)

    def line(self) -> str:
        """One line for the panel."""
        if self.tiles == 1:
            return "1 tile: the picture is drawn in one piece, as without tiling"
        batches = "1 batch" if self.batches == 1 else f"{self.batches} batches"
        count, width, height = self.small
        small = f" and {count} small pictures of {width} x {height} px" if count else ""
        return (
            f"{self.tiles - count} tiles of {self.tile[0]} x {self.tile[1]} px{small} in {batches}, "
            f"{self.rows} rows a step: "
            f"{self.work_ratio:.2f} times the untiled work"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        boxes: list[dict[str, Any]] = [{"x": x, "y": y, "w": w, "h": h, "prompt": k} for x, y, w, h, k in self.boxes]
        for box, words in zip(boxes, self.words, strict=False):
            box["words"] = words
        return {
            "text": self.line(), "tiles": self.tiles, "batches": self.batches, "rows": self.rows,
            "work_ratio": round(self.work_ratio, 3), "unit": self.unit, "boxes": boxes, "problems": list(self.problems),
        }  # fmt: skip


def describe(
    settings: Settings, width: int, height: int, model: ModelTraits, *, cfg_scale: float = 7.0, automatic: int = 1
) -> Description:
    """The first denoiser call of a picture; counted, so that even thousands of tiles take no time.

    Args:
        settings: how it is tiled.
        width: image pixels.
        height: image pixels.
        model: what the model likes.
        cfg_scale: 1 has no negative rows.
        automatic: tiles per call where the settings leave it open.

    Raises:
        TiledError: the settings do not fit the canvas, or cut it into more tiles than there may be.
    """
    factor = model.factor
    if width < factor or height < factor:
        raise TiledError(f"the picture must be at least {factor} px wide and high, got {width} x {height}")
    planner = Planner(Extent(height // factor, width // factor), settings, model)
    grids, tile, canvas = planner.grids(), planner.tile_size(), planner.canvas
    every = [*grids, *dilations(planner)]
    by_prompt = guidances("", "", cfg_scale, settings)
    every_box = ((box, grid.prompt) for grid in grids if grid.role != "direction" for box in grid.boxes())
    boxes = tuple(islice(every_box, MOST_BOXES))
    words, wrong = _words(planner, boxes)
    return Description(
        sum(grid.count for grid in every),
        batch_count(every, settings.tile_batch or automatic),
        sum(grid.count * by_prompt[grid.prompt].rows_of(grid.role) for grid in every),
        work_ratio(every, canvas),
        (tile.w * factor, tile.h * factor),
        tuple(
            (box.x / canvas.w, box.y / canvas.h, box.w / canvas.w, box.h / canvas.h, prompt)
            for box, prompt in boxes
        ),
        model.unit_px,
        (*_problems(planner, width, height), *wrong),
        words,
        small_pictures(every, factor),
    )


def _words(planner: Planner, boxes: Sequence[tuple[Box, int]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a list says of the boxes, and what is wrong with it; a picture in one piece is drawn without it."""
    if planner.settings.tile_prompts != "list" or len(boxes) == 1:
        return (), ()
    try:
        prompt_for = of_list(planner, [""])
    except TiledError as e:
        return (), (str(e),)
    return tuple("" if prompt else prompt_for(box, 0) for box, prompt in boxes), ()


def small_pictures(grids: Sequence[Group], factor: int) -> tuple[int, int, int]:
    """How many tiles are small pictures of the whole, their width and their height, image pixels; or zeros."""
    small = (g for g in grids if isinstance(g, (References, Dilations)))
    return next(((g.count, g.extent.w * factor, g.extent.h * factor) for g in small), (0, 0, 0))


def batch_count(grids: Sequence[Group], size: int) -> int:
    """Model calls of a plan: tiles of one shape share them."""
    alike: dict[Extent, int] = {}
    for grid in grids:
        alike[grid.extent] = alike.get(grid.extent, 0) + grid.count
    return sum(-(-count // size) for count in alike.values())


def work_ratio(grids: Sequence[Group], canvas: Extent) -> float:
    """Pixels evaluated / pixels of the canvas."""
    return sum(grid.count * grid.extent.h * grid.extent.w for grid in grids) / (canvas.h * canvas.w)


def _problems(planner: Planner, width: int, height: int) -> list[str]:
    model, tile = planner.model, planner.tile_size()
    out = []
    for name, px, length, side in (
        ("width", width, planner.canvas.w, tile.w),
        ("height", height, planner.canvas.h, tile.h),
    ):
        if px % model.factor or (side == length and length % model.multiple):
            out.append(f"{name} {px} px: multiples of {model.unit_px} px suit this model")
    return [*out, *_small_regions(planner)]


def _small_regions(planner: Planner) -> list[str]:
    """Names those that a sketch of their own would help."""
    most = SMALL * planner.model.native
    small = [
        str(number)
        for number, region in enumerate(planner.settings.regions, start=1)
        if region.draws and region.bootstrap == 0 and max(region_box(region, planner.canvas).extent) <= most
    ]
    if not small:
        return []
    named = ", ".join(small[:MOST_NAMED]) + (", ..." if len(small) > MOST_NAMED else "")
    which = f"region {named} is" if len(small) == 1 else f"regions {named} are"
    return [f"{which} small for this model: from noise, Bootstrap 0.5 draws the object into the shape"]
