"""Growing in stages, on every host."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.recipes.conftest import HOSTS
from tests.recipes.test_host import Recorder, pixels
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.recipes.progress import Progress, TimeLeft
from tiled_diffusion.recipes.progressive import (
    StageFiles,
    progressive,
    stage_folder,
    stage_sizes,
    with_colours_of,
    work_shares,
)
from tiled_diffusion.recipes.upscale import upscale
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_vae import Interrupted


def request_for(host, factor=2, growth=None, **more):
    """Of a square of so many times the model's own side."""
    side = host.native_px * factor
    defaults = {"steps": 2, "sampler": "Euler", "seed": 7, "cfg_scale": 3.0}
    return Request("a tree", width=side, height=side, growth=growth or Growth(), **{**defaults, **more})


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(HOSTS)), st.integers(8, 256), st.integers(8, 256), st.none() | st.integers(1, 5))
def test_stages_grow_evenly_to_the_size_that_is_asked_for(name, width, height, stages):
    host = HOSTS[name]()
    request = Request("a tree", width=width * 8, height=height * 8, growth=Growth(stages=stages))
    sizes = stage_sizes(host, request)
    assert sizes[-1] == (request.width, request.height)
    for w, h in sizes[:-1]:
        assert w % host.unit_px == h % host.unit_px == 0
        assert min(w, h) >= 64
    assert stages is None or len(sizes) in (1, stages + 1)
    unit = max(host.unit_px, 64)
    for before, after in pairwise(sizes):
        for a, b in zip(before, after, strict=True):
            assert stages is not None or b <= 2 * a + 3 * unit


def test_a_picture_of_the_models_size_is_drawn_at_once(host):
    side = -(-64 // host.unit_px) * host.unit_px
    request = Request("a tree", width=max(side, host.native_px), height=side, steps=2, sampler="Euler", growth=Growth(stages=1))
    sizes = stage_sizes(host, request)
    if len(sizes) > 1:
        pytest.skip("this host's own size is smaller than any request")
    assert same(progressive(host, request)[0].image, host.draw([Task(replace(request, growth=None))])[0].image)


def test_a_stage_is_upscale_bit_for_bit(host):
    request = request_for(host, 4, Growth(stages=1, stage_strength=0.5))
    small, large = stage_sizes(host, request)
    base = host.draw([Task(replace(request, width=small[0], height=small[1], growth=None))])[0].image
    plain = replace(request, growth=None, denoising_strength=0.5)
    expected = upscale(host, plain, base, large[0] / small[0])[0].image
    assert expected.size == large
    assert same(progressive(host, request)[0].image, expected)


def test_pictures_of_a_batch_are_the_pictures_alone(host):
    request = request_for(host, 4, batch_size=2, tiling=Settings(regions=(Region("a tower", w=0.5, seed=5),)))
    both = progressive(host, request)
    assert [picture.seed for picture in both] == [7, 8]
    tiling = Settings(regions=(Region("a tower", w=0.5, seed=6),))
    assert same(both[1].image, progressive(host, replace(request, seed=8, batch_size=1, tiling=tiling))[0].image)


def test_a_run_that_was_cut_off_goes_on_from_its_last_stage(host, tmp_path):
    request = request_for(host, 4, Growth(stages=2))
    expected = progressive(host, request)[0].image
    files = StageFiles(tmp_path / "stages")

    class Stopped(Progress):
        def stage(self, number, count, shares):
            assert count == 3
            if number == 3:
                raise Interrupted

    with pytest.raises(Interrupted):
        progressive(host, request, files, Stopped())
    names = sorted(path.name for path in files.folder.iterdir())
    assert [name.split("-")[:2] for name in names] == [["7", "1"], ["7", "2"]]
    (files.folder / names[1]).write_bytes((files.folder / names[1]).read_bytes()[:100])  # a broken file is none

    stages = []

    class Told(Progress):
        def stage(self, number, count, shares):
            stages.append(number)

    assert same(progressive(host, request, files, Told())[0].image, expected)
    assert stages == [2, 3]
    stages.clear()
    assert same(progressive(host, request, files, Told())[0].image, expected)
    assert stages == []
    assert not list(files.folder.glob("*.part"))


def test_another_request_has_another_folder(host, tmp_path):
    request = request_for(host, 4)
    folder = stage_folder(tmp_path, host, request)
    assert stage_folder(tmp_path, host, replace(request, seed=9, batch_size=3)) == folder
    others = [
        stage_folder(tmp_path, host, replace(request, prompt="a house")),
        stage_folder(tmp_path, host, replace(request, growth=Growth(stage_strength=0.4))),
        stage_folder(tmp_path, host, request, ["a hint"]),
    ]
    assert len({folder, *others}) == 4


def test_every_stage_is_told(host):
    recorder = Recorder()
    progressive(host, request_for(host, 4, Growth(stages=2)), None, recorder)
    assert [name for name, *_ in recorder.calls if name in ("start", "finish")] == ["start", "finish"] * 3


def test_stages_share_the_work_by_pixels_and_steps():
    shares = work_shares([(100, 100), (200, 100), (200, 200)], 0.5)
    assert shares == [(0, 0.25), (0.25, 0.5), (0.5, 1)]


@pytest.mark.parametrize(("begun", "done", "left"), [(0.0, 0.25, 30), (0.5, 0.75, 10), (0.5, 1.0, 0), (0.5, 0.5, None)])
def test_the_time_that_is_left_goes_by_what_was_done_here(begun, done, left):
    now = [5.0]
    time = TimeLeft(lambda: now[0])
    assert time.at(begun) is None
    now[0] += 10
    assert time.at(done) == left


def test_times_are_said_as_people_do():
    assert [TimeLeft.text(seconds) for seconds in (0.4, 40, 125, 3600)] == ["0 s", "40 s", "2 min", "60 min"]


def test_colours_are_kept():
    rng = np.random.default_rng(0)
    image, other = (
        Image.fromarray(rng.normal(mean, spread, (64, 64, 3)).clip(0, 255).astype(np.uint8))
        for mean, spread in ((90, 12), (130, 30))
    )
    kept = pixels(with_colours_of(image, other)).astype(float)
    np.testing.assert_allclose(kept.mean((0, 1)), pixels(other).astype(float).mean((0, 1)), atol=0.5)
    np.testing.assert_allclose(kept.std((0, 1)), pixels(other).astype(float).std((0, 1)), atol=0.5)


def test_stages_keep_the_first_ones_colours(host):
    request = request_for(host, 4, Growth(stages=1))
    width, height = stage_sizes(host, request)[0]
    base = host.draw([Task(replace(request, width=width, height=height, growth=None))])[0].image
    kept = progressive(host, replace(request, growth=Growth(stages=1, keep_colours=True)))[0].image
    plain = progressive(host, request)[0].image
    gaps = [np.abs(pixels(image).mean((0, 1)) - pixels(base).mean((0, 1))).max() for image in (kept, plain)]
    assert gaps[0] < max(1.0, gaps[1])
    assert not same(plain, kept)


@pytest.mark.parametrize("change", [{"init_image": "a.png"}, {"init_image": "a.png", "mask": "b.png"}])
def test_a_start_picture_is_refused(host, change):
    with pytest.raises(TiledError, match="growth: a picture grows from the prompt alone; to enlarge a picture, take upscale"):
        progressive(host, replace(request_for(host, 4), **change))
