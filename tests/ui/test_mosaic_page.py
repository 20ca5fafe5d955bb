"""The viewer in a browser: from a disk, without a network, and through the levels."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.recipes.blocks import common as blocks
from tests.recipes.mosaic.common import REQUEST, drawn, photo, settings
from tiled_diffusion.recipes.mosaic.folder import opened_folder


@pytest.fixture(scope="module")
def page(browser):
    context = browser.new_context(viewport={"width": 800, "height": 800})
    page = context.new_page()
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()


def opened(page, path):
    page.asked.clear()
    page.errors.clear()
    page.goto((path / "index.html").as_uri())
    page.wait_for_function("viewer.world.getItemCount() === 1 && viewer.world.getItemAt(0).getFullyLoaded()")
    return page


def shot(page):
    """The whole picture as it is shown, without what lies above it."""
    page.evaluate("viewer.clearOverlays(); viewer.navigator.element.style.display = named('bar').style.display = 'none'")
    page.evaluate("viewer.viewport.goHome(true)")
    page.wait_for_function("viewer.world.getItemAt(0).getFullyLoaded()")
    page.wait_for_timeout(300)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("page")
    drawn(path, settings(depth=2))
    return opened_folder(path)


@pytest.mark.parametrize("jpeg", [None, 90])
def test_it_shows_the_picture_and_asks_nothing_of_a_network(jpeg, page, tmp_path):
    first = photo().point(lambda v: 90 + v // 3)  # of colours that nothing clips
    drawn(tmp_path, settings(jpeg=jpeg), picture=first)
    opened(page, tmp_path)
    picture = shot(page)
    assert page.errors == []
    assert page.asked
    assert all(url.startswith("file://") for url in page.asked)
    assert any("1_files" in url for url in page.asked)
    off = np.asarray(picture, dtype=float).mean((0, 1)) - np.asarray(first, dtype=float).mean((0, 1))
    assert np.abs(off).max() < 3


def test_a_click_enters_the_next_level_and_the_last_one_leads_to_the_first(page, folder):
    opened(page, folder.path)
    for level, following in ((1, 2), (2, 1)):
        assert page.evaluate("document.body.dataset.level") == str(level)
        page.evaluate("viewer.navigator.element.style.display = 'none'")  # the door may lie below it
        x, y = page.evaluate(
            "(() => { const r = viewer.viewport.viewportToViewerElementRectangle(door());"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        page.mouse.click(x, y)
        page.wait_for_function(f"document.body.dataset.level === '{following}'")
        page.wait_for_function("viewer.world.getItemCount() === 1 && viewer.world.getItemAt(0).getFullyLoaded()")
    assert any("2_files" in url for url in page.asked)
    page.click("#up")
    page.wait_for_function("document.body.dataset.level === '2'")
    assert page.errors == []


def test_elsewhere_a_click_stays(page, folder):
    opened(page, folder.path)
    entered = folder.entered()[1]
    page.mouse.click(*[100 + 600 * (at < 2) for at in entered])
    page.wait_for_timeout(500)
    assert page.evaluate("document.body.dataset.level") == "1"


def test_the_pages_words_are_text(page, tmp_path):
    drawn(tmp_path, settings(request=replace(REQUEST, prompt="</title><script>window.bad = 1</script>LEVELS")))
    opened(page, tmp_path)
    assert page.title() == "</title><script>window.bad = 1</script>LEVELS"
    assert page.evaluate("window.bad") is None


def test_what_lies_beside_the_page(folder):
    assert (folder.path / "viewer" / "openseadragon.min.js").is_file()
    assert "Redistribution and use" in (folder.path / "viewer" / "openseadragon-LICENSE.txt").read_text()
    dzi = (folder.path / "2.dzi").read_text()
    assert 'TileSize="72"' in dzi
    assert '<Size Width="288" Height="288"/>' in dzi


def test_a_picture_in_blocks_is_shown_to_its_edges_and_has_no_levels(page, tmp_path):
    picture = photo(60, 100).point(lambda v: 90 + v // 3)
    blocks.drawn(tmp_path, blocks.job(picture), picture=picture)
    opened(page, tmp_path)
    assert page.evaluate("[viewer.source.width, viewer.source.height]") == [528, 912]
    assert page.evaluate("[...document.querySelectorAll('#bar button')].filter(b => b.offsetParent).map(b => b.id)") == ["home"]
    assert page.inner_text("#text") == ""
    assert page.errors == []
    assert {url.rsplit("/", 1)[1] for url in page.asked if "1_files/10/" in url} <= {"0_0.png", "1_0.png", "0_1.png", "1_1.png"}
    shown = np.asarray(shot(page), dtype=float)[4:-4, 174:-174]
    whole = np.asarray(Image.open(tmp_path / "1_files" / "9" / "0_0.png"), dtype=float)
    assert whole.shape == (456, 264, 3)
    assert np.abs(shown.mean((0, 1)) - whole.mean((0, 1))).max() < 3
