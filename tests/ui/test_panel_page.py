"""The panel in a browser: every control reaches the job, and the line follows."""

import json
import re

import pytest

from tiled_diffusion.settings.creativity import QUICK, QUICK_STEPS, STYLES, rung
from tiled_diffusion.ui.creativity import LABELS


def number(page, tab, name):
    """A number's field; the tick that stands for an automatic one is taken off."""
    tick = page.locator(f"#td_{tab}_{name}_automatic input")
    if tick.count() and tick.is_checked():
        tick.uncheck()
        page.wait_for_function(
            "id => gradioApp().querySelector(id).offsetParent !== null", arg=f"#td_{tab}_{name}", timeout=10000
        )
        page.wait_for_timeout(300)
    return page.locator(f"#td_{tab}_{name} input[type=number]").first


def asked(page, tab):
    before = page.locator(f"#{tab}_answer textarea, #{tab}_answer input").first.input_value()
    page.locator(f"#{tab}_ask").click()
    for _ in range(600):
        page.wait_for_timeout(50)
        text = page.locator(f"#{tab}_answer textarea, #{tab}_answer input").first.input_value()
        if text and text != before:
            return json.loads(text)
    raise AssertionError("no answer")


def status(page, tab, has):
    page.wait_for_function(
        "([id, text]) => gradioApp().querySelector(id).textContent.includes(text)",
        arg=[f"#td_{tab}_status", has], timeout=10000,
    )  # fmt: skip


def test_the_line_says_what_the_settings_cost_and_follows_them(page):
    status(page, "txt2img", "512 x 256 px")
    first = page.locator("#td_txt2img_status").inner_text()
    number(page, "txt2img", "tile_width").fill("128")
    number(page, "txt2img", "tile_width").press("Tab")
    status(page, "txt2img", "tiles of 128 x")
    assert page.locator("#td_txt2img_status").inner_text() != first
    page.locator("#txt2img_width input[type=number]").first.fill("1024")
    page.locator("#txt2img_width input[type=number]").first.press("Tab")
    status(page, "txt2img", "1024 x 256 px")
    number(page, "txt2img", "width").fill("2048")
    number(page, "txt2img", "width").press("Tab")
    status(page, "txt2img", "2048 x 256 px")


def test_a_wrong_combination_is_told(page):
    for name, value in (("tile_width", "128"), ("overlap", "128")):
        number(page, "txt2img", name).fill(value)
        number(page, "txt2img", name).press("Tab")
    status(page, "txt2img", "largest one that fits is 120 px")
    assert "td-wrong" in page.locator("#td_txt2img_status").get_attribute("class")


def test_defaults_are_an_empty_job(page):
    assert asked(page, "txt2img") == {"enabled": False, "version": 2}


def test_keeping_the_picture(page):
    page.locator("#td_txt2img_keep .label-wrap, #td_txt2img_keep > button").first.click()
    page.locator("#td_txt2img_keep_picture input[type=checkbox]").check()
    for name, value in (("inversion_freedom", "0.5"), ("inversion_rounds", "2"), ("inversion_steps", "12")):
        number(page, "txt2img", name).fill(value)
        number(page, "txt2img", name).press("Tab")
    page.locator("#td_txt2img_inversion_prompt label", has_text="Empty").click()
    page.wait_for_timeout(300)
    job = asked(page, "txt2img")
    kept = {"keep_picture": True, "inversion_freedom": 0.5, "inversion_rounds": 2, "inversion_steps": 12}
    assert {name: job.get(name) for name in kept} == kept
    assert job["inversion_prompt"] == "empty"


def test_a_tick_stands_for_automatic_and_follows_the_number(page):
    field, tick = page.locator("#td_txt2img_tile_width"), page.locator("#td_txt2img_tile_width_automatic input")
    assert tick.is_checked()
    assert not field.is_visible()
    box = number(page, "txt2img", "tile_width")
    assert box.input_value() == "768"
    assert asked(page, "txt2img")["tile_width"] == 768
    tick.check()
    field.wait_for(state="hidden")
    page.wait_for_timeout(300)
    assert "tile_width" not in asked(page, "txt2img")
    tick.uncheck()
    field.wait_for(state="visible")
    page.wait_for_timeout(300)
    box.fill("0")
    box.press("Tab")
    field.wait_for(state="hidden")
    assert tick.is_checked()


def test_a_tick_does_not_wait_for_the_server(page):
    """What it answered late would take the place of what was typed since."""
    page.route(re.compile("/(run|queue|call)/"), lambda route: None)  # is never answered
    tick = page.locator("#td_txt2img_tile_width_automatic input")
    box = number(page, "txt2img", "tile_width")
    assert box.input_value() == "768"
    box.fill("128")
    box.press("Tab")
    page.wait_for_timeout(300)
    assert box.input_value() == "128"
    assert not tick.is_checked()
    box.fill("0")
    box.press("Tab")
    page.locator("#td_txt2img_tile_width").wait_for(state="hidden")
    assert tick.is_checked()


def test_recommended_settings_follow_the_size_again(page):
    for name, value in (("tile_width", "192"), ("overlap", "48")):
        number(page, "txt2img", name).fill(value)
        number(page, "txt2img", name).press("Tab")
    page.locator("#td_txt2img_wrap_x input[type=checkbox]").check()
    page.wait_for_timeout(300)
    assert asked(page, "txt2img")["tile_width"] == 192
    page.locator("#td_txt2img_recommended").click()
    page.locator("#td_txt2img_tile_width").wait_for(state="hidden")
    page.locator("#td_txt2img_tile_batch").wait_for(state="hidden")
    page.wait_for_timeout(500)
    assert asked(page, "txt2img") == {"enabled": False, "version": 2, "tile_batch": None, "wrap_x": True}


def test_a_style_sets_what_belongs_together(page):
    page.locator("button:visible", has_text="img2img").last.click()

    for style in STYLES:
        page.locator("#td_img2img_style").get_by_label(LABELS[style], exact=True).check()
        wanted = rung(STYLES[style])
        page.wait_for_function(
            "([id, value]) => Number(gradioApp().querySelector(id).value) === value",
            arg=["#img2img_denoising_strength input[type=number]", wanted.denoising_strength], timeout=10000,
        )  # fmt: skip
        page.wait_for_function(
            "([id, value]) => Number(gradioApp().querySelector(id).value) === value",
            arg=["#img2img_steps input[type=number]", QUICK_STEPS if style == QUICK else 20], timeout=10000,
        )  # fmt: skip
    job = asked(page, "img2img")
    assert (job["method"], job["keep_picture"], job["inversion_freedom"]) == ("jittered", True, wanted.freedom)


def test_another_style_after_quick_takes_its_tiles_and_steps_back(page):
    page.locator("button:visible", has_text="img2img").last.click()
    page.locator("#img2img_steps input[type=number]").first.fill("33")
    page.locator("#img2img_steps input[type=number]").first.press("Tab")
    number(page, "img2img", "overlap").fill("40")
    number(page, "img2img", "overlap").press("Tab")
    page.wait_for_timeout(300)

    def chosen(style, strength):
        page.locator("#td_img2img_style").get_by_label(LABELS[style], exact=True).check()
        page.wait_for_function(
            "value => Number(gradioApp().querySelector('#img2img_denoising_strength input[type=number]').value) === value",
            arg=strength, timeout=10000,
        )  # fmt: skip
        page.wait_for_timeout(500)
        job, steps = asked(page, "img2img"), page.locator("#img2img_steps input[type=number]").first
        return job.get("method", "mixture"), job.get("overlap"), float(steps.input_value())

    quick, faithful = rung(STYLES[QUICK]).denoising_strength, rung(STYLES["faithful"]).denoising_strength
    assert chosen(QUICK, quick) == ("jittered", None, QUICK_STEPS)
    assert chosen("faithful", faithful) == ("mixture", 40, 33)
    assert chosen(QUICK, quick) == ("jittered", None, QUICK_STEPS)
    number(page, "img2img", "overlap").fill("24")
    number(page, "img2img", "overlap").press("Tab")
    page.locator("#img2img_steps input[type=number]").first.fill("12")
    page.locator("#img2img_steps input[type=number]").first.press("Tab")
    page.wait_for_timeout(300)
    assert chosen("faithful", faithful) == ("jittered", 24, 12)


def test_growing_in_stages(page):
    assert page.locator("#td_img2img_growth").count() == 0
    page.locator("#td_txt2img_growth .label-wrap, #td_txt2img_growth > button").first.click()
    for name in ("grow", "growth_keep_colours", "dilated"):
        page.locator(f"#td_txt2img_{name} input[type=checkbox]").check()
    for name, value in (("growth_stages", "3"), ("growth_stage_strength", "0.4"), ("skip_residual", "0.5")):
        number(page, "txt2img", name).fill(value)
        number(page, "txt2img", name).press("Tab")
    page.wait_for_timeout(300)
    job = asked(page, "txt2img")
    wanted = {
        "grow": True, "growth_stages": 3, "growth_stage_strength": 0.4, "growth_keep_colours": True, "dilated": True,
        "skip_residual": 0.5,
    }  # fmt: skip
    assert {name: job.get(name) for name in wanted} == wanted


NUMBERS = {"tile_width": 192, "tile_height": 256, "overlap": 48, "tile_batch": 9}


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_every_control_reaches_the_job(page, tab):
    if tab == "img2img":
        page.locator("button:visible", has_text="img2img").last.click()
    for name, value in NUMBERS.items():
        number(page, tab, name).fill(str(value))
        number(page, tab, name).press("Tab")
    page.locator(f"#td_{tab}_wrap_x input[type=checkbox]").check()
    page.locator(f"#td_{tab}_enabled input[type=checkbox], #td_{tab}_enabled").first.click()
    if tab == "txt2img":
        number(page, tab, "width").fill("4096")
        number(page, tab, "width").press("Tab")
    page.wait_for_timeout(300)
    job = asked(page, tab)
    assert {name: job[name] for name in NUMBERS} == NUMBERS
    assert job["wrap_x"] is True
    assert job["enabled"] is True
    if tab == "txt2img":
        assert job["width"] == 4096


def test_the_method_is_chosen_by_its_label_and_says_what_it_does(page):
    """Also the radios of the other tab: what is shown is a label, what arrives is a value."""
    box = page.locator("#td_txt2img_method input").first
    assert box.input_value() == "Mixture of Diffusers"
    line = page.locator("#td_txt2img_method")
    assert "A good default" in line.inner_text()
    box.click()
    page.locator("ul li:visible, [role=option]:visible", has_text="Jittered tiles").first.click()
    page.wait_for_function("() => gradioApp().querySelector('#td_txt2img_method').textContent.includes('drawn anew at every step')")
    status(page, "txt2img", "512 x 256 px")
    page.locator("#td_txt2img_advanced .label-wrap, #td_txt2img_advanced > button").first.click()
    page.locator("#td_txt2img_passes label", has_text="Hires pass").click()
    page.wait_for_timeout(500)
    job = asked(page, "txt2img")
    assert (job["method"], job["passes"]) == ("jittered", "hires")
    assert "td-wrong" not in (page.locator("#td_txt2img_status").get_attribute("class") or "")


def test_elastic_has_controls_of_its_own_that_reach_the_job(page):
    fold = page.locator("#td_txt2img_elastic")
    assert not fold.is_visible()
    page.locator("#td_txt2img_method input").first.click()
    page.locator("ul li:visible, [role=option]:visible", has_text="ElasticDiffusion").first.click()
    fold.wait_for(state="visible", timeout=15000)
    number(page, "txt2img", "elastic_rounds").fill("7")
    number(page, "txt2img", "elastic_rounds").press("Tab")
    words = page.locator("#td_txt2img_elastic_local_prompt textarea, #td_txt2img_elastic_local_prompt input").first
    words.fill("grass, sky")
    words.press("Tab")
    page.locator("#td_txt2img_elastic_reference label", has_text="Padded square").click()
    page.wait_for_timeout(500)
    job = asked(page, "txt2img")
    assert {k: v for k, v in job.items() if k.startswith("elastic") or k == "method"} == {
        "method": "elastic", "elastic_rounds": 7, "elastic_local_prompt": "grass, sky", "elastic_reference": "pad",
    }  # fmt: skip


def test_a_pasted_region_document_reaches_the_job(page):
    document = {"version": 1, "regions": [{"prompt": "<img src=x onerror=alert(1)> \"'\n雪", "w": 0.5}]}
    page.locator("#txt2img_paste textarea, #txt2img_paste input").first.fill(json.dumps(document))
    page.wait_for_timeout(1500)
    assert asked(page, "txt2img")["regions"] == document["regions"]


def test_ids_are_unique(page):
    doubled = page.evaluate(
        "() => { const ids = [...gradioApp().querySelectorAll('[id^=td_]')].map(e => e.id);"
        " return ids.filter((id, i) => ids.indexOf(id) !== i); }"
    )
    assert doubled == []


def test_the_carrier_is_there_and_not_seen(page):
    box = page.locator("#td_txt2img_regions")
    assert box.count() == 1
    assert not box.is_visible()
