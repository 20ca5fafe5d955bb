"""What a request would cost, without making it: tiles, batches, U-Net rows, work and memory.

What is exact and what is estimated:

* Tiles, batches, rows and work are read off the very plans that the run would use, step by step.
* Latents and accumulator are counted exactly: the noisy latent, the sampler's copy of it and the fused prediction.
* The U-Net's weights are counted exactly, from the shapes of its parameters.
* The U-Net's activations are counted by running it once on tensors without numbers (PyTorch's "meta" device) with the
  largest batch of the plan, and taking the largest sum of live tensors. Attention is counted as PyTorch's fused
  kernels do it, without its matrix. Workspaces of convolutions and what the allocator rounds up come on top: expect
  10 to 30 % more on a GPU.
* The VAE and the text encoder are not counted: they do not run while the U-Net does.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tiled_diffusion.engine.describe import batch_count, small_pictures, work_ratio
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.grid import Group
from tiled_diffusion.engine.guidance import guidances
from tiled_diffusion.engine.plan import Planner, dilations
from tiled_diffusion.settings.request import Request

from . import flow

MOST_STEPS = 64
"""Steps that are looked at where the grid moves."""


@dataclass(frozen=True)
class Memory:
    """Bytes while the U-Net runs; see the top of this file for what is counted and how."""

    weights: int
    activations: int
    canvas: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations + self.canvas


@dataclass(frozen=True)
class Report:
    """The figures of a plan. Pairs are (least, most) over the steps; they differ only where the grid moves.

    Attributes:
        method: name in METHODS.
        canvas: width and height, image pixels.
        tile: width and height, image pixels.
        overlap: least overlap along x and y, image pixels.
        grid: columns and rows of the main prompt's tiles at the first step; regions have grids of their own.
        tiles: crops evaluated at a step.
        batches: U-Net calls at a step.
        rows: crops x 2 (with and without prompt, where CFG is on) x pictures of the batch: images that the U-Net sees.
        work: pixels evaluated / pixels of the canvas: multiple of the untiled work.
        steps: denoising steps.
        factor: image pixels of a latent pixel's side.
        regions: parts with prompts of their own.
        memory: None where no U-Net was given.
        small: how many of the tiles are small pictures of the whole, their width and their height, image pixels.
    """

    method: str
    canvas: tuple[int, int]
    tile: tuple[int, int]
    overlap: tuple[int, int]
    grid: tuple[int, int]
    tiles: tuple[int, int]
    batches: tuple[int, int]
    rows: tuple[int, int]
    work: tuple[float, float]
    steps: int
    factor: int = 8
    regions: int = 0
    memory: Memory | None = None
    small: tuple[int, int, int] = (0, 0, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        out = asdict(self)
        if self.memory:
            out["memory"]["total"] = self.memory.total
        return out

    def lines(self) -> list[str]:
        """The report as text, one fact a line."""
        out = [
            f"method     {self.method}",
            f"canvas     {_by(self.canvas)} px ({_by(self.canvas, self.factor)} latent pixels)",
            f"tile       {_by(self.tile)} px, neighbours share at least {_by(self.overlap)} px",
            f"tiles      {short_range(self.tiles)} a step" + ("" if self.regions else f" ({_by(self.grid)})"),
            f"batches    {short_range(self.batches)} U-Net calls a step",
            f"rows       {short_range(self.rows)} a step (images that the U-Net sees, with and without prompt)",
            f"work       {short_range(self.work)} times the untiled work",
            f"steps      {self.steps}",
        ]
        if self.small[0]:
            count, width, height = self.small
            out[4:4] = [
                f"of these   {count} are small pictures of the whole, {width} x {height} px",
                "           (at first only one of them is asked for, and in the end the tiles of mixture)"
                if self.method == "elastic"
                else "           (they count less and less, and in the end nothing)",
            ]
        if self.memory:
            m = self.memory
            out += [
                f"memory     {_mib(m.total)} while the U-Net runs: weights {_mib(m.weights)}, "
                f"one batch of tiles about {_mib(m.activations)}, canvas {_mib(m.canvas)}",
            ]
        return out

    def heading(self) -> list[str]:
        """What stands above a drawn plan."""
        return [
            f"{self.method}: {_by(self.canvas)} px in {short_range(self.tiles)} tiles of {_by(self.tile)} px, "
            f"{short_range(self.work)} times the untiled work. The darker, the more tiles share the place."
        ]


def inspect_plan(planner: Planner, request: Request, unet: Any = None, automatic: int = 1) -> Report:
    """The figures of a request.

    Args:
        planner: makes the plans of the run.
        request: steps, CFG scale, pictures at once.
        unet: a diffusers U-Net; only its configuration and the shapes of its parameters are looked at.
        automatic: tiles per call where the settings leave it open.
    """
    steps = min(request.steps, MOST_STEPS) if planner.method.moves else 1
    plans = [[*planner.grids(step, step / request.steps), *dilations(planner)] for step in range(steps)]
    tiles = [sum(grid.count for grid in grids) for grids in plans]
    by_prompt = guidances(request.prompt, request.negative_prompt, request.cfg_scale, request.tiling)
    seen = [request.batch_size * sum(g.count * by_prompt[g.prompt].rows_of(g.role) for g in grids) for grids in plans]
    size = planner.settings.tile_batch or automatic
    batches = [batch_count(grids, size) for grids in plans]
    work = [work_ratio(grids, planner.canvas) for grids in plans]
    per_tile = request.batch_size * max(g.rows for g in by_prompt)
    rows, cols = planner.axes(planner.canvas, 0)
    tile = planner.tile_size()
    px = planner.model.factor
    overlap = [planner.overlap(axis.tile) if len(axis.starts) > 1 else 0 for axis in (cols, rows)]
    memory = None
    if unet is not None:
        memory = _memory(planner, plans[0], size, per_tile, request.batch_size, unet)
    return Report(
        method=planner.settings.method,
        canvas=(planner.canvas.w * px, planner.canvas.h * px),
        tile=(tile.w * px, tile.h * px),
        overlap=(overlap[0] * px, overlap[1] * px),
        grid=(len(cols.starts), len(rows.starts)),
        tiles=(min(tiles), max(tiles)),
        batches=(min(batches), max(batches)),
        rows=(min(seen), max(seen)),
        work=(round(min(work), 3), round(max(work), 3)),
        steps=request.steps,
        factor=px,
        regions=len(request.tiling.regions),
        small=small_pictures(plans[0], px),
        memory=memory,
    )


def _memory(
    planner: Planner, grids: Sequence[Group], tile_batch: int, per_tile: int, images: int, unet: Any
) -> Memory:
    weights = sum(p.numel() * p.element_size() for p in unet.parameters())
    largest = max(grids, key=lambda grid: min(grid.count, tile_batch) * grid.extent.h * grid.extent.w)
    activations = unet_activations(unet, min(largest.count, tile_batch) * per_tile, largest.extent)
    return Memory(weights, activations, canvas_bytes(planner.canvas, images, planner.model.channels))


def canvas_bytes(canvas: Extent, images: int, channels: int = 4) -> int:
    """The noisy latent, the sampler's copy of it and the fused prediction, float32 each."""
    return 3 * 4 * images * channels * canvas.h * canvas.w


def unet_activations(unet: Any, rows: int, tile: Extent) -> int:
    """The most bytes that live at once in a U-Net call on [rows, C, h, w], counted on tensors without numbers."""
    dtype = next(unet.parameters()).dtype
    with torch.device("meta"):
        hollow = torch.nn.Module.to(type(unet).from_config(dict(unet.config)), dtype).eval()
        call = _blank_call(unet, rows, tile, dtype)
        counter = LiveBytes()
        with torch.no_grad(), FusedAttention(), counter:
            call(hollow)
    return counter.peak


def _blank_call(unet: Any, rows: int, tile: Extent, dtype: torch.dtype) -> Callable[[Any], Any]:
    """A call of such a network on tensors without numbers."""
    if "cross_attention_dim" not in unet.config:
        x, t, words, pooled = flow.blank_call(unet, rows, tile, dtype)
        return lambda hollow: flow.predicted(hollow, x, t, words, pooled, torch.ones(rows))
    x = torch.empty(rows, unet.config["in_channels"], *tile, dtype=dtype)
    text = torch.empty(rows, 77, _text_width(unet.config), dtype=dtype)
    more = _added_conditions(unet, rows, dtype)
    return lambda hollow: hollow(x, torch.empty(rows), encoder_hidden_states=text, added_cond_kwargs=more)


def _text_width(config: Mapping[str, Any]) -> int:
    width = config["cross_attention_dim"]
    return int(width[0] if isinstance(width, (list, tuple)) else width)


def _added_conditions(unet: Any, rows: int, dtype: torch.dtype) -> dict[str, Tensor] | None:
    """SDXL's pooled text and six sizes."""
    if unet.config.get("addition_embed_type") != "text_time":
        return None
    pooled = unet.config["projection_class_embeddings_input_dim"] - 6 * unet.config["addition_time_embed_dim"]
    return {"text_embeds": torch.empty(rows, pooled, dtype=dtype), "time_ids": torch.empty(rows, 6, dtype=dtype)}


class LiveBytes(TorchDispatchMode):
    """Sums the storages of all tensors made while it is on, and keeps the largest sum in `peak`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and notes its results."""
        out = func(*args, **(kwargs or {}))
        known = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for t in tree_leaves(out):
            if isinstance(t, Tensor) and t.untyped_storage()._cdata not in known:
                self._note(t)
        return out

    def _note(self, t: Tensor) -> None:
        storage = t.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self.now += size
        self.peak = max(self.peak, self.now)
        self._seen[key] = weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.pop(key, None)
        self.now -= size


class FusedAttention(TorchFunctionMode):
    """Attention as the fused kernels do it: a result, and no matrix of all pairs."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replaces scaled_dot_product_attention on tensors without numbers."""
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:
            query = args[0] if args else kwargs["query"]
            return torch.empty_like(query)
        return func(*args, **kwargs)


def _by(pair: tuple[int, int], divisor: int = 1) -> str:
    return f"{pair[0] // divisor} x {pair[1] // divisor}"


def short_range(pair: tuple[float, float]) -> str:
    """One number, or `3 to 5`."""
    low, high = (f"{v:.2f}".rstrip("0").rstrip(".") for v in pair)
    return low if low == high else f"{low} to {high}"


def _mib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
