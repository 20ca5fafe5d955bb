"""Weights along an axis."""

import numpy as np
import pytest

from tiled_diffusion.engine.windows import cell, gaussian, normalised, ramp, uniform


@pytest.mark.parametrize("n", [1, 2, 3, 8, 63, 64, 96, 512])
@pytest.mark.parametrize("window", [uniform, gaussian])
def test_symmetric_and_positive(window, n):
    w = window(n)
    assert w.shape == (n,)
    np.testing.assert_allclose(w, w[::-1], rtol=1e-12)
    assert (w > 0).all()


@pytest.mark.parametrize(("h", "w"), [(64, 64), (16, 64), (64, 16), (160, 64), (256, 64), (512, 128), (96, 24)])
def test_gaussian_corners_hold_in_float32(h, w):
    tile = np.outer(gaussian(h), gaussian(w)).astype(np.float32)
    assert tile.min() > 1e-12
    np.testing.assert_array_equal(tile, tile[::-1, ::-1])


def test_gaussian_is_the_papers():
    x = np.arange(64)
    expected = np.exp(-(((x - 31.5) / 64) ** 2) / (2 * 0.01))
    np.testing.assert_allclose(gaussian(64), expected)


@pytest.mark.parametrize("tile", [16, 24, 40, 64])
def test_neighbouring_gaussians_change_over_softly_whatever_the_tile(tile):
    """The share of the second of two tiles, a third of which overlap, over the pixels that both cover."""
    step = tile - tile // 3
    a, b = gaussian(tile)[step:], gaussian(tile)[: tile // 3]
    share = b / (a + b)
    assert np.diff(share).max() < 0.4, "no jump"
    assert share[0] < 0.1


def test_ramp():
    assert list(ramp(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), 2)) == pytest.approx([0, 0, 0.5, 1, 1])
    assert list(ramp(np.array([-0.5, 0.5]), 0)) == [0, 1]
    x = np.linspace(-3, 3, 61)
    np.testing.assert_allclose(ramp(x, 4) + ramp(-x, 4), 1)


def test_neighbouring_cells_sum_to_one():
    left, right = cell(32, None, 20, 6), cell(32, 20, None, 6)
    np.testing.assert_allclose(left + right, 1)
    assert left[16] == 1
    assert left[23] == 0


def test_normalised_divides_by_the_sum_and_copies_where_one_tile_is_alone():
    w = normalised(10, (0, 4), [gaussian(6) * 7, gaussian(6) * 7])
    total = np.zeros(10)
    total[:6] += w[0]
    total[4:] += w[1]
    np.testing.assert_allclose(total, 1)
    assert (w[0][:4] == 1).all()


def test_a_pixel_without_tile_is_an_error():
    with pytest.raises(ValueError, match="pixel 6 of the axis has no tile"):
        normalised(8, (0,), [uniform(6)])
