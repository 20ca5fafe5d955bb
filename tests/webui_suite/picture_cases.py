"""Pictures as regions in the real WebUI: kept with every sampler, refused from elsewhere, and put in by the editor."""

from __future__ import annotations

import io
import json

from PIL import Image

from .client import ApiError, Webui, encoded
from .editor_cases import opened, page_of, shot
from .registry import case, of_each
from .tiling_cases import WIDE, _picture, drawn, field, same

TILES = {"tile_width": 128, "tile_height": 128, "overlap": 48, "version": 2}


def kept(w: Webui, keep: float = 1.0, **more) -> dict:
    """The settings with a picture in the left half."""
    source = _picture(w, 160, 128)
    region = {"prompt": "", "picture": "data:image/png;base64," + encoded(source), "w": 0.5, "feather": 0, "keep": keep}
    return {**TILES, "regions": [{**region, **more}]}


def all_kept(w: Webui) -> dict:
    """As `kept`, and another picture in the right half.

    A decoder's norms are of all the canvas: were the right half drawn, it would change the left one's pixels.
    """
    settings = kept(w)
    (left,) = settings["regions"]
    return {**settings, "regions": [left, {**left, "x": 0.5, "flip": True}]}


@case("pictures: what is kept to the end is the same with every sampler, in both passes and img2img")
def _(w: Webui):
    samplers, settings = w.names("/sdapi/v1/samplers", "name"), all_kept(w)
    first = w.txt2img(sampler_name=samplers[0], tiled=settings, **WIDE)
    of_each(samplers[1:], lambda name: same(first, w.txt2img(sampler_name=name, tiled=settings, **WIDE), 1))
    source = w.txt2img(prompt="snow, night sky", **WIDE).pictures[0]
    again = w.img2img(init_images=[encoded(source)], tiled={**settings, "keep_size": False}, **WIDE)
    assert again.difference(first) <= 1, again.difference(first)
    drawn(w.txt2img(tiled=kept(w), enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", denoising_strength=0.6, **WIDE))
    return f"{len(samplers)} samplers"


@case("pictures: without keep nothing changes, bit for bit")
def _(w: Webui):
    for sampler in ("Euler", "DPM++ 2M SDE", "DDIM", "UniPC"):
        same(
            w.txt2img(sampler_name=sampler, tiled=TILES, **WIDE),
            w.txt2img(sampler_name=sampler, tiled=kept(w, 0.0), **WIDE),
        )


@case("pictures: the record has the digest alone, and other files are refused")
def _(w: Webui):
    result = w.txt2img(tiled=kept(w, 0.5), **WIDE)
    assert "base64" not in result.infotexts[0]
    record = json.loads(json.loads(field(result.infotexts[0], "Tiled Diffusion")))
    assert record["regions"][0]["picture"].startswith("sha256:"), record
    for name in ("../../config.json", "/etc/hostname", record["regions"][0]["picture"]):
        try:
            w.txt2img(tiled=kept(w, 0.5, picture=name), **WIDE)
        except ApiError as e:
            assert e.status == 422, e
            assert "regions[0].picture" in e.text, e.text
        else:
            raise AssertionError(f"{name} was accepted")


@case("pictures: the editor puts one in, and the job keeps it")
def _(w: Webui):
    data = io.BytesIO()
    Image.fromarray(_picture(w, 160, 128)).save(data, format="PNG")
    with page_of(w) as page:
        opened(page, "txt2img")
        page.locator("#tab_txt2img .td-bar input[type=file]").last.set_input_files(
            {"name": "photo.png", "mimeType": "image/png", "buffer": data.getvalue()}
        )
        page.locator("#tab_txt2img .td-box .td-inset").first.wait_for(state="visible")
        text = page.locator("#td_txt2img_regions textarea, #td_txt2img_regions input").first.input_value()
        shot(page, "pictures-editor")
    document = json.loads(text)
    assert document["regions"][0]["picture"].startswith("data:image/png;base64,")
    drawn(w.txt2img(tiled={**TILES, **document}, **WIDE))
