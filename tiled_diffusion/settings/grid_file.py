"""Reads the grid files of Mixture of Diffusers: prompts in rows and columns, one tile each.

Each tile becomes a region with a soft edge as wide as the overlap, so that the model sees the whole tile.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from tiled_diffusion.errors import SettingsError

from .kinds import Switch, Whole, choices
from .quoting import shortened
from .request import Request
from .values import MOST_REGIONS, REROLL_MODES, SEED, Region, Reroll, Settings

SCHEDULERS = {"lms": "LMS", "ddim": "DDIM"}
SIZES = ("tile_height", "tile_width", "tile_row_overlap", "tile_col_overlap")
DEFAULTS: dict[str, Any] = {
    "cpu_vae": False, "gc": 7.5, "gc_tiles": None, "scheduler": "lms", "seed": 0, "seed_reroll_regions": [],
    "seed_tiles": None, "seed_tiles_mode": "full", "steps": 50, "tile_height": 512, "tile_width": 512,
    "tile_row_overlap": 256, "tile_col_overlap": 256,
}  # fmt: skip
Span = tuple[int, int]
"""Begin and end, px."""


def is_grid(data: object) -> TypeGuard[dict[str, Any]]:
    """Whether parsed JSON is a grid file: its prompt is a list."""
    return isinstance(data, dict) and isinstance(data.get("prompt"), list)


def request_from_grid(data: dict[str, Any]) -> Request:
    """The request of a grid file.

    `cpu_vae` is checked and has no effect: where the VAE runs is decided by the memory there is.

    Raises:
        SettingsError: names the key that is wrong.
    """
    unknown = sorted(data.keys() - DEFAULTS.keys() - {"prompt"})
    if unknown:
        known = f"prompt, {', '.join(DEFAULTS)}"
        raise SettingsError(f"{shortened(unknown[0])}: unknown key of a grid file, allowed are {known}")
    values = {**DEFAULTS, **data}
    _check(values)
    prompts = values["prompt"]
    rows = _spans(len(prompts), values["tile_height"], values["tile_row_overlap"])
    cols = _spans(len(prompts[0]), values["tile_width"], values["tile_col_overlap"])
    tiling = Settings(
        tile_width=values["tile_width"],
        tile_height=values["tile_height"],
        regions=tuple(_region(values, rows, cols, r, c) for r in range(len(rows)) for c in range(len(cols))),
        rerolls=(*_tile_rerolls(values, rows, cols), *_box_rerolls(values, rows[-1][1], cols[-1][1])),
    )
    texts = dict.fromkeys(p for row in prompts for p in row)
    return Request(
        prompt=" | ".join(texts), width=cols[-1][1], height=rows[-1][1], steps=values["steps"],
        cfg_scale=values["gc"], sampler=SCHEDULERS[values["scheduler"]], seed=values["seed"], tiling=tiling,
    )  # fmt: skip


def _check(values: dict[str, Any]) -> None:
    Switch().check("cpu_vae", values["cpu_vae"])
    choices(*SCHEDULERS).check("scheduler", values["scheduler"])
    SEED.check("seed", values["seed"])
    for name in SIZES:
        Whole(0 if "overlap" in name else 64, 4096, multiple=8).check(name, values[name])
    for side, overlap in (("tile_height", "tile_row_overlap"), ("tile_width", "tile_col_overlap")):
        if values[overlap] >= values[side]:
            raise SettingsError(f"{overlap}: got {values[overlap]}, allowed is less than {side}, {values[side]}")
    _check_grids(values)


def _check_grids(values: dict[str, Any]) -> None:
    prompts = values["prompt"]
    texts = [p for row in prompts if isinstance(row, list) for p in (row or [None])]
    if not texts or not all(isinstance(r, list) for r in prompts) or not all(isinstance(p, str) for p in texts):
        raise SettingsError("prompt: allowed is a list of rows, each a list of texts")
    shape = (len(prompts), len(prompts[0]))
    if shape[0] * shape[1] > MOST_REGIONS:
        raise SettingsError(f"prompt: got {shape[0]} x {shape[1]} tiles, allowed are at most {MOST_REGIONS}")
    for name in ("prompt", "gc_tiles", "seed_tiles"):
        _check_shape(name, values[name], shape)
    if isinstance(values["seed_tiles_mode"], list):
        _check_shape("seed_tiles_mode", values["seed_tiles_mode"], shape)


def _check_shape(name: str, grid: Any, shape: tuple[int, int]) -> None:
    if grid is None:
        return
    if not isinstance(grid, list) or [len(r) if isinstance(r, list) else -1 for r in grid] != [shape[1]] * shape[0]:
        raise SettingsError(f"{name}: allowed are {shape[0]} rows of {shape[1]}, as many as the first row of prompts")


def _spans(count: int, size: int, overlap: int) -> list[Span]:
    return [(i * (size - overlap), i * (size - overlap) + size) for i in range(count)]


def _cell(spans: list[Span], k: int, cut: float) -> tuple[float, float]:
    """A tile's span without `cut` px towards each neighbour."""
    begin, end = spans[k]
    return begin + (cut if k else 0), end - (cut if k + 1 < len(spans) else 0)


def _region(values: dict[str, Any], rows: list[Span], cols: list[Span], r: int, c: int) -> Region:
    """The half of each overlap that is nearer to the tile, with a soft edge as wide as the overlap."""
    across, down = values["tile_col_overlap"], values["tile_row_overlap"]
    y, bottom = _cell(rows, r, down / 2)
    x, right = _cell(cols, c, across / 2)
    widths = [overlap for overlap, spans in ((down, rows), (across, cols)) if len(spans) > 1]
    height, width = rows[-1][1], cols[-1][1]
    if bottom <= y or right <= x:
        raise SettingsError("tile_row_overlap, tile_col_overlap: tiles may not lie in their neighbours altogether")
    return Region(
        prompt=values["prompt"][r][c], x=x / width, y=y / height, w=(right - x) / width, h=(bottom - y) / height,
        feather=min(1.0, min(widths, default=0) / min(bottom - y, right - x)),
        cfg_scale=None if values["gc_tiles"] is None else values["gc_tiles"][r][c],
        name=f"row {r + 1}, column {c + 1}",
    )  # fmt: skip


def _tile_rerolls(values: dict[str, Any], rows: list[Span], cols: list[Span]) -> list[Reroll]:
    """Seeds of tiles, row by row; an exclusive one draws what no neighbour covers, and nothing where that is empty."""
    if values["seed_tiles"] is None:
        return []
    out = []
    for r, row in enumerate(values["seed_tiles"]):
        for c, seed in enumerate(row):
            mode = values["seed_tiles_mode"]
            mode = mode[r][c] if isinstance(mode, list) else mode
            REROLL_MODES.check("seed_tiles_mode", mode)
            cut = 1 if mode == "exclusive" else 0
            (y, bottom), (x, right) = (
                _cell(rows, r, cut * values["tile_row_overlap"]),
                _cell(cols, c, cut * values["tile_col_overlap"]),
            )
            if seed is not None and y < bottom and x < right:
                out.append(_reroll(seed, (y, bottom), (x, right), rows[-1][1], cols[-1][1]))
    return out


def _box_rerolls(values: dict[str, Any], height: int, width: int) -> list[Reroll]:
    """Boxes (first row, end row, first column, end column, seed), px, on latent pixels."""
    boxes = values["seed_reroll_regions"]
    if not isinstance(boxes, list) or not all(isinstance(b, list) and len(b) == 5 for b in boxes):
        raise SettingsError("seed_reroll_regions: allowed are lists of 5: row, end row, column, end column, seed")
    out = []
    for box in boxes:
        for value in box:
            SEED.check("seed_reroll_regions", value)
        top, bottom, left, right = (v // 8 * 8 for v in box[:4])
        out.append(_reroll(box[4], (top, min(bottom, height)), (left, min(right, width)), height, width))
    return out


def _reroll(seed: int, down: tuple[float, float], across: tuple[float, float], height: int, width: int) -> Reroll:
    (y, bottom), (x, right) = down, across
    return Reroll(seed, x / width, y / height, (right - x) / width, (bottom - y) / height)
