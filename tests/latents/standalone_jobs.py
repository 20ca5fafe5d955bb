"""Small jobs of the standalone program, written in version 1 of the format, which is read for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tests.standalone.test_control import trained
from tests.standalone.tiny import tiny_model
from tiled_diffusion.engine import methods
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.control import fitted_hint
from tiled_diffusion.settings.request import request_from_dict
from tiled_diffusion.standalone.control import ControlNet, ControlNets
from tiled_diffusion.standalone.sampling import sample_latents

METHODS = [name for name, method in methods.METHODS.items() if not method.structure]
"""Those of version 1."""
BASE = {
    "version": 1, "prompt": "a red house", "negative_prompt": "snow", "width": 256, "height": 64, "steps": 3,
    "cfg_scale": 3.0, "sampler": "Euler", "seed": 5,
}  # fmt: skip
TILES = {"tile_width_lp": 8, "tile_height_lp": 8, "overlap_lp": 4}
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "UniPC")
LEFT = {"prompt": "a blue tower", "w": 0.5}
RIGHT = {"prompt": "a tree", "x": 0.5, "w": 0.5, "negative_prompt": "night"}
TRIANGLE = {"polygons": [[[0, 0], [1, 0], [0.5, 1]]]}


def _regions(*regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tiling": {**TILES, "regions": list(regions), **more}}


def documents() -> dict[str, dict[str, Any]]:
    """Canvas files by the job's name; `_model`, `_control` and `_image` say what else the job has."""
    out: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        for sampler in SAMPLERS:
            out[f"{method} {sampler}"] = {"sampler": sampler, "tiling": {**TILES, "method": method, "overlap_lp": 2}}
        out[f"{method} ring"] = {"tiling": {"method": method, "wrap_x": True, "wrap_y": True}, "height": 128}
        out[f"{method} defaults"] = {"tiling": {"method": method}, "width": 320}
    out |= {f"sampler {s}": {"sampler": s} for s in ("Heun", "LMS", "DDIM", "PNDM", "DPM++ 2M Karras", "LCM")}
    own = {
        "two": _regions(LEFT, RIGHT),
        "hard edges": _regions({**LEFT, "feather": 0}, {**RIGHT, "feather": 0}),
        "shapes of edges": _regions({**LEFT, "feather_shape": "linear"}, {**RIGHT, "feather_shape": "quadratic"}),
        "foreground": _regions(LEFT, {**RIGHT, "layer": "foreground", "x": 0.25}),
        "mask": _regions({**LEFT, "mask": TRIANGLE}),
        "foreground mask": _regions({**LEFT, "mask": TRIANGLE, "layer": "foreground"}),
        "AND": _regions({**LEFT, "prompt": "a tower AND fog :0.5"}),
        "ENSEMBLE": _regions({**LEFT, "prompt": "a tower ENSEMBLE a tree :3"}),
        "joined": _regions({**LEFT, "join": "append"}, {**RIGHT, "join": "prepend"}),
        "seeds": _regions({**LEFT, "seed": 9}, {**RIGHT, "seed": 11}),
        "rerolls": _regions(LEFT, rerolls=[{"seed": 3, "w": 0.5}, {"seed": 4, "x": 0.4, "w": 0.3, "mode": "exclusive"}]),
        "own CFG scale": _regions({**LEFT, "cfg_scale": 6}, {**RIGHT, "cfg_scale": 1}),
        "steps": _regions({**LEFT, "step_from": 0.4}, {**RIGHT, "step_to": 0.5}),
        "bootstrap": _regions({**LEFT, "w": 0.2, "bootstrap": 0.5}, {**RIGHT, "w": 0.15, "bootstrap": 1}),
        "weight": _regions({**LEFT, "w": 0.7, "weight": 3}, {**RIGHT, "x": 0.3, "w": 0.7}),
        "nothing between": _regions({**LEFT, "w": 0.6, "feather": 0}, {**RIGHT, "x": 0.4, "w": 0.6, "feather": 0.1}, fill="none"),
        "off": _regions({**LEFT, "enabled": False}, RIGHT),
        "ring": _regions({**LEFT, "x": 0.6, "w": 0.4}, RIGHT, wrap_x=True),
        "moving grid": _regions(LEFT, RIGHT, method="jittered", overlap_lp=2),
        "batch": {**_regions({**LEFT, "seed": 9}, RIGHT), "batch_size": 2},
    }
    out |= {f"regions {name}": document for name, document in own.items()}
    out |= {
        "AND": {"prompt": "a house AND a tree :0.5"},
        "CFG scale 1": {"cfg_scale": 1.0},
        "one tile": {"width": 64},
        "batch": {"batch_size": 3},
        "grid seed": {"tiling": {**TILES, "method": "spot", "grid_seed": 77}},
        "one tile a call": {"tiling": {**TILES, "tile_batch": 1}},
        "image": {"_image": True, "denoising_strength": 0.6, "steps": 6},
        "image ring": {"_image": True, "denoising_strength": 0.6, "steps": 6, "tiling": {"wrap_x": True}},
        "ControlNet": {"_control": True, "tiling": TILES},
        "ControlNet ring": {"_control": True, "tiling": {**TILES, "wrap_x": True}},
        "ControlNet regions": {"_control": True, **_regions(LEFT, {**RIGHT, "controlnet": False})},
    }
    for kind in ("sd2", "sdxl"):
        out |= {f"{kind} {method}": {"_model": kind, "tiling": {**TILES, "method": method, "overlap_lp": 2}} for method in METHODS}
        out[f"{kind} regions"] = {"_model": kind, **_regions(LEFT, {**RIGHT, "cfg_scale": 6})}
        out[f"{kind} bootstrap"] = {"_model": kind, **_regions({**LEFT, "w": 0.2, "bootstrap": 1})}
        out[f"{kind} ControlNet"] = {"_model": kind, "_control": True, "tiling": TILES}
    out["sdxl size of the tile"] = {"_model": "sdxl", "tiling": {**TILES, "size_conditioning": "tile"}}
    return out


def latents() -> Iterator[tuple[str, Tensor]]:
    """Every job's name, and what it draws, [B, 4, H, W]."""
    for name, document in documents().items():
        yield f"standalone {name}", drawn(document)


def drawn(document: dict[str, Any]) -> Tensor:
    """The latents of one of the documents."""
    kind = document.get("_model", "sd1")
    fields = {k: v for k, v in document.items() if not k.startswith("_")}
    if "tiling" in fields:
        fields["tiling"] = {"version": 1, **fields["tiling"]}
    request = request_from_dict({**BASE, **fields})
    image = Image.effect_mandelbrot((256, 64), (-2, -1, 1, 1), 50).convert("RGB") if "_image" in document else None
    controls = ControlNets((ControlNet(trained(kind), _hint(), 0.8),)) if "_control" in document else None
    return sample_latents(tiny_model(kind), request, init_image=image, controls=controls)


def _hint() -> Tensor:
    return fitted_hint(torch.rand((1, 3, 64, 256), generator=torch.Generator().manual_seed(4)), Extent(8, 32), 8)
