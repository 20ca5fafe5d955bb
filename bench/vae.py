"""Tiled VAE: how exact, how fast, in how much memory; and how far the fast mode is from the untiled pass."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from bench.memory import LiveBytes
from tiled_vae import Callbacks, Memory, TiledVaeSettings, decode, encode, executor, fast, plan
from tiled_vae.cli import SHIPPED, load_vae
from tiled_vae.executor import Run, State
from tiled_vae.layout import read_decoder, read_encoder

MUCH = Memory(2**50, 2**50)
LEVELS = 4
SHAPES_LP = (
    (37, 53), (200, 24), (24, 200), (16, 16), (17, 17), (8, 64), (64, 8), (33, 31), (40, 12), (12, 40),
    (20, 20), (25, 18), (18, 25), (48, 16), (16, 48), (9, 9), (10, 30), (30, 10), (21, 34), (34, 21),
    (50, 20), (20, 50), (13, 61), (61, 13), (28, 28), (32, 24), (24, 32), (11, 47), (47, 11), (65, 17),
)  # fmt: skip
FULL_SIZE_SHAPES_LP = ((17, 11), (9, 24), (24, 16))
TILES_LP = (16, 32, 48, 64, 128)
SIDES_LP = (64, 128, 256, 512)


def build(channels: tuple[int, ...], groups: int, layers: int = 2) -> Any:
    """A diffusers VAE of this width with random weights."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=channels,
        layers_per_block=layers,
        norm_num_groups=groups,
        down_block_types=["DownEncoderBlock2D"] * LEVELS,
        up_block_types=["UpDecoderBlock2D"] * LEVELS,
    ).eval().requires_grad_(False)  # fmt: skip


def full_size() -> Any:
    """The architecture of the SD VAE, random weights."""
    return build((128, 256, 512, 512), 32)


def exact(tile: int, **more: Any) -> TiledVaeSettings:
    """Square tiles of that many latent pixels."""
    return TiledVaeSettings("exact", decoder_tile_lp=tile, encoder_tile_px=8 * tile, **more)


def tiles_for(shape: tuple[int, int]) -> list[int]:
    """Tiles that cut a picture in different ways; all that are larger than it are one."""
    return [t for i, t in enumerate(TILES_LP) if not i or TILES_LP[i - 1] < max(shape)]


@torch.no_grad()
def error(vae: Any, dtype: torch.dtype, shapes: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Largest difference exact - untiled over shapes x tiles: absolute in float64, of the range in float32."""
    vae = vae.to(dtype)
    worst = {"decoder": 0.0, "encoder": 0.0}
    for h, w in shapes:
        generator = torch.Generator().manual_seed(h)
        z = torch.randn(1, 4, h, w, generator=generator, dtype=torch.float64).to(dtype)
        x = torch.randn(1, 3, 8 * h + 3, 8 * w + 5, generator=generator, dtype=torch.float64).to(dtype)
        for name, net, run, given in (("decoder", vae.decoder, decode, z), ("encoder", vae.encoder, encode, x)):
            want = net(given)
            span = 1.0 if dtype == torch.float64 else float(want.max() - want.min())
            for tile in tiles_for((h, w)):
                off = float((run(net, given, exact(tile), memory=MUCH) - want).abs().max()) / span
                worst[name] = max(worst[name], off)
    return worst


def errors(full: bool) -> dict[str, Any]:
    """Of the trained VAE over all shapes, and of the architecture at full size over some small ones (`full`: all)."""
    large = SHAPES_LP if full else FULL_SIZE_SHAPES_LP
    return {
        f"exact_error_{name}": {
            f"trained_{len(SHAPES_LP)}_shapes": error(load_vae(SHIPPED), dtype, SHAPES_LP),
            f"full_size_{len(large)}_shapes": error(full_size(), dtype, large),
        }
        for name, dtype in (("fp64", torch.float64), ("fp32", torch.float32))
    }


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@torch.no_grad()
def time_ratio(side_lp: int, rounds: int) -> dict[str, float]:
    """Exact / untiled wall time of a decode at full size by tile: medians over rounds that run all of them in turn."""
    decoder = full_size().decoder
    z = torch.randn(1, 4, side_lp, side_lp)
    runs: dict[str, Callable[[], Any]] = {"untiled": lambda: decoder(z)}
    for tile in (64, 96):
        runs[str(tile)] = lambda tile=tile: decode(decoder, z, exact(tile), memory=MUCH)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(rounds):
        for name in list(runs)[:: 1 if i % 2 == 0 else -1]:
            found[name].append(seconds(runs[name]))
    base = statistics.median(found.pop("untiled"))
    return {name: statistics.median(times) / base for name, times in found.items()}


def lean_attention() -> Any:
    """Shapes alone take torch's slowest attention, which writes all scores; a GPU's does not."""
    return patch.object(torch.nn.functional, "scaled_dot_product_attention", lambda q, *a, **k: torch.empty_like(q))  # noqa: ARG005


@contextmanager
def counted(host: bool, lean: bool = True) -> Iterator[LiveBytes]:
    """Counts what is on the device: what lies in host memory is left out; a part that is loaded is a copy."""

    def host_empty(shape: Any, like: Tensor) -> Tensor:
        with _disable_current_modes():
            return torch.empty(tuple(shape), dtype=like.dtype, device=like.device)

    def to_device(part: Tensor, device: torch.device) -> Tensor:  # noqa: ARG001
        return part.clone() if host else part

    with (
        lean_attention() if lean else nullcontext(),
        patch.object(executor, "host_empty", host_empty),
        patch.object(executor, "to_device", to_device),
        patch.object(fast, "error_text", lambda *a: "not of shapes alone"),  # noqa: ARG005
        torch.no_grad(),
        LiveBytes() as counter,
    ):
        yield counter


def peak(net: Any, side: int, settings: TiledVaeSettings, lean: bool = True) -> tuple[int, float]:
    """Counted peak bytes beyond the input, on shapes alone (meta tensors), and predicted / counted."""
    decodes = hasattr(net, "up_blocks")
    given = torch.empty(1, 4 if decodes else 3, side, side, device="meta")
    with counted(settings.offload != "device", lean) as counter:
        (decode if decodes else encode)(net, given, settings, memory=MUCH)
        predicted = plan(net, (side, side), settings, memory=MUCH).peak.device
    return counter.peak, (predicted - given.numel() * given.element_size()) / counter.peak


def memory() -> dict[str, Any]:
    """Peaks at full size with tile 64, and how well they were predicted, over sizes, places, modes and tiles."""
    vae = full_size().to("meta")
    host, untiled = exact(64, offload="host"), TiledVaeSettings("untiled")
    found = {side: peak(vae.decoder, side, host) for side in SIDES_LP}
    wishes = [exact(t, offload=place) for t in (32, 64, 128) for place in ("host", "device")]
    wishes += [TiledVaeSettings("fast", decoder_tile_lp=64, offload=place) for place in ("host", "device")]
    ratios = [peak(vae.decoder, side, s, lean)[1] for side in SIDES_LP[:3] for s in wishes for lean in (True, False)]
    places = [exact(64, offload=place) for place in ("host", "device")]
    ratios += [peak(vae.encoder, 8 * side, s)[1] for side in SIDES_LP[:3] for s in places]
    ratios += [peak(vae.decoder, side, untiled)[1] for side in SIDES_LP[:3]]
    ratios += [peak(vae.encoder, 8 * side, untiled)[1] for side in SIDES_LP[:3]]
    beside = {side: found[side][0] - 3 * 64 * side**2 * 4 for side in SIDES_LP}
    return {
        "device_peak_ratio": found[256][0] / peak(vae.decoder, 256, untiled)[0],
        "device_peak_flat": beside[512] / beside[128],
        "plan_error": {
            **{str(8 * side): ratio for side, (_, ratio) in found.items()},
            f"least_of_{len(ratios)}": min(ratios),
            f"most_of_{len(ratios)}": max(ratios),
        },
    }


def psnr(a: Tensor, b: Tensor) -> float:
    """Of a against b, in dB; the peak is the range of b."""
    return 20 * math.log10(float(b.max() - b.min()) / max(float((a - b).square().mean().sqrt()), 1e-30))


def plain_fast(net: Any, x: Tensor, read: Callable[[Any], Any], tile: int, side: int) -> Tensor:
    """Middle exact, everything else with the statistics of the input, shrunk to a side and its moments restored."""
    program = read(net)
    shrunk = torch.nn.functional.interpolate(x, scale_factor=side / max(x.shape[-2:]), mode="nearest-exact")
    std, mean = torch.std_mean(x, dim=(2, 3), keepdim=True)
    s, m = torch.std_mean(shrunk, dim=(2, 3), keepdim=True)
    shrunk = ((shrunk - m) / s * std + mean).clamp(x.min(), x.max())
    found: dict[int, Any] = {}
    Run(program, (shrunk.shape[-2], shrunk.shape[-1]), tile).whole(0, len(program.segments), State(shrunk), found)
    run = Run(program, (x.shape[-2], x.shape[-1]), tile)
    moments: dict[int, Any] = {}
    tiled = program.tiled
    state = run.whole(0, tiled.start, State(x), moments)
    moments = {k: v for k, v in found.items() if k in tiled}
    state = fast.one_pass(run, state, moments)[0]
    run.measure_stored(tiled.stop, state.main, moments)  # for what follows: the encoder's middle
    return run.whole(tiled.stop, len(program.segments), state, moments).main


def fast_pair(net: Any, x: Tensor, read: Callable[[Any], Any], tile: int, sides: Sequence[int]) -> dict[str, float]:
    """PSNR in dB of one picture: ours, the plain estimate (shrunk to one tile), and the plain one that takes as long.

    The last is shrunk less and less, to each of `sides`, until it takes as long as ours.
    """
    run = encode if read is read_encoder else decode
    want, lines = net(x), list[str]()
    wish = TiledVaeSettings("fast", decoder_tile_lp=tile, encoder_tile_px=8 * tile, offload="device")
    start = time.process_time()
    out = run(net, x, wish, Callbacks(say=lines.append))
    ours = time.process_time() - start
    rows = []
    for side in sides:
        start = time.process_time()
        rows.append((psnr(plain_fast(net, x, read, tile, side), want), time.process_time() - start))
        if rows[-1][1] >= ours:
            break
    told = float(lines[-1].split("error ")[1].split(" dB")[0]) if " dB" in lines[-1] else math.inf
    colour = ((out - want).mean((2, 3)).abs() / want.std((2, 3))).max()
    return {
        "ours": psnr(out, want), "own_estimate": told, "colour_shift": float(colour), "plain": rows[0][0],
        "time_ratio_to_plain": ours / rows[0][1], "plain_in_the_same_time": rows[-1][0],
    }  # fmt: skip


@torch.no_grad()
def fast_psnr(side_lp: int, tile: int, pictures: int) -> dict[str, dict[str, float]]:
    """Fast mode of the trained VAE beside the plain estimate of the same time; means over drawn pictures.

    `colour_shift` is the largest shift of a channel's mean, in units of its standard deviation.
    """
    vae = load_vae(SHIPPED)
    found: dict[str, list[dict[str, float]]] = {"decoder": [], "encoder": []}
    for seed in range(pictures):
        x = scene(8 * side_lp, seed)
        z = vae.post_quant_conv(vae.encode(x).latent_dist.mode())
        sides = [*range(tile, side_lp, tile // 4)]
        found["decoder"].append(fast_pair(vae.decoder, z, read_decoder, tile, sides))
        found["encoder"].append(fast_pair(vae.encoder, x, read_encoder, tile, [8 * s for s in sides]))
    means = {net: {k: statistics.mean(r[k] for r in rows) for k in rows[0]} for net, rows in found.items()}
    for row in means.values():
        row["gain"] = row["ours"] - row["plain"]
        row["gain_in_the_same_time"] = row["ours"] - row["plain_in_the_same_time"]
    return means


def scene(side: int, seed: int) -> Tensor:
    """A drawn landscape [1, 3, side, side] in -1 .. 1: sky, sun, hills, texture below."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    a = torch.rand(8, generator=g)
    sky = torch.stack([0.3 + 0.5 * y, 0.5 + 0.3 * y, 0.9 - 0.2 * y])
    ridge = 0.55 + 0.1 * torch.sin(6 * x + 6 * a[0]) + 0.05 * torch.sin(17 * x + 6 * a[1])
    grain = torch.rand(1, 1, side // 4, side // 4, generator=g)
    grain = torch.nn.functional.interpolate(grain, size=(side, side), mode="bilinear")[0, 0]
    land = torch.stack([0.2 + 0.3 * grain, 0.3 + 0.4 * grain * y, 0.1 + 0.2 * grain])
    sun = ((x - a[2]) ** 2 + (y - 0.25) ** 2 < 0.005).float()
    picture = torch.where(y > ridge, land, sky) * (1 - sun) + sun * torch.tensor([1.0, 0.9, 0.6])[:, None, None]
    return (2 * picture - 1).clamp(-1, 1)[None]


def run(full: bool = False) -> dict[str, Any]:
    """The section `vae` of the report; `full`: every shape at full size, more rounds and pictures."""
    return {
        **errors(full),
        **memory(),
        "fast_psnr": fast_psnr(160, 32, 4 if full else 2),
        "exact_time_ratio": time_ratio(128, 5 if full else 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the full sweep")
    print(json.dumps(run(parser.parse_args().full), indent=2))
