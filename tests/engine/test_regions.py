"""Regions: coverages, foregrounds, gaps, masks, noise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.masks import region_mask
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.noise import region_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.masks import Mask
from tiled_diffusion.settings.values import Region, Reroll, Settings

MODEL = ModelTraits(16, 2)
TRIANGLE = Mask(polygons=(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),))


def shares_of(settings, canvas, progress=0.0):
    """[1 + R, H, W]: the share of each prompt, measured by a model that says whose job it is."""
    plan = Planner(canvas, settings, MODEL).plan(0, progress)
    out = []
    for k in range(len(settings.regions) + 1):
        def evaluate(crops, jobs, k=k):
            return torch.stack([torch.full(tuple(c.shape), float(j.prompt == k)) for c, j in zip(crops, jobs, strict=True)])  # fmt: skip

        out.append(fuse(torch.zeros(1, 1, *canvas), plan, evaluate, Batching(1))[0, 0])
    return torch.stack(out).numpy()


regions = st.builds(
    lambda x, y, w, h, layer, feather, shape, weight, mask: Region(
        "r", x * 0.95, y * 0.95, max(0.02, w * (1 - x * 0.95)), max(0.02, h * (1 - y * 0.95)),
        layer=layer, feather=feather, feather_shape=shape, weight=weight, mask=mask,
    ),
    *[st.floats(0, 1)] * 4, st.sampled_from(["background", "foreground"]), st.floats(0, 1),
    st.sampled_from(["smooth", "linear", "quadratic"]), st.floats(0.1, 9), st.sampled_from([None, TRIANGLE]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.integers(16, 90), st.integers(16, 90), st.lists(regions, max_size=5), st.booleans(), st.booleans())
def test_shares_of_any_regions_sum_to_1(h, w, found, wrap_x, wrap_y):
    share = shares_of(Settings(regions=tuple(found), wrap_x=wrap_x, wrap_y=wrap_y), Extent(h, w))
    np.testing.assert_allclose(share.sum(0), 1, atol=3e-5)
    assert share.min() >= 0


@pytest.mark.parametrize(("h", "w"), [(24, 40), (25, 41), (33, 18)])
@pytest.mark.parametrize("shape", ["smooth", "linear", "quadratic"])
def test_a_foregrounds_border_is_the_background_and_its_middle_its_own(h, w, shape):
    canvas = Extent(h, w)
    mask = region_mask(Region("r", layer="foreground", feather=0.5, feather_shape=shape), canvas)
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0
    assert mask[h // 2, w // 2] == 1
    np.testing.assert_array_equal(mask, mask[::-1])
    np.testing.assert_array_equal(mask, mask[:, ::-1])
    assert mask[1, w // 2] == pytest.approx(mask[h // 2, 1])
    share = shares_of(Settings(regions=(Region("r", layer="foreground", feather=0.5, feather_shape=shape),)), canvas)
    np.testing.assert_allclose(share[1], mask, atol=2e-6)


def test_a_foreground_without_a_soft_edge_over_everything_is_all_there_is():
    share = shares_of(Settings(regions=(Region("a"), Region("b", layer="foreground", feather=0))), Extent(20, 30))
    assert share[1].max() == 0
    np.testing.assert_allclose(share[2], 1, atol=1e-6)


def test_foregrounds_lie_above_each_other_in_the_order_of_the_list():
    low = Region("low", 0, 0, 0.6, 1, layer="foreground", feather=0)
    high = Region("high", 0.4, 0, 0.6, 1, layer="foreground", feather=0)
    for first, second in ((low, high), (high, low)):
        share = shares_of(Settings(regions=(first, second)), Extent(20, 40))
        assert share[2][:, 16:24].min() > 0.999
        assert share[1][:, 16:24].max() == 0


def test_backgrounds_mix_by_weight():
    share = shares_of(Settings(regions=(Region("a", weight=1), Region("b", weight=3))), Extent(16, 16))
    np.testing.assert_allclose(share[1:], np.array([0.25, 0.75])[:, None, None] * np.ones((2, 16, 16)), atol=1e-6)


def test_gaps_are_named_where_nothing_fills_them():
    left = Region("a", 0, 0, 0.5, 1, feather=0)
    with pytest.raises(SettingsError, match=r"fill.*x 0.50 to 1.00, y 0.00 to 1.00"):
        Planner(Extent(16, 40), Settings(regions=(left,), fill="none"), MODEL).plan()
    hole = Region("b", 0.5, 0, 0.5, 1, feather=0, step_to=0.5)
    planner = Planner(Extent(16, 40), Settings(regions=(left, hole), fill="none"), MODEL)
    with pytest.raises(SettingsError, match="fill"):  # told before the first step, though the gap comes later
        planner.plan(0, 0.0)
    full = Settings(regions=(left, Region("b", 0.5, 0, 0.5, 1, feather=0)), fill="none")
    assert {j.prompt for j in Planner(Extent(16, 40), full, MODEL).plan().tiles} == {1, 2}


@pytest.mark.parametrize("layer", ["background", "foreground"])
def test_a_free_mask_acts_in_its_shape(layer):
    canvas = Extent(40, 40)
    region = Region("a", 0.25, 0.25, 0.5, 0.5, mask=TRIANGLE, feather=0, layer=layer)
    share = shares_of(Settings(regions=(region,)), canvas)[1]
    assert share[12, 12] == 1
    assert share[28, 28] == 0
    assert share.sum() == pytest.approx(200, rel=0.05)
    soft = shares_of(Settings(regions=(Region("a", 0.25, 0.25, 0.5, 0.5, mask=TRIANGLE, feather=0.5, layer=layer),)), canvas, 0.9)[1]
    assert 0 < soft[13, 20] < 1
    if layer == "foreground":
        assert (soft <= share + 1e-6).all()


def test_step_ranges():
    region = Region("a", 0, 0, 0.5, 1, step_from=0.25, step_to=0.5)
    acting = [shares_of(Settings(regions=(region,)), Extent(16, 32), p)[1].max() > 0 for p in (0, 0.25, 0.49, 0.5, 0.9)]
    assert acting == [False, True, True, False, False]


def test_many_regions_on_a_large_canvas_take_little_time_and_memory():
    import time
    import tracemalloc

    grid = [Region(str(i), i % 8 / 8, i // 8 / 8, 1 / 8, 1 / 8) for i in range(64)]
    tracemalloc.start()
    begun = time.perf_counter()
    plan = Planner(Extent(512, 512), Settings(regions=tuple(grid)), ModelTraits(64, 8)).plan()
    seconds = time.perf_counter() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(plan.tiles) >= 64
    assert peak < 200 * 2**20
    assert seconds < 20


def noise_of(settings, batch=1, size=(64, 64), base=0):
    generator = torch.Generator().manual_seed(base)
    return region_noise(torch.randn((batch, 4, *size), generator=generator), settings)


def test_noise_keeps_its_variance_where_seeded_regions_overlap():
    found = tuple(Region("r", 0.1 * k, 0.1, 0.6, 0.8, seed=k, layer=["background", "foreground"][k % 2]) for k in range(4))
    settings = Settings(regions=found, rerolls=(Reroll(9, 0.3, 0.3, 0.5, 0.5),))
    noise = noise_of(settings, batch=16, size=(128, 128))
    assert float(noise[:, :, 40:80, 40:80].var()) == pytest.approx(1, abs=0.01)
    assert float(noise.var()) == pytest.approx(1, abs=0.01)


def test_noise_of_a_seed_depends_on_nothing_else():
    region = Region("r", 0.25, 0.25, 0.5, 0.5, seed=5)
    one, other = noise_of(Settings(regions=(region,)), base=1), noise_of(Settings(regions=(region,)), batch=2, base=2)
    assert torch.equal(one[0, :, 16:48, 16:48], other[0, :, 16:48, 16:48])
    assert not torch.equal(other[0, :, 16:48, 16:48], other[1, :, 16:48, 16:48])
    plain = torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(1))
    outside = one != plain
    assert not outside[..., :16, :].any()
    assert outside[..., 16:48, 16:48].float().mean() > 0.99
    disabled = Region("r", seed=5, enabled=False)
    assert torch.equal(noise_of(Settings(regions=(disabled, Region("q"))), base=1), plain)


def test_rerolls_full_and_exclusive():
    plain = noise_of(Settings())
    both = (Reroll(1, 0, 0, 0.6, 1, mode="exclusive"), Reroll(2, 0.4, 0, 0.6, 1, mode="exclusive"))
    changed = (noise_of(Settings(rerolls=both)) != plain)[0, 0].float().mean(0)
    assert changed[:26].min() > 0.9
    assert changed[26:38].max() == 0
    assert changed[38:].min() > 0.9
    full = tuple(Reroll(r.seed, r.x, r.y, r.w, r.h) for r in both)
    last = noise_of(Settings(rerolls=full))
    alone = noise_of(Settings(rerolls=full[1:]))
    assert torch.equal(last[..., 26:], alone[..., 26:])


def test_a_masked_seed_changes_only_the_shape():
    plain, ours = noise_of(Settings()), noise_of(Settings(regions=(Region("r", mask=TRIANGLE, seed=3),)))
    changed = (plain != ours).any(1)[0]
    assert changed[5, 5]
    assert not changed[60, 60]
    assert float(changed.float().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_box_on_a_ring_goes_round():
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert Box(2, 3, 2, 2).gather(x)[0, 0].tolist() == [[11, 8], [3, 0]]
