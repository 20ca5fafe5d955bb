"""Pictures as regions in the editor, in a browser: put in, shown, changed, and sent to the job."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.ui.editor import close

INPUT = ".td-bar input[type=file]"


def file_of(image, kind="PNG", name="photo.png"):
    data = io.BytesIO()
    image.save(data, format=kind)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": data.getvalue()}


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def put_in(editor, image, **more):
    """By the hidden input of the button that adds pictures as regions, the last one of the bar."""
    editor.all(INPUT).last.set_input_files(file_of(image, **more))
    editor.page.wait_for_function("() => document.querySelectorAll('.td-box .td-inset:not([hidden])').length > 0")


def data_of(region):
    head, _, text = region["picture"].partition(",")
    assert head in ("data:image/png;base64", "data:image/webp;base64")
    return base64.b64decode(text)


@pytest.fixture
def pictured(editor):
    """An editor with one picture, half as high as it is wide."""
    put_in(editor, Image.new("RGB", (40, 20), "red"))
    return editor


def shown(editor):
    return editor.page.evaluate("""() => {
        const image = document.querySelector(".td-box .td-inset"), box = image.parentElement.getBoundingClientRect();
        const at = image.getBoundingClientRect(), style = getComputedStyle(image);
        return {wide: image.naturalWidth, fills: Math.abs(at.width - box.width) < 8, fit: style.objectFit,
                turned: style.transform, events: style.pointerEvents};
    }""")


def test_a_file_becomes_a_region_of_its_shape(pictured):
    (region,) = pictured.regions
    assert Image.open(io.BytesIO(data_of(region))).getpixel((3, 3)) == (255, 0, 0), "the very file"
    assert (region["prompt"], region["feather"]) == ("", 0)
    size = pictured.page.evaluate("() => tiledDiffusion.around('txt2img').size()")
    assert region["w"] * size["width"] == pytest.approx(2 * region["h"] * size["height"], rel=0.02)
    close((region["x"] + region["w"] / 2, region["y"] + region["h"] / 2), (0.5, 0.5))
    assert shown(pictured) == {"wide": 40, "fills": True, "fit": "cover", "turned": "none", "events": "none"}
    assert pictured.all(".td-list li").inner_text().startswith("1")
    assert "(picture)" in pictured.all(".td-list li").inner_text()


def test_its_fields_are_there_for_pictures_alone(pictured):
    assert pictured.field("Keep").is_visible()
    pictured.field("Keep").fill("0.5")
    pictured.field("Fit").select_option("contain")
    pictured.field("Flip").check()
    pictured.field("Prompt").fill("a house")
    (region,) = pictured.regions
    assert (region["keep"], region["fit"], region["flip"], region["prompt"]) == (0.5, "contain", True, "a house")
    assert shown(pictured)["fit"] == "contain"
    assert shown(pictured)["turned"].startswith("matrix(-1")
    pictured.drag((0.02, 0.02), (0.15, 0.2), keys=["Control"])
    assert len(pictured.regions) == 2
    assert not pictured.field("Keep").is_visible()


def test_it_is_moved_locked_and_taken_back_as_any_region(pictured):
    before = pictured.boxes[0]
    pictured.drag((0.5, 0.5), (0.4, 0.5), held=["Alt"])
    close(pictured.boxes[0], (before[0] - 0.1, *before[1:]))
    pictured.key("Control+z")
    close(pictured.boxes[0], before, 0.001)
    pictured.key("Control+z")
    assert pictured.regions == []
    pictured.key("Control+Shift+z")
    assert len(pictured.regions) == 1


def test_large_files_are_made_smaller(editor):
    put_in(editor, noise(2600, 900))
    (region,) = editor.regions
    data = data_of(region)
    assert len(data) <= 1 << 20
    assert Image.open(io.BytesIO(data)).width / Image.open(io.BytesIO(data)).height == pytest.approx(2600 / 900, rel=0.02)


def test_other_kinds_of_files_are_read_too(editor):
    put_in(editor, Image.new("P", (30, 30), 5), kind="GIF", name="a.gif")
    assert Image.open(io.BytesIO(data_of(editor.regions[0]))).size == (30, 30)


def test_a_dropped_file_takes_the_place_of_the_selected_picture(pictured):
    drop = """([text, kind]) => {
        const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), data = new DataTransfer();
        data.items.add(new File([bytes], "b.png", {type: kind}));
        document.querySelector(".td-stage").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
    }"""
    other = file_of(Image.new("RGB", (10, 30), "blue"))
    given = [base64.b64encode(other["buffer"]).decode(), "image/png"]
    pictured.page.evaluate(drop, given)
    pictured.page.wait_for_function("() => document.querySelector('.td-box .td-inset').naturalWidth === 10")
    assert Image.open(io.BytesIO(data_of(pictured.regions[0]))).size == (10, 30)
    assert pictured.all(".td-reference").is_hidden()
    pictured.key("Escape")
    pictured.page.evaluate(drop, given)
    pictured.all(".td-reference").wait_for(state="visible")
    assert len(pictured.regions) == 1


def test_a_file_on_the_server_is_called_by_its_name(editor):
    text = '{"version": 2, "regions": [{"prompt": "", "picture": "inner/photo.png", "w": 0.5}]}'
    editor.page.evaluate("text => tiledDiffusion.load('txt2img', text)", text)
    assert "photo.png" in editor.all(".td-box .td-label").inner_text()
    assert editor.all(".td-box .td-inset").is_hidden()


def test_no_picture_in_a_file_is_no_region(editor):
    editor.all(INPUT).last.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    editor.page.wait_for_timeout(500)
    assert editor.regions == []
    assert editor.said
