"""The tiled VAE in the WebUI: an exact job is the untiled one."""

from __future__ import annotations

import json

import numpy as np

from .client import ApiError, Webui, encoded
from .registry import case
from .tiling_cases import TILES, drawn, field, same

EXACT = {"mode": "exact", "decoder_tile_lp": 48, "encoder_tile_px": 256}
SIZE = {"width": 512, "height": 384, "steps": 2}


@case("VAE exact: txt2img within 1/255")
def _(w: Webui):
    plain = w.txt2img(**SIZE)
    return ", ".join(
        f"tile {tile}: {same(plain, w.txt2img(vae={'mode': 'exact', 'decoder_tile_lp': tile}, **SIZE), 1)}"
        for tile in (16, 24, 48)
    )


@case("VAE exact: img2img within 1/255")
def _(w: Webui):
    source = encoded(w.txt2img(**SIZE).pictures[0])
    more = {"init_images": [source], **SIZE, "denoising_strength": 0.4}
    return same(w.img2img(**more), w.img2img(vae=EXACT, **more), 1)


@case("VAE exact: inpainting and batch within 1/255")
def _(w: Webui):
    source = w.txt2img(**SIZE).pictures[0]
    mask = np.zeros_like(source)
    mask[100:250, 150:350] = 255
    more = {"init_images": [encoded(source)], "mask": encoded(mask), **SIZE, "batch_size": 2}
    return same(w.img2img(**more), w.img2img(vae=EXACT, **more), 1)


@case("VAE exact: hires within 1/255")
def _(w: Webui):
    more = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Lanczos", "denoising_strength": 0.4,
            "width": 256, "height": 192, "steps": 2}  # fmt: skip
    return same(w.txt2img(**more), w.txt2img(vae=EXACT, **more), 1)


@case("VAE with Tiled Diffusion")
def _(w: Webui):
    return same(w.txt2img(tiled=TILES, **SIZE), w.txt2img(tiled=TILES, vae=EXACT, **SIZE), 1)


@case("VAE modes, record, errors")
def _(w: Webui):
    for mode in ("auto", "fast", "untiled"):
        drawn(w.txt2img(vae={"mode": mode}, **SIZE))
    result = w.txt2img(vae=json.dumps(EXACT), **SIZE)
    assert json.loads(json.loads(field(result.infotexts[0], "Tiled VAE"))) == {"version": 1, **EXACT}
    for settings, text in (({"mode": "best"}, "mode is 'best'"), ({"tile": 1}, "unknown field 'tile'"), ("[", "JSON")):
        try:
            w.txt2img(vae=settings)
        except ApiError as e:
            assert e.status == 422, e
            assert text in json.loads(e.text)["detail"], e
        else:
            raise AssertionError(f"{settings} was accepted")
    return same(w.txt2img(**SIZE), w.txt2img(**SIZE))
