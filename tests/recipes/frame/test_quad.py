"""Corners, homographies and true shapes: exact where the mathematics is, errors in one line where there is none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recipes.frame.rendered import camera, corners_of
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.quad import estimated_shape, homography, mapped, ordered_corners, rectangle

SIZE = (1200, 900)


def random_quads(count, least=200, seed=0, size=SIZE):
    """Quadrilaterals that a frame may look like, in no order."""
    rng, quads = np.random.default_rng(seed), []
    while len(quads) < count:
        points = rng.uniform(0, 1, (4, 2)) * size
        try:
            quad = ordered_corners(points, size)
        except TiledError:
            continue
        if np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).min() >= least:
            quads.append(quad)
    return quads


@pytest.mark.parametrize("quad", random_quads(20), ids=lambda q: str(q[0].round()))
def test_a_homography_maps_corners_to_corners(quad):
    flat = rectangle(512, 448, 30, 7)
    there = homography(flat, quad)
    assert np.abs(mapped(there, flat) - quad).max() < 1e-6
    assert np.abs(mapped(homography(quad, flat), quad) - flat).max() < 1e-6
    points = np.random.default_rng(0).uniform(30, 400, (9, 2))
    assert np.abs(mapped(homography(quad, flat), mapped(there, points)) - points).max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(random_quads(20, least=20)), st.integers(0, 3), st.booleans())
def test_corners_come_in_one_order_whichever_way_they_are_given(quad, first, backwards):
    given_order = np.roll(quad[::-1] if backwards else quad, first, axis=0)
    assert (ordered_corners(given_order, SIZE) == quad).all()


def test_of_all_orders_of_four_corners_a_third_goes_around():
    corners, around = [(100, 100), (500, 120), (480, 700), (90, 650)], 0
    for order in itertools.permutations(corners):
        try:
            assert ordered_corners(order, SIZE).tolist() == [list(map(float, c)) for c in corners]
            around += 1
        except TiledError as e:
            assert "the sides cross" in str(e)  # noqa: PT017
    assert around == 8


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ([(0, 0), (500, 0), (500, 500)], "allowed are four pairs"),
        ([(0, 0), (500, 0), (500, 500), (0, float("nan"))], "finite numbers"),
        ([(-1, 0), (500, 0), (500, 500), (0, 500)], r"got \(-1, 0\), allowed is within the photo of 1200x900 px"),
        ([(0, 0), (500, 0), (500, 901), (0, 500)], r"got \(500, 901\), allowed is within"),
        ([(0, 0), (500, 500), (500, 0), (0, 500)], "the sides cross"),
        ([(0, 0), (500, 0), (100, 100), (0, 500)], "three of them lie on a line or bend inwards"),
        ([(0, 0), (500, 0), (1000, 0), (0, 500)], "three of them lie on a line or bend inwards"),
        ([(0, 0), (500, 0), (500, 15), (0, 15)], "the shortest side is 15 px long, allowed is at least 16"),
        ([(0, 0), (500, 400), (500, 420), (0, 899)], "no frame looks like that"),
    ],
)
def test_corners_that_are_no_frame_are_named(corners, message):
    with pytest.raises(TiledError, match=message):
        ordered_corners(corners, SIZE)


def test_the_shape_of_a_known_rectangle():
    """3:4 from 30 poses of a pinhole camera, the principal point in the middle."""
    rng, errors = np.random.default_rng(2), []
    for _ in range(30):
        yaw, pitch = rng.uniform(10, 35, 2) * rng.choice([-1, 1], 2)
        lens = camera(yaw, pitch, rng.uniform(-8, 8), SIZE[1] * rng.uniform(0.9, 2), rng.uniform(2.5, 4), SIZE)
        corners = corners_of(lens, 0.75)
        ratio, told = estimated_shape(corners.round(1), SIZE)
        assert told
        errors.append(abs(ratio / 0.75 - 1))
    assert max(errors) < 0.02


@pytest.mark.parametrize("yaw", [0, 0.01, 30])
def test_without_two_vanishing_points_the_lens_is_a_guess(yaw):
    lens = camera(yaw, 0, 0, SIZE[0], 3, SIZE)
    ratio, told = estimated_shape(corners_of(lens, 0.75), SIZE)
    assert not told
    assert abs(ratio / 0.75 - 1) < 0.001  # for it has the focal length that is guessed
