"""From settings to jobs."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.masks import places, region_mask
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import Planner, region_areas
from tiled_diffusion.engine.regions import coverages, region_area
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Region, Settings

SD, SDXL, TINY = ModelTraits(64, 8), ModelTraits(128, 4), ModelTraits(16, 2)


@pytest.mark.parametrize(
    ("canvas", "model", "tile"),
    [
        ((128, 512), SD, (80, 80)),
        ((64, 64), SD, (64, 64)),  # the canvas itself
        ((96, 88), SD, (96, 88)),
        ((48, 40), SD, (48, 40)),
        ((128, 128), SDXL, (128, 128)),
        ((256, 512), SDXL, (156, 172)),
        ((24, 192), TINY, (24, 16)),
    ],
)
def test_tile_fits_model_and_canvas(canvas, model, tile):
    planner = Planner(Extent(*canvas), Settings(), model)
    got = planner.tile_size()
    for side, length in zip(got, canvas, strict=True):
        assert side == length or (side % model.multiple == 0 and model.native <= side <= model.native * 3 // 2)
    assert got == tile


@settings(max_examples=150, deadline=None)
@given(
    st.integers(8, 600),
    st.integers(8, 600),
    st.sampled_from([name for name, method in METHODS.items() if not method.structure]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 50),
)
def test_default_settings_plan_every_canvas(h, w, method, wrap_x, wrap_y, step):
    planner = Planner(Extent(h, w), Settings(method=method, wrap_x=wrap_x, wrap_y=wrap_y), SD)
    plan = planner.plan(step)
    total = torch.zeros(h, w, dtype=torch.float64)
    for job in plan.tiles:
        rows, cols = (torch.arange(n) for n in job.box.extent)
        total[((rows + job.box.y) % h)[:, None], ((cols + job.box.x) % w)[None]] += job.weight
        assert all(s % 8 == 0 or s == length for s, length in zip(job.box.extent, (h, w), strict=True))
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-6, rtol=0)


def test_a_static_plan_is_made_once_and_a_moving_one_is_new_at_every_step():
    still, moving = (Planner(Extent(128, 512), Settings(method=m), SD, seed=1) for m in ("mixture", "jittered"))
    assert still.plan(0) is still.plan(9)
    assert [j.box for j in moving.plan(0).tiles] != [j.box for j in moving.plan(1).tiles] or any(
        not torch.equal(a.weight, b.weight) for a, b in zip(moving.plan(0).tiles, moving.plan(1).tiles, strict=True)
    )
    assert (
        moving.plan(1).tiles[0].box
        == Planner(Extent(128, 512), Settings(method="jittered"), SD, seed=1).plan(1).tiles[0].box
    )


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"tile_width": 480}, "multiple of 64 px here, got 480 px"),
        ({"tile_width": 512, "overlap": 512}, "got 512 px, and for a tile of 512 px the largest one that fits is 504 px"),
        ({"tile_width": 512, "overlap": 264, "method": "jittered"}, "largest one that fits is 256 px"),
    ],
)
def test_what_makes_no_sense_is_refused(given_settings, message):
    with pytest.raises(TiledError, match=message):
        Planner(Extent(128, 512), Settings(**given_settings), SD).plan()


@pytest.mark.parametrize("method", ["mixture", "jittered"])
def test_the_largest_overlap_that_fits_fits(method):
    with pytest.raises(TiledError) as e:
        Planner(Extent(128, 512), Settings(method=method, tile_width=512, overlap=4000), SD).plan()
    named = int(re.search(r"fits is (\d+) px", str(e.value))[1])
    assert Planner(Extent(128, 512), Settings(method=method, tile_width=512, overlap=named), SD).plan().tiles


def test_sizes_of_the_settings_are_image_pixels():
    planner = Planner(Extent(128, 512), Settings(tile_width=512, tile_height=576, overlap=103), SD)
    assert (planner.tile_size(), planner.overlap(64)) == (Extent(72, 64), 12)


def test_a_tile_larger_than_the_canvas_is_the_canvas():
    plan = Planner(Extent(50, 30), Settings(tile_width=512, tile_height=512, overlap=384), SD).plan()
    assert plan.is_whole


@settings(max_examples=200, deadline=None)
@given(
    st.integers(16, 200), st.integers(16, 200),
    st.lists(st.tuples(*[st.floats(0, 1) for _ in range(5)], st.floats(0.1, 9)), max_size=4),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_regions_leave_nothing_uncovered(h, w, boxes, ring_y, ring_x):
    regions = tuple(
        Region(
            "r",
            x * 0.99,
            y * 0.99,
            max(0.01, bw * (1 - x * 0.99)),
            max(0.01, bh * (1 - y * 0.99)),
            feather=f,
            weight=weight,
        )
        for x, y, bw, bh, f, weight in boxes
    )
    planner = Planner(Extent(h, w), Settings(regions=regions, wrap_x=ring_x, wrap_y=ring_y), TINY)
    areas = region_areas(planner, regions)
    share = coverages(regions, Extent(h, w), (ring_y, ring_x), areas, [True] * len(regions), "main")
    total = share.main.astype(np.float64)
    for area, own in zip(areas, share.own, strict=True):
        if own is not None:
            assert (own >= 0).all()
            total[places(area, Extent(h, w))] += own
    np.testing.assert_allclose(total, 1, atol=2e-5)
    assert (share.main >= 0).all()
    plan = Planner(Extent(h, w), Settings(regions=regions, wrap_x=ring_x, wrap_y=ring_y), TINY).plan()
    ones = fuse(torch.zeros(1, 1, h, w), plan, lambda t, jobs: t + 1, Batching(8))
    torch.testing.assert_close(ones, torch.ones_like(ones), atol=1e-5, rtol=0)


def test_a_region_smaller_than_a_tile_sees_its_surroundings_and_counts_inside_only():
    canvas, region = Extent(64, 128), Region("r", 0.5, 0.5, 0.05, 0.1, feather=0)
    plan = Planner(canvas, Settings(regions=(region,)), TINY).plan()
    jobs = [j for j in plan.tiles if j.prompt == 1]
    assert all(j.box.h >= 16 and j.box.w >= 16 for j in jobs)
    inside = sum(float(j.weight.sum()) for j in jobs)
    assert inside == pytest.approx(region_mask(region, canvas).sum(), rel=1e-5)


def test_regions_that_cover_everything_drop_the_main_prompts_tiles():
    halves = (Region("a", 0, 0, 0.5, 1), Region("b", 0.5, 0, 0.5, 1))
    assert {j.prompt for j in Planner(Extent(24, 96), Settings(regions=halves), TINY).plan().tiles} == {1, 2}


@pytest.mark.parametrize(
    ("region", "ring", "area"),
    [
        (Region("r", 0.3, 0, 0.2, 1, feather=0), False, Box(0, 30, 64, 20)),
        (Region("r", 0, 0, 0.02, 1, feather=0), False, Box(0, 0, 64, 16)),
        (Region("r", 0.99, 0, 0.01, 1, feather=0), False, Box(0, 84, 64, 16)),
        (Region("r", 0, 0, 0.02, 1, feather=0), True, Box(0, 94, 64, 16)),
        (Region("r", 0, 0, 1, 1), False, Box(0, 0, 64, 100)),
    ],
)
def test_areas(region, ring, area):
    assert region_area(region, Extent(64, 100), (False, ring), 2, Extent(16, 16)) == area


def test_a_regions_soft_edge_goes_on_across_the_seam_of_a_ring():
    mask = region_mask(Region("r", 0, 0, 0.5, 1, feather=0.4), Extent(32, 64), (False, True))
    np.testing.assert_allclose(np.roll(mask, 16, axis=1), np.roll(mask, 16, axis=1)[:, ::-1], atol=1e-12)
    assert mask[0, -1] > 0.3
    flat = region_mask(Region("r", 0, 0, 0.5, 1, feather=0.4), Extent(32, 64))
    assert flat[0, -1] == 0
    assert flat[0, 0] == 1


def test_identical_prompts_in_regions_are_the_plain_mixture_for_a_pointwise_model():
    regions = (Region("a", 0, 0, 0.4, 1), Region("a", 0.4, 0, 0.6, 1))
    x = torch.randn(1, 4, 24, 96, generator=torch.Generator().manual_seed(0))
    plan = Planner(Extent(24, 96), Settings(regions=regions), TINY).plan()
    torch.testing.assert_close(fuse(x, plan, lambda t, jobs: t.sin(), Batching(4)), x.sin(), atol=1e-5, rtol=0)


def test_weights_scale_and_coincident_regions():
    def out(*regions):
        plan = Planner(Extent(24, 96), Settings(regions=regions), TINY).plan()
        return fuse(torch.zeros(1, 1, 24, 96), plan, lambda t, jobs: t + torch.tensor([j.prompt > 0 for j in jobs]).float()[:, None, None, None], Batching(1))  # fmt: skip

    a, b = Region("a", 0, 0, 0.6, 1, weight=2), Region("a", 0.3, 0, 0.7, 1, weight=3)
    seven = [Region(r.prompt, r.x, r.y, r.w, r.h, weight=r.weight * 7) for r in (a, b)]
    torch.testing.assert_close(out(a, b), out(*seven), atol=1e-6, rtol=0)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([name for name, method in METHODS.items() if not method.structure]),
    st.integers(8, 60),
    st.integers(8, 60),
    st.integers(0, 20),
    st.booleans(),
    st.integers(0, 5),
)
def test_tiles_of_transformers_lie_and_blend_on_whole_tokens(method, h, w, overlap, wrap, step):
    """A token is 2 x 2 latent pixels: a tile that began within one would cut the picture into other tokens."""
    model = ModelTraits(16, 2, channels=16, prediction="flow")
    px = min(overlap, METHODS[method].most_overlap(16), 15) * model.factor
    tiling = Settings(method, tile_width=128, tile_height=128, overlap=px, wrap_x=wrap)
    planner = Planner(Extent(2 * h, 2 * w), tiling, model, seed=3)
    total = torch.zeros(1, 1, 2 * h, 2 * w)
    for tile in planner.plan(step).tiles:
        assert not any(n % 2 for n in tile.box)
        weight = tile.weight
        assert torch.equal(weight[::2, ::2].repeat_interleave(2, 0).repeat_interleave(2, 1), weight)
        tile.view.scatter_add(total, torch.ones(1, 1, *tile.view.extent), weight)
    torch.testing.assert_close(total, torch.ones_like(total), atol=3e-5, rtol=0)
    least = min(px // model.factor, 14)  # of 16 at most, where neighbours begin at other tokens
    starts = sorted({tile.box.x for tile in planner.plan(step).tiles})
    if method in ("multidiffusion", "mixture") and not wrap and len(starts) > 1:
        assert min(a + 16 - b for a, b in pairwise(starts)) >= least
