"""Small jobs of the stand-in of the WebUI, their settings written in version 1 of the format."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

FAKES = Path(__file__).parents[1] / "webui" / "fakes"
if str(FAKES) not in sys.path:
    sys.path.insert(0, str(FAKES))

from modules import script_callbacks, shared  # noqa: E402

from tests.webui.control_stand_in import (  # noqa: E402
    Adapter,
    ControlledJob,
    Params,
    controlled,
    hint_of,
    inpainted,
    unmarked,
)
from tests.webui.host_model import FAMILIES, Job, Model, run  # noqa: E402

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
METHODS = ("multidiffusion", "mixture", "spot", "jittered")
LEFT = {"prompt": "a blue tower", "w": 0.5}
RIGHT = {"prompt": "a tree " * 9, "x": 0.5, "w": 0.5, "negative_prompt": "night"}
BOX = {"x": 0.25, "w": 0.5, "y": 0.25, "h": 0.5}


class Scene(Model):
    """Beside pixel and text, it sees the neighbours of a pixel and, as inpainting models do, a map of the canvas."""

    def predict(self, x: Tensor, sigma: Tensor, cond: dict[str, Any]) -> Tensor:
        out = super().predict(x, sigma, {**cond, "c_crossattn": [unmarked(cond["c_crossattn"][0])[0]]})
        out = out + 0.2 * torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        seen = cond["c_concat"][0]
        if tuple(seen.shape[-2:]) == tuple(x.shape[-2:]):
            out = out + 0.3 * seen[: x.shape[0], 1:] * seen[: x.shape[0], :1]
        return out


def _regions(*regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**TILES, "regions": list(regions), **more}


def jobs() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """(settings, what else the job has) by name."""
    out: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for method in METHODS:
        for family in FAMILIES:
            out[f"{method} {family}"] = {**TILES, "method": method}, {"sampler_name": family}
        out[f"{method} ring"] = {**TILES, "method": method, "wrap_x": True, "wrap_y": True}, {"height": 192}
    own = {
        "two": _regions(LEFT, RIGHT),
        "foreground": _regions(LEFT, {**RIGHT, **BOX, "layer": "foreground"}),
        "mask": _regions({**LEFT, "mask": {"polygons": [[[0, 0], [1, 0], [0.5, 1]]]}}),
        "AND": _regions({**LEFT, "prompt": "a tower AND fog :0.5"}),
        "ENSEMBLE": _regions({**LEFT, "prompt": "a ENSEMBLE b :3"}),
        "joined": _regions({**LEFT, "join": "append"}, {**RIGHT, "join": "prepend"}),
        "seeds": _regions({**LEFT, "seed": 9}, RIGHT, rerolls=[{"seed": 3, **BOX}]),
        "own CFG scale": _regions({**LEFT, "cfg_scale": 6}, {**RIGHT, "cfg_scale": 1}),
        "steps": _regions({**LEFT, "step_from": 0.4}, {**RIGHT, "step_to": 0.5}),
        "bootstrap": _regions({**LEFT, **BOX, "w": 0.3, "bootstrap": 0.5}),
        "nothing between": _regions({**LEFT, "feather": 0}, {**RIGHT, "feather": 0}, fill="none"),
        "ring": _regions({**LEFT, "x": 0.6, "w": 0.4}, RIGHT, wrap_x=True),
        "moving grid": _regions(LEFT, RIGHT, method="jittered"),
    }
    out |= {f"regions {name}": (settings, {}) for name, settings in own.items()}
    several = _regions({**LEFT, "cfg_scale": 6}, RIGHT)
    out |= {
        "AND": (TILES, {"prompt": "a house AND a tree :0.5"}),
        "AND regions": (several, {"prompt": "a house AND a tree :0.5 AND c :-0.2"}),
        "CFG scale 1": (several, {"cfg_scale": 1.0}),
        "batch": (several, {"batch_size": 2, "n_iter": 2}),
        "styles": (several, {"styles": ["oil"]}),
        "editing": (_regions({**LEFT, "prompt": "[a tower:snow:0.5]"}), {}),
        "hires": (several, {"_hires": (480, 240)}),
        "hires alone": ({**TILES, "passes": "hires"}, {"_hires": (480, 240)}),
        "hires batch": (several, {"_hires": (480, 240), "batch_size": 2}),
        "inpainting": (several, {"_inpainting": True}),
        "inpainting ring": ({**TILES, "wrap_x": True}, {"_inpainting": True, "batch_size": 2}),
        "halves of a call": (several, {"_options": {"batch_cond_uncond": False}}),
        "skipped negatives": (several, {"_options": {"skip_early_cond": 0.5}}),
        "filled texts": (several, {"_options": {"pad_cond_uncond": True}}),
        "cut texts": (several, {"_options": {"pad_cond_uncond_v0": True}}),
        "ControlNet": (TILES, {"_units": True}),
        "ControlNet regions": (_regions(LEFT, {**RIGHT, "controlnet": False}), {"_units": True}),
        "ControlNet hires": (TILES, {"_units": True, "_hires_pass": True}),
        "one tile": ({}, {"width": 128, "height": 128}),
    }
    return out


def latents() -> Iterator[tuple[str, Tensor]]:
    """Every job's name, and what it draws, [pictures, 4, H, W]; two passes are one tensor [pictures, ...]."""
    before = shared.sd_model, shared.opts, dict(script_callbacks.registered)
    try:
        for name, (settings, more) in jobs().items():
            yield f"webui {name}", drawn(settings, more)
    finally:
        shared.sd_model, shared.opts = before[:2]
        script_callbacks.registered.clear()
        script_callbacks.registered.update(before[2])


def drawn(settings: dict[str, Any], more: dict[str, Any]) -> Tensor:
    """The latents of one of the jobs."""
    shared.sd_model, shared.opts = Scene(), SimpleNamespace(**more.get("_options", {}))
    script_callbacks.registered.clear()
    settings = {"version": 1, **settings}
    fields = {k: v for k, v in more.items() if not k.startswith("_")}
    if "_units" in more:
        hires = "_hires_pass" in more
        return controlled(_units(hires), settings, hires=hires, **fields)[0]
    if "_hires" in more:
        p = HiresJob(args=(True, settings), **fields)
        p.hires_size = more["_hires"]
        return run(p)
    p = InpaintingJob(args=(True, settings), **fields) if "_inpainting" in more else Job(args=(True, settings), **fields)
    return run(p)


def _units(hires: bool) -> list[Params]:
    return [
        Params(hint_of(2), hires=hint_of(7) if hires else None, mask=hint_of(3)[:, :1], soft_injection=True),
        Params(hint_of(4), "T2I_Adapter", model=Adapter()),
        Params(inpainted(8), preprocessor="inpaint_only", weight=0.5),
    ]


class HiresJob(ControlledJob):
    """A job with a second, larger pass."""

    hires_size = (0, 0)

    def sample(self) -> Tensor:
        self.is_hr_pass = False
        first = super().sample()
        width, height = self.width, self.height
        self.is_hr_pass, (self.width, self.height) = True, self.hires_size
        second = super().sample()
        self.width, self.height = width, height
        return second + 0.1 * torch.nn.functional.interpolate(first, size=second.shape[-2:])


class InpaintingJob(Job):
    """A job of an inpainting model: every call of the model gets a mask and a masked picture of the canvas."""

    def sample(self) -> Tensor:
        from tests.webui import host_model

        maps = torch.rand((1, 5, self.height // 8, self.width // 8), generator=torch.Generator().manual_seed(6))
        original = host_model.Denoiser._call

        def call(denoiser: Any, x: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
            cond = {"c_crossattn": [text], "c_concat": [maps.expand(x.shape[0], -1, -1, -1)]}
            return denoiser.inner_model(x, sigma, cond=cond)

        host_model.Denoiser._call = call
        try:
            return super().sample()
        finally:
            host_model.Denoiser._call = original
