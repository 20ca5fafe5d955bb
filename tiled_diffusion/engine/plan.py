"""From settings and a canvas to a plan: which crops are evaluated, with which prompt, and how much each counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

from .geometry import LATENT_PX, Box, Extent, check_axis
from .masks import places
from .methods import METHODS, Method
from .noise import uniform_draw
from .regions import Share, region_area, shares
from .windows import AxisTiles


@dataclass(frozen=True)
class ModelSize:
    """What a model likes, in latent pixels.

    Attributes:
        native: side of the pictures it was trained on (64 for SD 1.x, 128 for SDXL).
        multiple: sides of a U-Net input must be multiples of this (8 for SD 1.x and 2.x, 4 for SDXL).
    """

    native: int = 64
    multiple: int = 8

    def tile_choices(self) -> list[int]:
        """Tile sides worth trying: from the native size to one and a half times it."""
        return list(range(self.native, self.native * 3 // 2 + 1, self.multiple))


@dataclass(frozen=True)
class Job:
    """One crop of the canvas to be denoised.

    Attributes:
        box: where; on a ring it may reach past the end of the canvas.
        weight: [h, w] float32; over all jobs the weights sum to 1 at every pixel of the canvas.
        prompt: 0 is the main prompt, k the k-th region (from 1).
    """

    box: Box
    weight: Tensor
    prompt: int = 0


@dataclass(frozen=True)
class Plan:
    """All jobs of one denoiser call on the canvas."""

    canvas: Extent
    jobs: tuple[Job, ...]

    @property
    def is_whole(self) -> bool:
        """One job that is the canvas itself: the untiled call."""
        if len(self.jobs) != 1:
            return False
        job = self.jobs[0]
        return job.box == Box(0, 0, *self.canvas) and bool((job.weight == 1).all())

    @property
    def work_ratio(self) -> float:
        """Pixels evaluated / pixels of the canvas."""
        return sum(j.box.h * j.box.w for j in self.jobs) / (self.canvas.h * self.canvas.w)

    def batches(self, size: int) -> Iterator[tuple[Job, ...]]:
        """Jobs of equal shape in groups of at most `size`, as equal in length as possible."""
        shapes: dict[Extent, list[Job]] = {}
        for job in self.jobs:
            shapes.setdefault(job.box.extent, []).append(job)
        for jobs in shapes.values():
            groups = -(-len(jobs) // size)
            for i in range(groups):
                yield tuple(jobs[i * len(jobs) // groups : (i + 1) * len(jobs) // groups])


@dataclass(frozen=True)
class Planner:
    """Makes the plan of every denoiser call of one job.

    Attributes:
        canvas: size of the latent, lp.
        settings: how to tile it.
        model: what the model likes.
        seed: key of the moving grids.
    """

    canvas: Extent
    settings: Settings
    model: ModelSize = ModelSize()
    seed: int = 0

    @property
    def method(self) -> Method:
        """The method in use."""
        return METHODS[self.settings.method]

    def plan(self, step: int = 0, progress: float = 0.0) -> Plan:
        """The plan of the `step`-th denoiser call; the same object where nothing moves.

        Args:
            step: number of the call, from 0.
            progress: fraction of the sampling that is done, 0 to 1: regions act in their step ranges.

        Raises:
            TiledError: tile and overlap do not fit, or `fill` is "none" and a part of the canvas is in no region.
        """
        _check_fill(self)
        return _plan(self, step if self.method.moves else 0, self._active(progress))

    def _active(self, progress: float) -> tuple[bool, ...]:
        return tuple(r.acts_at(progress) for r in self.settings.regions)

    def tile_size(self) -> Extent:
        """The tile's size on this canvas, lp: as set, or fitted to the canvas; never larger than the canvas."""
        s = self.settings
        return Extent(
            self._tile(self.canvas.h, _latent(s.tile_height), s.wrap_y),
            self._tile(self.canvas.w, _latent(s.tile_width), s.wrap_x),
        )

    def overlap(self, tile: int) -> int:
        """The overlap for a tile side, lp: as set, or the method's default."""
        wanted = _latent(self.settings.overlap)
        return self.method.overlap(tile) if wanted is None else wanted

    def _tile(self, length: int, wanted: int | None, ring: bool) -> int:
        if wanted is not None:
            if wanted < length and wanted % self.model.multiple:
                multiple = self.model.multiple * LATENT_PX
                raise TiledError(f"the tile must be a multiple of {multiple} px here, got {wanted * LATENT_PX} px")
            check_axis(length, wanted, self.overlap(wanted), self.method.most_overlap(wanted))
            return min(wanted, length)
        fitting = [t for t in self.model.tile_choices() if t < length]
        if len(fitting) < len(self.model.tile_choices()) and not ring:
            return length  # the canvas itself is one of the sizes that the model likes
        return min(fitting, key=lambda t: (self._cost(length, t, ring), -t), default=length)

    def _cost(self, length: int, tile: int, ring: bool) -> int:
        check_axis(length, tile, self.overlap(tile), self.method.most_overlap(tile))
        return tile * len(self.method.axis(length, tile, self.overlap(tile), ring, 0.5).starts)

    def axes(self, extent: Extent, step: int, key: int = 0) -> tuple[AxisTiles, AxisTiles]:
        """Rows and columns of tiles over an area of the given size; rings only where the area is the whole canvas."""
        tile = self.tile_size()
        layouts = []
        for axis, (length, whole, side, wrap) in enumerate(
            zip(extent, self.canvas, tile, (self.settings.wrap_y, self.settings.wrap_x), strict=True)
        ):
            draw = uniform_draw(self.seed, "grid", step, axis, key)
            layouts.append(self.method.axis(length, side, self.overlap(side), wrap and length == whole, draw))
        return layouts[0], layouts[1]


def _latent(px: int | None) -> int | None:
    """Image pixels of the settings in whole latent pixels; None stays None."""
    return None if px is None else px // LATENT_PX


def _grid_jobs(planner: Planner, area: Box, step: int, prompt: int, share: Share | None) -> Iterator[Job]:
    """Tiles over an area; `share` is the prompt's share of it."""
    rows, cols = planner.axes(area.extent, step, prompt)
    for y, wy in zip(rows.starts, rows.weights, strict=True):
        for x, wx in zip(cols.starts, cols.weights, strict=True):
            weight = np.outer(wy, wx)
            if share is not None:
                weight = weight * share[places(Box(y, x, rows.tile, cols.tile), Extent(*share.shape))]
            if weight.any():
                box = Box(y + area.y, x + area.x, rows.tile, cols.tile)
                yield Job(box, torch.from_numpy(weight.astype(np.float32)), prompt)


@lru_cache(maxsize=16)
def _check_fill(planner: Planner) -> None:
    """Builds the plan of every part of the sampling in which other regions act, if one of them can have a gap."""
    regions = planner.settings.regions
    if regions and planner.settings.fill == "none":
        for progress in sorted({0.0, *(r.step_from for r in regions), *(r.step_to for r in regions if r.step_to < 1)}):
            _plan(planner, 0, planner._active(progress))


@lru_cache(maxsize=4)
def _plan(planner: Planner, step: int, active: tuple[bool, ...]) -> Plan:
    canvas, settings = planner.canvas, planner.settings
    whole = Box(0, 0, *canvas)
    if not any(active) and settings.fill == "main":
        return Plan(canvas, tuple(_grid_jobs(planner, whole, step, 0, None)))
    areas = region_areas(planner)
    share = shares(settings.regions, canvas, (settings.wrap_y, settings.wrap_x), areas, active, settings.fill)
    jobs = list(_grid_jobs(planner, whole, step, 0, share.main)) if share.main.any() else []
    for k, (area, own) in enumerate(zip(areas, share.own, strict=True), start=1):
        if own is not None:
            jobs += _grid_jobs(planner, area, step, k, own)
    return Plan(canvas, tuple(jobs))


def region_areas(planner: Planner) -> tuple[Box, ...]:
    """The area that is evaluated for each region."""
    rings = (planner.settings.wrap_y, planner.settings.wrap_x)
    multiple, tile = planner.model.multiple, planner.tile_size()
    return tuple(region_area(r, planner.canvas, rings, multiple, tile) for r in planner.settings.regions)
