"""Tiles the model calls of one sampling: the `forward` of the sampler's own model wrapper, on that instance alone.

The wrapper dies with the sampler, so nothing shared is ever changed. It is called with rows for prompts and negative
prompts of all pictures (see rows.py). Tiles of the main prompt take these rows as they are. A region's rows are its
own, and where its guidance differs from the host's they are returned so that the host's combination

    u + s * sum_a w_a (C_a - u)          (w_a, C_a: the main prompt's parts)

comes out as the region's own u + s_r * sum_j v_j (c_j - u): C_1 = u + s_r / (s w_1) * sum_j v_j (c_j - u), and
C_a = u for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.bootstrap import AddNoise, Bootstrap
from tiled_diffusion.engine.plan import Job, Plan, Planner
from tiled_diffusion.errors import TiledError

from .conditioning import Cond, taken, text_of, tokens, with_texts, with_tile_sizes
from .prompts import RegionPrompts
from .rows import Row, RowCounter

Forward = Callable[..., Tensor]
MARK = "tiled_diffusion_original"
"""Attribute of our forward: the one below it."""


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
    """

    plan: Plan
    number: int
    schedule_step: int
    progress: float
    rows: RowCounter
    weights: Sequence[Sequence[float]]
    scale: float
    unguided: bool


@dataclass
class Tiling:
    """One sampling on one canvas.

    Attributes:
        planner: makes the plans.
        batching: tiles per model call; its on_batch may raise to stop.
        regions: encoded prompts by the job's prompt number.
        bootstrap: for regions that want it, or None.
        noising: from (sigma or timestep [rows]) to how a clean latent is noised.
        controls: crops the hints of ControlNets, or None.
        calls: denoiser calls so far.
        step: the present one.
        failure: what went wrong where an exception could not leave; the next model call raises it.
    """

    planner: Planner
    batching: Batching
    regions: dict[int, RegionPrompts] = field(default_factory=dict)
    bootstrap: Bootstrap | None = None
    noising: Callable[[Tensor], AddNoise] | None = None
    controls: Any = None
    calls: int = 0
    step: Step | None = None
    failure: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Lets the next model call raise an error."""
        self.failure = error

    def begin_step(
        self, schedule_step: int, total: int, weights: Sequence[Sequence[float]], scale: float, *, unguided: bool
    ) -> None:
        """Called before each denoiser call of the sampler; its model calls follow."""
        progress = min(schedule_step / max(total, 1), 0.999999)
        plan = self.planner.plan(self.calls, progress)
        counter = RowCounter([len(w) for w in weights])
        self.step = Step(plan, self.calls, schedule_step, progress, counter, weights, scale, unguided)
        self.calls += 1

    def arm(self, wrapper: Any) -> None:
        """Puts our forward on a model wrapper, once."""
        if hasattr(wrapper.__dict__.get("forward"), MARK):
            return
        original: Forward = wrapper.forward

        def forward(x: Tensor, sigma: Tensor, *args: Any, cond: Cond | None = None, **kwargs: Any) -> Tensor:
            if self.failure is not None:
                raise self.failure
            if cond is None or args or self.step is None or tuple(x.shape[-2:]) != tuple(self.planner.canvas):
                more = kwargs if cond is None else {**kwargs, "cond": cond}
                return original(x, sigma, *args, **more)
            return self.denoise(lambda *a, **k: original(*a, **k, **kwargs), x, sigma, cond)

        setattr(forward, MARK, original)
        wrapper.forward = forward

    def disarm(self, wrapper: Any) -> None:
        """Takes our forward off again, unless somebody put another one on top, below which ours then passes through."""
        self.step = None
        if hasattr(wrapper.__dict__.get("forward"), MARK):
            del wrapper.forward

    def denoise(self, original: Forward, x: Tensor, sigma: Tensor, cond: Cond) -> Tensor:
        """One model call of the host: x [rows, C, H, W], sigma [rows]."""
        assert self.step is not None
        if self.step.plan.is_whole and not self.regions:
            return original(x, sigma, cond=cond)
        rows = self.step.rows.next(x.shape[0])
        if rows is None and self.regions:
            raise TiledError(
                f"regions: a call with {x.shape[0]} rows where {len(self.step.rows.rows)} are known; another extension "
                "changes the denoiser's rows, and regions cannot tell which are which: switch one of them off"
            )
        call = Call(self, self.step, original, x, sigma, cond, rows or [])
        return fuse(x, self.step.plan, call.evaluate, self.batching)


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

    @property
    def canvas(self) -> Extent:
        """Size of the latent."""
        return self.tiling.planner.canvas

    def evaluate(self, crops: Tensor, jobs: Sequence[Job]) -> Tensor:
        """Predictions [jobs * rows, C, h, w] for crops of all rows, job by job."""
        views = torch.split(crops, self.x.shape[0])
        out: list[Tensor | None] = [None] * len(jobs)
        main = [k for k, job in enumerate(jobs) if job.prompt == 0]
        if main:
            every = range(self.x.shape[0])
            signs = [row.negative for row in self.rows] or [False] * len(every)
            wanted = [Wanted(jobs[k], i, views[k][i : i + 1], None, signs[i]) for k in main for i in every]
            for k, part in zip(main, torch.split(self.run(wanted), self.x.shape[0]), strict=True):
                out[k] = part
        self._regions(jobs, views, out)
        return torch.cat([part for part in out if part is not None])

    def _regions(self, jobs: Sequence[Job], views: Sequence[Tensor], out: list[Tensor | None]) -> None:
        """Tiles of regions: those with texts of equal length, and alike for ControlNets, in one model call."""
        pieces = {k: Piece(self, job, views[k]) for k, job in enumerate(jobs) if job.prompt}
        flat = [w for piece in pieces.values() for w in piece.wanted]
        found: dict[int, Tensor] = {}
        kinds = [(tokens(w.text), self._controlled(w)) for w in flat]
        for kind in sorted(set(kinds)):
            chosen = [i for i, own in enumerate(kinds) if own == kind]
            found.update(zip(chosen, torch.split(self.run([flat[i] for i in chosen]), 1), strict=True))
        first = 0
        for k, piece in pieces.items():
            out[k] = piece.assembled([found[first + i] for i in range(len(piece.wanted))])
            first += len(piece.wanted)

    def run(self, wanted: Sequence[Wanted]) -> Tensor:
        """One model call: a row for each of what is wanted."""
        index, boxes = [w.row for w in wanted], [w.job.box for w in wanted]
        cond = taken(self.cond, self.x.shape[0], index, boxes, self.canvas)
        if wanted[0].text is not None:
            like = {"crossattn": _signed(text_of(self.cond)[index, :1], [w.negative for w in wanted])}
            cond = with_texts(cond, [w.text for w in wanted], like)
        if self.tiling.planner.settings.size_conditioning == "tile":
            cond = with_tile_sizes(cond, boxes, self.canvas)
        x, sigma = torch.cat([w.x for w in wanted]), self.sigma[index]
        if self.tiling.controls is None:
            return self.original(x, sigma, cond=cond)
        images = [self.rows[i].image if self.rows else 0 for i in index]
        negatives = [w.negative for w in wanted] if self.rows else None
        with self.tiling.controls.selected(boxes, images, self._controlled(wanted[0]), negatives):
            return self.original(x, sigma, cond=cond)

    def _controlled(self, one: Wanted) -> bool:
        """Whether ControlNets act on a row."""
        return not one.job.prompt or self.tiling.planner.settings.regions[one.job.prompt - 1].controlnet


@dataclass(frozen=True)
class Wanted:
    """One row to be evaluated.

    Attributes:
        job: whose tile.
        row: the host's row that lends sigma and everything but the text.
        x: [1, C, h, w].
        text: the encoded text, or None for the host's own.
        negative: whether it is a negative prompt's.
    """

    job: Job
    row: int
    x: Tensor
    text: Any
    negative: bool


class Piece:
    """One tile of a region within one model call of the host.

    Attributes:
        wanted: the rows to evaluate.
    """

    def __init__(self, call: Call, job: Job, view: Tensor) -> None:
        self.call, self.job = call, job
        self.prompts = call.tiling.regions[job.prompt]
        self.view = self._bootstrapped(view)
        self.wanted: list[Wanted] = []
        self.parts: dict[int, list[tuple[int, float]]] = {}
        self.negatives: dict[int, int] = {}
        for image in sorted({row.image for row in call.rows}):
            self._plan(image)

    def _bootstrapped(self, view: Tensor) -> Tensor:
        tiling, step, rows = self.call.tiling, self.call.step, self.call.rows
        if tiling.bootstrap is None or tiling.noising is None:
            return view
        each = replace(tiling.bootstrap, noise=tiling.bootstrap.noise[[row.image for row in rows]])
        add_noise = tiling.noising(self.call.sigma)
        return each.apply(view, [self.job], progress=step.progress, step=step.number, add_noise=add_noise)

    def _plan(self, image: int) -> None:
        """Notes which texts are needed for a picture: its parts for its prompt's rows, its negative for guidance."""
        prompts = [i for i, row in enumerate(self.call.rows) if row.image == image and not row.negative]
        negatives = [i for i, row in enumerate(self.call.rows) if row.image == image and row.negative]
        texts, against = self.prompts.texts(image, self.call.step.schedule_step)
        if prompts:
            weights = [part.weight for part in self.prompts.parts[image]]
            found = [self._want(prompts[0], t, negative=False) for t in texts]
            self.parts[image] = list(zip(found, weights, strict=True))
        if negatives or (prompts and self._guided_here(image)):
            self.negatives[image] = self._want((negatives or prompts)[0], against, negative=True)

    def _guided_here(self, image: int) -> bool:
        """Whether a prompt's row can only be given together with the negative's."""
        as_it_is = self.prompts.plain and list(self.call.step.weights[image]) == [1.0]
        return not as_it_is and not self.call.step.unguided

    def _want(self, row: int, text: Any, *, negative: bool) -> int:
        self.wanted.append(Wanted(self.job, row, self.view[row : row + 1], text, negative))
        return len(self.wanted) - 1

    def assembled(self, found: Sequence[Tensor]) -> Tensor:
        """The host's rows [rows, C, h, w] from what was evaluated."""
        return torch.cat([self._row(row, found) for row in self.call.rows])

    def _row(self, row: Row, found: Sequence[Tensor]) -> Tensor:
        if row.negative:
            return found[self.negatives[row.image]]
        parts = [(found[i], weight) for i, weight in self.parts[row.image]]
        if not self._guided_here(row.image):
            return _unguided(parts)
        u = found[self.negatives[row.image]]
        return u + self._share(row) * torch.stack([weight * (c - u) for c, weight in parts]).sum(0)

    def _share(self, row: Row) -> float:
        """s_r / (s w_a) on the first part that counts, 0 on the others."""
        weights, s = self.call.step.weights[row.image], self.call.step.scale
        first = next((a for a, w in enumerate(weights) if w != 0), None)
        if row.part != first or first is None or s == 0:
            return 0.0
        own = s if self.prompts.scale is None else self.prompts.scale
        return own / (s * weights[first])


def _signed(first: Tensor, negatives: Sequence[bool]) -> Tensor:
    """ControlNet's marks [rows, 1, C] as of prompts (+) and negative prompts (-), whichever row lent them."""
    return torch.stack([-one.abs() if negative else one.abs() for one, negative in zip(first, negatives, strict=True)])


def _unguided(parts: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Without a negative prompt the first part takes its place, as in the host."""
    (first, _), *others = parts
    return first + torch.stack([weight * (c - first) for c, weight in others]).sum(0) if others else first
