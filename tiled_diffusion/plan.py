"""From settings and a canvas to a plan: which crops are evaluated, with which prompt, and how much each counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .errors import TiledError
from .geometry import Box, Extent, check_axis
from .methods import METHODS, Method
from .noise import uniform_draw
from .regions import region_area, shares
from .settings import Settings
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

    def plan(self, step: int = 0) -> Plan:
        """The plan of the `step`-th denoiser call; the same object where nothing moves."""
        return _plan(self, step if self.method.moves else 0)

    def tile_size(self) -> Extent:
        """The tile's size on this canvas, lp: as set, or fitted to the canvas; never larger than the canvas."""
        s = self.settings
        return Extent(
            self._tile(self.canvas.h, s.tile_height_lp, s.wrap_y), self._tile(self.canvas.w, s.tile_width_lp, s.wrap_x)
        )

    def overlap(self, tile: int) -> int:
        """The overlap for a tile side, lp: as set, or the method's default."""
        return self.method.overlap(tile) if self.settings.overlap_lp is None else self.settings.overlap_lp

    def _tile(self, length: int, wanted: int | None, ring: bool) -> int:
        if wanted is not None:
            if wanted < length and wanted % self.model.multiple:
                raise TiledError(f"the tile must be a multiple of {self.model.multiple} lp here, got {wanted}")
            check_axis(length, wanted, self.overlap(wanted))
            return min(wanted, length)
        fitting = [t for t in self.model.tile_choices() if t < length]
        if len(fitting) < len(self.model.tile_choices()) and not ring:
            return length  # the canvas itself is one of the sizes that the model likes
        return min(fitting, key=lambda t: (self._cost(length, t, ring), -t), default=length)

    def _cost(self, length: int, tile: int, ring: bool) -> int:
        check_axis(length, tile, self.overlap(tile))
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


def _grid_jobs(planner: Planner, area: Box, step: int, prompt: int, share: np.ndarray | None) -> Iterator[Job]:
    rows, cols = planner.axes(area.extent, step, prompt)
    for y, wy in zip(rows.starts, rows.weights, strict=True):
        for x, wx in zip(cols.starts, cols.weights, strict=True):
            box = Box(y + area.y, x + area.x, rows.tile, cols.tile)
            weight = np.outer(wy, wx)
            if share is not None:
                height, width = share.shape
                weight = weight * share[np.ix_(_ring(box.y, box.h, height), _ring(box.x, box.w, width))]
            if weight.any():
                yield Job(box, torch.from_numpy(weight.astype(np.float32)), prompt)


def _ring(start: int, count: int, length: int) -> np.ndarray:
    return (np.arange(count) + start) % length


@lru_cache(maxsize=4)
def _plan(planner: Planner, step: int) -> Plan:
    canvas, regions = planner.canvas, planner.settings.regions
    whole = Box(0, 0, *canvas)
    if not regions:
        return Plan(canvas, tuple(_grid_jobs(planner, whole, step, 0, None)))
    rings = (planner.settings.wrap_y, planner.settings.wrap_x)
    share = shares(regions, canvas, rings)
    jobs = list(_grid_jobs(planner, whole, step, 0, share[0]))
    for k, region in enumerate(regions, start=1):
        area = region_area(region, canvas, rings, planner.model.multiple, planner.tile_size())
        jobs += _grid_jobs(planner, area, step, k, share[k])
    return Plan(canvas, tuple(jobs))
