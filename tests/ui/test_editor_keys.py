"""The region editor by keyboard alone, its menu, and what is said and counted, in a browser."""

import json

import pytest

from tests.ui.editor import EDITOR, close


def test_without_a_mouse(editor):
    editor.key("n")
    editor.page.keyboard.type("a red house")
    assert editor.regions[0]["prompt"] == "a red house"
    start = editor.boxes[0]
    editor.key("Control+Shift+ArrowRight")
    editor.key("Control+ArrowUp")
    close(editor.boxes[0], (start[0], start[1], start[2] + 80 / 512, start[3] - 8 / 256), 1e-3)
    editor.key("n")
    editor.page.keyboard.type("a blue tower")
    editor.page.locator(f"{EDITOR} .td-stage").focus()
    editor.page.keyboard.press("Tab")
    assert editor.all(".td-box.td-selected").get_attribute("data-id") == "1"
    editor.page.keyboard.press("Tab")
    assert editor.all(".td-box.td-selected").get_attribute("data-id") == "2"
    assert "a blue tower" in editor.all(".td-box.td-selected").get_attribute("aria-label")
    editor.page.keyboard.press("Enter")
    editor.page.keyboard.type("!")
    assert "!" in editor.regions[1]["prompt"]
    editor.page.locator(f"{EDITOR} .td-box").first.focus()
    editor.page.keyboard.press("Delete")
    assert len(editor.regions) == 1
    assert editor.page.evaluate(f"() => document.activeElement === document.querySelector('{EDITOR} .td-stage')")


def test_order_by_keys_is_one_step(editor):
    for x in (0.02, 0.35, 0.68):
        editor.drag((x, 0.1), (x + 0.28, 0.9), keys=["Control"])
        editor.page.keyboard.type(f"{x}")
    editor.page.locator(f"{EDITOR} .td-box").nth(0).focus()
    editor.page.mouse.move(*editor.at(0.5, 0.5))
    editor.page.keyboard.down("Shift")
    editor.page.mouse.click(*editor.at(0.5, 0.5))
    editor.page.keyboard.up("Shift")
    assert editor.all(".td-box.td-selected").count() == 2
    assert "2 regions are selected" in editor.all(".td-fields").inner_text()
    editor.key("PageUp")
    assert [r["prompt"] for r in editor.regions] == ["0.68", "0.02", "0.35"]
    editor.key("Control+z")
    assert [r["prompt"] for r in editor.regions] == ["0.02", "0.35", "0.68"]
    editor.key("Control+y")
    editor.key("PageDown")
    assert [r["prompt"] for r in editor.regions] == ["0.02", "0.35", "0.68"]
    row = editor.all(".td-list li").nth(2)
    row.focus()
    editor.page.keyboard.press("Alt+ArrowUp")
    editor.page.keyboard.press("Alt+ArrowUp")
    assert [r["prompt"] for r in editor.regions] == ["0.68", "0.02", "0.35"]
    editor.page.keyboard.press("Alt+ArrowDown")
    assert [r["prompt"] for r in editor.regions] == ["0.02", "0.68", "0.35"]


def test_several_are_selected_by_a_drag_and_resized_together(editor):
    editor.drag((0.05, 0.1), (0.25, 0.5), keys=["Control"])
    editor.drag((0.3, 0.1), (0.5, 0.5), keys=["Control"])
    editor.drag((0.6, 0.1), (0.9, 0.5), keys=["Control"])
    editor.drag((0.02, 0.05), (0.52, 0.8), held=["Control"])
    assert editor.all(".td-box.td-selected").count() == 2
    first, second, third = editor.boxes
    editor.drag((0.5, 0.5), (0.5, 0.9), keys=["Control"])
    close(editor.boxes[0], (*first[:3], 0.8), 0.02)
    close(editor.boxes[1], (*second[:3], 0.8), 0.02)
    assert editor.boxes[2] == third


def test_escape_ends_a_drag(editor):
    editor.drag((0.1, 0.1), (0.3, 0.6))
    before = editor.boxes
    editor.drag((0.2, 0.3), (0.6, 0.4), drop=False)
    editor.page.keyboard.press("Escape")
    editor.page.mouse.up()
    assert editor.boxes == before
    shown = editor.all(".td-box").evaluate("box => parseFloat(box.style.left)")
    assert shown == pytest.approx(100 * before[0][0], abs=0.01)


def test_menu(editor):
    editor.drag((0.1, 0.1), (0.4, 0.6))
    editor.page.keyboard.type("one")
    editor.page.mouse.click(*editor.at(0.25, 0.4), button="right")
    assert editor.all(".td-menu button").all_inner_texts() == [
        "Duplicate",
        "To the front",
        "To the back",
        "Split into columns",
        "Delete",
    ]
    editor.page.keyboard.press("Enter")
    assert [r["prompt"] for r in editor.regions] == ["one", "one"]
    assert editor.all(".td-menu").count() == 0
    editor.page.mouse.click(*editor.at(0.103, 0.3), button="right")
    editor.all(".td-menu button").get_by_text("To the front").click()
    assert editor.boxes[1] < editor.boxes[0]
    editor.page.mouse.click(*editor.at(0.8, 0.9))
    editor.page.mouse.click(*editor.at(0.8, 0.9), button="right")
    assert editor.all(".td-menu button").first.inner_text() == "Select all"
    editor.page.keyboard.press("ArrowDown")
    editor.page.keyboard.press("Escape")
    assert editor.all(".td-menu").count() == 0
    editor.page.mouse.click(*editor.at(0.8, 0.9), button="right")
    editor.page.mouse.click(*editor.at(0.7, 0.95))
    assert editor.all(".td-menu").count() == 0


def test_draw_a_square_from_the_centre_and_on_lines(editor):
    editor.drag((0.3, 0.5), (0.4, 0.9), keys=["Shift"])
    x, y, w, h = editor.boxes[0]
    assert w * 512 == pytest.approx(h * 256, abs=1)
    close((x, y), (0.3, 0.5), 0.03)
    editor.key("Delete")
    editor.drag((0.5, 0.5), (0.6, 0.7), keys=["Alt"])
    close(editor.boxes[0], (0.4, 0.3, 0.2, 0.4), 0.01)
    editor.key("Delete")
    editor.drag((0.1, 0.1), (0.664, 0.99), drop=False)
    assert editor.all(".td-guides .td-guide-x").count() == 1
    assert editor.all(".td-guides .td-guide-y").count() == 1
    editor.page.mouse.up()
    x, y, w, h = editor.boxes[0]
    close((x + w, y + h), (2 / 3, 1), 2e-4)
    assert editor.all(".td-guides i").count() == 0


def test_boxes_snap_to_what_the_model_likes(editor):
    editor.drag((0.09, 0.12), (0.43, 0.87))
    x, y, w, h = editor.boxes[0]
    for edge, length in ((x, 512), (x + w, 512), (y, 256), (y + h, 256)):
        assert edge * length / 16 == pytest.approx(round(edge * length / 16), abs=0.01), (edge, length)


def test_tokens_are_counted(editor):
    editor.drag((0.1, 0.1), (0.4, 0.6))
    editor.page.keyboard.type("a red house")
    editor.field("Negative prompt").fill("fog rain")
    editor.page.wait_for_function(
        f"() => [...document.querySelectorAll('{EDITOR} .td-tokens')].map(n => n.textContent).join() === '3/75,2/75'"
    )


def test_other_extensions_find_the_prompts(editor):
    """The tag-autocomplete extension looks for `.prompt > label > textarea`, and offers a function for later ones."""
    assert editor.all(".prompt > label > textarea").count() == 2
    editor.page.evaluate("() => { window.given = []; window.addAutocompleteToArea = area => window.given.push(area); }")
    editor.drag((0.1, 0.1), (0.4, 0.6))
    same = f"[...document.querySelectorAll('{EDITOR} .prompt > label > textarea')]"
    assert editor.page.evaluate(f"() => {same}.every((area, i) => window.given[i] === area)")
    editor.page.evaluate("() => { window.kept = document.querySelector('.prompt > label > textarea'); }")
    editor.drag((0.6, 0.1), (0.9, 0.6))
    assert editor.page.evaluate(f"() => {same}[0] === window.kept")


def test_warnings(editor):
    editor.drag((0.1, 0.1), (0.35, 0.6), keys=["Control"])
    assert "% of the canvas is left to the main prompt" in editor.said
    assert editor.all(".td-warning.td-wrong").count() == 0
    editor.drag((0.6, 0.5), (0.63, 0.9), keys=["Control"])
    assert "Very small for this model: 2" in editor.said
    assert editor.all(".td-warning.td-wrong").count() == 1
    editor.shown('select[title="What is drawn where no region is"]').select_option("none")
    assert "of the canvas is in no region" in editor.said
    editor.key("Control+a")
    editor.key("Delete")
    editor.shown(".td-ratio").fill("2")
    editor.click("Columns")
    assert "canvas" not in editor.said


def test_ctrl_enter_in_a_prompt_reaches_the_page(editor):
    """The WebUI generates on it."""
    editor.page.evaluate("() => { document.addEventListener('keydown', e => { window.heard = e.key; }); }")
    editor.drag((0.1, 0.1), (0.4, 0.6))
    editor.field("Prompt").press("Control+Enter")
    assert editor.page.evaluate("() => window.heard") == "Enter"
    editor.field("Prompt").press("Control+ArrowUp")
    assert editor.page.evaluate("() => window.heard") == "Control"


def test_files_go_out_and_come_in(editor, tmp_path):
    editor.drag((0.1, 0.1), (0.4, 0.6))
    editor.page.keyboard.type("exported")
    with editor.page.expect_download() as download:
        editor.click("Save to a file")
    path = tmp_path / "regions.json"
    download.value.save_as(path)
    assert json.loads(path.read_text())["regions"][0]["prompt"] == "exported"
    editor.key("Control+a")
    editor.key("Delete")
    files = editor.all("input[type=file][accept*=json]")
    files.set_input_files(str(path))
    editor.all(".td-box").wait_for()
    assert editor.regions[0]["prompt"] == "exported"
    editor.key("Control+z")
    assert editor.regions == []
    path.write_text('{"regions": [{"prompt": 1}]}')
    files.set_input_files(str(path))
    editor.page.wait_for_function(
        f"() => document.querySelector('{EDITOR} .td-warning').textContent.includes('prompt')"
    )
    assert editor.regions == []


def test_presets_ask_before_they_are_lost(editor):
    def answer(accept):
        editor.page.once("dialog", lambda d: d.accept() if accept else d.dismiss())

    def wait(text):
        editor.page.wait_for_function(
            f"text => document.querySelector('{EDITOR} .td-warning').textContent.startsWith(text)", arg=text
        )

    editor.drag((0.1, 0.1), (0.4, 0.6))
    name = editor.shown('input[aria-label="Preset"]')
    unique = f"p{id(editor)}"
    name.fill(unique)
    editor.click("Save as a preset")
    wait("Saved")
    name.fill(unique + "b")
    editor.click("Rename the loaded preset")
    wait("Renamed")
    editor.page.reload()
    editor.page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    again = type(editor)(editor.page)
    again.page.wait_for_function(
        f"name => [...document.querySelectorAll('{EDITOR} datalist option')].some(o => o.value === name)",
        arg=unique + "b",
    )
    again.field("Prompt")
    name = again.shown('input[aria-label="Preset"]')
    name.fill(unique + "b")
    answer(False)
    again.click("Save as a preset")
    assert "Saved" not in again.said
    answer(False)
    again.click("Delete the preset")
    answer(True)
    again.click("Delete the preset")
    wait("Deleted")
    name.fill(unique + "b")
    again.click("Load the preset")
    again.page.wait_for_timeout(400)
    assert unique in again.said
