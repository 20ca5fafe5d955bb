"""Tiles the model calls of one sampling: the `forward` of the sampler's own model wrapper, on that instance alone.

The wrapper dies with the sampler, so nothing shared is ever changed. It is called with rows for prompts and negative
prompts of all pictures (see rows.py). Tiles of the main prompt take these rows as they are. A region's rows are its
own, and where its guidance differs from the host's they are returned so that the host's combination comes out as the
region's own (see engine/guidance.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guidance import Rows, Scale, for_host
from tiled_diffusion.engine.guides import Guide, Guides, ModelRows, Moment
from tiled_diffusion.engine.guides.pull import Pull
from tiled_diffusion.engine.guides.structure import structure_guides
from tiled_diffusion.engine.model import Level, Prediction
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.positions import CanvasPositions
from tiled_diffusion.engine.tiles import Plan, Tile, told_size
from tiled_diffusion.errors import TiledError

from .bootstrap import Sketches
from .conditioning import Cond, of_rows, text_of, tokens, with_texts, with_told_sizes
from .controlnet.controls import Controls
from .hosts import host
from .hosts.port import NetworkSwitch
from .places import Places, spread_by
from .prompts import MainPrompts, RegionPrompts
from .rows import Row, RowCounter
from .structure import Drawn, structured
from .tile_prompts import JobPrompts, Look

Forward = Callable[..., Tensor]


@dataclass
class Step:
    """What is known of the present denoiser call of the sampler.

    Attributes:
        plan: its tiles.
        number: of the call, from 0.
        schedule_step: the host's own count, by which prompt editing goes.
        progress: fraction of the sampling that is done.
        rows: tells the rows of each model call.
        weights: of the parts of each picture's main prompt.
        scale: the host's CFG scale.
        unguided: the host leaves the negative prompts out in this step.
        drawn: what was drawn of each picture, where pictures are drawn whole.
    """

    plan: Plan
    number: int
    schedule_step: int
    progress: float
    rows: RowCounter
    weights: Sequence[Sequence[float]]
    scale: float
    unguided: bool
    drawn: dict[int, Drawn] = field(default_factory=dict)


@dataclass
class Tiling:
    """One sampling on one canvas.

    Attributes:
        planner: makes the plans.
        batching: tiles per model call; its on_batch may raise to stop.
        regions: encoded prompts by the tile's prompt number.
        level: from (sigma or timestep [rows]) to the noise level, and what the model call gives.
        controls: crops the hints of ControlNets, or None.
        pulls: what the canvas is drawn to; a later one above an earlier one.
        main: the picture's own encoded prompts, where its structure is drawn apart from its tiles; else None.
        colours: [n, C], latents of plain colours, where small pictures of the whole stand in a frame.
        prompts: of tiles outside of regions, or None where all have the main one.
        networks: which LoRAs act; None where all do everywhere.
        terms: what dilated views and the skip residual add.
        places: the devices on which tiles are drawn; None: where the model is.
        sketches: what small regions are drawn to at first, until it is drawn; None where there is none.
        calls: denoiser calls so far.
        step: the present one.
    """

    planner: Planner
    batching: Batching
    regions: dict[int, RegionPrompts] = field(default_factory=dict)
    level: Callable[[Tensor], tuple[Level, Prediction]] | None = None
    controls: Controls | None = None
    pulls: tuple[Pull, ...] = ()
    main: MainPrompts | None = None
    colours: Tensor | None = None
    prompts: JobPrompts | None = None
    networks: NetworkSwitch | None = None
    terms: tuple[Guide, ...] = ()
    places: Places | None = None
    sketches: Sketches | None = None
    calls: int = 0
    step: Step | None = None

    def begin_step(
        self, schedule_step: int, total: int, weights: Sequence[Sequence[float]], scale: float, *, unguided: bool
    ) -> None:
        """Called before each denoiser call of the sampler; its model calls follow."""
        progress = min(schedule_step / max(total, 1), 0.999999)
        plan = self.planner.plan(self.calls, progress)
        counter = RowCounter([len(w) for w in weights])
        self.step = Step(plan, self.calls, schedule_step, progress, counter, weights, scale, unguided)
        self.calls += 1

    def denoise(self, original: Forward, x: Tensor, sigma: Tensor, cond: Cond, rows: list[Row] | None = None) -> Tensor:
        """One model call of the host: x [rows, C, H, W], sigma [rows]; rows are counted where the host names none."""
        assert self.step is not None
        if self.step.plan.is_whole and not self.regions and not self.pulls and not self.terms:
            return original(x, sigma, cond=cond)
        rows = rows or self.step.rows.next(x.shape[0])
        if rows is None and (self.regions or self.pulls or self.terms or self.main or self.prompts):
            what = "elastic" if self.main else "regions"
            raise TiledError(
                f"{what}: a call with {x.shape[0]} rows where {len(self.step.rows.rows)} are known; another extension "
                f"changes the denoiser's rows, and {what} cannot tell which are which: switch one of them off"
            )
        if self.sketches is not None:
            sketches, self.sketches = self.sketches, None
            plain = Call(self, self.step, original, x, sigma, cond, rows or [], Guide())
            self.pulls = (*sketches.pulls(plain), *self.pulls)
        guide = self.guides()
        guide.begin_step(self.moment(sigma, rows or []))
        if self.prompts is not None and self.level is not None:
            self.prompts.look(Look(original, self.level(sigma)[0], sigma, cond, self.step.schedule_step))
        plan = guide.plan(self.step.plan)
        if self.prompts is not None:
            self.prompts.add_encoded(self.regions)
        call = Call(self, self.step, original, x, sigma, cond, rows or [], guide)
        if self.main is not None and any(tile.role != "all" for tile in plan.tiles):
            return structured(call, self.main)
        spread = None if self.places is None else spread_by(self.places.pool, call.evaluate)
        return guide.after(fuse(x, plan, call.evaluate, self.batching, spread), x)

    def guides(self) -> Guides:
        """What acts on a step besides the tiles."""
        planner = self.planner
        own = () if self.main is None else structure_guides(planner, self.colours)
        every = (self.prompts, *self.terms, self.controls, *own, *self.pulls)
        return Guides(tuple(g for g in every if g is not None))

    def moment(self, sigma: Tensor, rows: Sequence[Row]) -> Moment:
        """The present call, of rows with these noise levels or timesteps."""
        assert self.step is not None
        moment = Moment(self.step.number, self.step.progress, images=[row.image for row in rows] or None)
        if self.level is None:
            return moment
        level, prediction = self.level(sigma)
        return moment._replace(level=level, prediction=prediction)


@dataclass
class Call:
    """One model call of the host, taken apart into tiles."""

    tiling: Tiling
    step: Step
    original: Forward
    x: Tensor
    sigma: Tensor
    cond: Cond
    rows: list[Row]
    guide: Guide

    @property
    def canvas(self) -> Extent:
        """Size of the latent."""
        return self.tiling.planner.canvas

    def evaluate(self, crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
        """Predictions [tiles * rows, C, h, w] for crops of all rows, tile by tile."""
        views = torch.split(self.guide.crops(crops, tiles), self.x.shape[0])
        out: list[Tensor | None] = [None] * len(tiles)
        main = [k for k, tile in enumerate(tiles) if tile.prompt == 0]
        if main:
            every = range(self.x.shape[0])
            signs = [row.negative for row in self.rows] or [False] * len(every)
            wanted = [WantedRow(tiles[k], i, views[k][i : i + 1], None, signs[i]) for k in main for i in every]
            for k, part in zip(main, torch.split(self.run(wanted), self.x.shape[0]), strict=True):
                out[k] = part
        self._regions(tiles, views, out)
        return torch.cat([part for part in out if part is not None])

    def _regions(self, tiles: Sequence[Tile], views: Sequence[Tensor], out: list[Tensor | None]) -> None:
        """Tiles of regions: those with texts of equal length, and alike for ControlNets, in one model call."""
        of_regions = {k: RegionTile(self, tile, views[k]) for k, tile in enumerate(tiles) if tile.prompt}
        wanted = [row for region_tile in of_regions.values() for row in region_tile.wanted]
        predictions: dict[int, Tensor] = {}
        kinds = [(tokens(row.text), self._controlled(row), self._prompts(row).networks_key) for row in wanted]
        for kind in sorted(set(kinds)):
            alike = [i for i, own in enumerate(kinds) if own == kind]
            with self._networks(wanted[alike[0]]):
                out_of_call = self.run([wanted[i] for i in alike])
            predictions.update(zip(alike, torch.split(out_of_call, 1), strict=True))
        first = 0
        for k, region_tile in of_regions.items():
            count = len(region_tile.wanted)
            out[k] = region_tile.assembled([predictions[first + i] for i in range(count)])
            first += count

    def run(self, wanted: Sequence[WantedRow]) -> Tensor:
        """One model call: a row for each of what is wanted."""
        index, tiles = [row.row for row in wanted], [row.tile for row in wanted]
        cond = of_rows(self.cond, self.x.shape[0], index, [tile.view for tile in tiles], self.canvas)
        if wanted[0].text is not None:
            like = {"crossattn": _signed(text_of(self.cond)[index, :1], [row.negative for row in wanted])}
            cond = with_texts(cond, [row.text for row in wanted], like)
        planner = self.tiling.planner
        each, px = planner.settings.size_conditioning == "tile", planner.model.factor
        if planner.model.prediction != "flow":  # whose vector is text alone
            cond = with_told_sizes(cond, [told_size(tile, self.canvas, px, each=each) for tile in tiles])
        x, sigma = torch.cat([row.x for row in wanted]), self.sigma[index]
        images = [self.rows[i].image if self.rows else 0 for i in index]
        negatives = [row.negative for row in wanted] if self.rows else None
        rows = ModelRows(tiles, images, negatives, [self._controlled(row) for row in wanted])
        with self._placed(tiles, x), self.guide.model_call(rows, x, cond):
            return self.original(x, sigma, cond=cond, negatives=negatives)

    def _placed(self, tiles: Sequence[Tile], x: Tensor) -> AbstractContextManager[None]:
        """Within, a transformer is told the places of tiles that the settings ask for."""
        planner = self.tiling.planner
        positions = CanvasPositions.wanted(planner.settings.positions, planner.model, self.canvas)
        if positions is None:
            return nullcontext()
        return positions.told(host.sampling.network(), [tile.view for tile in tiles], Extent(*x.shape[-2:]))

    def wanted(self, tile: Tile, row: int, x: Tensor, text: Any, negative: bool) -> WantedRow:
        """A row of this call; see WantedRow."""
        return WantedRow(tile, row, x, text, negative)

    def _prompts(self, row: WantedRow) -> RegionPrompts:
        return self.tiling.regions[row.tile.prompt]

    def _networks(self, row: WantedRow) -> AbstractContextManager[None]:
        """Within, the networks of a row's region act."""
        own = self._prompts(row).networks
        return nullcontext() if self.tiling.networks is None or not own else self.tiling.networks.only(own)

    def _controlled(self, row: WantedRow) -> bool:
        """Whether ControlNets act on a row."""
        prompt, regions = row.tile.prompt, self.tiling.planner.settings.regions
        return not 1 <= prompt <= len(regions) or regions[prompt - 1].controlnet


@dataclass(frozen=True)
class WantedRow:
    """One row to be evaluated.

    Attributes:
        tile: of which it is.
        row: the host's row that lends sigma and everything but the text.
        x: [1, C, h, w].
        text: the encoded text, or None for the host's own.
        negative: whether it is a negative prompt's.
    """

    tile: Tile
    row: int
    x: Tensor
    text: Any
    negative: bool


class RegionTile:
    """One tile of a region within one model call of the host.

    Attributes:
        wanted: the rows to evaluate.
    """

    def __init__(self, call: Call, tile: Tile, view: Tensor) -> None:
        self.call, self.tile, self.view = call, tile, view
        self.prompts = call.tiling.regions[tile.prompt]
        self.wanted: list[WantedRow] = []
        self.parts: dict[int, list[int]] = {}
        self.negatives: dict[int, int] = {}
        for image in sorted({row.image for row in call.rows}):
            self._plan(image)

    def _plan(self, image: int) -> None:
        """Notes which texts are needed for a picture: its parts for its prompt's rows, its negative for guidance."""
        prompts = [i for i, row in enumerate(self.call.rows) if row.image == image and not row.negative]
        negatives = [i for i, row in enumerate(self.call.rows) if row.image == image and row.negative]
        texts, against = self.prompts.texts(image, self.call.step.schedule_step)
        if prompts:
            self.parts[image] = [self._want(prompts[0], text, negative=False) for text in texts]
        if negatives or (prompts and self._guided_here(image)):
            self.negatives[image] = self._want((negatives or prompts)[0], against, negative=True)

    def _guided_here(self, image: int) -> bool:
        """Whether a prompt's row can only be given together with the negative's."""
        as_it_is = self.prompts.plain and list(self.call.step.weights[image]) == [1.0]
        return not as_it_is and not self.call.step.unguided

    def _want(self, row: int, text: Any, *, negative: bool) -> int:
        self.wanted.append(WantedRow(self.tile, row, self.view[row : row + 1], text, negative))
        return len(self.wanted) - 1

    def assembled(self, predictions: Sequence[Tensor]) -> Tensor:
        """The host's rows [rows, C, h, w] from what was evaluated."""
        prompts = {image: self._for_host(image, predictions) for image in self.parts}
        rows = []
        for row in self.call.rows:
            if row.part is None:
                rows.append(predictions[self.negatives[row.image]])
            else:
                rows.append(prompts[row.image].parts[row.part])
        return torch.cat(rows)

    def _for_host(self, image: int, predictions: Sequence[Tensor]) -> Rows:
        unguided = predictions[self.negatives[image]] if self._guided_here(image) else None
        step = self.call.step
        cfg = step.scale if self.prompts.scale is None else self.prompts.scale
        own = Scale(tuple(part.weight for part in self.prompts.parts[image]), cfg)
        rows = Rows(unguided, tuple(predictions[i] for i in self.parts[image]))
        return for_host(rows, own, Scale(tuple(step.weights[image]), step.scale), self.tile.role)


def _signed(first: Tensor, negatives: Sequence[bool]) -> Tensor:
    """ControlNet's marks [rows, 1, C] as of prompts (+) and negative prompts (-), whichever row lent them."""
    marks = [-mark.abs() if negative else mark.abs() for mark, negative in zip(first, negatives, strict=True)]
    return torch.stack(marks)
