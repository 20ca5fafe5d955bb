"""Flattening a frame and pasting into it: faithful there and back, and nothing outside changes."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from tests.recipes.frame.test_quad import random_quads
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.flat import FlatLayout, _alpha, pasted
from tiled_diffusion.recipes.frame.light import lit
from tiled_diffusion.recipes.frame.quad import ordered_corners
from tiled_diffusion.recipes.frame.redraw import padded
from tiled_diffusion.settings.frame import PADS

SIZE = (480, 400)
LEANING = np.array([(80.0, 60.0), (300.0, 40.0), (280.0, 340.0), (100.0, 270.0)])


def photo(size=SIZE, mode="RGB", grain=10):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (size[1] // grain, size[0] // grain, len(mode)), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def decibels(a, b, where):
    error = (np.asarray(a, dtype=float) - np.asarray(b, dtype=float))[where]
    return 10 * np.log10(255**2 / max(1e-9, (error**2).mean()))


@pytest.mark.parametrize("quad", random_quads(20, size=SIZE), ids=lambda q: str(q[0].round()))
def test_there_and_back_is_the_photo(quad):
    longest = int(np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).max())
    layout = FlatLayout.of(quad, 1.0, longest, 0, 1)  # as fine as the photo where that is finest
    back = pasted(photo(), quad, layout.flattened(photo()), 0)
    whole = (0, 0, *SIZE)
    assert decibels(back, photo(), _alpha(quad, whole, 3) >= 1) >= 45
    outside = _alpha(quad, whole, 0) <= 0
    assert (np.asarray(back)[outside] == np.asarray(photo())[outside]).all()
    assert outside.mean() > 0.1


@pytest.mark.parametrize("feather", [0, 6, 90])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_only_the_frame_changes(mode, feather):
    before = photo(mode=mode)
    after = pasted(before, LEANING, Image.new("RGB", (90, 120), (255, 0, 255)), feather)
    changed = (np.asarray(after) != np.asarray(before)).any(axis=2)
    alpha = _alpha(LEANING, (0, 0, *SIZE), feather)
    assert not changed[alpha == 0].any()
    assert (np.asarray(after)[alpha == 1][:, :3] == (255, 0, 255)).all()
    assert (alpha == 1).any()
    assert after.mode == mode
    if mode == "RGBA":
        assert (np.asarray(after)[..., 3] == np.asarray(before)[..., 3]).all()


def test_the_edge_is_soft_over_the_feather():
    square = np.array([(100.0, 100.0), (400.0, 100.0), (400.0, 400.0), (100.0, 400.0)])
    alpha = _alpha(square, (0, 0, 500, 500), 9)[250]
    assert (alpha[:100] == 0).all()
    assert (np.diff(alpha[99:111]) > 0).all()
    assert (alpha[110:390] == 1).all()


def test_a_fine_picture_shows_no_aliases_in_a_small_frame():
    stripes = np.zeros((1500, 1500, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    corners = np.array([(20.0, 20.0), (220.0, 30.0), (215.0, 230.0), (25.0, 220.0)])
    inside = np.asarray(pasted(Image.new("RGB", (256, 256)), corners, Image.fromarray(stripes), 0))[60:180, 60:180]
    assert abs(inside.mean() - 127.5) < 2
    assert inside.std() < 6


def test_the_room_goes_on_beyond_the_photo():
    corners = ordered_corners([(2, 2), (90, 4), (95, 97), (4, 92)], (100, 100))
    layout = FlatLayout.of(corners, 1.0, 64, 1.0, 8)
    flat = np.asarray(layout.flattened(Image.new("RGB", (100, 100), (10, 200, 90))))
    assert layout.canvas == (192, 192)
    assert (flat == (10, 200, 90)).all()


@pytest.mark.parametrize("unit", [8, 64])
@pytest.mark.parametrize("shape", [0.5, 0.75, 1.9])
def test_the_canvas(shape, unit):
    layout = FlatLayout.of(LEANING, shape, 128, 0.5, unit)
    (width, height), (inside_w, inside_h) = layout.canvas, layout.inside
    assert abs(inside_w / inside_h / shape - 1) < 0.02
    assert abs(inside_w * inside_h / 128**2 - 1) < 0.02
    assert width % unit == height % unit == 0
    assert 0 <= width - 2 * inside_w < unit + 2
    assert 0 <= height - 2 * inside_h < unit + 2
    assert np.asarray(layout.mask()).sum() == 255 * inside_w * inside_h


def test_a_room_that_no_photo_shows_is_told():
    steep = ordered_corners([(100, 300), (900, 100), (900, 800), (100, 440)], (1200, 900))
    FlatLayout.of(steep, 1.0, 64, 0.1, 8)
    with pytest.raises(TiledError, match=r"context: got 2, .* too steep an angle; allowed is less"):
        FlatLayout.of(steep, 1.0, 64, 2.0, 8)


def test_a_photo_of_fifty_megapixels_is_not_worked_on_as_a_whole():
    big = Image.new("RGB", (8660, 5774), (120, 130, 140))
    corners = np.array([(4000.0, 2000.0), (4400.0, 2010.0), (4390.0, 2500.0), (4010.0, 2480.0)])
    tracemalloc.start()
    flat = FlatLayout.of(corners, 0.8, 128, 0.5, 8).flattened(big)
    after = pasted(big, corners, Image.new("RGB", (128, 160), "red"), 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20  # of numpy; all of the photo as floats is 600 MB
    assert flat.getpixel((5, 5)) == (120, 130, 140)
    assert after.getpixel((4200, 2250)) == (255, 0, 0)
    assert after.crop((0, 0, 8660, 2000)).getcolors() == [(8660 * 2000, (120, 130, 140))]


def test_light():
    ramp = np.tile(np.linspace(120, 240, 300), (200, 1))
    inside = Image.fromarray(np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8))
    grey = Image.new("RGB", (300, 200), (128, 128, 128))
    bright = np.asarray(lit(grey, inside, 1.0), dtype=float)[..., 0]
    assert np.corrcoef(bright.ravel(), ramp.ravel())[0, 1] > 0.95
    assert abs(bright.mean() - 128) < 2
    assert (np.asarray(lit(grey, inside, 0.0)) == 128).all()
    half = np.asarray(lit(grey, inside, 0.5), dtype=float)[..., 0]
    assert 0.45 < np.ptp(half) / np.ptp(bright) < 0.55
    lamp = Image.new("RGB", (300, 200), (40, 40, 40))
    lamp.paste((255, 255, 255), (100, 50, 200, 150))
    assert np.asarray(lit(grey, lamp, 1.0)).max() == 255
    assert np.asarray(lit(Image.new("RGB", (300, 200), (60, 60, 60)), lamp, 1.0)).max() == 120


@pytest.mark.parametrize("pad", PADS.names)
@pytest.mark.parametrize("size", [(33, 57), (57, 33), (1, 7), (64, 64)])
def test_padded_and_cut_is_the_picture(pad, size):
    picture = photo(size, grain=1)
    larger, box = padded(picture, (64, 128), pad)
    assert larger.size == (64, 128)
    assert (np.asarray(larger.crop(box)) == np.asarray(picture)).all()
    assert np.asarray(larger).min() >= 0 if pad == "reflect" else np.asarray(larger)[0, 0].shape == (3,)
