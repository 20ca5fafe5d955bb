"""ControlNet in the WebUI: the real extension (WEBUI_CONTROLNET names its folder) with a small model of its format."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from .client import ApiError, Result, Webui, encoded
from .registry import Skipped, case

SIZE = {"width": 512, "height": 128}
TILES = {"tile_width_lp": 32, "tile_height_lp": 16, "overlap_lp": 8}


def hint(right: bool = False) -> np.ndarray:
    """512 x 128: one half white, the other one black."""
    picture = np.zeros((128, 512, 3), dtype=np.uint8)
    picture[:, 256:] = 255
    return picture if right else picture[:, ::-1].copy()


@contextmanager
def model(w: Webui):
    """The name of the ControlNet, with the checkpoint that it belongs to."""
    try:
        found = [m for m in w.call("/controlnet/model_list")["model_list"] if m.startswith("tiny_canny")]
    except ApiError:
        found = []
    if not found or "tiny" not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped("the ControlNet extension, its model 'tiny_canny' or the checkpoint 'tiny' is not there")
    w.options(sd_model_checkpoint="tiny", show_progress_type="Approx cheap")
    try:
        yield found[0]
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")


def units(name: str, *pictures: np.ndarray) -> dict:
    """Arguments of the extension."""
    every = [
        {"enabled": True, "module": "none", "model": name, "image": {"image": encoded(p)}, "processor_res": 128}
        for p in pictures
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
        "controlnet": {"args": [{"enabled": True, "processor_res": 128, "image": {"image": encoded(hint())}, **more}]}
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
                module="none", model=name, control_mode="ControlNet is more important"
            ),
            "My prompt is more important": unit(module="none", model=name, control_mode="My prompt is more important"),
            "late": unit(module="none", model=name, guidance_start=0.3, guidance_end=0.7, low_vram=True),
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
            two = unit(module="none", model=name, hr_option=option)
            near = most(w.txt2img(scripts=two, tiled=one_tile, **hires), w.txt2img(scripts=two, **hires))
            assert near <= 2, f"{option}: {near}"
            assert w.txt2img(scripts=two, tiled=TILES, **hires).pictures[0].shape == (256, 1024, 3)
    return "the same with hints in main memory; each unit acts in its pass"
