"""Growing in stages in the WebUI: jobs within a job, what they keep, how they are stopped, and the panel's fold."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from .client import BASE, HOST, ApiError, Webui, encoded, written
from .editor_cases import opened, page_of, shot, sized
from .registry import case
from .tiling_cases import _decoded, _xyz, drawn, field, same

LARGE = {"width": 256, "height": 256}
GROW = {"version": 2, "grow": True}


def enlarged(picture: np.ndarray, width: int, height: int) -> str:
    """By Lanczos, as base64."""
    return encoded(np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)))


@contextmanager
def folder_of_pictures(w: Webui):
    """A folder for txt2img's pictures, for as long as a case lasts."""
    before = w.call("/sdapi/v1/options")["outdir_txt2img_samples"]
    with tempfile.TemporaryDirectory(prefix="stages-") as place:
        w.options(outdir_txt2img_samples=place)
        try:
            yield Path(place)
        finally:
            w.options(outdir_txt2img_samples=before)


@case("growth: a picture is what txt2img and then img2img make by hand")
def _(w: Webui):
    before, said = w.txt2img(), []
    for sampler in ("Euler a", "DDIM", "DPM++ 2M", "UniPC"):
        grown = w.txt2img(tiled=GROW, sampler_name=sampler, **LARGE)
        drawn(grown)
        assert grown.pictures[0].shape == (256, 256, 3), grown.pictures[0].shape
        small = w.txt2img(tiled={}, sampler_name=sampler)
        start = enlarged(small.pictures[0], 256, 256)
        job = {"sampler_name": sampler, "init_images": [start], "denoising_strength": 0.5, **LARGE}
        by_hand = w.img2img(tiled={}, **job)
        plain = 0
        for seed in (7, 8, 9) if HOST == "forge" else ():  # whose encoder draws from what the last job has left
            w.txt2img(steps=1, seed=seed)
            plain = max(plain, by_hand.difference(w.img2img(tiled={}, **job)))
        said.append(same(by_hand, grown, max(1, 2 * plain)) + (f" (plain jobs {plain})" if plain else ""))
    same(before, w.txt2img())
    return f"4 samplers: {', '.join(said)}"


@case("growth: its record draws it again, and says what was done")
def _(w: Webui):
    settings = {**GROW, "growth_stages": 2, "growth_stage_strength": 0.4, "growth_keep_colours": True, "dilated": True, "skip_residual": 0.5}
    first = w.txt2img(tiled=settings, width=320, height=192)
    record = json.loads(json.loads(field(first.infotexts[0], "Tiled Diffusion")))
    assert record == written(settings), record
    for words in ("Size: 320x192", "Steps: 6", "Schedule type: Automatic"):
        assert words in first.infotexts[0], first.infotexts[0]
    assert "Denoising" not in first.infotexts[0]
    return same(first, w.txt2img(tiled=record, width=320, height=192))


@case("growth: pictures of a batch, with a region, are the pictures alone")
def _(w: Webui):
    settings = {**GROW, "method": "jittered", "regions": [{"prompt": "a tree", "w": 0.5, "seed": 5}]}
    many = w.txt2img(tiled=settings, batch_size=2, n_iter=2, **LARGE)
    for k, (picture, text) in enumerate(zip(many.pictures[-4:], many.infotexts[-4:], strict=True)):
        record = json.loads(json.loads(field(text, "Tiled Diffusion")))
        assert record["regions"][0]["seed"] == 5 + k
        alone = w.txt2img(tiled=record, seed=1 + k, **LARGE)
        gap = int(np.abs(picture.astype(int) - alone.pictures[0]).max())
        assert gap <= 1, f"picture {k} differs from the one drawn alone by {gap}"


@case("growth: interrupted, and gone on with from the last stage")
def _(w: Webui):
    job = {"tiled": {**GROW, "growth_stages": 2}, "steps": 20, "width": 384, "height": 384}
    with folder_of_pictures(w) as place:
        whole = w.txt2img(**job, seed=9)
        assert not [*place.rglob("*.png")], "a job that saves nothing has kept its stages"
        results = []
        worker = threading.Thread(target=lambda: results.append(w.txt2img(**job, seed=9, save_images=True)))
        worker.start()
        end, lines = time.monotonic() + 300, set()
        while time.monotonic() < end and not [*place.glob("stages/*/9-2-*.png")]:
            lines.add(w.call("/sdapi/v1/progress?skip_current_image=true")["textinfo"])
            time.sleep(0.05)
        w.call("/sdapi/v1/interrupt", {})
        worker.join(300)
        assert results[0].pictures[0].shape == (384, 384, 3)
        kept = {path.name: path.stat().st_mtime_ns for path in place.glob("stages/*/*.png")}
        assert [name.split("-")[1] for name in sorted(kept)] == ["1", "2"], kept
        again = w.txt2img(**job, seed=9, save_images=True)
        after = {path.name: path.stat().st_mtime_ns for path in place.glob("stages/*/*.png")}
        assert {name: after[name] for name in kept} == kept, "a finished stage was drawn again"
        assert len(after) == 3
        same(whole, again)
        assert any(str(line).startswith("Grow in stages: stage 2 of 3, about") for line in lines), lines
        w.txt2img(**job, seed=9, save_images=True, prompt="a tower")
        assert len({*place.glob("stages/*")}) == 2, "another prompt has gone on with these stages"
    return "stopped in stage 3 of 3"


@case("growth: X/Y/Z axes")
def _(w: Webui):
    args = _xyz(w, "[Tiled Diffusion] Grow in stages", "false,true", "[Tiled Diffusion] Stage strength", "0.3,0.6")
    answer = w.call("/sdapi/v1/txt2img", {
        **BASE, **LARGE, "script_name": "x/y/z plot", "script_args": args,
        "alwayson_scripts": {"tiled diffusion": {"args": [True, {"version": 2}]}},
    })  # fmt: skip
    cells = {_decoded(i).tobytes() for i in answer["images"][1:]}
    assert len(cells) == 3, f"{len(cells)} different cells, the two without stages are the same"


@case("growth: what cannot grow is named, and the next job is as before")
def _(w: Webui):
    before = w.txt2img(**LARGE)
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent"}
    small = encoded(w.txt2img().pictures[0])
    wrong = [
        (lambda s: w.txt2img(tiled=s, **hires), {}, "hires fix is on too"),
        (lambda s: w.img2img(tiled=s, init_images=[small]), {}, "grow: got true in img2img"),
        (lambda s: w.txt2img(tiled=s, **LARGE), {"growth_stages": 0}, "growth_stages: got 0"),
        (lambda s: w.txt2img(tiled=s, **LARGE), {"dilated": True, "regions": [{"prompt": "a", "w": 0.5}]}, "dilated views draw one prompt"),
    ]
    for draw, more, message in wrong:
        try:
            draw({**GROW, **more})
        except ApiError as e:
            assert e.status == 422, f"{e.status}"
            assert message in e.text, e.text[:300]
        else:
            raise AssertionError(f"no error for {more}")
    return same(before, w.txt2img(**LARGE))


@case("growth: with a tiled VAE, a local ring and keep the picture")
def _(w: Webui):
    plain = w.txt2img(tiled=GROW, **LARGE)
    same(plain, w.txt2img(tiled=GROW, vae={"decoder_tile": 64}, **LARGE), 3)
    for more in ({"wrap_x": True}, {"keep_picture": True}, {"method": "elastic"}):
        other = w.txt2img(tiled={**GROW, **more}, **LARGE)
        drawn(other)
        assert plain.difference(other) > 5, f"{more} changes nothing"


@case("growth: the fold in txt2img draws")
def _(w: Webui):
    with page_of(w) as page:
        opened(page, "txt2img")
        page.locator("#td_txt2img_enabled input[type=checkbox], #td_txt2img_enabled-checkbox input").first.check()
        page.locator("#td_txt2img_growth .label-wrap").first.click()
        page.locator("#td_txt2img_grow input").wait_for(state="visible")
        page.locator("#td_txt2img_grow input").check()
        box = page.locator("#td_txt2img_growth_stage_strength input[type=number]").first
        box.fill("0.4")
        box.press("Tab")
        page.locator("#txt2img_prompt textarea").first.fill(BASE["prompt"])
        sized(page, 256, 256, 6)
        shot(page, "growth-fold")
        page.locator("#txt2img_generate").click()
        page.wait_for_selector("#html_info_txt2img :text('Size: 256x256')", timeout=240000)
        text = page.locator("#html_info_txt2img").first.inner_text()
        assert '"grow":true' in text.replace("\\", "").replace(" ", ""), text
        shot(page, "growth-drawn")
        page.locator("#tabs button", has_text="img2img").first.click()
        assert page.locator("#td_img2img_growth").count() == 0
