"""Pulls: the prediction is drawn to a target, whatever the model predicts and however the plan is cut."""

import pytest
import torch

from tests.engine.models import pointwise
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Guides, Moment
from tiled_diffusion.engine.guides.pull import Pull, finished, hold, started
from tiled_diffusion.engine.model import Level, predicted
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings, settings_from_dict

CANVAS = Extent(24, 48)
TILES = settings_from_dict({"version": 1, "tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6})
SHAPE = (2, 4, *CANVAS)
LEVELS = {
    "sigma": Level.of_sigma(torch.tensor([2.5])),
    "alphas": Level.of_alphas_cumprod(torch.tensor([0.3])),
    "flow": Level.of_flow(torch.tensor([0.6])),
    "each row its own": Level.of_sigma(torch.tensor([0.5, 3.0])),
}


def random(seed, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask_of(value=1.0):
    return torch.full((1, 1, *CANVAS), value, dtype=torch.float64)


def soft_mask():
    return torch.rand((1, 1, *CANVAS), generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def moment(level="sigma", prediction="x0", progress=0.3):
    return Moment(2, progress, LEVELS[level], prediction)


def pulled(pull, prediction, x, now):
    pull.begin_step(now)
    return pull.after(prediction, x)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("prediction", ["eps", "v", "x0", "flow"])
def test_every_prediction_says_the_same_of_the_clean_latent(level, prediction):
    """Pulling in any of them and pulling the clean latent are one."""
    clean, target, x, mask = random(1), random(2), random(3), soft_mask()
    expected = clean + mask * (target - clean)
    found = pulled(Pull(target, mask, hold(1.0)), predicted(clean, x, LEVELS[level], prediction), x, moment(level, prediction))
    torch.testing.assert_close(found, predicted(expected, x, LEVELS[level], prediction))


@pytest.mark.parametrize("level", LEVELS)
def test_a_noised_latent_predicts_its_own_noise(level):
    clean, noise = random(1), random(2)
    x, now = LEVELS[level].noised(clean, noise), LEVELS[level]
    torch.testing.assert_close(predicted(clean, x, now, "eps"), noise)
    torch.testing.assert_close(predicted(clean, x, now, "flow"), noise - clean)
    alpha, sigma = now.broadcast(x)
    torch.testing.assert_close(predicted(clean, x, now, "v"), alpha * noise - sigma * clean)


@pytest.mark.parametrize("pull", [Pull(random(1), mask_of(), hold(0.0)), Pull(random(1), mask_of(0.0), hold(1.0))], ids=["keep 0", "no mask"])
def test_nothing_is_drawn_without_keep_or_mask(pull):
    prediction, x = random(2), random(3)
    for progress in (0.0, 0.5, 1.0):
        assert pulled(pull, prediction, x, moment(progress=progress)) is prediction
    assert torch.equal(started([pull], x, random(4), LEVELS["sigma"]), x)
    assert torch.equal(finished([pull], x), x)


def test_the_closed_form_for_a_model_of_single_pixels():
    x, target, mask = random(1), random(2), soft_mask()
    guide = Guides((Pull(target, mask, hold(1.0)),))
    now = moment()
    guide.begin_step(now)
    plan = guide.plan(Planner(CANVAS, TILES).plan())
    found = guide.after(fuse(x, plan, pointwise, Batching(3)), x)
    torch.testing.assert_close(found, (1 - mask) * pointwise(x, ()) + mask * target, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["mixture", "multidiffusion", "spot", "jittered"])
@pytest.mark.parametrize("progress", [0.0, 0.4, 0.9])
def test_weights_and_pulls_sum_to_one_at_every_pixel(method, progress):
    """All parts say 1, so the whole says 1, with several pulls and at any time."""
    ones = torch.ones(SHAPE, dtype=torch.float64)
    keep = torch.rand((1, 1, *CANVAS), generator=torch.Generator().manual_seed(3))
    guide = Guides((Pull(ones, soft_mask(), hold(keep)), Pull(ones, mask_of(), hold(0.5))))
    guide.begin_step(moment(progress=progress))
    plan = guide.plan(Planner(CANVAS, Settings(method=method)).plan(1, progress))
    found = guide.after(fuse(random(1), plan, lambda crops, tiles: torch.ones_like(crops), Batching(3)), random(1))
    torch.testing.assert_close(found, ones, atol=1e-6, rtol=0)


def half():
    mask = mask_of(0.0)
    mask[..., :24] = 1
    return mask


def test_tiles_that_are_held_are_not_evaluated_and_do_not_show():
    """A model that gives NaN in the held half: nothing of it is seen, and most of its tiles are not asked for."""
    x, target, seen = random(1), random(2), []
    pull = Pull(target, half(), hold(0.5))
    for progress, count in ((0.2, None), (0.6, 0)):
        pull.begin_step(moment(progress=progress))
        whole = Planner(CANVAS, TILES).plan()
        plan = pull.plan(whole)
        dropped = [t for t in whole.tiles if t not in plan.tiles]
        assert all(t.box.x + t.box.w <= 24 for t in dropped)
        assert len(dropped) == (sum(t.box.x + t.box.w <= 24 for t in whole.tiles) if count is None else count)

    def broken(crops, tiles):
        seen.extend(tiles)
        parts = torch.split(crops, 2)
        return torch.cat([p * float("nan") if t.box.x < 8 else p for p, t in zip(parts, tiles, strict=True)])

    pull.begin_step(moment(progress=0.2))
    out = pull.after(fuse(x, pull.plan(Planner(CANVAS, TILES).plan()), broken, Batching(2)), x)
    assert torch.equal(out[..., :24], target[..., :24])
    assert torch.isfinite(out[..., 30:]).all()
    assert seen


def test_everything_held_asks_the_model_for_nothing():
    x, target = random(1), random(2)
    pull = Pull(target, mask_of(), hold(1.0))
    pull.begin_step(moment())
    out = pull.after(fuse(x, pull.plan(Planner(CANVAS, TILES).plan()), lambda *_: 1 / 0, Batching(2)), x)
    assert torch.equal(out, target)


def test_each_pixel_is_held_as_long_as_it_says():
    """A map of two halves is two pulls."""
    keep = torch.full((1, 1, *CANVAS), 0.3)
    keep[..., 24:] = 0.9
    target = random(1)
    right = 1 - half()
    for progress in (0.0, 0.2, 0.3, 0.5, 0.9, 1.0):
        x, prediction = random(2), random(3)
        found = pulled(Pull(target, mask_of(), hold(keep)), prediction, x, moment(progress=progress))
        expected = pulled(Pull(target, half(), hold(0.3)), prediction, x, moment(progress=progress))
        expected = pulled(Pull(target, right, hold(0.9)), expected, x, moment(progress=progress))
        assert torch.equal(found, expected)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_held_from_the_start_begins_as_the_noised_target(level):
    x, noise, target = random(1), random(2), random(3)[:1]
    start = started([Pull(target, half(), hold(0.5))], x, noise, LEVELS[level])
    torch.testing.assert_close(start[..., :24], LEVELS[level].noised(target.expand_as(x), noise)[..., :24])
    assert torch.equal(start[..., 24:], x[..., 24:])


def test_rows_of_a_batch_are_drawn_to_their_own_pictures():
    target, x = random(1), random(2, (3, 4, *CANVAS))
    now = moment()._replace(images=[1, 0, 1])
    out = pulled(Pull(target, mask_of(), hold(1.0)), x, x, now)
    assert torch.equal(out, target[[1, 0, 1]])


WRONG = [
    (random(1)[0], mask_of(), "shapes"),
    (random(1), mask_of()[..., :8], "its mask"),
    (random(1), mask_of(1.5), "0 to 1"),
    (random(1), mask_of().expand(1, 4, -1, -1), "shapes"),
]


@pytest.mark.parametrize(("target", "mask", "message"), WRONG)
def test_what_makes_no_sense_is_named(target, mask, message):
    with pytest.raises(TiledError, match=message):
        Pull(target, mask, hold(1.0))
