"""What goes wrong on the way: drags that something cuts into, drafts that cannot be read, numbers that may not be."""

import pytest

from tests.ui.editor import close


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


def test_a_drag_over_the_canvas_leaves_hidden_regions_alone(region):
    region.all("[data-switch=hidden]").click()
    region.drag((0.05, 0.05), (0.95, 0.95), held=["Control"])
    region.key("Delete")
    assert len(region.regions) == 1


def test_space_in_the_list_does_not_hold_the_canvas(region):
    region.all(".td-list li").focus()
    region.page.keyboard.press("Space")
    assert region.all(".td-stage.td-pan").count() == 0
