"""Which prompt each tile has: its own, its colour's, its region's, or the mosaic's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageColor

from tiled_diffusion.engine.composition import joined
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.masks import region_mask
from tiled_diffusion.recipes.captioner import Captioner
from tiled_diffusion.settings.mosaic import Mosaic, Place
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region

from .cells import Cells, Pixels, block_colours, enlarged_cell

FINE = 8
"""Points across a cell at which regions are looked up."""
SEEN_PX = 384
"""Side of the cells that a captioner sees."""


def tile_requests(
    settings: Mosaic, level: int, picture: Image.Image, grid: Cells, caption: Captioner | None = None
) -> dict[Place, Request]:
    """The request of each tile of a level, row by row, without seeds: what it says of prompts is the tile's.

    The first that there is counts: the tile's own prompt, a caption, the prompt of its colour, of the region that has
    most of its place, the mosaic's.

    Args:
        settings: the mosaic.
        level: from 1.
        picture: what the level is made of.
        grid: of the level.
        caption: names what is to be seen in a cell.
    """
    request = settings.request
    plain = replace(request, tiling=replace(request.tiling, regions=(), rerolls=()))
    by_region = _region_requests(request, plain, grid) if level == 1 else None
    colours = _colour_prompts(settings, block_colours(picture, grid))
    own = {place: text for at, place, text in settings.prompts.cells if at == level}
    out = {}
    for y in range(grid.rows):
        for x in range(grid.columns):
            place = Place(x, y)
            base = plain if by_region is None else by_region[y][x]
            text = own.get(place)
            if text is None and caption is not None:
                text = caption(enlarged_cell(picture, grid, x, y, SEEN_PX))
            if text is None and colours is not None:
                text = colours[y][x]
            out[place] = base if text is None else replace(plain, prompt=text)
    return out


def _colour_prompts(settings: Mosaic, means: Pixels) -> list[list[str]] | None:
    if not settings.prompts.colours:
        return None
    names, prompts = zip(*settings.prompts.colours, strict=True)
    table = np.array([ImageColor.getrgb(name)[:3] for name in names], dtype=np.float32)
    nearest = ((means[:, :, None] - table) ** 2).sum(-1).argmin(-1)
    return [[prompts[k] for k in row] for row in nearest]


def _region_requests(request: Request, plain: Request, grid: Cells) -> list[list[Request]] | None:
    """By the region that covers most of each cell; the main prompt has what regions leave."""
    regions = [r for r in request.tiling.regions if r.draws]
    if not regions:
        return None
    owners = _owners(regions, Extent(grid.rows * FINE, grid.columns * FINE))
    rows, columns = grid.rows, grid.columns
    cells = owners.reshape(rows, FINE, columns, FINE).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    most = [[int(np.bincount(cell + 1).argmax()) - 1 for cell in row] for row in cells]
    of_region = [_of_region(plain, region) for region in regions]
    return [[plain if k < 0 else of_region[k] for k in row] for row in most]


def _owners(regions: Sequence[Region], canvas: Extent) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """[H, W]: number of the region that counts most at each point, -1 for none."""
    ordered = sorted(range(len(regions)), key=lambda k: regions[k].layer == "foreground")
    owner, amount = np.full(canvas, -1, dtype=np.int64), np.full(canvas, 0.5)
    for k in ordered:
        mask = region_mask(replace(regions[k], feather=0.0), canvas)
        wins = mask >= 0.5 if regions[k].layer == "foreground" else mask > amount
        owner[wins] = k
        amount = np.where(wins, np.maximum(amount, mask), amount)
    return owner


def _of_region(plain: Request, region: Region) -> Request:
    negative = plain.negative_prompt
    if region.negative_prompt is not None:
        negative = joined(negative, region.negative_prompt, region.join)
    scale = plain.cfg_scale if region.cfg_scale is None else region.cfg_scale
    return replace(
        plain, prompt=joined(plain.prompt, region.prompt, region.join), negative_prompt=negative, cfg_scale=scale
    )
