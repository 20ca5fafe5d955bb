"""Styles of the WebUI's own book in regions' prompts."""

from __future__ import annotations

import json

from .client import ApiError, Result, Webui, written
from .registry import Skipped, case
from .tiling_cases import field, same, whole

AROUND, AFTER = "suite around", "suite after"
STYLED = f"a blue tower <style:{AROUND}>, <style:{AFTER}>"


def styled(w: Webui, **more) -> Result:
    """The job with both styles by the host's own menu."""
    if {AROUND, AFTER} - {*w.names("/sdapi/v1/prompt-styles", "name")}:
        raise Skipped("the WebUI's book of styles is not the suite's")
    return w.txt2img(prompt="a blue tower", styles=[AROUND, AFTER], **more)


@case("styles: a region's are what the host's own menu makes of its prompt")
def _(w: Webui):
    plain = styled(w, negative_prompt="grass")
    assert plain.difference(w.txt2img(prompt="a blue tower", negative_prompt="grass")) > 5, "the styles change nothing"
    region = whole(STYLED, negative_prompt="grass")
    tiled = w.txt2img(tiled=region, negative_prompt="a car")
    same(plain, tiled, 2)
    record = json.loads(json.loads(field(tiled.infotexts[0], "Tiled Diffusion")))
    texts = {"prompt": "a watercolour of a blue tower, soft light, night sky", "negative_prompt": "snow, grass, fog"}
    assert record == written(whole(**texts)), record
    return same(tiled, w.txt2img(tiled=record, negative_prompt="a car"))


@case("styles: a region without a negative prompt keeps the main one, which keeps its own styles")
def _(w: Webui):
    first = styled(w)
    prompt = "a watercolour of a blue tower, soft light, night sky"
    same(w.txt2img(prompt=prompt, negative_prompt="grass"), w.txt2img(tiled=whole(STYLED), negative_prompt="grass"), 2)
    return same(first, w.txt2img(prompt=prompt, negative_prompt="", tiled=whole("a blue tower"), styles=[AROUND, AFTER]), 2)


@case("styles: unknown ones, and those in negative prompts, are refused by name")
def _(w: Webui):
    styled(w, steps=1)
    wrong = [
        (whole("a tree <style:suite none>"), f"there is no style 'suite none', known are '{AROUND}', '{AFTER}'"),
        (whole("a tree", negative_prompt=f"<style:{AROUND}>"), "regions[0].negative_prompt"),
    ]
    for settings, text in wrong:
        try:
            w.txt2img(tiled=settings)
        except ApiError as e:
            assert e.status == 422, e
            assert text in json.loads(e.text)["detail"], e
        else:
            raise AssertionError(f"{settings} was accepted")
