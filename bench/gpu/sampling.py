"""Parts that draw: what tiles cost beside the U-Net's calls, waiting, memory, batches, and whether runs are equal."""

from __future__ import annotations

import copy
import statistics
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.gpu.calls import drawn, recorded, replayed, scene, square, tiles_of
from bench.gpu.simulated import simulated
from bench.gpu.stage import MIB, Stage
from tiled_diffusion import METHODS, Batching, Extent, Planner, Settings, fuse
from tiled_diffusion.engine.fuse import BYTES_PER_LATENT_PIXEL
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.settings.request import SAMPLERS, Request
from tiled_diffusion.standalone.inspection import canvas_bytes, unet_activations
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.prompts import Encoder
from tiled_diffusion.standalone.samplers import make_scheduler
from tiled_diffusion.standalone.sampling import make_planner, start_noise, tile_batch

Rows = Iterator[tuple[str, Any]]


def overhead(stage: Stage) -> Rows:
    """A tiled run / its own U-Net calls alone; and the seconds of the peer's scene, which took 72 on a V100."""
    for name, dtype in stage.dtypes.items():
        model, request = stage.model("sd1", dtype), scene(stage)
        with recorded(model.unet) as calls:
            drawn(model, replace(request, steps=1))
        half = replace(request, steps=request.steps // 2)
        direct = replayed(model.unet, calls, half.steps)
        stage.seconds(direct)
        pairs = [(stage.seconds(lambda m=model, r=half: drawn(m, r)), stage.seconds(direct)) for _ in range(2)]
        yield f"sd1_{name}.ratio", statistics.median(tiled / alone for tiled, alone in pairs)
        yield f"sd1_{name}.seconds_of_{request.steps}_steps", sum(tiled for tiled, _ in pairs)
        yield f"sd1_{name}.unet_calls_a_step", len(calls)


def waits(stage: Stage) -> Rows:
    """How often the host waits for the card in a step: what it reads, and what is copied while it stands still."""
    samplers = ("Euler a", "DDIM") if stage.small else SAMPLERS
    for kind in ("sd1", "sdxl"):
        for sampler in samplers if kind == "sd1" else ("Euler a",):
            model = stage.model(kind, next(iter(stage.dtypes.values())))
            request = replace(square(scene(stage), 128 if stage.small else 1536), sampler=sampler)
            few, many = (waited(stage, model, replace(request, steps=steps)) for steps in (1, 3))
            yield f"{kind}.{sampler}", (many - few) / 2


def waited(stage: Stage, model: Model, request: Request) -> int:
    """Waits of a whole job; where there is no card, of a simulated one."""
    if stage.small:
        twin = copy.deepcopy(model)
        with simulated("xla") as device:
            drawn(device.hold(twin), request)
            return device.total
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            drawn(model, request)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in told)


def methods(stage: Stage) -> Rows:
    """Of every method: pixels evaluated / pixels of the canvas, and time of a step per such pixel / mixture's."""
    model = stage.model("sd1", next(iter(stage.dtypes.values())))
    base = None
    for name in sorted(METHODS, key=lambda n: n != "mixture"):
        request = square(scene(stage), 128 if stage.small else 2048, 2, method=name, overlap=None)
        work = make_planner(model, request).plan().work_ratio
        each = stage.best(lambda r=request: drawn(model, r), 2) / work
        base = base or each
        yield f"{name}.work", work
        yield f"{name}.time_per_pixel_to_mixture", each / base


def canvases(stage: Stage) -> Rows:
    """Peak of a step on large canvases / what `inspect` promises, the model's weights aside."""
    model = stage.model("sd1", next(iter(stage.dtypes.values())))
    for side in (128,) if stage.small else (4096, 8192, 16384):
        request = square(scene(stage), side, tile_batch=4)
        planner = make_planner(model, request)
        rows = 2 * min(4, tiles_of(model, request))
        activations = unet_activations(model.unet, rows, planner.tile_size())
        promised = activations + canvas_bytes(planner.canvas, 1)
        peak = stage.peak(lambda r=request: drawn(model, r))
        yield f"{side}.peak_mib", peak / MIB
        yield f"{side}.peak_to_promise", peak / promised


def batches(stage: Stage) -> Rows:
    """Bytes that a latent pixel of a row takes in a U-Net, and the automatic number of tiles / the best one's speed."""
    for kind in ("sd1", "sdxl"):
        for name, dtype in stage.dtypes.items():
            model = stage.model(kind, dtype)
            side = model.traits.native
            counted = unet_activations(model.unet, 2, Extent(side, side)) / (2 * side * side)
            yield f"{kind}_{name}.bytes_per_pixel_counted", counted
            yield f"{kind}_{name}.bytes_per_pixel", bytes_per_pixel(stage, model)
            yield f"{kind}_{name}.counted_to_planned", counted / BYTES_PER_LATENT_PIXEL
            speeds = {n: speed(stage, model, n) for n in ((1, 2) if stage.small else (1, 2, 4, 8, 16, 32))}
            automatic = tile_batch(model, planner_of(model), 1)
            if automatic not in speeds:
                speeds[automatic] = speed(stage, model, automatic)
            yield f"{kind}_{name}.automatic", automatic
            yield f"{kind}_{name}.automatic_to_best_speed", speeds[automatic] / max(speeds.values())


def planner_of(model: Model) -> Planner:
    """A canvas of many native tiles."""
    side = 8 * model.traits.native
    return Planner(Extent(side, side), Settings(method="mixture", tile_batch=None), model.traits)


def bytes_per_pixel(stage: Stage, model: Model) -> float:
    """By what two more rows add to the peak of a U-Net call."""
    peaks = [stage.peak(lambda n=n: unet_call(stage, model, n)) for n in (2, 4)]
    return (peaks[1] - peaks[0]) / (2 * model.traits.native**2)


def speed(stage: Stage, model: Model, tiles: int) -> float:
    """Tiles a second, with and without prompt; 0 where memory is not enough."""
    try:
        return tiles / stage.best(lambda: unet_call(stage, model, 2 * tiles), 2)
    except torch.cuda.OutOfMemoryError:
        stage.clear()
        return 0.0


@torch.no_grad()
def unet_call(stage: Stage, model: Model, rows: int) -> Tensor:
    """One call on so many native tiles of noise."""
    config, side = model.unet.config, model.traits.native
    text = stage.noise(rows, 77, config.cross_attention_dim, dtype=model.dtype)
    added = None
    if model.kind == "sdxl":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        sizes = torch.full((rows, 6), 1024.0, device=stage.device, dtype=model.dtype)
        added = {"text_embeds": stage.noise(rows, pooled, dtype=model.dtype), "time_ids": sizes}
    x = stage.noise(rows, 4, side, side, dtype=model.dtype)
    out: Tensor = model.unet(x, 500, text, added_cond_kwargs=added, return_dict=False)[0]
    return out


def halving(stage: Stage) -> Rows:
    """Memory is made too small on purpose: the run goes on with fewer tiles at once, and draws the same."""
    model = stage.model("sd1", next(iter(stage.dtypes.values())))
    side, most = model.traits.native, 16
    canvas = Extent(3 * side, 3 * side)
    plan = Planner(canvas, Settings(method="multidiffusion"), model.traits).plan()
    x = stage.noise(1, 4, *canvas)

    def evaluate(crops: Tensor, tiles: tuple[Tile, ...]) -> Tensor:  # noqa: ARG001
        text = torch.zeros(crops.shape[0], 77, model.unet.config.cross_attention_dim, device=crops.device)
        with torch.no_grad():
            out: Tensor = model.unet(crops.to(model.dtype), 500, text.to(model.dtype), return_dict=False)[0]
        return out

    few = Batching(2)
    wanted = fuse(x, plan, evaluate, few)
    need = stage.peak(lambda: fuse(x, plan, evaluate, Batching(4)))
    batching = Batching(most)
    with limited(stage, need, 4) as limit:
        out = fuse(x, plan, lambda crops, tiles: limit(crops) or evaluate(crops, tiles), batching)
    yield "tiles_at_once_before", most
    yield "tiles_at_once_after", batching.size
    yield "was_halved", batching.shrunk
    yield "largest_difference", float((out - wanted).abs().max() / wanted.abs().max())


class limited:  # noqa: N801 reads as a word of the language
    """Within the block there is memory for no more than a call that needs so many bytes, of so many crops."""

    def __init__(self, stage: Stage, need: int, crops: int) -> None:
        self.stage, self.need, self.crops = stage, need, crops

    def __enter__(self) -> limited:
        if not self.stage.small:
            self.stage.clear()
            total = torch.cuda.mem_get_info(self.stage.device)[1]
            most = torch.cuda.memory_allocated(self.stage.device) + 1.2 * self.need
            torch.cuda.set_per_process_memory_fraction(min(1.0, most / total), self.stage.device)
        return self

    def __exit__(self, *error: object) -> None:
        if not self.stage.small:
            torch.cuda.set_per_process_memory_fraction(1.0, self.stage.device)

    def __call__(self, crops: Tensor) -> None:
        """A processor's memory is not limited: there it is said to be."""
        if self.stage.small and crops.shape[0] > self.crops:
            raise MemoryError(f"{crops.shape[0]} crops")


def equality(stage: Stage) -> Rows:
    """Whether two runs are equal bit for bit, and one tile and the untiled run."""
    for name, dtype in stage.dtypes.items():
        model = stage.model("sd1", dtype)
        request = square(scene(stage), 128 if stage.small else 1536, 2 if stage.small else 4)
        yield f"{name}.two_runs", torch.equal(drawn(model, request), drawn(model, request))
        yield f"{name}.one_tile_and_untiled", one_tile_equal(stage, model)


def one_tile_equal(stage: Stage, model: Model) -> bool:
    """A canvas of the model's size through the program, and as a pipeline draws it."""
    side = model.traits.native * model.traits.factor
    request = Request("a house", width=side, height=side, steps=2, cfg_scale=1.0, sampler="Euler")
    tiled, plain = drawn(model, request), untiled(model, request)
    stage.wait()
    return torch.equal(tiled, plain)


@torch.no_grad()
def untiled(model: Model, request: Request) -> Tensor:
    """The sampler's loop around the network, and nothing between them."""
    scheduler = make_scheduler(request.sampler, model.scheduler_config)
    scheduler.set_timesteps(request.steps)
    [prompt] = Encoder(model).encode([request.prompt])
    x = start_noise(model, request) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t).to(model.dtype)
        said = model.unet(seen, t.to(model.device), prompt.text[None].to(model.dtype), return_dict=False)[0]
        x = scheduler.step(said.float(), t, x).prev_sample
    return x
