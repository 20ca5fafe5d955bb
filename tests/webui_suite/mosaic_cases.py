"""The script Hypermosaic of img2img: tiles by the WebUI's own jobs, kept, gone on with, and shown."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tiled_diffusion.recipes.mosaic.folder import opened_folder

from .client import ApiError, Result, Webui, encoded
from .editor_cases import PICTURES, page_of
from .registry import case

JOB = {"steps": 6, "cfg_scale": 4.5, "denoising_strength": 0.8, "batch_size": 4, "prompt": "a green tree on grass, blue sky"}
GRID = 4


@contextmanager
def folder_of_pictures(w: Webui):
    """A folder for img2img's pictures, for as long as a case lasts."""
    before = w.call("/sdapi/v1/options")["outdir_img2img_samples"]
    with tempfile.TemporaryDirectory(prefix="mosaics-") as place:
        w.options(outdir_img2img_samples=place)
        try:
            yield Path(place) / "mosaic"
        finally:
            w.options(outdir_img2img_samples=before)


def start(w: Webui) -> str:
    """A drawn picture, as base64."""
    return encoded(w.txt2img(prompt=JOB["prompt"], steps=12).pictures[0])


def mosaic(w: Webui, picture: str, name: str, hold: float = 0.8, colour: str = "match", **more) -> Result:
    """A job of the script."""
    words = [str(GRID), name, colour, hold, 1, False, True]
    return w.img2img(**{**JOB, "init_images": [picture], "script_name": "hypermosaic", "script_args": words, **more})


def tiles(path: Path) -> dict[str, bytes]:
    """The files of the tiles of full size."""
    pyramid = opened_folder(path).pyramid(1)
    return {p.name: p.read_bytes() for p in (pyramid.folder / str(pyramid.top)).iterdir()}


def cells_off(path: Path) -> float:
    """Mean difference of the tiles' mean colours from those of their places, levels of 255."""
    folder = opened_folder(path)
    pyramid = folder.pyramid(1)
    means = np.array([np.asarray(pyramid.tile_image(pyramid.top, *p), float).mean((0, 1)) for p in folder.places()])
    places = np.asarray(folder.picture(1).resize((GRID, GRID), Image.Resampling.BOX), float).reshape(-1, 3)
    return float(np.abs(means - places).mean())


@case("hypermosaic: a picture made of pictures, kept and not drawn twice")
def _(w: Webui):
    with folder_of_pictures(w) as place:
        picture = start(w)
        first = mosaic(w, picture, "one")
        assert [p.shape for p in first.pictures] == [(512, 512, 3)], [p.shape for p in first.pictures]
        assert "Hypermosaic" in first.infotexts[0], first.infotexts
        made = tiles(place / "one")
        assert len(made) == GRID**2
        assert len({*made.values()}) == GRID**2, "tiles are alike"
        assert not [*place.parent.glob("*.png")], "tiles were saved as pictures too"
        begun = time.monotonic()
        again = mosaic(w, picture, "one")
        seconds = time.monotonic() - begun
        assert first.difference(again) == 0
        assert tiles(place / "one") == made
        off = cells_off(place / "one")
        assert off < 2, off
        return f"colours off by {off:.2f}; again in {seconds:.1f} s"


@case("hypermosaic: hold keeps colours, every kind of sampler")
def _(w: Webui):
    remarks = []
    with folder_of_pictures(w) as place:
        picture = start(w)
        for sampler in ("Euler a", "DDIM", "DPM++ 2M SDE", "UniPC", "LMS"):
            for hold in (0.0, 0.8):
                mosaic(w, picture, f"{sampler.replace('+', 'p')} {hold * 10:.0f}", hold, "none", sampler_name=sampler)
            name = sampler.replace("+", "p")
            free, held = (cells_off(place / f"{name} {n}") for n in (0, 8))
            assert held < 0.75 * free, f"{sampler}: {held:.1f} with hold, {free:.1f} without"
            remarks.append(f"{sampler} {free:.1f} -> {held:.1f}")
    return "; ".join(remarks)


@case("hypermosaic: interrupted, and gone on with")
def _(w: Webui):
    with folder_of_pictures(w) as place:
        picture = start(w)
        mosaic(w, picture, "whole")
        worker = threading.Thread(target=lambda: mosaic(w, picture, "stopped", batch_size=2))
        worker.start()
        end = time.monotonic() + 120
        while time.monotonic() < end and not [*place.glob("stopped/1_files/9/*.png")]:
            time.sleep(0.05)
        w.call("/sdapi/v1/interrupt", {})
        worker.join(120)
        before = tiles(place / "stopped")
        assert 0 < len(before) < GRID**2, len(before)
        mosaic(w, picture, "stopped", batch_size=2)
        after = tiles(place / "stopped")
        assert len(after) == GRID**2
        assert {name: after[name] for name in before} == before, "a finished tile was drawn again"
        return f"{len(before)} tiles were kept"


@case("hypermosaic: prompts by regions")
def _(w: Webui):
    regions = {"regions": [{"prompt": "a blue tower on snow, night sky", "w": 0.5}]}
    with folder_of_pictures(w) as place:
        picture = start(w)
        mosaic(w, picture, "plain")
        mosaic(w, picture, "regions", tiled=regions)
        plain, own = tiles(place / "plain"), tiles(place / "regions")
        same = sorted(name for name in plain if plain[name] == own[name])
        differ = sorted(name for name in plain if plain[name] != own[name])
        assert differ == sorted(f"{x}_{y}.png" for x in (0, 1) for y in range(GRID)), differ
        return f"{len(same)} tiles without a region are as before"


@case("hypermosaic: wrong input is told")
def _(w: Webui):
    with folder_of_pictures(w) as place:
        picture = start(w)
        mosaic(w, picture, "one")
        for more, words in (
            ({"width": 192}, "allowed are equal ones"),
            ({"mask": picture}, "without a mask"),
            ({"name": "../out"}, "name: got"),
            ({"name": "one", "prompt": "a house"}, "prompt: the mosaic in"),
        ):
            try:
                mosaic(w, picture, **{"name": "new", **more})
            except ApiError as e:
                assert e.status == 422, e
                assert words in e.text, e
            else:
                raise AssertionError(f"{more} was drawn")
        assert [p.name for p in place.iterdir()] == ["one"]


@case("hypermosaic: the page's controls, its viewer and its zoom")
def _(w: Webui):
    with folder_of_pictures(w) as place:
        picture = start(w)
        mosaic(w, picture, "shown")
        with page_of(w) as page:
            page.locator("#tabs button", has_text="img2img").first.click()
            scripts = page.locator("#img2img_script_container #script_list input").first
            scripts.click()
            scripts.fill("Hypermosaic")
            scripts.press("Enter")
            for field, value in (("#td_mosaic_folder textarea", "shown"), ("#td_mosaic_seconds input[type=number]", "1")):
                page.locator(field).fill(value)
                page.locator(field).press("Tab")
            page.click("#td_mosaic_show")
            frame = page.frame_locator(".td-mosaic-made iframe")
            frame.locator("body[data-level='1']").wait_for(timeout=60000)
            page.wait_for_timeout(1500)
            if os.environ.get(PICTURES):
                page.locator("#td_mosaic_show").scroll_into_view_if_needed()
                page.screenshot(path=Path(os.environ[PICTURES]) / "hypermosaic.png", full_page=True)
        return ", ".join(p.name for p in (place / "shown").glob("zoom.*"))
