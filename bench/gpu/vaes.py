"""Parts that encode and decode: how long, in how much memory, how exact, and where activations wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.gpu.stage import MIB, Stage
from tiled_vae import Callbacks, TiledVaeError, TiledVaeSettings, decode, encode, plan

Rows = Iterator[tuple[str, Any]]
TILE_LP = 64
STORES = {
    "device": TiledVaeSettings("exact", offload="device"),
    "host": TiledVaeSettings("exact", offload="host"),
    "recompute": TiledVaeSettings("exact", offload="recompute"),
    "fast": TiledVaeSettings("fast", offload="device"),
}


def settings(stage: Stage, mode: str = "exact", offload: str = "auto") -> TiledVaeSettings:
    """Tiles of a usual size; in small they are small too."""
    tile = 8 if stage.small else TILE_LP
    chosen: Any = {"mode": mode, "offload": offload, "decoder_tile_lp": tile, "encoder_tile_px": 8 * tile}
    return TiledVaeSettings(**chosen, retry_nan=False)


def given(stage: Stage, side: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """What each net reads for a picture of side x side px."""
    latent = stage.noise(1, 4, side // 8, side // 8, dtype=dtype)
    return {"decoder": latent, "encoder": stage.noise(1, 3, side, side, dtype=dtype).clamp(-1, 1)}


def quiet(net: Any, x: Tensor, how: TiledVaeSettings) -> Tensor:
    """Through the tiled VAE, without lines for a user."""
    run = decode if hasattr(net, "up_blocks") else encode
    return run(net, x, how, Callbacks(say=lambda line: None))  # noqa: ARG005


class Tried(NamedTuple):
    """One run: wall time, and the most bytes beyond what was there before; None where it could not be."""

    seconds: float | None
    peak: int | None
    error: str | None = None


def tried(stage: Stage, run: Callable[[], Any]) -> Tried:
    """A run that may be too large for the memory, or for the library."""
    times: list[float] = []
    try:
        peak = stage.peak(lambda: times.append(stage.seconds(run)))
    except (RuntimeError, TiledVaeError) as e:
        stage.clear()
        return Tried(None, None, str(e).splitlines()[0])
    return Tried(times[0], peak)


def figures(tried: Tried) -> Rows:
    """A run's figures by their names."""
    if tried.error is not None or tried.peak is None:
        yield "error", tried.error
        return
    yield "seconds", tried.seconds
    yield "peak_mib", tried.peak / MIB


def vae(stage: Stage) -> Rows:
    """Exact, untiled, and diffusers' own tiles, which do not give the same picture; and peak / the plan's promise."""
    model = stage.vae("sd1", next(iter(stage.dtypes.values())))
    for side in (96,) if stage.small else (2048, 4096, 8192):
        for name, x in given(stage, side, model.dtype).items():
            net, how = getattr(model, name), settings(stage)
            runs = {
                "exact": lambda net=net, x=x, how=how: quiet(net, x, how),
                "untiled": lambda net=net, x=x: net(x),
                "diffusers_tiling": lambda name=name, x=x: diffusers_tiling(model, name, x),
            }
            stage.seconds(lambda net=net, x=x: quiet(net, x[..., :64, :64], settings(stage)))
            for way, run in runs.items():
                once = tried(stage, run)
                yield from ((f"{name}.{side}.{way}.{figure}", value) for figure, value in figures(once))
                if way == "exact" and once.peak:
                    yield f"{name}.{side}.exact.peak_to_promise", once.peak / promised(net, x, how)


def promised(net: Any, x: Tensor, how: TiledVaeSettings) -> int:
    """Bytes that the plan says it takes, its input aside."""
    return plan(net, (x.shape[-2], x.shape[-1]), how, dtype=x.dtype).peak.device - x.numel() * x.element_size()


def diffusers_tiling(model: Any, name: str, x: Tensor) -> Tensor:
    """The VAE's own tiles."""
    model.enable_tiling()
    try:
        out: Tensor = model.decode(x).sample if name == "decoder" else model.encode(x).latent_dist.mean
        return out
    finally:
        model.disable_tiling()


def vae_error(stage: Stage) -> Rows:
    """Of a crop, in parts of its range: exact and untiled in short numbers against untiled in float64."""
    side = 64 if stage.small else 512
    for name, dtype in stage.dtypes.items():
        short, wide = stage.vae("sd1", dtype), stage.vae("sd1", dtype).double()
        for part, x in given(stage, side, dtype).items():
            want = getattr(wide, part)(x.double())
            span = want.max() - want.min()
            net = getattr(short, part)
            for way, out in (("exact", quiet(net, x, settings(stage))), ("untiled", net(x))):
                yield f"{part}.{name}.{way}", float((out.double() - want).abs().max() / span)


def vae_stores(stage: Stage) -> Rows:
    """What it costs to let activations wait on the device, in host memory or nowhere, and what the fast mode costs."""
    model = stage.vae("sd1", next(iter(stage.dtypes.values())))
    for side in (96,) if stage.small else (2048, 4096):
        for name, x in given(stage, side, model.dtype).items():
            net, base = getattr(model, name), None
            for store, wish in STORES.items():
                how = settings(stage, wish.mode, wish.offload)
                once = tried(stage, lambda x=x, net=net, how=how: quiet(net, x, how))
                yield from ((f"{name}.{side}.{store}.{figure}", value) for figure, value in figures(once))
                base = once.seconds if store == "device" else base
                if base and once.seconds:
                    yield f"{name}.{side}.{store}.time_to_device", once.seconds / base
