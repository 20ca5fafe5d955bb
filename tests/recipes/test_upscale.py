"""Making pictures larger, on every host."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.recipes.conftest import HOSTS
from tests.recipes.test_host import Recorder, photo, pixels
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.upscale import upscale, upscaled_request
from tiled_diffusion.settings.request import Request
from tiled_vae import Interrupted

REQUEST = Request("a tree", width=64, height=64, steps=2, sampler="Euler", seed=7, denoising_strength=0.5)
sides, scales = st.integers(1, 1500), st.floats(1, 16)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(HOSTS)), sides, sides, scales)
def test_the_canvas_is_the_nearest_that_the_model_can_make(name, width, height, scale):
    host = HOSTS[name]()
    request = upscaled_request(host, REQUEST, Image.new("1", (width, height)), scale)
    for given_side, side in ((width, request.width), (height, request.height)):
        assert side % host.unit_px == 0
        assert side >= 64
        nearest = side == -(-64 // host.unit_px) * host.unit_px or abs(side - given_side * scale) <= host.unit_px / 2
        assert nearest, (given_side, scale, side)
    changed = {f.name for f in fields(Request) if getattr(request, f.name) != getattr(REQUEST, f.name)}
    assert changed <= {"width", "height"}


def test_a_size_that_the_model_can_make_is_kept_exactly(host):
    unit = host.unit_px
    request = upscaled_request(host, REQUEST, Image.new("1", (unit * 3, unit * 2)), 4)
    assert (request.width, request.height) == (unit * 12, unit * 8)


@pytest.mark.parametrize("scale", [0.5, 17, 0, -2, float("nan"), float("inf"), "2", None, True])
def test_wrong_scales(host, scale):
    with pytest.raises(TiledError, match="scale: got .*, allowed is a number from 1 to 16"):
        upscale(host, REQUEST, photo(), scale)


def test_a_canvas_that_no_request_allows(host):
    with pytest.raises(TiledError, match="width"):
        upscale(host, REQUEST, Image.new("1", (4000, 10)), 16)


def test_pictures_have_the_canvas_and_their_seeds(host):
    request = Request("a tree", steps=2, seed=5, batch_size=2)
    pictures = upscale(host, request, photo(70, 50), 2.3)
    canvas = upscaled_request(host, request, photo(70, 50), 2.3)
    assert [p.image.size for p in pictures] == [(canvas.width, canvas.height)] * 2
    assert [p.seed for p in pictures] == [5, 6]
    assert (pixels(pictures[0].image) != pixels(pictures[1].image)).any()


def test_where_nothing_is_drawn_anew_it_is_the_enlarged_picture_decoded(host):
    request = Request("a tree", steps=4, denoising_strength=0.0)
    small = photo(70, 50)
    [picture] = upscale(host, request, small, 2.3)
    [decoded] = host.decode(host.encode([host.upscale(small, picture.image.size)]))
    assert (pixels(picture.image) == pixels(decoded)).all()


def test_strength_draws_anew(host):
    small, changes = photo(70, 50), []
    for strength in (0.0, 0.3, 0.9):
        [picture] = upscale(host, Request("a tree", steps=10, seed=3, denoising_strength=strength), small, 2)
        changes.append(pixels(picture.image))
    mild, strong = (np.abs(changed - changes[0]).mean() for changed in changes[1:])
    assert 0 < mild < strong


def test_the_upscaler_is_asked_for_the_whole_canvas(host, monkeypatch):
    asked = []
    kept = type(host).upscale
    monkeypatch.setattr(type(host), "upscale", lambda self, *a: asked.append(a[1:]) or kept(self, *a[:2]))
    upscale(host, REQUEST, photo(70, 50), 2, "4x-sharp")
    canvas = upscaled_request(host, REQUEST, photo(70, 50), 2)
    assert asked[0] == ((canvas.width, canvas.height), "4x-sharp")


def test_its_progress_is_the_drawings_and_can_stop_it(host):
    progress = Recorder()
    upscale(host, Request("a", steps=4, denoising_strength=0.5), photo(), 1, progress=progress)
    assert progress.calls == [("start", 2), ("step", 0), ("step", 1), ("finish",)]
    with pytest.raises(Interrupted):
        upscale(host, Request("a", steps=4, denoising_strength=0.5), photo(), 1, progress=Recorder(stop_at=0))
