"""Free shapes of regions, painted and drawn in a browser."""

import json
import math

import pytest

from tests.ui.editor import close


@pytest.fixture
def region(editor):
    """An editor whose one region has just been drawn."""
    editor.drag((0.1, 0.1), (0.5, 0.9), keys=["Control"])
    return editor


def polygons(editor):
    return editor.regions[0]["mask"]["polygons"]


def box_of(polygon):
    xs, ys = zip(*polygon, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def area(polygon):
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(polygon, [*polygon[1:], polygon[0]], strict=True))) / 2


def test_rectangle_and_ellipse_are_dragged_and_kept_exactly(region):
    region.click("Shape: rectangle")
    assert "Drag within" in region.said
    region.drag((0.2, 0.3), (0.4, 0.5))
    assert len(polygons(region)[0]) == 4
    close(box_of(polygons(region)[0]), (0.25, 0.25, 0.75, 0.5))
    region.click("Shape: the whole box again")
    assert "mask" not in region.regions[0]
    region.click("Shape: ellipse in the selected region")
    region.page.mouse.click(*region.at(0.3, 0.5))
    assert len(polygons(region)[0]) == 48
    close(box_of(polygons(region)[0]), (0, 0, 1, 1), 0.001)


def test_shapes_add_up_and_alt_cuts_out(region):
    region.click("Shape: rectangle")
    region.drag((0.12, 0.2), (0.2, 0.4))
    region.drag((0.3, 0.6), (0.45, 0.8))
    assert len(polygons(region)) == 2
    region.drag((0.34, 0.65), (0.4, 0.75), held=["Alt"])
    assert len(polygons(region)) == 3
    areas = sorted(area(p) for p in polygons(region))
    assert areas[2] == pytest.approx(0.15 * 0.2 / (0.4 * 0.8), rel=0.1)
    region.key("Control+z")
    assert len(polygons(region)) == 2
    region.click("Shape: the whole box again")
    region.click("Shape: rectangle")
    region.drag((0.2, 0.3), (0.4, 0.7), held=["Alt"])
    assert sorted(area(p) for p in polygons(region)) == pytest.approx([0.25, 1.0], abs=0.03)


def test_polygon_by_clicks(region):
    for close_by in ("Enter", "the first corner", "a double click"):
        region.click("Shape: the whole box again")
        region.click("Shape: click points, Enter closes")
        corners = [(0.15, 0.2), (0.45, 0.2), (0.3, 0.8)]
        for point in corners:
            region.page.mouse.click(*region.at(*point))
        region.page.mouse.click(*region.at(0.2, 0.6))
        region.page.keyboard.press("Backspace")
        if close_by == "Enter":
            region.page.keyboard.press("Enter")
        elif close_by == "the first corner":
            region.page.mouse.click(*region.at(0.152, 0.205))
        else:
            region.page.mouse.dblclick(*region.at(0.3, 0.8))
        found = polygons(region)[0]
        close(box_of(found), (0.125, 0.125, 0.875, 0.875))
        assert 3 <= len(found) <= 5
        assert region.all(".td-sketch").is_hidden()


def test_brush_and_eraser_are_stored_compactly(region):
    region.click("Shape: paint")
    region.drag((0.2, 0.3), (0.4, 0.6))
    one = polygons(region)
    assert len(one) == 1
    assert len(json.dumps(one)) < 1500
    thin = area(one[0])
    region.key("Control+z")
    for _ in range(4):
        region.key("]")
    region.drag((0.2, 0.3), (0.4, 0.6))
    assert area(polygons(region)[0]) > 1.5 * thin
    region.click("Shape: erase")
    region.drag((0.1, 0.55), (0.5, 0.35))
    assert len(polygons(region)) == 2


def test_erasing_begins_with_the_whole_box_and_leaves_something(region):
    region.click("Shape: erase")
    region.drag((0.1, 0.5), (0.5, 0.5))
    assert sum(area(p) for p in polygons(region)) == pytest.approx(0.9, abs=0.07)
    before = polygons(region)
    region.all(".td-brush").evaluate("brush => { brush.value = 50; }")
    region.drag((0.1, 0.3), (0.5, 0.3))
    after = sum(area(p) for p in polygons(region))
    assert after < sum(area(p) for p in before)
    for y in (0.1, 0.3, 0.5, 0.7, 0.9):
        region.drag((0.1, y), (0.5, y))
    assert "Nothing would be left" in region.said
    assert polygons(region)


def test_an_escape_ends_a_shape_and_the_tool(region):
    region.click("Shape: paint")
    region.page.keyboard.press("Escape")
    assert region.all(".td-sketch").is_hidden()
    assert "mask" not in region.regions[0]
    region.key("Escape")
    region.click("Shape: paint")
    assert "Select one region first" in region.said


def test_a_pen_that_is_pressed_hard_paints_more(region):
    session = region.page.context.new_cdp_session(region.page)
    areas = []
    for force in (0.1, 1.0):
        region.click("Shape: the whole box again")
        region.click("Shape: paint")
        for kind, x in (("mousePressed", 0.2), ("mouseMoved", 0.3), ("mouseMoved", 0.4), ("mouseReleased", 0.4)):
            px, py = region.at(x, 0.5)
            event = {"type": kind, "x": px, "y": py, "pointerType": "pen", "button": "left", "clickCount": 1}
            session.send("Input.dispatchMouseEvent", {**event, "force": force, "buttons": 1})
        areas.append(area(polygons(region)[0]))
    assert areas[1] > 1.4 * areas[0]


def test_a_shape_is_drawn_as_a_tint_in_its_colour(region):
    def inside(x, y):
        return region.all(".td-painted").evaluate(
            "(canvas, [x, y]) => canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3]", [x, y]
        )  # fmt: skip

    region.field("Feather").fill("0")
    region.click("Shape: ellipse in the selected region")
    region.page.mouse.click(*region.at(0.3, 0.5))
    region.page.wait_for_timeout(300)
    assert inside(0.3, 0.5) > 80
    assert inside(0.12, 0.13) == 0
    assert math.isclose(inside(0.7, 0.5), 0)
