"""ControlNet in the WebUI: the real extension (WEBUI_CONTROLNET names its folder) with a small model of its format."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from .client import HOST, ApiError, Result, Webui, encoded
from .registry import Skipped, case

SIZE = {"width": 512, "height": 128}
NO_MODULE = "none" if HOST == "a1111" else "None"
"""No preprocessor, in the words of the extension or of ControlNets that are built in."""
TILES = {"tile_width_lp": 32, "tile_height_lp": 16, "overlap_lp": 8}
DARK = 8
"""Forge's built-in ControlNet fails at a picture from the API that is all black, and the job goes on without it."""


def hint(right: bool = False) -> np.ndarray:
    """512 x 128: one half white, the other one as good as black."""
    picture = np.full((128, 512, 3), DARK, dtype=np.uint8)
    picture[:, 256:] = 255
    return picture if right else picture[:, ::-1].copy()


@contextmanager
def model(w: Webui, checkpoint: str = "tiny"):
    """The name of the ControlNet, which belongs to the checkpoint 'tiny', with a checkpoint."""
    try:
        found = [m for m in w.call("/controlnet/model_list")["model_list"] if m.startswith("tiny_canny")]
    except ApiError:
        found = []
    if not found or checkpoint not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped(f"the ControlNet extension, its model 'tiny_canny' or the checkpoint '{checkpoint}' is not there")
    w.options(sd_model_checkpoint=checkpoint, show_progress_type="Approx cheap")
    try:
        yield found[0]
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")


def convolutions(sizes: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Random layers [out, in, ...] by name, with their biases, that keep the size of what goes through."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, size in sizes.items():
        found[f"{name}.weight"] = torch.randn(size, generator=generator) * float(np.sqrt(2 / np.prod(size[1:])))
        found[f"{name}.bias"] = torch.zeros(size[0])
    return found


def t2i_adapter(px: int) -> dict[str, torch.Tensor]:
    """A random T2I-Adapter of 32, 64, 128, 128 channels, for 8 px (SD 1) or 16 px (SDXL) in its first layer."""
    sizes = {"conv_in": (32, 3 * px**2, 3, 3)}
    for k, (before, width) in enumerate([(32, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 128)]):  # fmt: skip
        sizes |= {f"body.{k}.block1": (width, width, 3, 3), f"body.{k}.block2": (width, width, 1, 1)}
        if before != width:
            sizes[f"body.{k}.in_conv"] = (width, before, 1, 1)
    return convolutions(sizes, 1)


def lllite() -> dict[str, torch.Tensor]:
    """A random LLLite for U-Nets of 32, 64, 128 channels."""
    found = {}
    for k, (block, width) in enumerate([(4, 64), (5, 64), (7, 128), (8, 128)]):
        name = f"lllite_unet_input_blocks_{block}_1_transformer_blocks_0_attn1_to_v"
        sizes = {"conditioning1.0": (8, 3, 4, 4), "conditioning1.2": (16, 8, 2, 2), "down.0": (16, width), "mid.0": (16, 32), "up.0": (width, 16)}  # fmt: skip
        found |= convolutions({f"{name}.{layer}": size for layer, size in sizes.items()}, k)
        found[f"{name}.up.0.weight"] *= 8  # else nobody would see it
    return found


@contextmanager
def more_models(w: Webui, checkpoint: str):
    """Names of a T2I-Adapter and an LLLite, made for a checkpoint for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder, model(w, checkpoint):
        save_file(t2i_adapter(16 if checkpoint == "tiny-xl" else 8), Path(folder) / "t2iadapter_made.safetensors")
        save_file(lllite(), Path(folder) / "lllite_made.safetensors")
        w.options(control_net_models_path=folder)
        try:
            every = w.call("/controlnet/model_list")["model_list"]
            yield [next(m for m in every if m.startswith(start)) for start in ("t2iadapter_made", "lllite_made")]
        finally:
            w.options(control_net_models_path="")


def _said(picture: np.ndarray) -> str | dict:
    """A picture as the API of the extension wants it, or that of ControlNets that are built in."""
    return {"image": encoded(picture)} if HOST == "a1111" else encoded(picture)


def units(name: str, *pictures: np.ndarray) -> dict:
    """Arguments of the extension."""
    every = [
        {"enabled": True, "module": NO_MODULE, "model": name, "image": _said(p), "processor_res": 128} for p in pictures
    ]
    return {"controlnet": {"args": every}}


def most(a: Result, b: Result) -> int:
    """Largest difference of the first pictures; the extension adds its hints behind them."""
    return int(np.abs(a.pictures[0].astype(int) - b.pictures[0].astype(int)).max())


def apart(a: Result, b: Result) -> float:
    """Mean difference of the first pictures."""
    return float(np.abs(a.pictures[0].astype(int) - b.pictures[0].astype(int)).mean())


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures: the VAE, which sees the whole picture, shifts levels."""
    return float(np.corrcoef(a.astype(float).ravel(), b.astype(float).ravel())[0, 1])


@case("ControlNet: each half of a panorama sees its half of the hint, sampler by sampler")
def _(w: Webui):
    """Two regions that never meet, with seeds of their own, are two plain jobs, each with its half of the hint."""
    worst, half = 2.0, {"width": 256, "height": 128}
    regions = [
        {"prompt": "a red house", "x": x, "w": 0.5, "feather": 0, "seed": 11 + i} for i, x in enumerate((0, 0.5))
    ]
    tiled = {"tile_width_lp": 32, "tile_height_lp": 16, "regions": regions}
    with model(w) as name:
        for sampler in ("Euler", "DDIM", "DPM++ 2M", "UniPC", "PLMS"):
            more = {"prompt": "a red house", "sampler_name": sampler}
            ours = w.txt2img(scripts=units(name, hint()), tiled=tiled, **SIZE, **more).pictures[0]
            for i in range(2):
                own, other = (hint()[:, 256 * k : 256 * k + 256] for k in (i, 1 - i))
                right, wrong = (
                    w.txt2img(scripts=units(name, h), seed=11 + i, **half, **more).pictures[0] for h in (own, other)
                )
                mine = ours[:, 256 * i : 256 * i + 256]
                near, far = alike(mine, right), alike(mine, wrong)
                assert near > max(0.9, far + 0.03), (
                    f"{sampler}, half {i}: {near:.2f} like its own hint's, {far:.2f} like the other's"
                )
                worst = min(worst, near - far)
    return f"correlation with the job of the right hint is higher than with the wrong one's by {worst:.2f} or more"


@case("ControlNet: two units, img2img, a region without it")
def _(w: Webui):
    with model(w) as name:
        two = units(name, hint(), hint(right=True))
        one_tile = {"regions": [{"prompt": "a red house", "feather": 0}], "tile_width_lp": 64}
        same = {**SIZE, "prompt": "a red house"}
        near = most(w.txt2img(scripts=two, **same), w.txt2img(scripts=two, tiled=one_tile, **same))
        assert near <= 2, near
        source = encoded(w.txt2img(**SIZE).pictures[0])
        enlarged = {**TILES, "upscaler": "Lanczos", "upscale_factor": 2.0}
        with_it, without = (
            w.img2img(init_images=[source], tiled=enlarged, scripts=s) for s in (units(name, hint()), None)
        )
        assert with_it.pictures[0].shape == (256, 1024, 3)
        assert apart(with_it, without) > 3
        off = {"prompt": "a red house", "feather": 0, "controlnet": False}
        switched = {**one_tile, "regions": [off]}
        gone = most(w.txt2img(**same), w.txt2img(scripts=units(name, hint()), tiled=switched, **same))
        assert gone <= 2, gone
    return f"two units in one tile: largest difference {near}"


def unit(**more) -> dict:
    """Arguments of the extension for one unit."""
    return {
        "controlnet": {"args": [{"enabled": True, "processor_res": 128, "image": _said(hint()), **more}]}
    }


@case(
    "ControlNet: modes, references and what is painted back: one tile is the plain job, tiles work, a region has none"
)
def _(w: Webui):
    """What a unit keeps beside its hint: latents, masks, references; prompts' and negative prompts' rows apart."""
    same, worst = {**SIZE, "prompt": "a red house", "negative_prompt": "grey"}, 0
    region = {"prompt": "a red house", "feather": 0}
    one_tile = {"regions": [region], "tile_width_lp": 64}
    hidden = np.zeros((128, 512, 3), dtype=np.uint8)
    hidden[:, 128:384] = 255
    with model(w) as name:
        kinds = {
            "ControlNet is more important": unit(
                module=NO_MODULE, model=name, control_mode="ControlNet is more important"
            ),
            "My prompt is more important": unit(module=NO_MODULE, model=name, control_mode="My prompt is more important"),
            "late": unit(module=NO_MODULE, model=name, guidance_start=0.3, guidance_end=0.7, low_vram=True),
            "colours": unit(module="tile_colorfix", model=name, threshold_a=2),
            "inpainting": unit(module="inpaint_only", model=name, mask=encoded(hidden)),
            "reference": unit(module="reference_only", model="None", threshold_a=0.5),
        }
        without = w.txt2img(**same)
        for kind, scripts in kinds.items():
            plain = w.txt2img(scripts=scripts, **same)
            assert apart(plain, without) > 0.5, kind
            near = most(w.txt2img(scripts=scripts, tiled=one_tile, **same), plain)
            assert near <= 2, f"{kind}: {near}"
            worst = max(worst, near)
            two = {"scripts": scripts, "batch_size": 2, **same}
            found = w.txt2img(tiled={**TILES, "tile_batch": 3, "regions": [{**region, "w": 0.5}]}, **two)
            assert found.pictures[0].shape == (128, 512, 3), kind
            if kind != "inpainting":  # the extension pastes the known pixels into the finished picture
                off = {**one_tile, "regions": [{**region, "controlnet": False}]}
                assert most(w.txt2img(scripts=scripts, tiled=off, **same), without) <= 2, f"{kind}: not off"
    return f"{len(kinds)} kinds of units in one tile: largest difference {worst}"


@case("ControlNet: hints in main memory, the hires pass")
def _(w: Webui):
    with model(w) as name:
        scripts = units(name, hint())
        kept = w.txt2img(scripts=scripts, tiled=TILES, **SIZE)
        w.options(tiled_diffusion_hints_in_main_memory=True)
        try:
            assert most(w.txt2img(scripts=scripts, tiled=TILES, **SIZE), kept) == 0
        finally:
            w.options(tiled_diffusion_hints_in_main_memory=False)
        hires = {**SIZE, "prompt": "a red house", "enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6, "steps": 3}  # fmt: skip
        one_tile = {"regions": [{"prompt": "a red house", "feather": 0}], "tile_width_lp": 128, "tile_height_lp": 32}
        for option in ("Both", "Low res only", "High res only"):
            two = unit(module=NO_MODULE, model=name, hr_option=option)
            near = most(w.txt2img(scripts=two, tiled=one_tile, **hires), w.txt2img(scripts=two, **hires))
            assert near <= 2, f"{option}: {near}"
            assert w.txt2img(scripts=two, tiled=TILES, **hires).pictures[0].shape == (256, 1024, 3)
    return "the same with hints in main memory; each unit acts in its pass"


@case("ControlNet: T2I-Adapter and LLLite: one tile is the plain job, each half sees its half, a region has none")
def _(w: Webui):
    return follows_tiles(w, "tiny")


@case("ControlNet: T2I-Adapter and LLLite with SDXL")
def _(w: Webui):
    return follows_tiles(w, "tiny-xl")


def follows_tiles(w: Webui, checkpoint: str) -> str:
    """Units beside ControlNets that are maps of the canvas, with a checkpoint."""
    same, seen = {**SIZE, "prompt": "a red house", "sampler_name": "Euler"}, []
    half = {**same, "width": 256}
    region = {"prompt": "a red house", "feather": 0}
    halves = [{**region, "x": x, "w": 0.5, "seed": 11 + i} for i, x in enumerate((0, 0.5))]
    with more_models(w, checkpoint) as names:
        without = w.txt2img(**same)
        for name in names:
            scripts, one_tile = units(name, hint()), {"regions": [region], "tile_width_lp": 64}
            plain = w.txt2img(scripts=scripts, **same)
            assert apart(plain, without) > 1, name
            near = most(w.txt2img(scripts=scripts, tiled=one_tile, **same), plain)
            assert near <= 2, f"{name}: {near}"
            off = {**one_tile, "regions": [{**region, "controlnet": False}]}
            assert most(w.txt2img(scripts=scripts, tiled=off, **same), without) <= 2, f"{name}: not off"
            tiled = {"tile_width_lp": 32, "tile_height_lp": 16, "regions": halves, "tile_batch": 2}
            ours = w.txt2img(scripts=scripts, tiled=tiled, **same).pictures[0]
            for i in range(2):
                mine, found = ours[:, 256 * i : 256 * i + 256], []
                for k in (i, 1 - i):
                    alone = units(name, hint()[:, 256 * k : 256 * k + 256])
                    found.append(alike(mine, w.txt2img(scripts=alone, seed=11 + i, **half).pictures[0]))
                assert found[0] > max(0.9, found[1] + 0.01), f"{name}, half {i}: {found}"
                seen.append(found[0] - found[1])
            assert most(w.txt2img(scripts=scripts, **same), plain) == 0, f"{name}: something of the tiles is left"
            mode = unit(module=NO_MODULE, model=name, control_mode="ControlNet is more important")
            assert w.txt2img(scripts=mode, tiled={**TILES, "tile_batch": 4}, batch_size=2, **same).pictures
    return f"correlation is higher with the right half's hint than with the other's by {min(seen):.2f} or more"
