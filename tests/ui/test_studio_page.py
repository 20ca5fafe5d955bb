"""The studio's page in a browser: draw, watch, stop, and bring a picture's settings back."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.recipes.frame.rendered import camera, photo_of_frame
from tests.ui.conftest import ROOT
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.control_hints import hint_of, open_hint
from tiled_diffusion.standalone.demo.drawing import drawing
from tiled_diffusion.standalone.metadata import CHUNK, read_png


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Its address and the folder of its pictures."""
    out = tmp_path_factory.mktemp("studio")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    words = [
        sys.executable,
        "-m",
        "tiled_diffusion",
        "studio",
        "--port",
        str(port),
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(words, cwd=ROOT, env=environment)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert process.poll() is None, "the studio ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read()
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
            else:
                break
        yield f"http://127.0.0.1:{port}/", out
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def page(browser, studio):
    context = browser.new_context(viewport={"width": 1400, "height": 1300})
    tab = context.new_page()
    tab.goto(studio[0])
    tab.wait_for_selector("#td_studio_status:not(:empty)", timeout=60000)
    yield tab
    context.close()


def fill(page, name, value):
    box = page.locator(f"#studio_{name} textarea, #studio_{name} input").first
    box.fill(str(value))
    box.press("Tab")


def wait_for(page, text, seconds=120):
    page.wait_for_function(
        "(text) => document.querySelector('#studio_progress')?.textContent.includes(text)", arg=text, timeout=seconds * 1000
    )  # fmt: skip


def made(out):
    return sorted(out.glob("*.png"))


def test_draw_regions_generate_and_bring_back(page, studio):
    out = studio[1]
    before = len(made(out))
    for name, value in (("prompt", "a wide view of hills"), ("width", 256), ("height", 128), ("seed", 5), ("steps", 3)):
        fill(page, name, value)
    page.locator("#td_studio_regions_accordion button").first.click()
    surface = page.locator(".td-editor[data-tab=studio] .td-surface")
    surface.wait_for(state="visible")
    page.wait_for_timeout(800)
    surface.scroll_into_view_if_needed()
    r = surface.bounding_box()
    page.mouse.move(r["x"] + 0.1 * r["width"], r["y"] + 0.1 * r["height"])
    page.mouse.down()
    page.mouse.move(r["x"] + 0.3 * r["width"], r["y"] + 0.5 * r["height"])
    page.mouse.move(r["x"] + 0.5 * r["width"], r["y"] + 0.9 * r["height"])
    page.mouse.up()
    page.keyboard.type("a red house")
    page.wait_for_timeout(500)
    page.locator("#studio_generate").click()
    wait_for(page, "Done")
    assert len(made(out)) == before + 1
    request = read_png(made(out)[-1])
    assert (request.prompt, request.width, request.height, request.seed) == ("a wide view of hills", 256, 128, 5)
    assert [region.prompt for region in request.tiling.regions] == ["a red house"]
    fill(page, "prompt", "something else")
    fill(page, "seed", 77)
    page.locator("#studio_drop input[type=file]").set_input_files(str(made(out)[-1]))
    wait_for(page, "Settings of", 30)
    assert page.locator("#studio_prompt textarea").input_value() == "a wide view of hills"
    assert page.locator("#studio_seed input").first.input_value() == "5"


def test_cancel(page, studio):
    out = studio[1]
    before = len(made(out))
    for name, value in (("prompt", "hills"), ("width", 1024), ("height", 256), ("steps", 150)):
        fill(page, name, value)
    page.locator("#studio_generate").click()
    wait_for(page, "Step", 60)
    page.locator("#studio_cancel").click()
    wait_for(page, "Cancelled", 60)
    assert len(made(out)) == before


def test_a_wrong_size_is_told(page, studio):
    fill(page, "prompt", "hills")
    fill(page, "width", 100)
    page.locator("#studio_generate").click()
    wait_for(page, "width: got 100", 30)


def test_a_drawing_guides_and_comes_back(page, studio, tmp_path):
    out = studio[1]
    before = len(made(out))
    drawing().crop((0, 64, 256, 256)).save(tmp_path / "lines.png")
    for name, value in (("prompt", "a house on grass"), ("width", 256), ("height", 192), ("seed", 5), ("steps", 3)):
        fill(page, name, value)
    page.locator("#studio_control button").first.click()
    page.locator("#studio_control_image input[type=file]").set_input_files(str(tmp_path / "lines.png"))
    page.locator("#studio_control_image img").first.wait_for()
    page.locator("#studio_generate").click()
    wait_for(page, "Done")
    assert len(made(out)) == before + 1
    (control,) = read_png(made(out)[-1]).controls
    assert (control.model, control.weight, control.preprocess) == ("edges", 1.0, "none")
    assert Image.open(control.image).size == (256, 192)
    page.reload()
    page.wait_for_selector("#td_studio_status:not(:empty)", timeout=60000)
    page.locator("#studio_drop input[type=file]").set_input_files(str(made(out)[-1]))
    wait_for(page, "Settings of", 30)
    page.locator("#studio_control button").first.click()
    page.locator("#studio_control_image img").first.wait_for()
    assert page.locator("#studio_control_model input").input_value() == "edges"


def record(path, **values):
    """A picture whose record asks for these values."""
    request = Request("a house", width=256, height=128, **values)
    info = PngInfo()
    info.add_itxt(CHUNK, json.dumps(request.to_dict()))
    Image.new("RGB", (256, 128)).save(path, pnginfo=info)
    return str(path)


def restore(page, path, note="Settings of"):
    page.locator("#studio_drop input[type=file]").set_input_files(path)
    wait_for(page, note, 30)


def test_a_drawing_brought_back_makes_the_same_picture(page, studio, tmp_path):
    lines = drawing().crop((0, 64, 256, 192)).convert("L")
    Image.merge("LA", (lines, lines.point(lambda v: 255 if v < 128 else 200))).save(tmp_path / "lines.png")
    control = Control("edges", str(tmp_path / "lines.png"), 2.5)
    first = record(tmp_path / "first.png", steps=2, cfg_scale=31.0, controls=(control,))
    restore(page, first)
    page.wait_for_timeout(1000)
    page.locator("#studio_generate").click()
    wait_for(page, "Done")
    request = read_png(made(studio[1])[-1])
    assert (request.steps, request.cfg_scale, request.controls[0].weight) == (2, 31, 2.5)
    canvas = Extent(16, 32)
    hints = [hint_of(open_hint(c.image), canvas) for c in (control, *request.controls)]
    assert torch.equal(*hints)


def test_a_start_picture_is_told_of(page, tmp_path):
    restore(page, record(tmp_path / "a.png", init_image="start.png"), "without its start picture")


def test_a_drawing_that_is_none_is_told(page, studio, tmp_path):
    (tmp_path / "lines.png").write_text("this is no picture")
    fill(page, "prompt", "a house")
    page.locator("#studio_control button").first.click()
    page.locator("#studio_control_image input[type=file]").set_input_files(str(tmp_path / "lines.png"))
    page.wait_for_timeout(1500)
    page.locator("#studio_generate").click()
    wait_for(page, "lines.png cannot be read as a picture", 30)
    kept = studio[1] / "hints"
    assert not any(b"no picture" in hint.read_bytes() for hint in kept.glob("*"))


def mosaic_says(page, text, seconds=120):
    page.wait_for_function(
        "(text) => document.querySelector('#studio_mosaic_progress')?.textContent.includes(text)", arg=text, timeout=seconds * 1000
    )  # fmt: skip


def begin_mosaic(page, name, **values):
    page.get_by_role("tab", name="Hypermosaic").click()
    for field, value in {"name": name, "prompt": "a tree", "grid": 4, "steps": 1, **values}.items():
        fill(page, f"mosaic_{field}", value)
    page.click("#studio_mosaic_draw")


def test_a_mosaic_fills_up_and_is_shown_zoomed_and_redrawn(page, studio):
    folder = studio[1] / "mosaics" / "trees 1"
    begin_mosaic(page, "trees 1", grid=2)
    mosaic_says(page, "trees 1: all tiles are drawn")
    tiles = sorted(folder.glob("1_files/8/*.png"))
    assert len(tiles) == 4
    frame = page.frame_locator("#studio_mosaic_made iframe")
    frame.locator("#text").filter(has_text="Level 1 of 1").wait_for(timeout=20000)

    before = tiles[0].read_bytes()
    picture = page.locator("#studio_mosaic_picture img")
    picture.wait_for()
    box = picture.bounding_box()
    entered = json.loads((folder / "entered.json").read_text())["1"]
    x = 1 - entered[0]
    picture.click(position={"x": box["width"] * (0.25 + x / 2), "y": box["height"] * 0.25})
    mosaic_says(page, f"Tile {x},0")
    page.click("#studio_mosaic_redo")
    mosaic_says(page, "trees 1: all tiles are drawn")
    page.wait_for_timeout(300)
    redrawn = folder / "redrawn.json"
    assert [row[:3] for row in json.loads(redrawn.read_text())] == [[1, x, 0]]
    assert (folder / f"1_files/8/{x}_0.png").read_bytes() != before or x == 1

    page.evaluate("document.querySelector('#studio_mosaic_seconds input').focus()")
    fill(page, "mosaic_seconds", 1)
    page.click("#studio_mosaic_zoom")
    mosaic_says(page, "The zoom is")
    assert [p.name for p in folder.glob("zoom.*")] in (["zoom.webm"], ["zoom.gif"])
    page.locator("#studio_mosaic_made video, #studio_mosaic_made img").wait_for()


def test_a_mosaic_is_stopped_and_gone_on_with(page, studio):
    folder = studio[1] / "mosaics" / "stopped"
    begin_mosaic(page, "stopped", grid=6, steps=4)
    mosaic_says(page, "of 36 tiles")
    page.click("#studio_mosaic_stop")
    mosaic_says(page, "Stopped")
    done = len([*folder.glob("1_files/10/*.png")])
    assert 0 < done < 36
    page.click("#studio_mosaic_go_on")
    mosaic_says(page, "stopped: all tiles are drawn")
    assert len([*folder.glob("1_files/10/*.png")]) == 36


@pytest.mark.parametrize(("values", "message"), [
    ({"name": "../out"}, "name: got"), ({"grid": "0"}, "grid: got"), ({"tile_px": "100"}, "tile: got 100"),
    ({"name": "trees 1", "prompt": "other"}, "prompt: the mosaic in"),
])  # fmt: skip
def test_a_mosaic_that_cannot_be_drawn(values, message, page, studio):
    begin_mosaic(page, **{"name": "new", **values})
    mosaic_says(page, message)
    assert not (studio[1] / "mosaics" / "new").exists()


def frame_says(page, text, seconds=120):
    page.wait_for_function(
        "(text) => document.querySelector('#studio_frame_status')?.textContent.includes(text)", arg=text, timeout=seconds * 1000
    )  # fmt: skip


@pytest.fixture
def wall(page, tmp_path):
    """The Frame tab with a photo; gives the corners that the page holds."""
    photo, _ = photo_of_frame(0.8, (640, 480), camera(-20, 8, 2, 540, 2.2, (640, 480)), seed=4)
    photo.save(tmp_path / "wall.png")
    page.get_by_role("tab", name="Frame").click()
    page.locator("#studio_frame_photo input[type=file]").set_input_files(str(tmp_path / "wall.png"))
    page.locator("#studio_frame_tab .td-corner-front img[src^=data]").wait_for(timeout=30000)

    def corners():
        return np.array(json.loads(page.locator("#studio_frame_corners textarea").input_value()))

    return corners


def test_a_frame_is_found_corrected_filled_redrawn_and_printed(page, studio, wall):
    _, true = photo_of_frame(0.8, (640, 480), camera(-20, 8, 2, 540, 2.2, (640, 480)), seed=4)
    assert np.abs(wall() * (640, 480) - true).max() < 2
    front, before = page.locator("#studio_frame_tab .td-corner-front img"), wall()
    seen = front.get_attribute("src")
    handle = page.locator(".td-corner").first
    r = handle.bounding_box()
    page.mouse.move(r["x"] + r["width"] / 2, r["y"] + r["height"] / 2)
    page.mouse.down()
    page.mouse.move(r["x"] + r["width"] / 2 + 12, r["y"] + r["height"] / 2 + 6, steps=3)
    page.mouse.up()
    stage = page.locator(".td-corner-stage").bounding_box()
    assert np.allclose(wall()[0] - before[0], (12 / stage["width"], 6 / stage["height"]), atol=2e-3)
    assert np.allclose(wall()[1:], before[1:], atol=1e-5)
    page.wait_for_function("seen => document.querySelector('#studio_frame_tab .td-corner-front img').src !== seen", arg=seen)
    handle.press("ArrowLeft")
    page.get_by_role("button", name="Look for the frame").click()
    page.locator("#studio_frame_tab .td-corners p", has_text="This is what was found").wait_for()
    assert np.abs(wall() - before).max() < 1e-5

    for name, value in (("prompt", "a red house"), ("side_px", 64), ("steps", 2), ("tries", 2)):
        fill(page, f"frame_{name}", value)
    page.click("#studio_frame_draw")
    frame_says(page, "All files are in")
    folder = studio[1] / "frames" / "frame"
    assert sorted(p.name for p in (folder / "tries").iterdir()) == ["0.png", "1.png"]
    page.locator("#studio_frame_tries .thumbnail-item").nth(1).click()
    frame_says(page, "frame-2")
    framing = json.loads((studio[1] / "frames" / "frame-2" / "frame.json").read_text(encoding="utf-8"))
    assert framing["picture"] == str(folder / "tries" / "1.png")
    fill(page, "frame_redraw_prompt", "a red house, mountains")
    page.click("#studio_frame_redraw_button")
    frame_says(page, "frame-3")
    assert (studio[1] / "frames" / "frame-3" / "redrawn.png").is_file()
    fill(page, "frame_paper", "5x4cm")
    page.click("#studio_frame_print_button")
    frame_says(page, "frame-4")
    assert Image.open(studio[1] / "frames" / "frame-4" / "print.png").size == (591, 472)
    assert "soft" in page.locator("#studio_frame_table").inner_text()


@pytest.mark.parametrize(("button", "message"), [
    ("draw", "prompt: say what is to be drawn"), ("redraw_button", "picture: draw tries first"), ("print_button", "picture: draw tries first"),
])  # fmt: skip
def test_a_frame_that_is_not_ready_is_told(button, message, page, wall):
    wall()
    page.click(f"#studio_frame_{button}")
    frame_says(page, message, 30)
