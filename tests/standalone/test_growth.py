"""`generate --progressive`: flags, records, and going on after a stop."""

import json

import numpy as np
import pytest
from PIL import Image

from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.request import Request, request_from_json
from tiled_diffusion.standalone.cli import main
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.progress_bar import BarProgress

SMALL = ["--size", "256x192", "--steps", "3", "--device", "cpu", "--quiet", "--seed", "4", "--sampler", "Euler"]
GROW = ["--progressive", "--stages", "2", "--stage-strength", "0.4", "--keep-colours"]
GROWTH = Growth(stages=2, stage_strength=0.4, keep_colours=True)


def run(*words):
    return main([str(word) for word in words])


def test_a_picture_grows_and_its_record_grows_it_again(tmp_path):
    first, again = tmp_path / "a.png", tmp_path / "b" / "b.png"
    assert run("generate", "a red house on grass, blue sky", *SMALL, *GROW, "--out", first) == 0
    request = read_png(first)
    assert request.growth == GROWTH
    assert (request.width, request.height) == (256, 192)
    stages = sorted(path.name for path in (tmp_path / "stages").glob("*/*.png"))
    assert stages == ["4-1-144x112.png", "4-2-192x144.png", "4-3-256x192.png"]
    assert run("generate", first, "--device", "cpu", "--quiet", "--out", again) == 0
    assert np.array_equal(np.asarray(Image.open(first)), np.asarray(Image.open(again)))
    with Image.open(first) as image:
        assert 'Grown: "Stages: 2, Stage strength: 0.4, Keep colours: true"' in image.text["parameters"]


def test_dilated_views_and_the_skip_residual_act_in_the_stages_and_are_recorded(tmp_path):
    words = ["generate", "a red house on grass, blue sky", *SMALL, "--progressive", "--stage-strength", "0.7", "--out"]
    pictures = []
    for k, more in enumerate(([], ["--dilated"], ["--skip-residual", "1"])):
        path = tmp_path / str(k) / "a.png"
        assert run(*words, path, *more) == 0
        pictures.append(np.asarray(Image.open(path)).astype(int))
    assert read_png(tmp_path / "1" / "a.png").tiling.dilated
    assert read_png(tmp_path / "2" / "a.png").tiling.skip_residual == 1
    assert all(np.abs(pictures[0] - other).max() > 5 for other in pictures[1:])


def test_the_bar_says_what_all_stages_still_take(capsys):
    bar, now = BarProgress(), [0.0]
    for number, shares in ((1, (0.0, 0.25)), (2, (0.25, 1.0)), (2, (0.25, 1.0))):
        bar._left.clock = lambda: now[0]
        bar.stage(number, 2, shares)
        bar._left.clock = lambda: now[0]
        bar.start(2, 4)
        now[0] += 30
        bar.tiles(4)
        bar.step(0)
        bar.finish()
    told = capsys.readouterr().err
    assert "stage 1 of 2" in told
    assert "tile 4/4, in all 4 min left" in told
    assert "stage 2 of 2" in told
    assert "tile 4/4, in all 36 s left" in told


def test_what_is_there_is_not_drawn_again(tmp_path, capsys):
    out = tmp_path / "a.png"
    assert run("generate", "a tree", *SMALL, *GROW, "--out", out) == 0
    (last,) = (tmp_path / "stages").glob("*/4-3-*.png")
    Image.new("RGB", (256, 192), "red").save(last)
    assert run("generate", "a tree", *SMALL, *GROW, "--out", out) == 0
    assert np.asarray(Image.open(out)).reshape(-1, 3).std(axis=0).max() == 0


def test_json_says_it_too():
    request = request_from_json(json.dumps({"prompt": "a", "growth": {"stages": 2, "stage_strength": 0.4, "keep_colours": True}}))
    assert request == Request("a", growth=GROWTH)
    assert request_from_json(json.dumps(request.to_dict())) == request


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stages", "2"], "--progressive: give it too"),
        (["--progressive", "--stages", "0"], "a whole number from 1 to 16"),
        (["--progressive", "--stage-strength", "2"], "a number from 0 to 1"),
    ],
)
def test_wrong_flags_are_named(words, message, tmp_path, capsys):
    assert run("generate", "a tree", *SMALL, *words, "--out", tmp_path) == 2
    assert message in capsys.readouterr().err


def test_a_start_picture_does_not_grow(tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    words = ["generate", "a tree", *SMALL, "--progressive", "--init-image", tmp_path / "a.png", "--out", tmp_path]
    assert run(*words) == 2
    assert "to enlarge a picture, take upscale" in capsys.readouterr().err
