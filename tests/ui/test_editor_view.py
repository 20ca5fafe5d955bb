"""What the region editor looks like and how it is looked at, in a browser: zoom, themes, sizes, pictures."""

import base64
import io
import re

import pytest
from PIL import Image

from tests.ui.editor import EDITOR, Editor, close


def loaded(browser, address, path="", **options):
    """A page of its own kind."""
    page = browser.new_context(**options).new_page()
    page.goto(address + path)
    page.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    return page


def picture(colour, size=(64, 32)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def shown_colour(editor):
    """The reference picture's colour, once it has been loaded."""
    editor.page.wait_for_function(f"() => document.querySelector('{EDITOR} .td-reference').naturalWidth > 0")
    return editor.all(".td-reference").evaluate(
        "image => { const c = document.createElement('canvas').getContext('2d'); c.drawImage(image, 0, 0);"
        " return [...c.getImageData(1, 1, 1, 1).data].slice(0, 3); }"
    )


def test_the_wheel_zooms_where_the_pointer_is_and_drawing_fits(editor):
    point = editor.at(0.75, 0.25)
    editor.page.mouse.move(*point)
    editor.page.keyboard.down("Control")
    for _ in range(8):
        editor.page.mouse.wheel(0, -100)
    editor.page.keyboard.up("Control")
    editor.page.wait_for_timeout(200)
    close(editor.at(0.75, 0.25), point, 3)
    zoomed = editor.surface.bounding_box()["width"] / editor.all(".td-stage").bounding_box()["width"]
    assert zoomed > 1.3
    editor.drag((0.7, 0.2), (0.8, 0.3), keys=["Control"])
    close(editor.boxes[0], (0.7, 0.2, 0.1, 0.1), 0.005)
    editor.click("Whole canvas")
    assert editor.surface.bounding_box()["width"] <= editor.all(".td-stage").bounding_box()["width"] + 1


def test_a_plain_wheel_scrolls_the_page(editor):
    before = editor.surface.bounding_box()["width"]
    editor.page.mouse.move(*editor.at(0.5, 0.5))
    editor.page.mouse.wheel(0, -300)
    editor.page.wait_for_timeout(200)
    assert editor.surface.bounding_box()["width"] == before


@pytest.mark.parametrize("how", ["space", "middle button"])
def test_pan(editor, how):
    for _ in range(4):
        editor.click("Zoom in")
    start = editor.at(0.5, 0.5)
    editor.all(".td-stage").focus()
    if how == "space":
        editor.page.keyboard.down(" ")
    editor.page.mouse.move(*start)
    editor.page.mouse.down(button="left" if how == "space" else "middle")
    editor.page.mouse.move(start[0] - 60, start[1] - 30)
    editor.page.mouse.up(button="left" if how == "space" else "middle")
    editor.page.keyboard.up(" ")
    close(editor.at(0.5, 0.5), (start[0] - 60, start[1] - 30), 2)
    assert editor.boxes == []
    editor.click("Zoom out")
    for _ in range(6):
        editor.click("Zoom out")
    stage, surface = editor.all(".td-stage").bounding_box(), editor.surface.bounding_box()
    assert surface["x"] + surface["width"] / 2 == pytest.approx(stage["x"] + stage["width"] / 2, abs=2)


def test_two_fingers_zoom_and_draw_nothing(browser, address):
    page = loaded(browser, address, viewport={"width": 900, "height": 1600}, has_touch=True)
    editor = Editor(page)
    session = page.context.new_cdp_session(page)
    before = editor.surface.bounding_box()["width"]
    (ax, y), (bx, _) = editor.at(0.45, 0.5), editor.at(0.55, 0.5)

    def touch(kind, *points):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, x in enumerate(points)]},
        )

    touch("touchStart", ax)
    touch("touchStart", ax, bx)
    for k in range(1, 6):
        touch("touchMove", ax - 10 * k, bx + 10 * k)
    touch("touchEnd")
    page.wait_for_timeout(300)
    assert editor.surface.bounding_box()["width"] > 1.5 * before
    assert editor.boxes == []
    page.context.close()


def test_full_screen(editor):
    small = editor.surface.bounding_box()["width"]
    editor.click("Full screen")
    editor.page.wait_for_function("() => document.fullscreenElement !== null")
    editor.page.wait_for_timeout(300)
    assert editor.surface.bounding_box()["width"] > small
    editor.drag((0.2, 0.2), (0.6, 0.8), keys=["Control"])
    close(editor.boxes[0], (0.2, 0.2, 0.4, 0.6), 0.01)
    editor.click("Full screen")
    editor.page.wait_for_function("() => document.fullscreenElement === null")


def test_reference_picture_from_a_file_a_drop_and_the_clipboard(editor, tmp_path):
    editor.page.evaluate(
        "() => { window.revoked = []; const r = URL.revokeObjectURL; URL.revokeObjectURL = u => { window.revoked.push(u); r(u); }; }"
    )
    path = tmp_path / "red.png"
    path.write_bytes(picture("red"))
    editor.all(".td-reference-file").set_input_files(str(path))
    assert shown_colour(editor) == [255, 0, 0]
    for kind, colour, rgb in (("drop", "blue", [0, 0, 255]), ("paste", "lime", [0, 255, 0])):
        editor.all(".td-stage").evaluate(
            """(stage, [kind, text]) => {
                const data = new DataTransfer();
                const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
                data.items.add(new File([bytes], "a.png", {type: "image/png"}));
                const made = kind === "drop" ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
                    : new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
                stage.dispatchEvent(made);
            }""",
            [kind, base64.b64encode(picture(colour)).decode()],
        )
        editor.page.wait_for_timeout(200)
        assert shown_colour(editor) == rgb
    editor.shown('input[aria-label="Opacity of the reference picture"]').fill("0.25")
    assert editor.all(".td-reference").evaluate("image => image.style.opacity") == "0.25"
    editor.click("Remove the reference picture")
    assert editor.all(".td-reference").is_hidden()
    assert editor.page.evaluate("() => window.revoked.length") == 3
    editor.click("Use as the reference picture")
    assert "no such picture" in editor.said


def test_the_tiles_lie_over_the_last_picture(editor):
    """Their edges are seen on it, and it between them; nothing of them is left when they are hidden again.

    The picture fills the canvas, whatever its shape.
    """
    editor.page.evaluate(
        "src => { const gallery = document.createElement('div'); gallery.id = 'txt2img_gallery';"
        " gallery.innerHTML = `<img hidden src='${src}'>`; document.body.append(gallery); }",
        "data:image/png;base64," + base64.b64encode(picture("blue", (64, 16))).decode(),
    )
    editor.click("Use as the reference picture")
    assert shown_colour(editor) == [0, 0, 255]
    editor.shown('input[aria-label="Opacity of the reference picture"]').fill("1")
    editor.all("details").evaluate_all("nodes => nodes.forEach(node => node.removeAttribute('open'))")

    def seen():
        editor.page.mouse.move(0, 0)
        editor.page.wait_for_timeout(300)
        return Image.open(io.BytesIO(editor.surface.screenshot())).convert("RGB")

    def blue(image, box):
        x, y, w, h = (n * side for n, side in zip(box, image.size * 2, strict=True))
        down = round(y + h / 8)
        edge = [image.getpixel((round(x + w) + by, down)) for by in range(-3, 3)]
        return set(edge) == {(0, 0, 255)}, image.getpixel((round(x + w / 8), down)) == (0, 0, 255)

    plain = seen()
    assert {plain.getpixel((plain.width // 2, y)) for y in (3, plain.height - 4)} == {(0, 0, 255)}
    editor.click("Show the tiles of the plan")
    tiles = editor.all(".td-tile")
    assert (
        tiles.count() == int(re.search(r"(\d+) tiles", editor.page.locator("#td_txt2img_status").inner_text())[1]) > 2
    )
    sides = [
        [float(side) / 100 for side in re.findall(r"([\d.]+)%", style)]
        for style in tiles.evaluate_all("t => t.map(n => n.style.cssText)")
    ]
    inner = next(box for box in sides if box[0] + box[2] < 0.99)
    assert blue(plain, inner) == (True, True)
    assert blue(seen(), inner) == (False, True)
    editor.click("Show the tiles of the plan")
    assert blue(seen(), inner) == (True, True)


def luminance(colour):
    values = [int(v) / 255 for v in colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_can_be_read_in_both_themes(browser, address, theme):
    page = loaded(browser, address, f"?__theme={theme}", viewport={"width": 1300, "height": 1400})
    editor = Editor(page)
    editor.drag((0.1, 0.1), (0.5, 0.8))
    editor.page.keyboard.type("a red house")
    found = page.evaluate(
        f"""() => [".td-bar button:not(.td-on)", ".td-bar select", ".td-bar input[type=text]", ".td-list li", ".td-field > span", ".td-field textarea", ".td-warning"].map(selector => {{
            const node = document.querySelector("{EDITOR} " + selector);
            let at = node;
            const clear = c => c === "transparent" || /, 0\\)$|\\/ 0\\)$/.test(c) || /rgba\\(.*, 0\\.\\d+\\)/.test(c);
            while (at.parentElement && clear(getComputedStyle(at).backgroundColor)) at = at.parentElement;
            return [selector, getComputedStyle(node).color, getComputedStyle(at).backgroundColor];
        }})"""
    )
    for selector, ink, paper in found:
        a, b = sorted((luminance(ink), luminance(paper) if "rgb" in paper else 1.0))
        assert (b + 0.05) / (a + 0.05) > 3, (theme, selector, ink, paper)
    paper = luminance(found[5][2])
    assert paper < 0.2 if theme == "dark" else paper > 0.6
    page.context.close()


def test_at_150_percent_nothing_is_cut_off_and_drawing_fits(browser, address):
    page = loaded(browser, address, viewport={"width": 866, "height": 933}, device_scale_factor=1.5)
    editor = Editor(page)
    editor.drag((0.1, 0.1), (0.5, 0.8), keys=["Control"])
    close(editor.boxes[0], (0.1, 0.1, 0.4, 0.7), 0.01)
    wide = page.evaluate(
        f"""() => {{
            const root = document.querySelector("{EDITOR} .td-root"), right = root.getBoundingClientRect().right + 1;
            return [...root.querySelectorAll("button, input:not([hidden]), select, textarea")].filter(n => n.getBoundingClientRect().right > right).map(n => n.outerHTML);
        }}"""
    )
    assert wide == []
    page.context.close()


def listeners(session, expression):
    target = session.send("Runtime.evaluate", {"expression": expression})["result"]["objectId"]
    found = session.send("DOMDebugger.getEventListeners", {"objectId": target})["listeners"]
    return sorted(item["type"] for item in found)


def test_no_listener_is_left_after_destroy(editor):
    session = editor.page.context.new_cdp_session(editor.page)
    editor.page.evaluate(
        """() => {
            window.spot = document.createElement('div');
            document.body.append(window.spot);
            window.live = 0;
            const Watcher = window.ResizeObserver;
            window.ResizeObserver = class extends Watcher {
                observe(...a) { window.live++; super.observe(...a); }
                disconnect() { window.live--; super.disconnect(); }
            };
        }"""
    )
    places = ("document", "window", "window.spot", "document.body")
    before = [listeners(session, place) for place in places]
    during = editor.page.evaluate(
        """() => {
            const store = tiledDiffusion.store.createStore();
            const host = {size: () => ({width: 512, height: 256}), height: () => 460, unit: () => 8, translate: t => t, pictures: {}, seed: () => null,
                controlnet: true, tokens: null, onField: null, presets: {list: async () => ({presets: [], broken: []})}};
            window.view = tiledDiffusion.view.createEditor(window.spot, store, host);
            return window.live;
        }"""
    )
    assert during == 1
    assert [listeners(session, place) for place in places] != before
    editor.page.evaluate("() => window.view.destroy()")
    assert [listeners(session, place) for place in places] == before
    assert editor.page.evaluate("() => [window.live, window.spot.children.length]") == [0, 0]


def test_stopping_takes_the_editors_off_for_good(editor):
    editor.page.evaluate("() => tiledDiffusion.webui.stop()")
    editor.page.wait_for_timeout(300)
    assert editor.page.evaluate(
        "() => [Object.keys(tiledDiffusion.editors).length, document.querySelectorAll('.td-root').length]"
    ) == [0, 0]


def test_stopping_leaves_no_listener_of_the_scripts(editor):
    session = editor.page.context.new_cdp_session(editor.page)
    urls = {}
    session.on("Debugger.scriptParsed", lambda script: urls.update({script["scriptId"]: script["url"]}))
    session.send("Debugger.enable")
    places = ("window", "document", "document.body", "gradioApp()", f"document.querySelector('{EDITOR}')")

    def ours():
        targets = [session.send("Runtime.evaluate", {"expression": place})["result"]["objectId"] for place in places]
        lists = [session.send("DOMDebugger.getEventListeners", {"objectId": t})["listeners"] for t in targets]
        return sorted(item["type"] for items in lists for item in items if "/td-files/" in urls[item["scriptId"]])

    before = ours()
    assert {"blur", "keyup", "pointerdown", "fullscreenchange", "td-plan", "input", "change"} <= set(before)
    editor.page.evaluate("() => tiledDiffusion.webui.stop()")
    assert ours() == []
    editor.page.evaluate("() => tiledDiffusion.webui.start()")
    assert ours() == before
    editor.drag((0.1, 0.1), (0.5, 0.9))
    assert len(editor.regions) == 1
