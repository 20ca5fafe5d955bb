"""Positions of tokens: `python -m bench.positions [--count N]`.

Of small SD 3 and Flux models with random weights: how far what tiles say together is off what the untiled model says of
the same noise, mean of absolute values / mean of absolute velocities; one call at the first step, of canvases of three
native sides. `tile`: each tile is a picture of its own; `canvas`: tiles have the canvas's positions.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from tests.standalone.tiny import flow_model
from tiled_diffusion.engine.noise import canvas_noise
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.sampling import sample_latents

SIDE, WIDTH = 128, 384
COUNT = 8
KINDS, METHODS, POSITIONS = ("sd3", "flux"), ("multidiffusion", "mixture"), ("tile", "canvas")


def off(kind: str, method: str, positions: str, seed: int) -> float:
    """Of one noise."""
    model, whole = flow_model(kind), Settings(tile_width=WIDTH, tile_height=SIDE)
    request = Request("a red house", "", WIDTH, SIDE, steps=1, cfg_scale=1.0, sampler="Euler", seed=seed, tiling=whole)
    tiles = Settings(method=method, tile_width=SIDE, tile_height=SIDE, positions=positions)
    untiled, tiled = (sample_latents(model, replace(request, tiling=tiling)) for tiling in (whole, tiles))
    noise = canvas_noise((model.traits.channels, SIDE // 8, WIDTH // 8), [seed])
    return float((tiled - untiled).abs().mean() / (noise - untiled).abs().mean())


def measured(count: int = COUNT) -> dict[str, float]:
    """By model, method and positions, the mean over noises."""
    return {
        f"{kind} {method} {positions}": round(sum(off(kind, method, positions, n) for n in range(count)) / count, 4)
        for kind in KINDS for method in METHODS for positions in POSITIONS
    }  # fmt: skip


def main() -> None:
    """Prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help="noises of each")
    print(json.dumps(measured(parser.parse_args().count), indent=1))


if __name__ == "__main__":
    main()
