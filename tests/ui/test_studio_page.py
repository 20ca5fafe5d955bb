"""The studio's page in a browser: draw, watch, stop, and bring a picture's settings back."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.recipes.frame.rendered import camera, photo_of_frame
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.control_hints import hint_of, open_hint
from tiled_diffusion.standalone.demo.drawing import drawing
from tiled_diffusion.standalone.metadata import CHUNK, read_png
from tiled_diffusion.standalone.model import checkpoint_folder


@pytest.fixture
def page(browser, studio):
    context = browser.new_context(viewport={"width": 1400, "height": 1300})
    tab = context.new_page()
    tab.goto(studio[0])
    tab.wait_for_selector("#td_studio_status:not(:empty)", timeout=60000)
    unfold(tab, "sampling")
    yield tab
    context.close()


def unfold(page, name):
    page.locator(f"#studio_{name} > button, #studio_{name} .label-wrap").first.click()


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
    page.locator("input[type=file]:has(+ #studio_drop)").set_input_files(str(made(out)[-1]))
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


def test_a_wrong_size_is_told_beside_its_field_until_it_is_right(page, studio):
    fill(page, "prompt", "hills")
    fill(page, "width", 100)
    page.locator("#studio_generate").click()
    wait_for(page, "width: got 100", 30)
    page.locator("#studio_width .td-beside").filter(has_text="width: got 100").wait_for(timeout=5000)
    assert page.locator("#studio_width input").get_attribute("aria-invalid") == "true"
    for name, value in (("width", 128), ("height", 64), ("steps", 1)):
        fill(page, name, value)
    page.locator("#studio_generate").click()
    wait_for(page, "Done")
    page.locator(".td-beside").wait_for(state="detached", timeout=5000)
    assert page.locator("#studio_width input").get_attribute("aria-invalid") is None


def test_a_drawing_guides_and_comes_back(page, studio, tmp_path):
    out = studio[1]
    before = len(made(out))
    drawing().crop((0, 64, 256, 256)).save(tmp_path / "lines.png")
    for name, value in (("prompt", "a house on grass"), ("width", 256), ("height", 192), ("seed", 5), ("steps", 3)):
        fill(page, name, value)
    unfold(page, "control")
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
    page.locator("input[type=file]:has(+ #studio_drop)").set_input_files(str(made(out)[-1]))
    wait_for(page, "Settings of", 30)
    unfold(page, "control")
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
    page.locator("input[type=file]:has(+ #studio_drop)").set_input_files(path)
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


def test_what_the_page_has_no_place_for_is_named(page, tmp_path):
    more = {"growth": Growth(), "inversion": Inversion(), "hold": 0.5}
    path = record(tmp_path / "a.png", init_image="start.png", **more)
    restore(page, path, "leaves out: start picture, keep the picture, hold, growth")


def test_a_drawing_that_is_none_is_told(page, studio, tmp_path):
    (tmp_path / "lines.png").write_text("this is no picture")
    fill(page, "prompt", "a house")
    unfold(page, "control")
    page.locator("#studio_control_image input[type=file]").set_input_files(str(tmp_path / "lines.png"))
    page.wait_for_timeout(1500)
    page.locator("#studio_generate").click()
    wait_for(page, "lines.png cannot be read as a picture", 30)
    kept = studio[1] / "hints"
    assert not any(b"no picture" in hint.read_bytes() for hint in kept.glob("*"))


def result(page):
    """The address of the picture in the canvas."""
    return page.locator(".td-editor[data-tab=studio] .td-result").get_attribute("src") or ""


def small(page, **values):
    for name, value in {"prompt": "a tree", "width": 128, "height": 64, "steps": 2, **values}.items():
        fill(page, name, value)


def test_the_picture_appears_in_the_canvas_and_earlier_ones_come_back(page, studio):
    for seed in (101, 102):
        small(page, seed=seed)
        page.locator("#studio_prompt textarea").press("Shift+Enter")
        page.wait_for_function(
            "(seed) => document.querySelector('.td-result').src.includes(`-${seed}.png`)", arg=seed, timeout=60000
        )
    page.wait_for_function("() => document.querySelector('.td-editor[data-tab=studio] .td-result').naturalWidth === 128")
    page.locator("#studio_gallery button img").nth(1).click()
    page.wait_for_function("() => document.querySelector('.td-result').src.includes('-101.png')", timeout=10000)
    page.locator("#studio_use").click()
    wait_for(page, "Settings of", 30)
    page.wait_for_function("() => document.querySelector('#studio_seed input').value === '101'", timeout=10000)


def test_a_preview_and_the_tiles_that_are_drawn_are_shown_while_it_draws(page, studio):
    small(page, width=512, height=256, steps=60)
    page.locator("#studio_generate").click()
    page.locator(".td-result[src^='data:image/jpeg']").wait_for(timeout=60000)
    page.locator(".td-tile.td-drawn").first.wait_for(timeout=60000)
    assert float(page.locator("#studio_progress progress").get_attribute("value")) < 1
    page.locator("#studio_cancel").click()
    wait_for(page, "Cancelled", 60)


def says(page, tab, text, seconds=120):
    page.wait_for_function(
        "([id, text]) => document.querySelector(id)?.textContent.includes(text)",
        arg=[f"#studio_{tab}_progress", text], timeout=seconds * 1000,
    )  # fmt: skip


def photo_of(path, size=(96, 64)):
    Image.linear_gradient("L").resize(size).convert("RGB").save(path)
    return path


def test_enlarging_ends_in_a_wipe_that_keys_move(page, studio, tmp_path):
    page.get_by_role("tab", name="Enlarge").click()
    page.locator("#studio_enlarge_start").click()
    says(page, "enlarge", "picture: got none", 20)
    page.locator("#studio_enlarge_picture input[type=file]").set_input_files(str(photo_of(tmp_path / "a.png")))
    page.locator("#studio_enlarge_picture img").first.wait_for()
    fill(page, "enlarge_scale", 2)
    page.locator("#studio_enlarge_start").click()
    says(page, "enlarge", "Done")
    wipe = page.locator("#studio_enlarge_made .td-wipe")
    wipe.wait_for()
    slider = wipe.locator("input[type=range]")
    slider.focus()
    slider.press("Home")
    assert wipe.evaluate("node => getComputedStyle(node).getPropertyValue('--td-at')") == "0%"
    page.wait_for_function("() => [...document.querySelectorAll('.td-wipe img')].every(img => img.naturalWidth)")
    request = read_png(made(studio[1])[-1])
    assert (request.width, request.height, request.denoising_strength) == (192, 128, 0.2)
    assert Image.open(request.init_image).size == (96, 64)
    page.locator("#studio_enlarge_style").get_by_label("Faithful", exact=True).check()
    page.locator("#studio_enlarge_denoising_strength").wait_for(state="hidden")
    there = len(made(studio[1]))
    page.locator("#studio_enlarge_start").click()
    while len(made(studio[1])) == there:
        page.wait_for_timeout(100)
    says(page, "enlarge", "Done")
    assert read_png(made(studio[1])[-1]).inversion == Inversion(freedom=0.2)


def test_a_print_has_its_pixels_and_dpi(page, studio, tmp_path):
    page.get_by_role("tab", name="Enlarge").click()
    page.locator("#studio_enlarge_picture input[type=file]").set_input_files(str(photo_of(tmp_path / "a.png")))
    page.locator("#studio_enlarge_picture img").first.wait_for()
    fill(page, "enlarge_denoising_strength", 0)
    for size, text in (("3x2 miles", "print: got '3x2 miles'"), ("3x2cm", "Done")):
        box = page.locator("#studio_enlarge_print input")
        box.fill(size)
        box.press("Enter")
        page.locator("#studio_enlarge_start").click()
        says(page, "enlarge", text)
    with Image.open(made(studio[1])[-1]) as image:
        assert (image.size, round(image.info["dpi"][0])) == ((354, 236), 300)


def test_inpainting_draws_the_white_of_a_mask_and_nothing_else(page, studio, tmp_path):
    photo, mask = photo_of(tmp_path / "a.png"), Image.new("L", (96, 64), 0)
    mask.paste(255, (48, 0, 96, 64))
    mask.save(tmp_path / "mask.png")
    page.get_by_role("tab", name="Inpaint").click()
    page.locator("#studio_inpaint_start").click()
    says(page, "inpaint", "photo: got none", 20)
    page.locator("#studio_inpaint_photo input[type=file]").first.set_input_files(str(photo))
    page.locator("#studio_inpaint_photo canvas").first.wait_for()
    page.wait_for_timeout(2000)
    page.locator("#studio_inpaint_start").click()
    says(page, "inpaint", "nothing is painted over", 30)
    unfold(page, "inpaint_mask_fold")
    page.locator("#studio_inpaint_mask input[type=file]").set_input_files(str(tmp_path / "mask.png"))
    page.locator("#studio_inpaint_mask img").first.wait_for()
    fill(page, "inpaint_prompt", "snow")
    page.locator("#studio_inpaint_start").click()
    says(page, "inpaint", "Done")
    page.locator("#studio_inpaint_made .td-wipe").wait_for()
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (photo, made(studio[1])[-1]))
    assert (before[:, :48] == after[:, :48]).all()
    assert (before[:, 60:] != after[:, 60:]).any()


def test_a_picture_is_handed_on_to_the_other_tabs(page, studio):
    page.locator("#studio_enlarge_it").click()
    page.locator("#studio_enlarge_picture img").first.wait_for(timeout=20000)
    page.get_by_role("tab", name="Draw").click()
    page.locator("#studio_inpaint_it").click()
    page.locator("#studio_inpaint_photo canvas").first.wait_for(timeout=20000)


def test_a_model_that_is_none_is_told_and_the_shipped_one_is_loaded(page, studio):
    for tab, field in (("Mosaic", "mosaic_tile_px"), ("Frame", "frame_side_px")):
        page.get_by_role("tab", name=tab).click()
        fill(page, field, 64)
    page.get_by_role("tab", name="Draw").click()
    unfold(page, "model_fold")
    box = page.locator("#studio_model input")
    for path, text in (("/no/such/model", "there is no file or folder"), (str(checkpoint_folder()), "pictures of 128 x")):
        box.fill(path)
        box.press("Enter")
        page.locator("#studio_model_load").click()
        page.locator("#studio_model_line").filter(has_text=text).wait_for(timeout=60000)
    for tab, field in (("Mosaic", "mosaic_tile_px"), ("Frame", "frame_side_px")):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_function("(id) => document.querySelector(id).value === '128'", arg=f"#studio_{field} input")


def mosaic_says(page, text, seconds=120):
    page.wait_for_function(
        "(text) => document.querySelector('#studio_mosaic_progress')?.textContent.includes(text)", arg=text, timeout=seconds * 1000
    )  # fmt: skip


def begin_mosaic(page, name, **values):
    page.get_by_role("tab", name="Mosaic").click()
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
    frame.locator("body[data-level='1']").wait_for(timeout=20000)

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
