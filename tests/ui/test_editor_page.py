"""The region editor in a browser, by real pointers and keys."""

import json

import pytest

from tests.ui.editor import EDITOR, Editor, close


def test_draw_type_move_resize_delete_and_undo(editor):
    editor.drag((0.1, 0.1), (0.3, 0.6))
    editor.page.keyboard.type("a red house")
    assert editor.document["regions"][0]["prompt"] == "a red house"
    assert editor.document["regions"][0]["join"] == "append"
    close(editor.boxes[0], (0.1, 0.1, 0.2, 0.5))
    editor.drag((0.2, 0.35), (0.62, 0.42))
    close(editor.boxes[0], (0.52, 0.17, 0.2, 0.5), 0.04)
    x, y, w, h = editor.boxes[0]
    editor.drag((x + w, y + h), (0.9, 0.95))
    close(editor.boxes[0], (x, y, 0.9 - x, 0.95 - y), 0.03)
    editor.key("Delete")
    assert editor.boxes == []
    for _ in range(3):
        editor.key("Control+z")
    close(editor.boxes[0], (0.1, 0.1, 0.2, 0.5))
    editor.key("Control+Shift+Z")
    close(editor.boxes[0], (x, y, w, h), 0.001)


def test_keys(editor):
    editor.drag((0.1, 0.1), (0.3, 0.4))
    first = editor.boxes[0]
    editor.key("ArrowRight")
    assert editor.boxes[0][0] == pytest.approx(first[0] + 8 / 512, abs=1e-3)
    editor.key("Shift+ArrowDown")
    assert editor.boxes[0][1] == pytest.approx(first[1] + 80 / 256, abs=1e-3)
    editor.key("Control+d")
    assert len(editor.boxes) == 2
    editor.key("Control+a")
    editor.key("Delete")
    assert editor.boxes == []
    editor.key("Control+z")
    assert len(editor.boxes) == 2
    editor.key("Escape")
    assert editor.page.locator(f"{EDITOR} .td-box.td-selected").count() == 0


def test_ratio_centre_and_snapping(editor):
    editor.drag((0.2, 0.2), (0.4, 0.6))
    x, y, w, h = editor.boxes[0]
    editor.drag((x + w, y + h), (x + w + 0.1, y + h + 0.3), keys=["Shift"])
    nx, ny, nw, nh = editor.boxes[0]
    assert nw / nh == pytest.approx(w / h, rel=0.02)
    close((nx, ny), (x, y), 0.002)
    editor.drag((nx + nw, ny + nh / 2), (nx + nw + 0.05, ny + nh / 2), keys=["Alt"])
    cx, _, cw, _ = editor.boxes[0]
    assert cx + cw / 2 == pytest.approx(nx + nw / 2, abs=0.003)
    editor.key("Control+z")
    x, y, w, h = editor.boxes[0]
    editor.drag((x + w, y + h / 2), (0.664, y + h / 2))
    assert editor.boxes[0][0] + editor.boxes[0][2] == pytest.approx(2 / 3, abs=2e-4)


def test_fields_reach_the_document(editor):
    editor.drag((0.1, 0.1), (0.5, 0.6))
    for label, value in (
        ("Feather", "0.4"),
        ("Weight", "2"),
        ("Seed", "42"),
        ("CFG", "6.5"),
        ("From", "0.1"),
        ("Bootstrap", "0.2"),
    ):
        editor.field(label).fill(value)
    editor.field("Layer").select_option("foreground")
    editor.field("Main prompt").select_option("prepend")
    editor.field("Negative prompt").fill("fog")
    editor.field("Name").fill("House")
    editor.field("ControlNet").uncheck()
    region = editor.document["regions"][0]
    expected = {"feather": 0.4, "weight": 2, "seed": 42, "cfg_scale": 6.5, "step_from": 0.1, "bootstrap": 0.2, "layer": "foreground",
                "join": "prepend", "negative_prompt": "fog", "name": "House", "controlnet": False}  # fmt: skip
    assert {k: region[k] for k in expected} == expected
    editor.field("Feather").fill("7")
    assert editor.document["regions"][0]["feather"] == 0.4
    assert "feather" in editor.page.locator(f"{EDITOR} .td-warning").inner_text()


def test_weights_by_keys_and_brackets(editor):
    editor.drag((0.1, 0.1), (0.5, 0.6))
    prompt = editor.field("Prompt")
    prompt.fill("red house")
    prompt.press("End")
    prompt.press("Control+ArrowUp")
    assert prompt.input_value() == "red (house:1.1)"
    prompt.press("Control+ArrowDown")
    assert prompt.input_value() == "red house"
    prompt.fill("(red")
    assert "Brackets" in editor.page.locator(f"{EDITOR} .td-brackets").first.inner_text()


def test_layouts(editor):
    editor.shown(".td-ratio").fill("1,2,1")
    editor.click("Columns")
    assert [b[2] for b in editor.boxes] == [0.25, 0.5, 0.25]
    editor.key("Control+z")
    editor.shown(".td-ratio").fill("2")
    editor.click("Rows")
    assert [b[3] for b in editor.boxes] == [0.5, 0.5]
    editor.key("Delete")
    editor.drag((0.02, 0.02), (0.5, 0.98))
    editor.click("Fill the rest with a background")
    assert len(editor.boxes) == 2
    editor.click("Split the selected region into columns")
    assert len(editor.boxes) == 3


def test_order_switches_and_locks(editor):
    editor.drag((0.05, 0.1), (0.3, 0.9))
    editor.page.keyboard.type("one")
    editor.drag((0.5, 0.1), (0.9, 0.9))
    editor.page.keyboard.type("two")
    rows = editor.page.locator(f"{EDITOR} .td-list li")
    rows.nth(1).drag_to(rows.nth(0))
    assert [r["prompt"] for r in editor.document["regions"]] == ["two", "one"]
    editor.page.locator(f'{EDITOR} .td-list li button[title="Switch on or off"]').first.click()
    assert editor.document["regions"][0]["enabled"] is False
    before = editor.boxes
    editor.page.locator(f'{EDITOR} .td-list li button[title="Lock or unlock"]').nth(1).click()
    editor.drag((0.2, 0.5), (0.3, 0.6))
    assert editor.boxes == before


def test_a_prompt_is_text_and_never_html(editor):
    editor.page.evaluate("() => { window.broken = 0; }")
    editor.drag((0.1, 0.1), (0.6, 0.9))
    evil = "<img src=x onerror=window.broken=1><script>window.broken=1</script>"
    editor.field("Prompt").fill(evil)
    editor.field("Name").fill("<b>name</b>")
    editor.page.wait_for_timeout(200)
    assert editor.page.evaluate("() => window.broken") == 0
    assert editor.page.locator(f"{EDITOR} .td-label").inner_text() == "1 <b>name</b>"
    assert editor.page.locator(f"{EDITOR} .td-root img:not(.td-reference, .td-result, .td-inset), {EDITOR} script, {EDITOR} b").count() == 0


def test_presets(editor):
    editor.drag((0.1, 0.1), (0.6, 0.9))
    editor.page.keyboard.type("kept")
    name = editor.shown('input[aria-label="Preset"]')
    name.fill("my preset")
    editor.click("Save as a preset")
    editor.page.wait_for_function(
        f"() => gradioApp().querySelector('{EDITOR} .td-warning').textContent.startsWith('Saved')"
    )
    editor.key("Control+a")
    editor.key("Delete")
    editor.click("Load the preset")
    editor.page.wait_for_timeout(500)
    assert editor.document["regions"][0]["prompt"] == "kept"
    name.fill("../evil")
    editor.click("Save as a preset")
    editor.page.wait_for_timeout(500)
    assert "Saved" not in editor.page.locator(f"{EDITOR} .td-warning").inner_text()


def test_the_draft_survives_a_reload_and_a_paste_is_one_step(editor, address):
    editor.drag((0.1, 0.1), (0.6, 0.9))
    editor.page.keyboard.type("draft")
    editor.page.wait_for_timeout(300)
    editor.page.reload()
    editor.page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    again = Editor(editor.page)
    assert again.document["regions"][0]["prompt"] == "draft"
    pasted = {"version": 1, "regions": [{"prompt": "pasted"}, {"prompt": "too"}]}
    again.page.locator("#txt2img_paste textarea, #txt2img_paste input").first.fill(json.dumps(pasted))
    again.page.wait_for_function(f"() => gradioApp().querySelectorAll('{EDITOR} .td-box').length === 2")
    again.key("Control+z")
    assert [r["prompt"] for r in again.document["regions"]] == ["draft"]


def test_a_page_that_empties_its_fields_as_it_begins_does_not_take_the_draft(editor):
    editor.drag((0.1, 0.1), (0.6, 0.9))
    editor.page.wait_for_timeout(300)
    editor.page.reload()
    editor.page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    editor.page.evaluate("tiledDiffusion.load('txt2img', '')")
    again = Editor(editor.page)
    assert (len(again.boxes), len(again.document["regions"])) == (1, 1)
    editor.page.keyboard.press("Shift")
    editor.page.evaluate("tiledDiffusion.load('txt2img', '')")
    assert len(again.boxes) == 0


def test_copy_and_paste_as_json(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    editor.page.keyboard.type("copied")
    text = editor.page.evaluate(
        f"""() => {{
            const stage = gradioApp().querySelector('{EDITOR} .td-stage');
            const data = new DataTransfer();
            stage.dispatchEvent(new ClipboardEvent('copy', {{clipboardData: data, bubbles: true, cancelable: true}}));
            const words = data.getData('text/plain');
            stage.dispatchEvent(new ClipboardEvent('paste', {{clipboardData: data, bubbles: true, cancelable: true}}));
            return words;
        }}"""
    )
    assert json.loads(text)["regions"][0]["prompt"] == "copied"
    assert [r["prompt"] for r in editor.document["regions"]] == ["copied", "copied"]


def test_touch_draws(browser, address):
    context = browser.new_context(viewport={"width": 900, "height": 1600}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    editor = Editor(page)
    (x0, y0), (x1, y1) = editor.at(0.2, 0.2), editor.at(0.7, 0.8)
    session = context.new_cdp_session(page)
    for kind, x, y in (("touchStart", x0, y0), ("touchMove", (x0 + x1) / 2, (y0 + y1) / 2), ("touchMove", x1, y1)):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(300)
    close(editor.boxes[0], (0.2, 0.2, 0.5, 0.6), 0.03)
    context.close()


def test_the_canvas_has_the_pictures_aspect_and_shows_its_tiles(editor):
    box = editor.surface.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(2, rel=0.02)
    editor.page.locator("#txt2img_height input[type=number]").first.fill("512")
    editor.page.locator("#txt2img_height input[type=number]").first.press("Tab")
    editor.page.wait_for_timeout(900)
    box = editor.surface.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(1, rel=0.02)
    editor.click("Show the tiles of the plan")
    assert editor.page.locator(f"{EDITOR} .td-tile").count() > 4


def test_destroy_leaves_nothing(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    left = editor.page.evaluate(
        f"""() => {{
            const one = tiledDiffusion.editors.txt2img;
            const stage = gradioApp().querySelector('{EDITOR} .td-stage');
            let heard = 0;
            one.store.subscribe(() => heard++);
            one.view.destroy();
            for (const kind of ['pointerdown', 'pointermove', 'pointerup', 'contextmenu']) stage.dispatchEvent(new PointerEvent(kind, {{bubbles: true}}));
            gradioApp().querySelector('{EDITOR}').dispatchEvent(new CustomEvent('td-plan', {{detail: {{boxes: [], tiles: 0}}}}));
            document.dispatchEvent(new Event('fullscreenchange'));
            return [heard, gradioApp().querySelector('{EDITOR}').children.length];
        }}"""
    )
    assert left == [0, 0]


@pytest.mark.parametrize("handle", ["nw", "n", "ne", "e", "se", "s", "sw", "w"])
def test_every_handle_moves_its_edges_alone(editor, handle):
    editor.drag((0.3, 0.3), (0.6, 0.7), keys=["Control"])
    x, y, w, h = editor.boxes[0]
    at = (
        x + w * (0 if "w" in handle else 1 if "e" in handle else 0.5),
        y + h * (0 if "n" in handle else 1 if "s" in handle else 0.5),
    )
    editor.drag(at, (at[0] + 0.07, at[1] + 0.09), keys=["Control"])
    left = x + 0.07 * ("w" in handle)
    top = y + 0.09 * ("n" in handle)
    right = x + w + 0.07 * ("e" in handle)
    bottom = y + h + 0.09 * ("s" in handle)
    close(editor.boxes[0], (left, top, right - left, bottom - top), 0.006)


def test_regions_go_to_another_tab_by_the_clipboard(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    editor.page.keyboard.type("taken along")
    editor.key("Control+c")
    editor.tab("img2img")
    editor.page.locator(
        "#td_img2img_regions_accordion .label-wrap, #td_img2img_regions_accordion > button"
    ).first.click()
    stage = editor.page.locator(".td-editor[data-tab=img2img] .td-stage")
    stage.wait_for(state="visible")
    stage.focus()
    editor.page.keyboard.press("Control+v")
    editor.page.locator(".td-editor[data-tab=img2img] .td-box").wait_for()
    text = editor.page.locator("#td_img2img_regions textarea, #td_img2img_regions input").first.input_value()
    assert json.loads(text)["regions"] == editor.regions


def test_nothing_is_lost_by_closing_and_changing_tabs(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    editor.page.keyboard.type("kept")
    before = editor.document
    head = editor.page.locator(
        "#td_txt2img_regions_accordion .label-wrap, #td_txt2img_regions_accordion > button"
    ).first
    head.click()
    editor.page.wait_for_timeout(300)
    editor.tab("img2img")
    editor.tab("txt2img")
    head.click()
    editor.page.locator(f"{EDITOR} .td-box").wait_for(state="visible")
    assert editor.document == before
    assert editor.all(".td-box").count() == 1
    editor.key("Control+z")
    editor.drag((0.5, 0.1), (0.9, 0.9))
    assert len(editor.regions) >= 1


def test_hidden_regions_are_not_drawn_but_stay(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    editor.page.locator(f'{EDITOR} .td-list li button[title="Hide or show"]').click()
    assert editor.all(".td-box").is_hidden()
    assert len(editor.regions) == 1
    editor.page.locator(f'{EDITOR} .td-list li button[title="Hide or show"]').click()
    assert editor.all(".td-box").is_visible()


def test_seeds_are_thrown_and_taken_over(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    editor.click("A new seed")
    first = editor.regions[0]["seed"]
    editor.click("The last picture's seed")
    assert "no such picture" in editor.said
    assert editor.regions[0]["seed"] == first
    editor.click("A new seed")
    assert first != editor.regions[0]["seed"]
    editor.page.evaluate(
        "() => { const d = document.createElement('div'); d.id = 'html_info_txt2img'; d.textContent = 'Steps: 2, Seed: 4711, Size: 8x8'; document.body.append(d); }"
    )
    editor.click("The last picture's seed")
    assert editor.regions[0]["seed"] == 4711


def test_everything_that_can_be_used_has_a_name(editor):
    editor.drag((0.1, 0.1), (0.4, 0.9))
    nameless = editor.page.evaluate(
        f"""() => [...document.querySelectorAll("{EDITOR} :is(button, input:not([type=file]), select, textarea)")]
            .filter(n => !(n.getAttribute("aria-label") || n.title || n.textContent.trim() || n.closest("label")?.textContent.trim())).map(n => n.outerHTML)"""
    )
    assert nameless == []
