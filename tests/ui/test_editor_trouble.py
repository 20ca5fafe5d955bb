"""What goes wrong on the way: drags that something cuts into, drafts that cannot be read, numbers that may not be."""

import pytest

from tests.ui.editor import EDITOR, Editor, close


@pytest.fixture
def region(editor):
    """An editor whose one region has just been drawn."""
    editor.drag((0.1, 0.1), (0.5, 0.9), keys=["Control"])
    return editor


@pytest.mark.parametrize("key", ["Delete", "Control+z"])
def test_a_region_that_goes_while_it_is_dragged(region, key):
    region.drag((0.3, 0.5), (0.5, 0.5), drop=False)
    region.page.keyboard.press(key)
    region.page.mouse.move(*region.at(0.6, 0.6))
    region.page.mouse.up()
    assert len(region.regions) == (0 if key == "Delete" else 1)


def test_undo_during_a_drag_takes_back_the_drag_alone(region):
    before = region.boxes
    region.drag((0.3, 0.5), (0.5, 0.5), drop=False)
    region.page.keyboard.press("Control+z")
    region.page.mouse.up()
    assert region.boxes == before


def test_a_page_that_scrolls_under_a_drag(region):
    region.page.set_viewport_size({"width": 1300, "height": 700})
    region.all(".td-stage").scroll_into_view_if_needed()
    region.drag((0.3, 0.5), (0.4, 0.5), keys=["Control"], drop=False)
    top = region.at(0, 0)[1]
    region.page.evaluate("() => window.scrollBy(0, window.scrollY > 30 ? -30 : 30)")
    region.page.wait_for_timeout(200)
    assert region.at(0, 0)[1] != top
    region.page.mouse.move(*region.at(0.5, 0.5))
    region.page.mouse.up()
    region.page.keyboard.up("Control")
    close(region.boxes[0], (0.3, 0.1, 0.4, 0.8), 0.01)


def test_the_right_button_opens_no_menu_during_a_drag(region):
    region.drag((0.3, 0.5), (0.4, 0.5), keys=["Control"], drop=False)
    region.page.mouse.down(button="right")
    region.page.mouse.up(button="right")
    assert region.all(".td-menu").count() == 0
    region.page.mouse.move(*region.at(0.5, 0.5))
    region.page.mouse.up()
    region.page.keyboard.up("Control")
    close(region.boxes[0], (0.3, 0.1, 0.4, 0.8), 0.01)


def test_the_menu_is_where_the_pointer_is_and_closes_outside(region):
    x, y = region.at(0.3, 0.5)
    region.page.mouse.click(x, y, button="right")
    found = region.all(".td-menu").bounding_box()
    close((found["x"], found["y"]), (x, y), 2)
    region.page.mouse.click(640, 5)
    assert region.all(".td-menu").count() == 0
    region.page.set_viewport_size({"width": 1300, "height": 500})
    region.all(".td-stage").evaluate("stage => stage.scrollIntoView({block: 'end'})")
    region.page.mouse.click(*region.at(0.3, 0.98), button="right")
    found = region.all(".td-menu").bounding_box()
    assert found["y"] + found["height"] <= 500


def test_a_palm_does_not_break_a_pens_stroke(region):
    region.click("Shape: paint")
    region.all(".td-stage").evaluate(
        """(stage, [a, b, palm]) => {
            stage.setPointerCapture = () => {};
            const send = (type, id, kind, [x, y]) => stage.dispatchEvent(new PointerEvent(type, {pointerId: id, pointerType: kind, pressure: 0.5,
                clientX: x, clientY: y, button: 0, buttons: 1, bubbles: true, cancelable: true}));
            send("pointerdown", 7, "pen", a);
            send("pointerdown", 8, "touch", palm);
            send("pointerup", 8, "touch", palm);
            send("pointermove", 7, "pen", b);
            send("pointerup", 7, "pen", b);
        }""",
        [region.at(0.2, 0.3), region.at(0.4, 0.3), region.at(0.45, 0.8)],
    )
    points = [p for polygon in region.regions[0]["mask"]["polygons"] for p in polygon]
    assert max(x for x, _ in points) > 0.7
    assert max(y for _, y in points) < 0.6


@pytest.mark.parametrize("way", ["Tab", "the list"])
def test_corners_stay_with_their_region(region, way):
    region.drag((0.6, 0.1), (0.9, 0.9), keys=["Control"])
    region.all(".td-list li").nth(0).click()
    region.click("Shape: click points, Enter closes")
    for point in ((0.15, 0.2), (0.45, 0.2), (0.3, 0.8)):
        region.page.mouse.click(*region.at(*point))
    if way == "Tab":
        region.all(".td-box").nth(1).focus()
    else:
        region.all(".td-list li").nth(1).click()
    region.key("Enter")
    assert not any("mask" in r for r in region.regions)


def test_an_undone_shape_does_not_come_back_with_the_next(region):
    region.click("Shape: rectangle")
    region.drag((0.12, 0.15), (0.2, 0.3))
    region.drag((0.3, 0.15), (0.4, 0.3))
    region.click("Shape: click points, Enter closes")
    for i, point in enumerate(((0.3, 0.5), (0.45, 0.5), (0.4, 0.8))):
        region.page.mouse.click(*region.at(*point))
        if not i:
            region.page.keyboard.press("Control+z")
    region.page.keyboard.press("Enter")
    assert len(region.regions[0]["mask"]["polygons"]) == 2
    assert max(x for x, _ in region.regions[0]["mask"]["polygons"][0]) < 0.3


def test_an_undone_stroke_does_not_come_back_with_the_next(region):
    region.click("Shape: paint")
    region.drag((0.15, 0.3), (0.2, 0.3))
    region.key("Control+z")
    region.drag((0.4, 0.7), (0.45, 0.7))
    assert len(region.regions[0]["mask"]["polygons"]) == 1


def test_a_cut_that_was_ended_leaves_nothing_behind(region):
    region.click("Shape: rectangle")
    region.drag((0.2, 0.3), (0.3, 0.5), held=["Alt"], drop=False)
    region.page.keyboard.up("Alt")
    region.page.keyboard.press("Control+z")
    region.page.mouse.up()
    shown = region.all(".td-sketch").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)"
    )
    assert not shown
    assert "mask" not in region.regions[0]


def test_alt_cuts_a_polygon_out(region):
    region.click("Shape: click points, Enter closes")
    region.page.keyboard.down("Alt")
    for point in ((0.2, 0.3), (0.4, 0.3), (0.4, 0.7), (0.2, 0.7)):
        region.page.mouse.click(*region.at(*point))
    region.page.keyboard.up("Alt")
    region.page.keyboard.press("Enter")
    assert len(region.regions[0]["mask"]["polygons"]) == 2


def test_what_was_cut_stays_cut(region):
    region.click("Shape: rectangle")
    region.drag((0.15, 0.2), (0.4, 0.7))
    region.drag((0.2, 0.3), (0.25, 0.4), held=["Alt"])
    region.click("Shape: rectangle")
    region.drag((0.45, 0.75), (0.48, 0.85))
    assert len(region.regions[0]["mask"]["polygons"]) == 3


def test_a_brush_of_every_size_can_be_changed_by_keys(region):
    region.click("Shape: paint")
    for _ in range(20):
        region.page.keyboard.press("[")
    assert region.all(".td-brush").input_value() == "1"
    region.page.keyboard.press("]")
    assert region.all(".td-brush").input_value() == "2"


def test_a_locked_region_is_not_split_or_painted(region):
    before = region.boxes
    region.all("[data-switch=locked]").click()
    region.click("Split the selected region into columns")
    assert "locked" in region.said
    assert region.boxes == before
    region.click("Shape: paint")
    assert "locked" in region.said
    assert region.all(".td-sketch").is_hidden()


def test_a_drag_over_the_canvas_leaves_hidden_regions_alone(region):
    region.all("[data-switch=hidden]").click()
    region.drag((0.05, 0.05), (0.95, 0.95), held=["Control"])
    region.key("Delete")
    assert len(region.regions) == 1


@pytest.mark.parametrize(
    ("label", "value", "holds"), [("Weight", "1e9", "1"), ("From", "1", "0"), ("Feather", "", "0.2")]
)
def test_a_field_shows_what_holds(region, label, value, holds):
    field = region.field(label)
    field.fill(value)
    assert "step_to" in region.said or label != "From"
    field.blur()
    assert field.input_value() == holds


def test_space_in_the_list_does_not_hold_the_canvas(region):
    region.all(".td-list li").focus()
    region.page.keyboard.press("Space")
    assert region.all(".td-stage.td-pan").count() == 0


def test_a_draft_that_cannot_be_read_is_kept_and_said(page):
    broken = '{"version": 1, "regions": [{"prompt": 7}]}'
    page.evaluate("text => localStorage.setItem('tiled-diffusion-txt2img', text)", broken)
    page.reload()
    page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    Editor(page)
    page.wait_for_function(f"() => document.querySelector('{EDITOR} .td-warning')?.textContent.includes('prompt')")
    page.evaluate("() => tiledDiffusion.editors.txt2img.store.dispatch({type: 'add', regions: [{prompt: 'new'}]})")
    kept = page.evaluate("() => Object.values(localStorage)")
    assert broken in kept
    assert any("new" in text for text in kept)


def test_keys_go_on_where_the_focus_was_lost(region):
    region.all(".td-list li").focus()
    region.page.keyboard.press("Delete")
    assert region.regions == []
    region.page.keyboard.press("Control+z")
    assert len(region.regions) == 1
    region.click("Undo (Ctrl+Z)")
    assert region.regions == []
    region.page.keyboard.press("Control+Shift+Z")
    assert len(region.regions) == 1
