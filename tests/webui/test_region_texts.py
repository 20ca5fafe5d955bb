"""Regions' prompts pass through what other extensions do to the main prompt, and leave no trace in it."""

from types import SimpleNamespace

import pytest
import torch
from modules import shared

from tests.webui.host_model import Job, field, run
from tiled_diffusion.webui.region_texts import packed, text_of, unpacked

REGION = {"prompt": "a __colour__ tower", "negative_prompt": "__colour__ fog", "w": 0.5, "seed": 7}
COLOURS = ["red", "green", "blue"]


def wildcards(p):
    """As such extensions do: every prompt on its own, by its place."""
    for name in ("all_prompts", "all_negative_prompts"):
        texts = getattr(p, name)
        setattr(p, name, [t.replace("__colour__", COLOURS[i % 3]) for i, t in enumerate(texts)])


def done(rewrites, settings, **more):
    p = Job(args=(True, settings), rewrites=rewrites, **more)
    run(p)
    return p


def record(p, image):
    return field(p.infotexts[image])


@pytest.mark.parametrize("join", ["replace", "append", "prepend"])
def test_wildcards_are_resolved_for_each_picture(join):
    p = done([wildcards], {"regions": [{**REGION, "join": join}]}, prompt="a __colour__ house", batch_size=2, n_iter=2)
    assert p.all_prompts == [f"a {c} house" for c in ("red", "green", "blue", "red")]
    assert p.all_negative_prompts == [""] * 4
    for image, colour in enumerate(("red", "green", "blue", "red")):
        region = record(p, image)["regions"][0]
        assert region["prompt"] == f"a {colour} tower"
        assert region["negative_prompt"] == f"{colour} fog"
        assert region["seed"] == 7 + image
    assert not p.comments


def test_a_resolved_region_is_drawn_as_if_it_had_been_written():
    own, plain = ({"regions": [{"prompt": t, "feather": 0, "w": 0.5}]} for t in ("a __colour__ tower", "a red tower"))
    torch.testing.assert_close(run(Job(args=(True, own), rewrites=[wildcards])), run(Job(args=(True, plain))))


def test_pictures_of_later_batches_have_texts_and_seeds_of_their_own():
    settings = {"regions": [REGION], "tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
    many = run(Job(args=(True, settings), rewrites=[wildcards], n_iter=3))
    together = run(Job(args=(True, settings), rewrites=[wildcards], batch_size=3))
    torch.testing.assert_close(many, together, atol=2e-5, rtol=0)
    p = done([wildcards], settings, n_iter=3)
    alone = run(Job(args=(True, record(p, 2)), seed=p.all_seeds[2]))
    torch.testing.assert_close(alone, many[2:], atol=2e-5, rtol=0)


def test_the_moving_grid_of_a_later_picture_is_in_its_record():
    settings = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6, "method": "jittered"}
    p = done([], settings, batch_size=2)
    assert "grid_seed" not in record(p, 0)
    assert record(p, 1)["grid_seed"] == 1
    both = run(Job(args=(True, settings), batch_size=2))
    alone = run(Job(args=(True, record(p, 1)), seed=2))
    torch.testing.assert_close(alone, both[1:], atol=2e-5, rtol=0)


def upper(p):
    p.all_prompts = [t.upper() for t in p.all_prompts]


def on_one_line(p):
    p.all_prompts = [" ".join(t.split()) for t in p.all_prompts]


def more_behind(p):
    p.all_prompts = [t + ", masterpiece" for t in p.all_prompts]


def doubled(p):
    p.prompt = p.all_prompts[0]


@pytest.mark.parametrize(
    ("rewrite", "main", "own"),
    [
        (upper, "A HOUSE", "A TREE"),
        (on_one_line, "a house", "a tree"),
        (more_behind, "a house, masterpiece", "a tree"),
        (doubled, "a house", "a tree"),
    ],
)
def test_what_is_done_to_the_whole_prompt(rewrite, main, own):
    p = done([rewrite], {"regions": [{"prompt": "a tree", "w": 0.5}]})
    assert p.all_prompts == [main]
    assert record(p, 0)["regions"][0]["prompt"] == own
    assert "TiledRegion" not in p.prompt
    assert not p.comments


def cut(p):
    p.all_prompts = [t.split("\n")[0] for t in p.all_prompts]


def test_texts_that_do_not_come_back_hold_as_written():
    p = done([cut], {"regions": [{"prompt": "a tree # great", "w": 0.5}]})
    assert p.all_prompts == ["a house"]
    assert "dropped" in p.comments[0]
    assert record(p, 0)["regions"][0]["prompt"] == "a tree # great"


def test_styles_reach_the_regions_that_stand_alone_and_not_their_records():
    shared.sd_model.encoded_texts = heard = []
    original = shared.sd_model.encoded
    shared.sd_model.encoded = lambda text: (heard.append(text), original(text))[1]
    regions = [{"prompt": "a tree", "w": 0.5}, {"prompt": "a tower", "x": 0.5, "w": 0.5, "join": "append"}]
    p = done([], {"regions": regions}, styles=["oil"])
    assert {"a tree, oil", "a house, oil, a tower"} <= set(heard)
    assert [r["prompt"] for r in record(p, 0)["regions"]] == ["a tree", "a tower"]


@pytest.mark.parametrize(
    "style", ["vivid {prompt}", "{prompt} of clay", "in oil, ({prompt}:1.2) , {x}", "a{prompt}b", "oil"]
)
@pytest.mark.parametrize("own", ["a house", " a  house ", "a\nhouse", ""])
def test_a_style_around_a_region_s_prompt_is_as_around_the_main_one(style, own):
    heard = shared.sd_model.encoded_texts = []
    original = shared.sd_model.encoded
    shared.sd_model.encoded = lambda text: (heard.append(text), original(text))[1]
    p = done([], {"regions": [{"prompt": own, "w": 0.5}]}, styles=[style])
    expected = style.replace("{prompt}", own) if "{prompt}" in style else f"{own}, oil"
    assert expected.strip() in {text.strip() for text in heard}
    assert record(p, 0)["regions"][0]["prompt"] == own


BOOK = {
    "---- STYLES ----": SimpleNamespace(prompt=None, negative_prompt=None),
    "oil": SimpleNamespace(prompt="oil painting of {prompt}", negative_prompt="photo"),
    "fine": SimpleNamespace(prompt="fine lines", negative_prompt=""),
}


@pytest.mark.parametrize(
    ("prompt", "drawn"),
    [
        ("a tree <style:oil>", "oil painting of a tree"),
        ("<style:fine>, a tree", "a tree, fine lines"),
        ("a tree, <style:fine>, snow<style:oil>", "oil painting of a tree, snow, fine lines"),
        ("a tree", "a tree"),
    ],
)
@pytest.mark.parametrize(("own", "against"), [(None, None), ("snow", "snow, photo"), ("", "photo")])
def test_a_style_named_in_a_region_stands_around_its_prompt(prompt, drawn, own, against, monkeypatch):
    monkeypatch.setattr(shared.prompt_styles, "styles", BOOK)
    region = {"prompt": prompt, "w": 0.5, "negative_prompt": own}
    (kept,) = record(done([], {"regions": [region]}), 0)["regions"]
    assert kept["prompt"] == drawn
    oil = "oil" in prompt
    assert kept.get("negative_prompt") == (against if oil else own)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"prompt": "a tree <style:ink>"}, r"regions\[0\]\.prompt: there is no style 'ink', known are 'oil', 'fine'"),
        ({"prompt": "a tree", "negative_prompt": "<style:oil>"}, r"regions\[0\]\.negative_prompt: <style"),
    ],
)
def test_a_style_that_is_not_there_is_named(region, message, monkeypatch):
    monkeypatch.setattr(shared.prompt_styles, "styles", BOOK)
    with pytest.raises(Exception, match=message):
        done([], {"regions": [region]})


@pytest.mark.parametrize("main", ["", " a ", "a\n", "a\n\nb AND c :0.5", "TiledRegion"])
def test_packing_is_undone(main):
    segments = {1: "TiledOwn\na\nb\nTiledOwn", 3: "x, TiledOwn\n\nTiledOwn, y"}
    assert unpacked(packed(main, segments)) == (main, segments)
    assert packed(main, {}) == main
    assert (text_of(segments[1]).own, text_of(segments[1]).full) == ("a\nb", "a\nb")
    assert (text_of(segments[3]).own, text_of(segments[3]).full) == ("", "x, , y")
    assert text_of("a") is None
