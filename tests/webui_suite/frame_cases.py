"""The script Frame of img2img: drawn by the host's inpainting on the flattened crop, and pasted back; and print sizes."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.recipes.frame.rendered import camera, photo_of_frame

from .client import ApiError, Result, Webui, encoded
from .editor_cases import PICTURES, page_of
from .registry import case

SIZE = (320, 240)
PHOTO, CORNERS = photo_of_frame(0.8, SIZE, camera(-20, 8, 2, 270, 2.0, SIZE), seed=4)
AT = ",".join(f"{n:.2f}" for n in CORNERS.ravel())
JOB = {"prompt": "a red house on grass, sunset", "steps": 6, "width": 64, "height": 64, "denoising_strength": 0.6}
TILES = {"tile_width": 128, "tile_height": 128}


def frame(w: Webui, corners: str = AT, begin: str = "noise", photo: Image.Image = PHOTO, **more) -> Result:
    """A job of the script: the photos with a picture in them, then the pictures."""
    words = [corners, begin, 0, 0.5, 0.6, 0]
    pictures = [encoded(np.asarray(photo))]
    return w.img2img(**{**JOB, "init_images": pictures, "script_name": "frame", "script_args": words, **more})


def outside() -> np.ndarray:
    """[h, w]: pixels of the photo outside of the frame's inside."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    out = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(CORNERS, np.roll(CORNERS, -1, axis=0), strict=True):
        out |= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) < 0
    return out


@case("frame: drawn from the front, pasted back, nothing else changed")
def _(w: Webui):
    made = frame(w)
    photo, picture = made.pictures
    before = np.asarray(PHOTO)
    assert photo.shape == before.shape
    assert (photo[outside()] == before[outside()]).all(), "the wall has changed"
    inside = ~outside()
    assert (photo[inside] != before[inside]).any(axis=1).mean() > 0.9
    assert abs(picture.shape[1] / picture.shape[0] - 0.8) < 0.03, picture.shape
    assert abs(picture.shape[0] * picture.shape[1] / 64**2 - 1) < 0.05, picture.shape
    assert all("Frame: " in text and "Denoising strength: 1.0" in text for text in made.infotexts), made.infotexts
    assert made.difference(frame(w)) == 0
    if os.environ.get(PICTURES):
        Image.fromarray(photo).save(Path(os.environ[PICTURES]) / "frame-webui-photo.png")


@case("frame: batches, tiles, and what it begins as")
def _(w: Webui):
    several = frame(w, batch_size=2, n_iter=2, seed=5)
    assert [p.shape for p in several.pictures[:4]] == [(*SIZE[::-1], 3)] * 4
    assert len(several.pictures) == len(several.infotexts) == 8
    assert [f"Seed: {seed}" in several.infotexts[k] for k, seed in enumerate((5, 6, 7, 8))] == [True] * 4
    assert len({p.tobytes() for p in several.pictures}) == 8
    tiled = frame(w, tiled=TILES, width=128, height=128)
    assert "Tiled Diffusion" in tiled.infotexts[0], tiled.infotexts
    assert (tiled.pictures[0][outside()] == np.asarray(PHOTO)[outside()]).all()
    kept = frame(w, begin="original", denoising_strength=0.05)
    grey = np.abs(kept.pictures[1].astype(int) - frame(w, begin="original", denoising_strength=0.9).pictures[1]).mean()
    assert kept.pictures[1].mean() > 170, "an empty frame is bright"
    assert grey > 5, grey
    with w_options(w, return_mask=True, return_mask_composite=True):
        assert len(frame(w).pictures) == 2
        assert w.call("/sdapi/v1/options")["return_mask"] is True


class w_options:  # noqa: N801 a context
    """Settings of the WebUI, for as long as a block lasts."""

    def __init__(self, w: Webui, **values) -> None:
        self.w, self.values = w, values

    def __enter__(self) -> None:
        every = self.w.call("/sdapi/v1/options")
        self.before = {name: every[name] for name in self.values}
        self.w.options(**self.values)

    def __exit__(self, *_: object) -> None:
        self.w.options(**self.before)


@case("frame: found, and that is said")
def _(w: Webui):
    answer = w.call("/sdapi/v1/img2img", {
        **JOB, "init_images": [encoded(np.asarray(PHOTO))], "script_name": "frame", "script_args": ["auto", "noise", 0, 0.5, 0.6, 0],
        "sampler_name": "Euler a", "seed": 1,
    })  # fmt: skip
    info = json.loads(answer["info"])
    numbers = info["infotexts"][0].split('Frame: "')[1].split(" from")[0].split(",")
    off = np.abs(np.array(numbers, dtype=float).reshape(4, 2) - CORNERS).max()
    assert off < 2, off
    return f"corners off by {off:.2f} px"


@case("frame: wrong input is told, and the next job draws")
def _(w: Webui):
    wall = Image.new("RGB", SIZE, "grey")
    for more, words in (
        ({"photo": wall, "corners": ""}, "no frame is seen"),
        ({"corners": "10,10,200,200,200,10,10,200"}, "the sides cross"),
        ({"corners": "1,2"}, "corners: got"),
        ({"begin": "fill"}, "begin: got"),
        ({"mask": encoded(np.asarray(wall))}, "and no mask"),
    ):
        try:
            frame(w, **more)
        except ApiError as e:
            assert e.status == 422, e
            assert words in e.text, e
        else:
            raise AssertionError(f"{more} was drawn")
    assert len(frame(w).pictures) == 2


@case("frame: the photo's corners on the page")
def _(w: Webui):
    with tempfile.TemporaryDirectory(prefix="frame-") as place, page_of(w) as page:
        PHOTO.resize((960, 720)).save(Path(place) / "wall.png")
        page.locator("#tabs button", has_text="img2img").first.click()
        page.locator("#img2img_image input[type=file]").first.set_input_files(str(Path(place) / "wall.png"))
        page.wait_for_timeout(1500)
        assert page.locator("#td_frame_corners textarea").input_value() == "", "a script that is not chosen has looked"
        scripts = page.locator("#img2img_script_container #script_list input").first
        scripts.click()
        scripts.fill("Frame")
        scripts.press("Enter")
        page.locator(".td-corner-front img[src^=data]").wait_for(timeout=60000)
        page.locator(".td-corners p", has_text="This is what was found").wait_for(timeout=60000)
        seen = np.array(json.loads(page.locator("#td_frame_corners textarea").input_value())) * SIZE
        off = np.abs(seen - CORNERS).max()
        assert off < 2, off
        handle = page.locator(".td-corner").first
        handle.scroll_into_view_if_needed()
        r = handle.bounding_box()
        page.mouse.move(r["x"] + 9, r["y"] + 9)
        page.mouse.down()
        page.mouse.move(r["x"] + 29, r["y"] + 19, steps=3)
        page.mouse.up()
        moved = np.array(json.loads(page.locator("#td_frame_corners textarea").input_value())) * SIZE
        assert np.abs(moved[0] - seen[0]).max() > 2
        assert np.abs(moved[1:] - seen[1:]).max() < 0.1
        page.get_by_role("button", name="Look for the frame").click()
        for field in ("steps", "width", "height"):
            box = page.locator(f"#img2img_{field} input[type=number]").first
            box.fill({"steps": "12"}.get(field, "64"))
            box.press("Tab")
        page.locator("#img2img_prompt textarea").fill("a red house on grass, sunset")
        page.locator("#img2img_seed input").first.fill("5")
        page.locator(".td-corners p", has_text="This is what was found").wait_for(timeout=60000)
        page.wait_for_timeout(1500)
        page.click("#img2img_generate")
        page.locator("#img2img_results", has_text="Time taken").wait_for(timeout=300000)
        page.wait_for_timeout(1500)
        if os.environ.get(PICTURES):
            page.set_viewport_size({"width": 1400, "height": 2400})
            page.wait_for_timeout(500)
            page.screenshot(path=Path(os.environ[PICTURES]) / "frame-webui.png", full_page=True)
            page.locator("#td_img2img_enabled .label-wrap").first.click()
            page.wait_for_timeout(800)
            page.locator("#td_img2img_print_size textarea, #td_img2img_print_size input").first.fill("20x15cm")
            page.keyboard.press("Tab")
            page.wait_for_timeout(1500)
            page.screenshot(path=Path(os.environ[PICTURES]) / "print-size-webui.png", full_page=True)
        return f"corners off by {off:.2f} px"


@case("print size: pixels and DPI, also the source's")
def _(w: Webui):
    source = Image.fromarray(np.asarray(PHOTO)[:96, :128])
    with tempfile.TemporaryDirectory(prefix="prints-") as place, w_options(w, outdir_img2img_samples=place):
        file = Path(place) / "source.png"
        source.save(file, dpi=(150, 150))
        picture = base64.b64encode(file.read_bytes()).decode()
        file.unlink()
        job = {"init_images": [picture], "steps": 4, "save_images": True, "prompt": "a wall"}
        large = w.img2img(**job, tiled={**TILES, "print_size": "27x20mm", "print_dpi": 240})
        made = [Image.open(path) for path in Path(place).rglob("*.png")]
        assert large.pictures[0].shape == (192, 256, 3), large.pictures[0].shape
        assert [(m.size, round(m.info["dpi"][0])) for m in made] == [((256, 192), 240)], [(m.size, m.info.get("dpi")) for m in made]
        assert "parameters" in made[0].info
        for m in Path(place).rglob("*.png"):
            m.unlink()
        w.img2img(**job, tiled={**TILES, "upscaler": "Lanczos", "upscale_factor": 2.0})
        (kept,) = [Image.open(path) for path in Path(place).rglob("*.png")]
        assert round(kept.info["dpi"][0]) == 150, kept.info
        for settings, words in (
            ({"print_size": "A9"}, "print_size: got 'A9'"), ({"print_size": "A4", "print_dpi": 300}, "allowed is up to 16 times"),
        ):  # fmt: skip
            try:
                w.img2img(**job, tiled={**TILES, **settings})
            except ApiError as e:
                assert e.status == 422, e
                assert words in e.text, e
            else:
                raise AssertionError(f"{settings} was drawn")
