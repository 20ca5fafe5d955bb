"""DemoFusion's dilated views and skip residual: sub-grids, blur, and what they add to a step."""

import gc
import math
from dataclasses import replace
from weakref import ref

import pytest
import torch

from tests.engine.models import ConvNet, pointwise
from tiled_diffusion.engine import dilated as dilated_module
from tiled_diffusion.engine.describe import describe
from tiled_diffusion.engine.dilated import Seen, blurred, dilated, kernel
from tiled_diffusion.engine.dilations import Dilations, dilation
from tiled_diffusion.engine.fuse import BYTES_PER_LATENT_PIXEL, Batching, automatic_batch, fitted_batch, fuse
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides import Moment
from tiled_diffusion.engine.guides.control import hint_crops
from tiled_diffusion.engine.guides.dilated import SkipResidual, demofusion_guides, fading
from tiled_diffusion.engine.model import Level, ModelTraits, cleaned
from tiled_diffusion.engine.plan import Planner, dilations
from tiled_diffusion.engine.tiles import told_size
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Region, Settings

SMALL = ModelTraits(native=16, multiple=2)
PRODUCT = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)


def level_at(time):
    return Level.of_alphas_cumprod(PRODUCT[time].reshape(1))


def latent(canvas, images=1, seed=0):
    return torch.randn((images, 4, *canvas), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planner_of(canvas, **settings):
    return Planner(Extent(*canvas), Settings(**{"dilated": True, **settings}), SMALL, 3)


def stepped(x, planner, model, time=700, start=None):
    """One denoiser call with what the settings add."""
    guides = demofusion_guides(planner, start)
    plan = planner.plan()
    for guide in guides:
        guide.begin_step(Moment(0, 0.0, level_at(time)))
        plan = guide.plan(plan)
    out = fuse(x, plan, lambda crops, tiles: model(crops), Batching(3))
    for guide in guides:
        out = guide.after(out, x)
    return out


@pytest.mark.parametrize("rings", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("canvas", [(32, 32), (37, 51), (24, 70)])
def test_the_views_of_a_call_are_the_canvas_and_have_sides_that_the_model_takes(canvas, rings):
    canvas = Extent(*canvas)
    views = Dilations(canvas, 3, 4, rings, seed=5, number=2)
    total, tiles = torch.zeros(1, 1, *canvas), list(views.tiles())
    x = torch.arange(canvas.h * canvas.w, dtype=torch.float32).reshape(1, 1, *canvas)
    for tile in tiles:
        assert tile.view.extent == views.extent
        assert views.extent.h % 4 == views.extent.w % 4 == 0
        tile.view.scatter_add(total, tile.view.gather(x), tile.weight)
    assert len(tiles) == views.count == 9
    assert torch.equal(total, x)
    turned = [tile.view.rows[0, 0] for tile in Dilations(canvas, 3, 4, rings, seed=5, number=3).tiles()]
    assert [t.view.rows[0, 0] for t in tiles] == turned or rings[0]


def test_past_its_end_a_sub_grid_repeats_its_last_pixel():
    view = dilated(Extent(7, 9), Extent(1, 2), 3, multiple=4)
    assert view.rows[:, 0].tolist() == [1, 4, 4, 4]
    assert view.cols[0].tolist() == [2, 5, 8, 8]
    assert view.weights().sum() == 2 * 3


@pytest.mark.parametrize(("canvas", "step"), [((16, 16), 1), ((24, 24), 2), ((32, 32), 2), ((64, 64), 4), ((8, 32), 1), ((12, 48), 2)])
def test_as_many_as_bring_the_canvas_to_the_models_size(canvas, step):
    assert dilation(Extent(*canvas), SMALL) == step


@pytest.mark.parametrize("deviation", [0.01, 0.3, 1.0, 5.0])
def test_the_kernel_sums_to_1(deviation):
    weights = kernel(deviation, 7)
    assert math.isclose(float(weights.sum()), 1, abs_tol=1e-12)
    assert torch.equal(weights, weights.flip(0))


@pytest.mark.parametrize("rings", [(False, False), (True, True)])
def test_blur_keeps_mean_and_deviation_and_fades_to_nothing(rings):
    x = latent((20, 28), 2)
    out = blurred(x, 1.0, 3, rings)
    torch.testing.assert_close(out.mean((-2, -1)), x.mean((-2, -1)), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.std((-2, -1)), x.std((-2, -1)), atol=1e-5, rtol=0)
    assert (out.diff(dim=-1) ** 2).mean() < 0.8 * (x.diff(dim=-1) ** 2).mean()
    torch.testing.assert_close(blurred(x, 1e-3, 3, rings), x, atol=1e-6, rtol=0)
    assert blurred(x, 0.0, 3, rings) is x


def test_a_ring_is_blurred_across_its_border():
    x = latent((12, 12))
    turned = blurred(x.roll((3, 5), (-2, -1)), 1.0, 5, (True, True))
    torch.testing.assert_close(turned, blurred(x, 1.0, 5, (True, True)).roll((3, 5), (-2, -1)), atol=1e-6, rtol=0)


def test_of_single_pixels_the_step_is_the_plain_one_but_for_the_blur():
    """Tiles and views weigh 1 together; where no noise is, there is no blur, and no view either."""
    x, planner = latent((32, 40), 2), planner_of((32, 40))
    torch.testing.assert_close(stepped(x, planner, lambda c: torch.full_like(c, 2.5)), torch.full_like(x, 2.5), atol=1e-6, rtol=0)
    assert torch.equal(stepped(x, planner, lambda c: pointwise(c, ()), time=0), fuse(x, planner.plan(), pointwise, Batching(3)))
    assert not torch.allclose(stepped(x, planner, lambda c: pointwise(c, ())), pointwise(x, ()), atol=1e-2)


def test_what_is_far_away_counts():
    """A change in one corner reaches the other one within a step; by tiles alone it does not."""
    x, net = latent((48, 48)), ConvNet(seed=1)
    moved = x.clone()
    moved[..., :2, :2] += 3

    def wide(crops):
        return net(crops) + crops.mean((-2, -1), keepdim=True)

    for on in (True, False):
        planner = planner_of((48, 48), dilated=on, tile_width=128, tile_height=128, overlap=0, method="multidiffusion")
        gap = stepped(moved, planner, wide) - stepped(x, planner, wide)
        assert (gap[..., -16:, -16:].abs().max() > 1e-4) == on


def test_a_canvas_in_one_piece_has_none():
    assert dilations(planner_of((16, 16))) == ()
    assert dilations(planner_of((24, 24), tile_width=192, tile_height=192)) == ()
    assert dilations(planner_of((32, 32), dilated=False)) == ()


def test_hints_are_shrunk_and_not_torn():
    """A straight edge stays one."""
    canvas, factor = Extent(32, 32), 8
    hint = torch.zeros(1, 1, 256, 256)
    hint[..., 120:] = 1
    views = [tile.view for tile in Dilations(canvas, 2, 2, (False, False), 1).tiles()]
    crops = hint_crops(hint, views, [0] * len(views), factor)
    assert crops.shape == (4, 1, 128, 128)
    for crop in crops:
        assert float(crop.diff(dim=-1).abs().sum(dim=-1).max()) <= 1 + 1e-6
    exact = torch.arange(256.0).expand(1, 1, 256, 256)
    places = hint_crops(exact, [views[1]], [0], factor)[0, 0, 0, :100]
    torch.testing.assert_close(places, 2 * torch.arange(100.0) + 0.5 + factor)


def test_they_are_counted():
    planner = planner_of((32, 40))
    with_views, tiles = (describe(replace(planner.settings, dilated=on), 320, 256, SMALL) for on in (True, False))
    assert with_views.tiles == tiles.tiles + 9
    assert with_views.rows == tiles.rows + 18
    assert with_views.boxes == tiles.boxes
    assert "and 9 small pictures of 112 x 96 px" in with_views.line()


def test_sdxl_is_told_the_views_own_size():
    tile = next(iter(Dilations(Extent(32, 40), 2, 2, (False, False), 1).tiles()))
    assert told_size(tile, Extent(32, 40), 8, each=False) == (128, 160, 0, 0, 128, 160)
    assert tile.box == Box(0, 0, 32, 40)


def test_only_what_the_model_sees_is_blurred():
    view = dilated(Extent(16, 16), Extent(0, 1), 2, blur=1.0)
    x = latent((16, 16))
    assert torch.equal(view.gather(x), x[..., ::2, 1::2])
    seen = Seen(x)
    assert torch.equal(seen.through(view), blurred(x, 1.0, 3, (False, False))[..., ::2, 1::2])
    assert not torch.allclose(seen.through(view), x[..., ::2, 1::2])
    assert torch.equal(seen.through(Box(1, 2, 4, 4)), x[..., 1:5, 2:6])


def test_a_call_blurs_the_canvas_once_and_keeps_nothing_of_it(monkeypatch):
    calls, planner = [], planner_of((48, 48))
    monkeypatch.setattr(dilated_module, "blurred", lambda x, *how: calls.append(ref(x)) or blurred(x, *how))
    (guide,) = demofusion_guides(planner, None)
    guide.begin_step(Moment(0, 0.0, level_at(700)))
    plan, shown = guide.plan(planner.plan()), []
    for seed in (1, 2):
        x = latent((48, 48), seed=seed)
        fuse(x, plan, lambda crops, tiles: shown.append(crops.clone()) or crops, Batching(1))
        kept = ref(x)
        del x
        gc.collect()
        assert kept() is None
    assert len(calls) == 2
    assert not torch.equal(shown[len(plan.tiles) - 1], shown[-1])


def test_their_size_and_number_count_in_a_call():
    """Tiles of 8 x 8 latent pixels beside views of 16 x 16."""
    planner = planner_of((64, 64), tile_width=64, tile_height=64, overlap=0)
    (views,) = dilations(planner)
    assert (views.extent, views.count) == (Extent(16, 16), 16)
    free = 3 * 2 * 16 * 16 * BYTES_PER_LATENT_PIXEL
    assert automatic_batch(planner, 1, 5 * free) == 5
    assert automatic_batch(planner_of((64, 64), tile_width=64, tile_height=64, overlap=0, dilated=False), 1, 5 * free) == 20
    tiles = len(planner.plan().tiles)
    assert fitted_batch(64, planner, 4) == -(-(tiles + 16) // 4)


@pytest.mark.parametrize("kind", ["eps", "v", "x0"])
def test_the_skip_residual_moves_the_clean_latent_by_the_cube_of_the_fading(kind):
    x, start, said = latent((8, 8), 2), latent((8, 8), 1, 1), latent((8, 8), 2, 2)
    for time in (950, 500, 50):
        guide, level = SkipResidual(start, 0.5), level_at(time)
        guide.begin_step(Moment(0, 0.0, level, kind))
        before, after = (cleaned(p, x, level, kind) for p in (said, guide.after(said, x)))
        torch.testing.assert_close(after, before + 0.5 * fading(level) ** 3 * (start - before), atol=1e-6, rtol=1e-6)


def test_each_picture_is_held_to_its_own():
    guide = SkipResidual(torch.cat([torch.zeros(1, 4, 4, 4), torch.ones(1, 4, 4, 4)]).double(), 1.0)
    guide.begin_step(Moment(0, 0.0, level_at(999), "x0", images=(1, 0, 1)))
    out = guide.after(torch.full((3, 4, 4, 4), 9.0).double(), latent((4, 4), 3))
    torch.testing.assert_close(out.mean((1, 2, 3)), torch.tensor([1.0, 0.0, 1.0]).double(), atol=1e-4, rtol=0)


def test_off_is_nothing():
    assert demofusion_guides(planner_of((32, 32), dilated=False), latent((32, 32))) == ()
    assert demofusion_guides(planner_of((32, 32), dilated=False, skip_residual=1.0), None) == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"regions": (Region("a tree", w=0.5),)}, "regions: dilated views draw one prompt"), ({"method": "elastic"}, "dilated: elastic")],
)
def test_what_they_cannot_do_is_named(settings, message):
    with pytest.raises(TiledError, match=message):
        dilations(planner_of((32, 40), **settings))
