"""Pulls in a host of rows: every row of a held pixel is the target's, so the host's own combination is too."""

from dataclasses import replace

import pytest
import torch
from modules import shared

from tests.webui.host_model import FAMILIES, Model, job
from tiled_diffusion.engine.guides.pull import Pull, hold
from tiled_diffusion.webui import sampling

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
REGIONS = {**TILES, "regions": [{"prompt": "a tree AND fog :0.5", "w": 0.6, "cfg_scale": 6}]}
CANVAS = (20, 40)
THROUGHOUT = 0.9999999
"""All steps, and what comes out stays as the sampler leaves it."""
LEFT = torch.zeros(1, 1, *CANVAS)
LEFT[..., :20] = 1


def target():
    return torch.randn((1, 4, *CANVAS), generator=torch.Generator().manual_seed(3))


class Held(Model):
    """A model that says the target of the left half, whatever it is asked."""

    def predict(self, x, sigma, cond):
        out = super().predict(x, sigma, cond)
        assert tuple(x.shape[-2:]) == CANVAS, "untiled"
        return torch.where(LEFT > 0, target(), out)


@pytest.fixture
def pulled(monkeypatch):
    """A job with pulls."""

    def run(settings, *pulls, **more):
        original = sampling._tiling
        with monkeypatch.context() as patch:
            patch.setattr(sampling, "_tiling", lambda *args: replace(original(*args), pulls=pulls))
            return job(settings, **more)

    return run


@pytest.mark.parametrize("settings", [TILES, REGIONS, {**TILES, "wrap_x": True, "method": "jittered"}])
@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("batch", [1, 2])
def test_what_is_held_is_as_if_the_model_said_the_target(pulled, settings, family, batch):
    more = {"sampler_name": family, "batch_size": batch, "prompt": "a house AND a tree :0.5"}
    held = pulled(settings, Pull(target(), LEFT, hold(THROUGHOUT)), **more)
    shared.sd_model = Held()
    expected = job(**more)
    torch.testing.assert_close(held[..., :20], expected[..., :20], atol=2e-5, rtol=0)


@pytest.mark.parametrize("options", [{"batch_cond_uncond": False}, {"skip_early_cond": 0.5}, {"pad_cond_uncond": True}])
def test_however_the_host_makes_its_calls(pulled, options):
    for name, value in options.items():
        setattr(shared.opts, name, value)
    held = pulled(REGIONS, Pull(target(), LEFT, hold(THROUGHOUT)))
    shared.sd_model = Held()
    torch.testing.assert_close(held[..., :20], job()[..., :20], atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_nothing_changes_without_keep_or_mask(pulled, family):
    for pull in (Pull(target(), LEFT, hold(0.0)), Pull(target(), 0 * LEFT, hold(1.0))):
        assert torch.equal(pulled(REGIONS, pull, sampler_name=family), job(REGIONS, sampler_name=family))


def test_tiles_that_are_held_are_not_asked_for(pulled):
    pulled(TILES, Pull(target(), LEFT, hold(THROUGHOUT)))
    held = sum(shape[0] for shape, _ in shared.sd_model.calls)
    shared.sd_model = Model()
    job(TILES)
    assert held < 0.8 * sum(shape[0] for shape, _ in shared.sd_model.calls)


def test_pictures_of_a_batch_have_their_own_targets(pulled):
    both = torch.cat([target(), -target()])
    out = pulled(TILES, Pull(both, torch.ones_like(LEFT), hold(THROUGHOUT)), batch_size=2, steps=30)
    for image in (0, 1):
        gap = (out[image] - both[image]).abs().max()
        assert gap < 0.7**30 * 10


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_is_held_to_the_end_is_the_target(pulled, family):
    out = pulled(TILES, Pull(target(), LEFT, hold(1.0)), sampler_name=family, batch_size=2)
    assert torch.equal(out[..., :20], target()[..., :20].expand(2, -1, -1, -1))
