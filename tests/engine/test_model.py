"""The engine with a made-up model: 4 pixels a latent pixel, 16 channels, sizes in multiples of 2."""

import pytest
import torch

from tests.engine.models import pointwise
from tiled_diffusion.engine.describe import describe
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides.control import fitted_hint, hint_crops
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.noise import canvas_noise, region_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.settings.values import Region, Settings

MADE_UP = ModelTraits(native=32, multiple=2, factor=4, channels=16, prediction="flow", scaling=1.5, shift=0.1)
METHODS = ("mixture", "multidiffusion", "spot", "jittered")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ring", [False, True])
def test_its_canvas_is_cut_and_fused(method, ring):
    canvas = Extent(40, 150)
    settings = Settings(method=method, wrap_x=ring, regions=(Region("a", x=0.2, w=0.3, seed=4),))
    planner = Planner(canvas, settings, MADE_UP, seed=3)
    noise = region_noise(canvas_noise((MADE_UP.channels, *canvas), [5]), settings)
    assert noise.shape == (1, 16, 40, 150)
    for step in range(3):
        plan = planner.plan(step)
        assert all(t.box.w % MADE_UP.multiple == 0 and t.box.h % MADE_UP.multiple == 0 for t in plan.tiles)
        assert all(t.box.w <= 48 for t in plan.tiles), "no tile is larger than one and a half native sides"
        torch.testing.assert_close(fuse(noise, plan, pointwise, Batching(4)), pointwise(noise, ()), atol=1e-5, rtol=0)


def test_what_the_user_is_told_is_in_its_pixels():
    told = describe(Settings(), 600, 160, MADE_UP)
    assert told.unit == 8
    assert told.tile[0] % 8 == 0
    assert told.tile[0] <= 192
    assert not told.problems
    assert describe(Settings(), 602, 160, MADE_UP).problems == ("width 602 px: multiples of 8 px suit this model",)


def test_hints_have_its_pixels():
    hint = fitted_hint(torch.rand(1, 3, 50, 60), Extent(10, 20), MADE_UP.factor)
    assert hint.shape == (1, 3, 40, 80)
    crops = hint_crops(hint, [Box(2, 4, 6, 8), Box(4, 16, 6, 8)], [0, 0], MADE_UP.factor)
    assert crops.shape == (2, 3, 24, 32)
    assert torch.equal(crops[0], hint[0, :, 8:32, 16:48])


def test_its_latents_are_shifted_and_scaled():
    encoded = torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    latents = MADE_UP.latents(encoded)
    torch.testing.assert_close(latents, (encoded - 0.1) * 1.5)
    torch.testing.assert_close(MADE_UP.encoded(latents), encoded)
