"""Tiled VAE: how exact, how fast, in how much memory; and how far the fast mode is from the untiled pass."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from bench.memory import LiveBytes
from tiled_vae import Memory, TiledVaeSettings, decode, encode, executor, fast, plan
from tiled_vae.executor import Run, State
from tiled_vae.layout import read_decoder
from tiled_vae.standalone.cli import SHIPPED, load_vae

MUCH = Memory(2**50, 2**50)
LEVELS = 4
SHAPES_LP = ((37, 53), (200, 24), (24, 200), (16, 16), (64, 40), (33, 97))
TILES_LP = (16, 32, 48, 64, 128)


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
    return TiledVaeSettings("exact", decoder_tile_lp=tile, encoder_tile_px=8 * tile, **more)


def error(dtype: torch.dtype, shapes: tuple[tuple[int, int], ...] = SHAPES_LP) -> dict[str, float]:
    """Largest difference exact - untiled over shapes x tiles: absolute in float64, of the range in float32."""
    vae = build((4, 8, 8, 8), 4, 1).to(dtype)
    worst = {"decoder": 0.0, "encoder": 0.0}
    for h, w in shapes:
        generator = torch.Generator().manual_seed(h)
        z = torch.randn(1, 4, h, w, generator=generator, dtype=torch.float64).to(dtype)
        x = torch.randn(1, 3, 8 * h + 3, 8 * w + 5, generator=generator, dtype=torch.float64).to(dtype)
        for name, net, run, given in (("decoder", vae.decoder, decode, z), ("encoder", vae.encoder, encode, x)):
            want = net(given)
            span = 1.0 if dtype == torch.float64 else float(want.max() - want.min())
            for tile in TILES_LP:
                off = float((run(net, given, exact(tile), memory=MUCH) - want).abs().max()) / span
                worst[name] = max(worst[name], off)
    return worst


def seconds(run: Callable[[], Any]) -> float:
    start = time.process_time()  # other jobs share the machine
    run()
    return time.process_time() - start


@torch.no_grad()
def time_ratio(side_lp: int, pairs: int) -> dict[str, float]:
    """Median over pairs run in turn of exact / untiled processor time of a decode at full size, by tile."""
    decoder = full_size().decoder
    z = torch.randn(1, 4, side_lp, side_lp)
    ratios: dict[str, list[float]] = {"64": [], "96": []}
    for _ in range(pairs):
        base = seconds(lambda: decoder(z))
        for tile, found in ratios.items():
            found.append(seconds(lambda tile=tile: decode(decoder, z, exact(int(tile)), memory=MUCH)) / base)
    return {tile: statistics.median(found) for tile, found in ratios.items()}


def lean_attention() -> Any:
    """Shapes alone take torch's slowest attention, which writes all scores; a GPU's does not."""
    return patch.object(torch.nn.functional, "scaled_dot_product_attention", lambda q, *a, **k: torch.empty_like(q))  # noqa: ARG005


@contextmanager
def counted():
    """Counts what is on the device: what lies in host memory is left out, and a part that is loaded is a copy."""

    def host_empty(shape: Any, like: Tensor) -> Tensor:
        with _disable_current_modes():
            return torch.empty(tuple(shape), dtype=like.dtype, device=like.device)

    def to_device(part: Tensor, device: torch.device) -> Tensor:  # noqa: ARG001
        return part.clone()

    with (
        lean_attention(),
        patch.object(executor, "host_empty", host_empty),
        patch.object(executor, "to_device", to_device),
        torch.no_grad(),
        LiveBytes() as counter,
    ):
        yield counter


def peaks(side_lp: int, tile: int) -> dict[str, int]:
    """Peak bytes at full size on shapes alone (meta tensors): counted and predicted, beyond input and result."""
    decoder = full_size().decoder.to("meta")
    z = torch.empty(1, 4, side_lp, side_lp, device="meta")
    settings = exact(tile, offload="host")
    with counted() as counter:
        decode(decoder, z, settings, memory=MUCH)
    own = 3 * 64 * side_lp**2 * 4
    predicted = plan(decoder, (side_lp, side_lp), settings, memory=MUCH).peak.device - 16 * side_lp**2
    with torch.no_grad(), lean_attention(), LiveBytes() as whole:
        decoder(z)
    return {"exact": counter.peak, "predicted": predicted, "untiled": whole.peak, "picture": own}


def psnr(a: Tensor, b: Tensor) -> float:
    return 20 * math.log10(float(b.max() - b.min()) / max(float((a - b).square().mean().sqrt()), 1e-30))




def plain_fast(decoder: Any, z: Tensor, tile: int) -> Tensor:
    """Middle exact, everything else with the statistics of the latent, shrunk to one tile and its moments restored."""
    program = read_decoder(decoder)
    shrunk = torch.nn.functional.interpolate(z, scale_factor=tile / max(z.shape[-2:]), mode="nearest-exact")
    std, mean = torch.std_mean(z, dim=(2, 3), keepdim=True)
    s, m = torch.std_mean(shrunk, dim=(2, 3), keepdim=True)
    shrunk = ((shrunk - m) / s * std + mean).clamp(z.min(), z.max())
    small = Run(program, (shrunk.shape[-2], shrunk.shape[-1]), tile)
    found: dict[int, Any] = {}
    small.whole(0, len(program.segments), State(shrunk), found)
    run = Run(program, (z.shape[-2], z.shape[-1]), tile)
    moments: dict[int, Any] = {}
    state = run.whole(0, program.tiled.start, State(z), moments)
    moments = {k: v for k, v in found.items() if k >= program.tiled.start}
    return fast.one_pass(run, state, moments)[0].main


@torch.no_grad()
def fast_psnr(side_lp: int, tile: int, pictures: int) -> dict[str, float]:
    """PSNR in dB against the untiled pass on the shipped VAE: ours and the plain estimate; mean over drawn pictures."""
    vae = load_vae(SHIPPED)
    ours, plain, told, ratio = [], [], [], []
    for seed in range(pictures):
        z = vae.encode(scene(8 * side_lp, seed)).latent_dist.mode()
        want = vae.decoder(vae.post_quant_conv(z))
        lines: list[str] = []
        z = vae.post_quant_conv(z)
        from tiled_vae import Callbacks

        start = time.process_time()
        out = decode(vae.decoder, z, TiledVaeSettings("fast", decoder_tile_lp=tile), Callbacks(say=lines.append))
        middle = time.process_time()
        other = plain_fast(vae.decoder, z, tile)
        ratio.append((middle - start) / (time.process_time() - middle))
        ours.append(psnr(out, want))
        plain.append(psnr(other, want))
        told.append(float(lines[-1].split("error ")[1].split(" dB")[0]) if " dB" in lines[-1] else math.inf)
    mean = statistics.mean
    return {
        "ours": mean(ours), "plain": mean(plain), "gain": mean(ours) - mean(plain), "own_estimate": mean(told),
        "time_ratio_to_plain": statistics.median(ratio),
    }  # fmt: skip


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
    """The section `vae` of the report; `full`: time at 1024 x 1024 px, not 768 x 768; more pictures."""
    small, large, huge = peaks(128, 64), peaks(256, 64), peaks(512, 64)
    beside = [p["exact"] - p["picture"] for p in (small, huge)]
    return {
        "exact_error_fp64": error(torch.float64),
        "exact_error_fp32": error(torch.float32),
        "device_peak_ratio": large["exact"] / large["untiled"],
        "device_peak_flat": beside[1] / beside[0],
        "plan_error": {str(8 * n): p["predicted"] / p["exact"] for n, p in ((128, small), (256, large), (512, huge))},
        "fast_psnr": fast_psnr(96, 32, 4 if full else 2),
        "exact_time_ratio": time_ratio(128 if full else 96, 3 if full else 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the full sweep")
    print(json.dumps(run(parser.parse_args().full), indent=2))
