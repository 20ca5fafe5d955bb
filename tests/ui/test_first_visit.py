"""The first visit to the studio: a picture of two regions in a few actions, examples that run, and nothing amiss."""

import pytest
from PIL import Image

from tests.ui.conftest import NOT_OURS, serious
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.studio.examples import EXAMPLES, TWO_SCENES

MOST_ACTIONS = 6
LINE, CANVAS = "#studio_progress", ".td-editor[data-tab=studio]"


@pytest.fixture
def visit(new_page, studio):
    """A new visitor's page, in the studio that nobody has drawn with; nothing may be amiss on the console."""
    tab, errors = new_page(viewport={"width": 1280, "height": 800}), []
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" and "ERR_NAME" not in m.text else None)
    tab.goto(studio[0])
    tab.wait_for_selector("#td_studio_status:not(:empty)", timeout=60000)
    yield tab
    assert [e for e in errors if not any(word in e for word in NOT_OURS)] == []


def done(page, line=LINE, seconds=300):
    page.wait_for_function(
        "id => document.querySelector(id)?.textContent.includes('Done')", arg=line, timeout=seconds * 1000
    )


def made(studio):
    return sorted(studio[1].glob("*.png"))


def drag(page, start, end):
    r = page.locator(f"{CANVAS} .td-surface").bounding_box()
    page.mouse.move(r["x"] + start[0] * r["width"], r["y"] + start[1] * r["height"])
    page.mouse.down()
    page.mouse.move(r["x"] + end[0] * r["width"], r["y"] + end[1] * r["height"], steps=4)
    page.mouse.up()


def test_two_regions_become_a_picture_in_few_actions(visit, studio):
    before = len(made(studio))
    actions = [
        lambda: visit.locator("#studio_prompt textarea").fill("blue sky"),
        lambda: drag(visit, (0.02, 0.05), (0.48, 0.95)),
        lambda: visit.keyboard.type("a tree on grass"),
        lambda: drag(visit, (0.52, 0.05), (0.98, 0.95)),
        lambda: visit.keyboard.type("a house on snow"),
        lambda: visit.locator("#studio_generate").click(),
    ]
    assert len(actions) <= MOST_ACTIONS
    for act in actions:
        act()
    done(visit)
    (picture,) = made(studio)[before:]
    assert [region.prompt for region in read_png(picture).tiling.regions] == ["a tree on grass", "a house on snow"]
    visit.wait_for_function("name => document.querySelector('.td-result').src.includes(name)", arg=picture.name)


def test_an_example_is_two_scenes_in_one_action(visit, studio):
    before = len(made(studio))
    visit.locator("#studio_example_two_scenes").click()
    done(visit)
    (picture,) = made(studio)[before:]
    assert read_png(picture) == TWO_SCENES
    assert visit.locator(f"{CANVAS} .td-box").count() == 2


@pytest.mark.parametrize("example", EXAMPLES[1:], ids=lambda e: e.name)
def test_every_example_runs(visit, studio, example):
    before = len(made(studio))
    visit.locator(f"#studio_example_{example.name}").click()
    done(visit)
    (picture,) = made(studio)[before:]
    asked = example.request(studio[1])
    with Image.open(picture) as image:
        assert image.size == (asked.width, asked.height)


def test_the_example_that_is_enlarged_ends_in_a_wipe(visit, studio):
    visit.locator("#studio_example_enlarged").click()
    done(visit, "#studio_enlarge_progress")
    visit.locator("#studio_enlarge_made .td-wipe").wait_for()
    sizes = [Image.open(path).size for path in made(studio)[-2:]]
    assert sizes == [(192, 128), (768, 512)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_is_wrong_for_those_who_cannot_see_or_use_a_mouse(new_page, studio, theme):
    page = new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{studio[0]}?__theme={theme}")
    page.wait_for_selector("#td_studio_status:not(:empty)", timeout=60000)
    wrong = serious(page, "body")
    page.locator(".td-starts button").nth(1).click()
    page.locator(f"{CANVAS} .td-list li").first.click()
    for menu in page.locator(f"{CANVAS} .td-drop").all():
        menu.evaluate("node => { node.open = true; }")
    wrong += serious(page, CANVAS)
    for tab in ("Enlarge", "Inpaint"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        wrong += serious(page, f"#studio_{tab.lower()}_start", f"#studio_{tab.lower()}_progress", f"#studio_{tab.lower()}_made")
    assert wrong == []


def test_all_fits_on_a_telephone(new_page, studio):
    page = new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(studio[0])
    page.wait_for_selector("#td_studio_status:not(:empty)", timeout=60000)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    order = [page.locator(id).bounding_box()["y"] for id in ("#studio_generate", f"{CANVAS} .td-stage", "#studio_width")]
    assert order == sorted(order)
    page.locator(f"{CANVAS} .td-starts button").first.tap()
    page.locator(f"{CANVAS} .td-list li").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
