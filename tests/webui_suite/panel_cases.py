"""The panel in the real WebUI: its arguments, its record, what is pasted, what is saved, and how it looks."""

from __future__ import annotations

import json
import time
import urllib.error

from tiled_diffusion.settings.foreign import KEY

from .client import ApiError, Webui
from .editor_cases import page_of, shot
from .registry import Skipped, case

SETTINGS = {
    "version": 2, "method": "jittered", "tile_width": 128, "tile_height": 192, "overlap": 32, "tile_batch": 2, "wrap_x": True,
    "regions": [{"prompt": 'a "red" house, {x}: \\ AND \u6811\na line', "w": 0.5, "feather": 0.3, "seed": 5}],
}  # fmt: skip
PEER = {"Method": "MultiDiffusion", "Tile tile width": 96, "Tile tile height": 64, "Tile Overlap": 48, "Tile batch size": 3,
        "Region control": {"Region 1": {"enable": True, "x": 0.5, "y": 0, "w": 0.5, "h": 1, "prompt": "a tree", "neg_prompt": "",
                                        "blend_mode": "Foreground", "feather_ratio": 0.2, "seed": -1}}}  # fmt: skip


def record(w: Webui) -> str:
    """The infotext of a picture with SETTINGS."""
    return w.txt2img(width=256, tiled=SETTINGS).infotexts[0]


def paste(page, text: str) -> None:
    """Puts a record into the prompt and reads it from there."""
    page.locator("#txt2img_prompt textarea").first.fill(text)
    page.locator("#paste").first.click()
    page.wait_for_function("() => !gradioApp().querySelector('#txt2img_prompt textarea').value.includes('Steps:')")
    page.wait_for_timeout(1500)


def state(page) -> dict:
    """What the panel holds after a paste."""
    return page.evaluate("""() => {
        const at = s => gradioApp().querySelector(s);
        return {
            on: at("#td_txt2img_enabled-checkbox input, #td_txt2img_enabled input[type=checkbox]").checked,
            regions: at("#td_txt2img_regions textarea, #td_txt2img_regions input").value,
            ...tiledDiffusion.panel.controls("txt2img"),
        };
    }""")


@case("panel: the API lists the script's arguments")
def _(w: Webui) -> str | None:
    info = [s for s in w.call("/sdapi/v1/script-info") if s["name"] == "tiled diffusion"]
    assert len(info) == 2, [s["name"] for s in info]
    for script in info:
        labels = [a["label"] for a in script["args"]]
        assert len(set(labels)) == len(labels), labels
        assert labels[0] == "Tiled Diffusion"
    return None


@case("panel: PNG info gives the settings back, character by character")
def _(w: Webui) -> str | None:
    result = w.txt2img(width=256, tiled=SETTINGS)
    found = w.call("/sdapi/v1/png-info", {"image": "data:image/png;base64," + result.encoded[0]})
    assert json.loads(found["parameters"][KEY]) == SETTINGS, found["parameters"][KEY]
    return None


@case("panel: the plan's route answers, and names a wrong field")
def _(w: Webui) -> str | None:
    answer = w.call("/tiled-diffusion/plan", {"settings": {"tile_width_lp": 16}, "width": 256, "height": 128})
    assert answer["tiles"] == len(answer["boxes"]) > 1
    try:
        w.call("/tiled-diffusion/plan", {"settings": {"tiles": 4}, "width": 256, "height": 128})
    except ApiError as e:
        assert e.status == 422, e.status
        assert "tiles" in e.text
    else:
        raise AssertionError("accepted")
    return answer["text"]


@case("panel: a pasted record restores everything")
def _(w: Webui) -> str | None:
    text = record(w)
    with page_of(w) as page:
        paste(page, text)
        found = state(page)
        shot(page, "panel-pasted")
        expected = {"on": True, "method": "Jittered tiles", "tile_width": 128, "tile_height": 192, "overlap": 32, "tile_batch": 2,
                    "wrap_x": True, "wrap_y": False}  # fmt: skip
        assert {k: found[k] for k in expected} == expected, found
        assert json.loads(found["regions"])["regions"] == SETTINGS["regions"], found["regions"]
        paste(page, "a prompt\nSteps: 5, Sampler: Euler, CFG scale: 5, Seed: 1, Size: 128x128")
        assert state(page)["on"] is False
    return None


@case("panel: a pasted record of the other extension is understood")
def _(w: Webui) -> str | None:
    with page_of(w) as page:
        paste(page, f"x\nSteps: 5, Sampler: Euler, CFG scale: 5, Seed: 1, Size: 128x128, {KEY}: {json.dumps(PEER)}, Version: v1.9")
        found = state(page)
        expected = {"on": True, "method": "MultiDiffusion", "tile_width": 768, "tile_height": 512, "overlap": 384, "tile_batch": 3}
        assert {k: found[k] for k in expected} == expected, found
        (region,) = json.loads(found["regions"])["regions"]
        assert (region["prompt"], region["layer"]) == ("a tree", "foreground")
    return None


@case("panel: X/Y/Z plot over the tile width")
def _(w: Webui) -> str | None:
    names = w.call("/sdapi/v1/scripts")["txt2img"]
    title = next((n for n in names if n.lower() == "x/y/z plot"), None)
    if title is None:
        raise Skipped("the plot script is not there")
    with page_of(w) as page:
        labels = page.evaluate("() => [...window.gradio_config.components].flatMap(c => c.props.choices || []).flat().filter(String)")
    axes = sorted({a for a in labels if a.startswith("[Tiled Diffusion]")})
    assert "[Tiled Diffusion] Tile width (px)" in axes, axes
    return f"{len(axes)} axes"


@case("panel: both tabs in both themes")
def _(w: Webui) -> str | None:
    for theme in ("light", "dark"):
        with page_of(w, theme) as page:
            for tab in ("txt2img", "img2img"):
                page.locator("#tabs button", has_text=tab).first.click()
                page.locator(f"#td_{tab}_enabled .label-wrap").first.click()
                page.locator(f"#td_{tab}_advanced .label-wrap").first.click()
                page.wait_for_timeout(800)
                assert "tiles" in page.locator(f"#td_{tab}_status").inner_text()
                shot(page, f"panel-{tab}-{theme}")
    return None


@case("panel: Reload UI leaves one panel, its routes and its axes", ("--no-prompt-history",))
def _(w: Webui) -> str | None:
    with page_of(w) as page:
        page.locator("#tabs button", has_text="Settings").first.click()
        page.locator("#settings_restart_gradio").click()
        page.wait_for_timeout(3000)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if w.call("/tiled-diffusion/plan", {"settings": "", "width": 256, "height": 128})["tiles"] and w.txt2img(tiled=SETTINGS).pictures:
                break
        except (ApiError, urllib.error.URLError, OSError):
            time.sleep(1)
    with page_of(w) as page:
        assert page.locator("#td_txt2img_status").count() == 1
    return None
