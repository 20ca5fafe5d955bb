"""Regions that keep within their boxes while the picture's layout is decided, and what they cost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.test_regions import MODEL, regions, shares_of
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.settings.masks import Mask
from tiled_diffusion.settings.values import Region, Settings

SD = ModelTraits(64, 8)


def columns(n, **more):
    return tuple(Region(str(k), k / n, 0, 1 / n, 1, **more) for k in range(n))


def boxes(planner, progress):
    return {tile.prompt: tile.box for tile in planner.plan(0, progress).tiles}


@pytest.mark.parametrize("method", ["mixture", "multidiffusion", "spot", "jittered"])
def test_columns_are_one_crop_each_of_their_own_box_and_then_have_soft_edges(method):
    planner = Planner(Extent(16, 60), Settings(method=method, regions=columns(3)), MODEL)
    assert boxes(planner, 0.0) == {k + 1: Box(0, 20 * k, 16, 20) for k in range(3)}
    assert planner.plan(0, 0.0).work_ratio == 1
    assert boxes(planner, 0.6) == {1: Box(0, 0, 16, 22), 2: Box(0, 18, 16, 24), 3: Box(0, 38, 16, 22)}
    hard, soft = (shares_of(planner.settings, planner.canvas, progress) for progress in (0.0, 0.6))
    assert set(np.unique(hard)) == {0, 1}
    assert 0 < soft[1][0, 20] < 1


@settings(max_examples=80, deadline=None)
@given(
    st.integers(16, 90),
    st.integers(16, 90),
    st.lists(regions, max_size=5),
    st.booleans(),
    st.booleans(),
    st.floats(0, 1),
)
def test_no_pixel_is_without_a_prediction(h, w, some, wrap_x, wrap_y, progress):
    share = shares_of(Settings(regions=tuple(some), wrap_x=wrap_x, wrap_y=wrap_y), Extent(h, w), progress)
    np.testing.assert_allclose(share.sum(0), 1, atol=3e-5)
    assert share.min() >= 0


@given(st.integers(20, 200), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5, unique=True))
def test_neighbours_leave_no_gap_and_share_nothing(w, edges):
    edges = [0.0, *sorted(edges), 1.0]
    wide = [(a, b) for a, b in pairwise(edges) if b - a > 2 * MODEL.multiple / w]
    if len(wide) == len(edges) - 1:
        share = shares_of(Settings(regions=tuple(Region("r", a, 0, b - a, 1) for a, b in wide)), Extent(16, w))
        assert share[0].max() == 0
        assert np.minimum(share, 1 - share).max() < 1e-5


def test_what_does_not_compose():
    """Foregrounds keep the soft edge through which their surroundings show; free masks keep their place."""
    front = Region("r", 0.25, 0.25, 0.5, 0.5, layer="foreground")
    triangle = Region("r", 0.27, 0.25, 0.5, 0.5, mask=Mask(polygons=(((0, 0), (1, 0), (0, 1)),)))
    early, late = (shares_of(Settings(regions=(front,)), Extent(40, 40), p) for p in (0.0, 0.9))
    np.testing.assert_array_equal(early, late)
    early, late = (shares_of(Settings(regions=(triangle,)), Extent(40, 40), p)[1] for p in (0.0, 0.9))
    assert ((early > 0) & (early < 1)).sum() < 30, "the slanted side alone"
    assert early.sum() == pytest.approx(late.sum(), rel=0.1)


def test_a_small_region_is_seen_with_what_the_model_needs_around_it():
    planner = Planner(Extent(64, 128), Settings(regions=(Region("r", 0.5, 0.5, 0.05, 0.1),)), MODEL)
    assert boxes(planner, 0.0)[1].extent == boxes(planner, 0.9)[1].extent == (16, 16)


@pytest.mark.parametrize(("width", "height", "n", "most"), [(1024, 768, 2, 1.1), (1536, 768, 3, 1.15)])
@pytest.mark.parametrize("tile", [None, 512])
def test_regions_that_cover_the_picture_once_cost_little_more_than_it(width, height, n, most, tile):
    tiling = Settings(tile_width=tile, tile_height=tile, regions=columns(n))
    planner = Planner(Extent(height // 8, width // 8), tiling, SD)
    work = np.mean([planner.plan(0, k / 20).work_ratio for k in range(20)])
    assert work <= most


def test_a_region_larger_than_one_and_a_half_native_sides_is_a_grid():
    planner = Planner(Extent(16, 96), Settings(regions=columns(2), tile_width=128), MODEL)
    assert sum(tile.prompt == 1 for tile in planner.plan().tiles) > 1
    assert all(tile.box.x + tile.box.w <= 48 for tile in planner.plan().tiles if tile.prompt == 1)


def test_the_largest_crop_is_what_memory_is_planned_for():
    planner = Planner(Extent(96, 128), Settings(tile_width=512, tile_height=512, regions=columns(2)), SD)
    assert planner.largest_crop() == max(t.view.extent for p in (0, 0.9) for t in planner.plan(0, p).tiles) == (96, 72)
    assert planner.tile_size() == (64, 64)


def test_none_of_it_where_it_is_off():
    planner = Planner(Extent(16, 60), Settings(regions=columns(3), compose=0.0), MODEL)
    assert shares_of(planner.settings, planner.canvas)[1][0, 19] < 1
    assert [t.box for t in planner.plan(0, 0.0).tiles] == [t.box for t in planner.plan(0, 0.9).tiles]
