"""From settings and a canvas to a plan: which crops are evaluated, with which prompt, and how much each counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Region, Settings

from .dilations import Dilations, check_dilated, dilation
from .geometry import Box, Extent, check_axis
from .grid import Grid, Group
from .masks import region_box
from .methods import METHODS, Method
from .model import ModelTraits
from .noise import uniform_draw
from .regions import coverages, in_their_boxes, region_area
from .structure import References, reference_extent
from .tiles import Plan
from .windows import AxisTiles

MAX_TILES = 16384
"""Most tiles of a plan: 32768 x 32768 px in tiles of 512 px with half of each shared are 16129."""


LATE = "mixture"
"""The method that finishes what a small picture has begun."""


@dataclass(frozen=True)
class Planner:
    """Makes the plan of every denoiser call of one job.

    Attributes:
        canvas: size of the latent, latent pixels.
        settings: how to tile it.
        model: what the model likes.
        seed: key of the moving grids.
    """

    canvas: Extent
    settings: Settings
    model: ModelTraits = field(default_factory=ModelTraits)
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
        return _plan(self, *self._moment(step, progress))

    def grids(self, step: int = 0, progress: float = 0.0) -> list[Group]:
        """The tiles of a denoiser call by prompt, to be counted: weights are made when they are asked for.

        Raises:
            TiledError: as for `plan`, or these are more than MAX_TILES.
        """
        return _grids(self, *self._moment(step, progress))

    def _moment(self, step: int, progress: float) -> tuple[int, tuple[bool, ...], bool]:
        """What the plan of a call depends on: where moving grids lie, which regions act, whether they compose."""
        active = tuple(r.acts_at(progress) for r in self.settings.regions)
        return step if self.method.moves else 0, active, progress < self.settings.compose

    def tile_size(self) -> Extent:
        """The tile's size on this canvas, latent pixels: as set, or fitted to it; never larger than the canvas."""
        s = self.settings
        if self.method.structure and self.reference() is None:
            return self.canvas
        return Extent(
            self._tile(self.canvas.h, self._latent(s.tile_height), s.wrap_y),
            self._tile(self.canvas.w, self._latent(s.tile_width), s.wrap_x),
        )

    def reference(self) -> Extent | None:
        """Size of the small picture that gives the structure, latent pixels, where the method wants one."""
        if not self.method.structure:
            return None
        return reference_extent(self.canvas, self.model, self.settings.elastic_reference)

    def late_plan(self) -> Plan:
        """Of the part of the sampling in which no small picture is drawn any more: as Mixture of Diffusers draws."""
        return self._late().plan()

    def _late(self) -> Planner:
        return replace(self, settings=replace(self.settings, method=LATE))

    def overlap(self, tile: int) -> int:
        """The overlap for a tile side, latent pixels: as set, or the method's default."""
        wanted = self._latent(self.settings.overlap)
        return self.method.overlap(tile) if wanted is None else wanted

    def _latent(self, px: int | None) -> int | None:
        """Image pixels of the settings in whole latent pixels; None stays None."""
        return None if px is None else px // self.model.factor

    def _tile(self, length: int, wanted: int | None, ring: bool) -> int:
        if wanted is not None:
            if wanted < length and wanted % self.model.multiple:
                unit, px = self.model.unit_px, wanted * self.model.factor
                raise TiledError(f"the tile must be a multiple of {unit} px here, got {px} px")
            check_axis(length, wanted, self.overlap(wanted), self.method.most_overlap(wanted), px=self.model.factor)
            return min(wanted, length)
        if self.method.structure:
            return min(length, self.model.native)
        fitting = [t for t in self.model.tile_choices() if t < length]
        if len(fitting) < len(self.model.tile_choices()) and not ring:
            return length  # the canvas itself is one of the sizes that the model likes
        return min(fitting, key=lambda t: (self._cost(length, t, ring), -t), default=length)

    def _cost(self, length: int, tile: int, ring: bool) -> int:
        check_axis(length, tile, self.overlap(tile), self.method.most_overlap(tile), px=self.model.factor)
        return tile * len(self.method.axis(length, tile, self.overlap(tile), ring, 0.5).starts)

    def axes(
        self, extent: Extent, step: int, key: int = 0, box: Extent | None = None
    ) -> tuple[AxisTiles, AxisTiles]:
        """Rows and columns of tiles over an area of the given size; rings only where the area is the whole canvas.

        Args:
            extent: of the area, latent pixels.
            step: number of the denoiser call.
            key: 0 for the canvas, else the number of the region.
            box: size of the region's own box, without its soft edge.
        """
        tile = self.tile_size() if box is None else self._region_tile(extent, box)
        layouts = []
        for axis, (length, whole, side, wrap) in enumerate(
            zip(extent, self.canvas, tile, (self.settings.wrap_y, self.settings.wrap_x), strict=True)
        ):
            draw = uniform_draw(self.seed, "grid", step, axis, key)
            layouts.append(_layout(self, length, side, wrap and length == whole, draw))
        return layouts[0], layouts[1]

    def _region_tile(self, area: Extent, box: Extent) -> Extent:
        """Of a region, whose area is one crop on every axis on which a model can still draw its box as one picture.

        Elsewhere it is as set, or fitted to the area.
        """
        if not self.settings.compose:
            return self.tile_size()
        most, sides = self.model.tile_choices()[-1], (self.settings.tile_height, self.settings.tile_width)
        return Extent(*(
            n if inner <= most else self._tile(n, self._latent(side), ring=False)
            for n, inner, side in zip(area, box, sides, strict=True)
        ))  # fmt: skip

    def largest_crop(self) -> Extent:
        """The tile's size, or that of the largest region that is one crop, latent pixels."""
        if self.reference() is not None:
            return max(self.tile_size(), self._late().tile_size(), key=lambda crop: crop.h * crop.w)
        if not self.settings.compose:
            return self.tile_size()
        moments = {0.0, self.settings.compose, *(region.step_from for region in self.settings.regions)}
        crops = [grid.extent for moment in moments for grid in self.grids(0, moment) if grid.prompt]
        return max([self.tile_size(), *crops], key=lambda crop: crop.h * crop.w)

    def least_area(self) -> Extent:
        """Smaller regions are evaluated with so much of what is around them, latent pixels."""
        if not self.settings.compose:
            return self.tile_size()
        return Extent(*(min(self.model.native, n) for n in self.canvas))


def _layout(planner: Planner, length: int, tile: int, ring: bool, draw: float) -> AxisTiles:
    """Tiles of an axis that begin and blend at whole tokens, where the model has tokens and the axis whole ones."""
    method, token, overlap = planner.method, planner.model.token, planner.overlap(tile)
    if token == 1 or length % token or tile % token:
        return method.axis(length, tile, overlap, ring, draw)
    overlap = min(-(-overlap // token), method.most_overlap(tile // token))
    return method.axis(length // token, tile // token, overlap, ring, draw).scaled(token)


def dilations(planner: Planner) -> tuple[Dilations, ...]:
    """The dilated views of a call, where they are wanted and the canvas is not drawn in one piece.

    Raises:
        TiledError: the settings have what dilated views do not know.
    """
    settings, canvas, model = planner.settings, planner.canvas, planner.model
    step = dilation(canvas, model) if settings.dilated else 1
    if step == 1 or planner.tile_size() == canvas:
        return ()
    check_dilated(settings)
    return (Dilations(canvas, step, model.multiple, (settings.wrap_y, settings.wrap_x), planner.seed),)


@lru_cache(maxsize=16)
def _check_fill(planner: Planner) -> None:
    """Builds the plan of every part of the sampling in which other regions act, if one of them can have a gap."""
    settings = planner.settings
    if settings.regions and settings.fill == "none":
        changes = (settings.compose, *(edge for r in settings.regions for edge in (r.step_from, r.step_to)))
        for progress in sorted({0.0, *(edge for edge in changes if edge < 1)}):
            _plan(planner, *planner._moment(0, progress))


@lru_cache(maxsize=4)
def _plan(planner: Planner, step: int, active: tuple[bool, ...], composing: bool) -> Plan:
    grids = _grids(planner, step, active, composing)
    return Plan(planner.canvas, tuple(tile for grid in grids for tile in grid.tiles()))


def _grids(planner: Planner, step: int, active: tuple[bool, ...], composing: bool) -> list[Group]:
    canvas, settings = planner.canvas, planner.settings
    small = planner.reference()
    if small is not None:
        cells = Grid(Box(0, 0, *canvas), 0, *planner.axes(canvas, step), role="unguided")
        rings = (settings.wrap_y, settings.wrap_x)
        square = Extent(planner.model.native, planner.model.native) if settings.elastic_reference == "pad" else None
        return [
            *_limited([cells]),
            References(canvas, small, square, settings.elastic_rounds, rings, planner.seed, step),
        ]
    main = Grid(Box(0, 0, *canvas), 0, *planner.axes(canvas, step))
    if not any(active) and settings.fill == "main":
        return [*_limited([main])]
    regions = in_their_boxes(settings.regions, canvas, planner.model.multiple) if composing else settings.regions
    areas = region_areas(planner, regions)
    grids = [main]
    for k, (area, region) in enumerate(zip(areas, regions, strict=True), start=1):
        box = region_box(region, canvas).extent
        grids.append(Grid(area, k, *planner.axes(area.extent, step, k, box)))
    _limited(grids[:1] if settings.fill == "main" else [])
    _limited([grid for grid, on in zip(grids[1:], active, strict=True) if on])
    covered = coverages(regions, canvas, (settings.wrap_y, settings.wrap_x), areas, active, settings.fill)
    by_prompt = (covered.main if covered.main.any() else None, *covered.own)
    return [replace(grid, coverage=own) for grid, own in zip(grids, by_prompt, strict=True) if own is not None]


def _limited(grids: list[Grid]) -> list[Grid]:
    count = sum(len(grid.rows.starts) * len(grid.cols.starts) for grid in grids)
    if count > MAX_TILES:
        raise TiledError(
            f"tiles: these settings cut the canvas into {count} tiles, allowed are at most {MAX_TILES}: take larger "
            "tiles or a smaller overlap"
        )
    return grids


def region_areas(planner: Planner, regions: Sequence[Region]) -> tuple[Box, ...]:
    """The area that is evaluated for each region."""
    rings = (planner.settings.wrap_y, planner.settings.wrap_x)
    multiple, least = planner.model.multiple, planner.least_area()
    return tuple(region_area(r, planner.canvas, rings, multiple, least) for r in regions)
