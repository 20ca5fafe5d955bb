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


def apart(a: Result, b: Result) -> float:
    """Mean difference of the first pictures."""
    return float(np.abs(a.pictures[0].astype(int) - b.pictures[0].astype(int)).mean())


@case("ControlNet: panorama, every kind of sampler, batch")
def _(w: Webui):
    told = []
    with model(w) as name:
        for sampler in ("Euler a", "DDIM", "DPM++ SDE", "UniPC"):
            for batch in (1, 2):
                more = {**SIZE, "sampler_name": sampler, "batch_size": batch}
                plain = w.txt2img(scripts=units(name, hint()), **more)
                ours = w.txt2img(scripts=units(name, hint()), tiled={**TILES, "tile_batch": 2}, **more)
                wrong = w.txt2img(scripts=units(name, hint(right=True)), tiled=TILES, **more)
                without = w.txt2img(tiled=TILES, **more)
                near, far, none = apart(ours, plain), apart(ours, wrong), apart(ours, without)
                assert near < 0.5 * far, f"{sampler}: {near:.1f} from the untiled job, {far:.1f} from another hint"
                assert near < 0.5 * none
                told.append(near)
    return f"largest mean difference from the untiled job {max(told):.1f}"


@case("ControlNet: two units, img2img, a region without it")
def _(w: Webui):
    with model(w) as name:
        two = units(name, hint(), hint(right=True))
        near = apart(w.txt2img(scripts=two, **SIZE), w.txt2img(scripts=two, tiled=TILES, **SIZE))
        far = apart(w.txt2img(scripts=two, **SIZE), w.txt2img(tiled=TILES, **SIZE))
        assert near < 0.5 * far, (near, far)
        source = encoded(w.txt2img(**SIZE).pictures[0])
        enlarged = {**TILES, "upscaler": "Lanczos", "upscale_factor": 2.0}
        with_it, without = (
            w.img2img(init_images=[source], tiled=enlarged, scripts=s) for s in (units(name, hint()), None)
        )
        assert with_it.pictures[0].shape == (256, 1024, 3)
        assert apart(with_it, without) > 3
        region = {"prompt": "a red house", "x": 0.5, "w": 0.5, "feather": 0, "controlnet": False}
        part = w.txt2img(scripts=units(name, hint()), tiled={**TILES, "regions": [region]}, **SIZE)
        whole = w.txt2img(scripts=units(name, hint()), tiled=TILES, **SIZE)
        difference = np.abs(part.pictures[0].astype(int) - whole.pictures[0].astype(int)).mean(axis=(0, 2))
        told = f"changed {difference[320:].mean():.1f} in the region, {difference[:160].mean():.1f} far from it"
        assert difference[320:].mean() > 2 * difference[:160].mean(), told
    return f"two units: {near:.1f}"
