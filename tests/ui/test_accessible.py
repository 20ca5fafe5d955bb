"""The editor and the line of costs for those who cannot see, or use no mouse: axe-core's rules, in each gradio and theme."""

import pytest

from tests.ui.conftest import serious
from tests.ui.editor import EDITOR, Editor


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_is_wrong_with_our_own_parts(new_page, address, theme):
    page = new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{address}?__theme={theme}")
    page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    editor = Editor(page)
    empty = serious(page, EDITOR, "#td_txt2img_status")
    editor.click("Two columns")
    editor.all(".td-list li").first.click()
    for menu in editor.all(".td-drop").all():
        menu.evaluate("node => { node.open = true; }")
    full = serious(page, EDITOR)
    assert (empty, full) == ([], [])


def test_a_menu_is_opened_and_left_by_keys(editor):
    summary = editor.all('summary[title="Layouts"]')
    summary.focus()
    summary.press("Enter")
    button = editor.all('button[title="Two rows"]')
    button.focus()
    button.press("Enter")
    assert [box[3] for box in editor.boxes] == [0.5, 0.5]
    summary.focus()
    button.wait_for(state="visible")
    summary.press("Escape")
    button.wait_for(state="hidden")


def test_the_empty_canvas_offers_starts_until_there_is_a_region(editor):
    starts = editor.all(".td-starts")
    assert starts.is_visible()
    assert editor.all(".td-empty").is_visible()
    starts.get_by_text("Two side by side").click()
    assert len(editor.regions) == 2
    assert not starts.is_visible()
    assert not editor.all(".td-empty").is_visible()
    editor.page.keyboard.type("a tree")
    editor.page.keyboard.press("Alt+ArrowDown")
    editor.page.keyboard.type("a house")
    editor.page.keyboard.press("Alt+ArrowDown")
    editor.page.keyboard.type(" on grass")
    editor.page.wait_for_timeout(500)
    assert [region["prompt"] for region in editor.regions] == ["a tree on grass", "a house"]
    for _ in range(4):
        editor.key("Control+z")
    starts.wait_for(state="visible")


def test_letters_take_tools_into_the_hand(editor):
    editor.drag((0.1, 0.1), (0.6, 0.9))
    for key, tool in (("e", "eraser"), ("b", "brush"), ("v", "box"), ("o", "ellipse")):
        editor.key(key)
        assert editor.all(".td-stage").get_attribute("data-tool") == tool
