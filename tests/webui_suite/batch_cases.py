"""A folder of pictures of unlike sizes, drawn anew by img2img's page: each is the picture's own job."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from .besides_cases import changed
from .client import BASE, HOST, Result, Webui, encoded
from .editor_cases import page_of
from .registry import case
from .tiling_cases import OTHER, drawn, field

SIZES = {"a": (320, 128), "b": (128, 128), "c": (128, 192)}
JOB = {
    "steps": 4,
    "width": 128,
    "height": 128,
    "seed": 1,
    "cfg_scale": 7,
    "sampler_name": "UniPC",
    "denoising_strength": 0.75,
}
REGIONS = [{"prompt": OTHER, "x": 0.5, "w": 0.5}]
PANEL = {"tile_width": 128, "tile_height": 128, "overlap": 48}
DOCUMENT = {"version": 2, **PANEL}
"""The same for the API."""


def pictures(w: Webui) -> dict[str, np.ndarray]:
    """By name."""
    return {name: w.txt2img(width=width, height=height).pictures[0] for name, (width, height) in SIZES.items()}


def anchored(w: Webui) -> None:
    """The host's encoder draws from what the last job has left: the same before every row of jobs."""
    w.txt2img(steps=1)


def fill(page, selector: str, value: object) -> None:
    """Types into a field of the page."""
    found = page.locator(selector).first
    found.fill(str(value))
    found.press("Tab")


def prepared(page, folder: Path, out: Path) -> None:
    """The page's own fields."""
    page.locator("#tabs button", has_text="img2img").first.click()
    page.locator("#mode_img2img button", has_text="Batch").first.click()
    source = page.locator("#img2img_batch_source button", has_text="From directory")
    if source.count():  # reForge knows folders alone
        source.first.click()
    fill(page, "#img2img_batch_input_dir textarea", folder)
    fill(page, "#img2img_batch_output_dir textarea", out)
    fill(page, "#img2img_prompt textarea", BASE["prompt"])
    for name in ("steps", "width", "height", "denoising_strength", "cfg_scale"):
        selector = "#img2img_denoising_strength" if name == "denoising_strength" else f"#img2img_{name}"
        fill(page, f"{selector} input[type=number]", JOB[name])
    fill(page, "#img2img_seed input", JOB["seed"])
    sampler = page.locator("#img2img_sampling input").first
    sampler.click()
    page.locator("#img2img_sampling ul li", has_text=JOB["sampler_name"]).first.click()


def switched_on(page, regions: list[dict], upscaler: str, keep_size: bool) -> None:
    """The panel's tiles, regions and upscaler, and whether the picture's size counts and not the sliders'."""
    page.locator("#td_img2img_enabled .label-wrap").first.click()
    for name, value in PANEL.items():
        automatic = page.locator(f"#td_img2img_{name}_automatic input").first
        automatic.wait_for(state="visible")
        automatic.uncheck()
        fill(page, f"#td_img2img_{name} input[type=number]", value)
    if upscaler:
        page.locator("#td_img2img_upscaler input").first.click()
        page.locator("#td_img2img_upscaler ul li", has_text=upscaler).first.click()
    page.locator("#td_img2img_keep_size input").first.set_checked(keep_size)
    page.evaluate(
        "text => { const box = gradioApp().querySelector('#td_img2img_regions textarea, #td_img2img_regions input');"
        " box.value = text; box.dispatchEvent(new Event('input', {bubbles: true})); }",
        json.dumps({"version": 2, "regions": regions}),
    )
    page.wait_for_timeout(800)


def batch(w: Webui, folder: Path, tiled: tuple[list[dict], str, bool] | None) -> dict[str, Result]:
    """What the page makes of a folder, by name; `tiled` is what `switched_on` gets."""
    out = Path(tempfile.mkdtemp(dir=folder.parent))
    with page_of(w) as page:
        prepared(page, folder, out)
        if tiled is not None:
            switched_on(page, *tiled)
        anchored(w)
        page.locator("#img2img_generate").click()
        page.wait_for_function(
            "() => gradioApp().querySelector('#html_info_img2img')?.textContent.includes('Steps:')", timeout=120000
        )
    found = {}
    for file in sorted(out.iterdir()):
        with Image.open(file) as picture:
            found[file.stem.rpartition("-")[2]] = Result(
                [np.asarray(picture.convert("RGB"))], [picture.info["parameters"]], []
            )
    assert sorted(found) == sorted(SIZES), sorted(found)
    return found


def jobs(w: Webui, sources: dict[str, np.ndarray], tiled: dict | None) -> dict[str, Result]:
    """The same by the API, one by one."""
    anchored(w)
    return {name: w.img2img(init_images=[encoded(source)], tiled=tiled, **JOB) for name, source in sources.items()}


@case("batch: a folder of unlike pictures is each picture's own job")
def _(w: Webui):
    sources, found = pictures(w), []
    if HOST == "forge":
        w.options(img2img_batch_use_original_name=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        folder.mkdir()
        for name, source in sources.items():
            Image.fromarray(source).save(folder / f"{name}.png")
        larger = {**DOCUMENT, "upscaler": "Lanczos", "upscale_factor": 2.0}
        wishes = {
            "off": (None, None, 0),
            "tiles and a region": ((REGIONS, "", True), {**DOCUMENT, "regions": REGIONS}, 1),
            "enlarged": (([], "Lanczos", True), larger, 2),
            "the sliders' size, enlarged": (([], "Lanczos", False), {**larger, "keep_size": False}, -2),
            "off again": (None, None, 0),
        }
        for wish, (panel, tiled, factor) in wishes.items():
            made, alone = batch(w, folder, panel), jobs(w, sources, tiled)
            for name, (width, height) in SIZES.items():
                base = (height, width) if factor > 0 else (JOB["height"], JOB["width"])
                size = tuple(side * max(1, abs(factor)) for side in base)
                assert made[name].pictures[0].shape[:2] == size, f"{wish}, {name}: {made[name].pictures[0].shape}"
                drawn(made[name])
                off = made[name].difference(alone[name])
                assert off == 0, f"{wish}, {name}: differs by {off} from the picture's own job"

                texts = made[name].infotexts[0], alone[name].infotexts[0]
                records = [json.loads(json.loads(field(t, "Tiled Diffusion"))) if tiled else t for t in texts]
                assert not tiled or records[0] == records[1], records
                assert ("Tiled Diffusion" in texts[0]) == bool(tiled), texts[0]
            if factor == 1:
                untiled = w.img2img(
                    init_images=[encoded(sources["a"])], **JOB | dict(zip(("width", "height"), SIZES["a"], strict=True))
                )
                changed(made["a"], untiled)
            found.append(wish)
        assert len({made[n].pictures[0].tobytes() for n in SIZES}) == len(SIZES), "all pictures are one"
    return f"{len(SIZES)} pictures {', '.join(found)}: difference 0"
