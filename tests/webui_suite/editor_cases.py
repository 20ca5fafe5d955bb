"""The page of the real WebUI in Chromium: drawing two regions with the mouse and generating."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .client import Webui
from .registry import Skipped, case
from .tiling_cases import field

PICTURES = "WEBUI_SUITE_PICTURES"
"""Names a folder for screenshots, if they are wanted."""
HOSTS_OWN = "reading 'props'"
"""What the WebUI's page says after every picture, without any extension too."""


@contextmanager
def page_of(w: Webui, theme: str = "light", user: tuple[str, str] | None = None):
    """The WebUI's page in a browser without a window; for a user with a password, where it asks for them."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise Skipped("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1400, "height": 1500})
        errors: list[str] = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        if user is not None:
            assert page.request.post(f"{w.url}/login", form={"username": user[0], "password": user[1]}).ok
        page.goto(f"{w.url}/?__theme={theme}")
        page.wait_for_selector("#txt2img_generate", timeout=90000)
        page.wait_for_selector("#td_txt2img_status:not(:empty)", state="attached", timeout=60000)
        yield page
        chromium.close()
        serious = [e for e in errors if HOSTS_OWN not in e]
        assert not serious, serious


def opened(page, tab: str) -> None:
    """The panel and its regions, unfolded and switched on."""
    if tab == "img2img":
        page.locator("#tabs button", has_text="img2img").first.click()
    page.locator(f"#td_{tab}_enabled .label-wrap").first.click()
    page.wait_for_timeout(600)
    page.locator(f"#td_{tab}_regions_accordion .label-wrap").first.click()
    page.wait_for_timeout(600)


def eventually(page, true: Callable[[], bool], seconds: int = 20) -> None:
    """Waits for what a busy machine takes its time for, and refuses what never comes."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        page.wait_for_timeout(200)
    assert true(), "the page does not follow"


def sized(page, width: int, height: int, steps: int) -> None:
    """Types the picture's size and the number of steps."""
    for name, value in (("width", width), ("height", height), ("steps", steps)):
        box = page.locator(f"#txt2img_{name} input[type=number]").first
        box.fill(str(value))
        box.press("Tab")


def shot(page, name: str) -> None:
    """A screenshot, where one is wanted."""
    folder = os.environ.get(PICTURES)
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def drag(page, tab: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draws on the editor's canvas, in fractions of it."""
    r = page.locator(f".td-editor[data-tab={tab}] .td-surface").bounding_box()
    points = [(r["x"] + x * r["width"], r["y"] + y * r["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
    page.mouse.move(*points[1])
    page.mouse.up()


def lay_under(editor) -> None:
    """Lays the first of the page's pictures under the regions, by the menu that offers them."""
    button = editor.locator('button[title="Use as the reference picture"]').first
    button.evaluate("node => { node.closest('details').open = true; }")
    button.click()


@case("page: two regions drawn with the mouse are in the picture's record")
def _(w: Webui):
    with page_of(w) as page:
        sized(page, 256, 128, 8)
        page.locator("#txt2img_prompt textarea").fill("a wide view of hills")
        opened(page, "txt2img")
        page.locator(".td-editor[data-tab=txt2img] .td-stage").scroll_into_view_if_needed()
        page.wait_for_timeout(800)
        drag(page, "txt2img", (0.02, 0.02), (0.48, 0.98))
        page.keyboard.type("a blue tower on snow, night sky")
        drag(page, "txt2img", (0.52, 0.02), (0.98, 0.98))
        page.keyboard.type("a green cactus in the desert, sunset")
        page.wait_for_timeout(500)
        page.locator("#txt2img_generate").click()
        page.wait_for_function("() => gradioApp().querySelector('#html_info_txt2img')?.textContent.includes('Tiled Diffusion')", timeout=120000)  # fmt: skip
        shot(page, "two-regions")
        text = " ".join(page.locator("#html_info_txt2img").first.inner_text().split("\n"))
        record = json.loads(json.loads(field(text, "Tiled Diffusion")))
        assert [r["prompt"] for r in record["regions"]] == [
            "a blue tower on snow, night sky", "a green cactus in the desert, sunset",
        ], record  # fmt: skip
        assert all(abs(r["w"] - 0.47) < 0.06 for r in record["regions"]), record
        return f"{len(record['regions'])} regions"


@case("page: a first visit ends in a picture of two regions after six actions")
def _(w: Webui):
    with page_of(w) as page:
        editor = page.locator(".td-editor[data-tab=txt2img]")
        begin = time.monotonic()
        actions = [
            lambda: page.locator("#td_txt2img_enabled .label-wrap").first.click(),
            lambda: page.locator("#td_txt2img_regions_accordion .label-wrap").first.click(),
            lambda: editor.get_by_text("Two side by side").click(),
            lambda: page.keyboard.type("a blue tower on snow, night sky", delay=40),
            lambda: (page.keyboard.press("Alt+ArrowDown"), page.keyboard.type("a green cactus in the desert, sunset", delay=40)),
            lambda: page.locator("#txt2img_generate").click(),
        ]
        for act in actions:
            act()
            page.wait_for_timeout(400)
        seconds = time.monotonic() - begin
        page.wait_for_function("() => gradioApp().querySelector('#html_info_txt2img')?.textContent.includes('Tiled Diffusion')", timeout=300000)  # fmt: skip
        shot(page, "first-visit")
        text = " ".join(page.locator("#html_info_txt2img").first.inner_text().split("\n"))
        record = json.loads(json.loads(field(text, "Tiled Diffusion")))
        told = [(r["prompt"], r.get("x", 0), r["w"]) for r in record["regions"]]
        assert told == [
            ("a blue tower on snow, night sky", 0, 0.5), ("a green cactus in the desert, sunset", 0.5, 0.5),
        ], record  # fmt: skip
        return f"{len(actions)} actions, {seconds:.0f} s of typing and clicking"


@case("page: panels in both tabs and themes")
def _(w: Webui):
    for theme in ("light", "dark"):
        with page_of(w, theme) as page:
            for tab in ("txt2img", "img2img"):
                opened(page, tab)
                page.locator(f"#tvae_{tab}_enabled .label-wrap").first.click()
                page.wait_for_timeout(600)
                assert page.locator(f".td-editor[data-tab={tab}] .td-surface").is_visible()
                assert "px" in page.locator(f"#td_{tab}_status").inner_text()
                shot(page, f"{tab}-{theme}")
            doubled = page.evaluate(
                "() => { const ids = [...gradioApp().querySelectorAll('[id^=td_]')].map(e => e.id);"
                " return ids.filter((id, i) => ids.indexOf(id) !== i); }"
            )
            assert not doubled, doubled


@case("page: a pasted record fills the panel and the editor")
def _(w: Webui):
    tiled = {"method": "jittered", "overlap_lp": 4, "regions": [{"prompt": "a <b>tree</b>", "w": 0.5}]}
    record = w.txt2img(tiled=tiled, width=256, steps=2).infotexts[0]
    with page_of(w) as page:
        page.locator("#txt2img_prompt textarea").fill(record)
        page.locator("#txt2img_prompt textarea").press("Tab")
        page.locator("#paste").first.click()
        page.wait_for_function("() => tiledDiffusion.editors.txt2img?.store.state.regions.length === 1", timeout=20000)
        assert page.evaluate("() => tiledDiffusion.editors.txt2img.store.state.regions[0].prompt") == "a <b>tree</b>"
        assert page.locator("#td_txt2img_overlap input[type=number]").first.input_value() == "32"
        assert "Jittered tiles" in page.locator("#td_txt2img_method input").first.input_value()


@case("page: the canvas follows hires fix, tokens are counted as the host counts, Ctrl+Enter generates, drafts stay")
def _(w: Webui):
    with page_of(w) as page:
        sized(page, 256, 128, 4)
        opened(page, "txt2img")
        editor = page.locator(".td-editor[data-tab=txt2img]")
        editor.locator(".td-stage").scroll_into_view_if_needed()
        page.wait_for_timeout(800)
        text = "a red house, (green tree:1.2) on grass, [blue sky:sunset:0.5]"
        page.locator("#txt2img_prompt textarea").fill(text)
        drag(page, "txt2img", (0.1, 0.1), (0.9, 0.9))
        page.keyboard.type(text)
        page.wait_for_function(
            "() => gradioApp().querySelector('#txt2img_token_counter')?.textContent.trim().length > 3"
        )
        page.wait_for_timeout(2500)
        own = editor.locator(".td-tokens").first.inner_text()
        hosts = page.locator("#txt2img_token_counter").first.inner_text().strip()
        assert own == hosts, (own, hosts)
        status, hint = page.locator("#td_txt2img_status"), editor.locator(".td-form > .td-hint:not(.td-composition)")
        before = hint.inner_text()
        page.locator("#txt2img_hr .label-wrap").first.click()
        eventually(page, lambda: "512 x 256" in status.inner_text())
        eventually(page, lambda: hint.inner_text() != before)
        sides = [[int(side) for side in words.split()[::2][:2]] for words in (before, hint.inner_text())]  # fmt: skip
        assert all(abs(2 * a - b) <= 1 for a, b in zip(*sides, strict=True)), sides
        page.locator("#txt2img_hr .label-wrap").first.click()
        eventually(page, lambda: "256 x 128" in status.inner_text())
        eventually(page, lambda: hint.inner_text() == before)
        editor.locator(".prompt textarea").first.focus()
        page.keyboard.press("Control+Enter")
        page.wait_for_function("() => gradioApp().querySelector('#html_info_txt2img')?.textContent.includes('Tiled Diffusion')", timeout=120000)  # fmt: skip
        page.wait_for_timeout(1000)
        lay_under(editor)
        page.wait_for_function("() => document.querySelector('.td-editor[data-tab=txt2img] .td-reference').naturalWidth === 256")  # fmt: skip
        editor.locator('button[title="The last picture\'s seed"]').click()
        seed = editor.locator(".td-field", has=page.locator("span", has_text="Seed")).locator("input")
        assert seed.input_value().isdigit()
        page.reload()
        page.wait_for_selector("#td_txt2img_status:not(:empty)", state="attached", timeout=60000)
        page.wait_for_function("() => gradioApp().querySelector('#td_txt2img_regions textarea').value")
        draft = json.loads(page.locator("#td_txt2img_regions textarea").input_value())
        assert [r["prompt"] for r in draft["regions"]] == [text], draft
        return f"{own} tokens by both"


@case("page: the input picture of img2img, of its inpainting too, gives the canvas its shape and lies below it")
def _(w: Webui):
    with page_of(w) as page, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.png"
        Image.new("RGB", (320, 160), (200, 40, 40)).save(path)
        opened(page, "img2img")
        page.locator("#img2img_image input[type=file]").first.set_input_files(str(path))
        page.wait_for_function("() => gradioApp().querySelector('#img2img_image img')?.naturalWidth === 320")
        page.locator("#td_img2img_upscaler").scroll_into_view_if_needed()
        page.wait_for_timeout(1500)
        assert "320 x 160" in page.locator("#td_img2img_status").inner_text()
        editor = page.locator(".td-editor[data-tab=img2img]")
        shape = editor.locator(".td-surface").bounding_box()
        assert abs(shape["width"] / shape["height"] - 2) < 0.02, shape
        lay_under(editor)
        page.wait_for_function("() => document.querySelector('.td-editor[data-tab=img2img] .td-reference').naturalWidth === 320")  # fmt: skip
        assert editor.locator(".td-reference").is_visible()
        shot(page, "img2img-input")
        page.locator("#td_img2img_keep_size input").uncheck()
        page.wait_for_timeout(900)
        assert "512 x 512" in page.locator("#td_img2img_status").inner_text()
        page.locator("button", has_text="Resize by").click()
        page.locator("#img2img_scale input[type=number]").fill("2")
        page.locator("#img2img_scale input[type=number]").press("Tab")
        page.wait_for_timeout(900)
        assert "640 x 320" in page.locator("#td_img2img_status").inner_text()
        Image.new("RGB", (256, 384), (40, 40, 200)).save(path)
        page.locator("#mode_img2img button", has_text="Inpaint").first.click()
        page.locator("#img2maskimg input[type=file]").first.set_input_files(str(path))
        page.wait_for_function("() => tiledDiffusion.panel.inputImage()?.naturalWidth === 256")
        page.locator("#td_img2img_keep_size input").check()
        page.wait_for_timeout(1200)
        assert "256 x 384" in page.locator("#td_img2img_status").inner_text()
