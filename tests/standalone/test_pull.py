"""Pulls with every sampler: a held part ends as its target, a free one is drawn as ever."""

from dataclasses import replace

import pytest
import torch

from tests.standalone.tiny import tiny_model
from tiled_diffusion.engine.guides.pull import Pull, hold
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings, settings_from_dict
from tiled_diffusion.standalone import samplers
from tiled_diffusion.standalone.samplers import SAMPLERS
from tiled_diffusion.standalone.sampling import denoise, sample_latents, start_noise

WIDE = {"width": 256, "height": 64, "steps": 4, "cfg_scale": 3.0, "seed": 5}
TILES = settings_from_dict({"version": 1, "tile_width_lp": 8, "tile_height_lp": 8, "overlap_lp": 4})
LEFT = torch.zeros(1, 1, 8, 32)
LEFT[..., :16] = 1
ALL = torch.ones_like(LEFT)


def target_of(seed=3):
    return torch.randn((1, 4, 8, 32), generator=torch.Generator().manual_seed(seed))


def request_of(sampler, **more):
    return Request("a red house", "snow", **{**WIDE, **more}, sampler=sampler, tiling=TILES)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", ["sd1", "sd2"])
def test_what_is_held_to_the_end_is_the_target(kind, sampler):
    pull = Pull(target_of(), ALL, hold(1.0))
    for cfg_scale in (1.0, 6.0):
        out = sample_latents(tiny_model(kind), request_of(sampler, cfg_scale=cfg_scale, batch_size=2), pulls=[pull])
        torch.testing.assert_close(out, target_of().expand_as(out), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_not_held_is_drawn_bit_for_bit(sampler):
    model, request = tiny_model("sd1"), request_of(sampler)
    plain = sample_latents(model, request)
    for pull in (Pull(target_of(), ALL, hold(0.0)), Pull(target_of(), 0 * ALL, hold(1.0))):
        assert torch.equal(sample_latents(model, request, pulls=[pull]), plain)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_model_that_is_broken_where_all_is_held_does_not_show(sampler, monkeypatch):
    """Tiles of a held half are not asked for."""
    model, calls = tiny_model("sd1"), []
    original = model.unet.forward

    def forward(x, *args, **kwargs):
        calls.append(x.shape[0])
        return original(x, *args, **kwargs)

    monkeypatch.setattr(model.unet, "forward", forward)
    request = replace(request_of(sampler), tiling=replace(TILES, tile_batch=1))
    out = sample_latents(model, request, pulls=[Pull(target_of(), LEFT, hold(1.0))])
    held = len(calls)
    assert torch.equal(out[..., :16], target_of()[..., :16])
    calls.clear()
    free = sample_latents(model, request)
    assert held < 0.65 * len(calls)
    assert not torch.equal(free[..., :16], out[..., :16])
    assert torch.isfinite(out).all()


class Same(torch.nn.Module):
    """The U-Net of eps, telling v or the clean latent instead."""

    def __init__(self, unet, prediction, alphas_cumprod):
        super().__init__()
        self.unet, self.prediction, self.alphas = unet, prediction, alphas_cumprod
        self.config = unet.config

    def forward(self, x, t, **inputs):
        eps = self.unet(x, t, **inputs)[0]
        alpha, sigma = self.alphas[t.long()].sqrt(), (1 - self.alphas[t.long()]).sqrt()
        clean = (x - sigma * eps) / alpha
        return (alpha * eps - sigma * clean if self.prediction == "v" else clean,)


@pytest.mark.parametrize("sampler", ["DDIM", "Euler", "DPM++ 2M", "UniPC"])
@pytest.mark.parametrize(("prediction", "name"), [("v", "v_prediction"), ("x0", "sample")])
def test_models_that_say_the_same_in_other_words_draw_the_same(sampler, prediction, name):
    """Not with PNDM: it adds up what the model says at several levels, which is another sum in other words."""
    model, request = tiny_model("sd1"), request_of(sampler)
    config = {**model.scheduler_config, "timestep_spacing": "leading"}
    pull = Pull(target_of(), 0.7 * LEFT, hold(0.6))
    expected = sample_latents(replace(model, scheduler_config=config), request, pulls=[pull])
    alphas = samplers.make_scheduler("DDIM", config).alphas_cumprod
    other = replace(
        model,
        unet=Same(model.unet, prediction, alphas),
        scheduler_config={**config, "prediction_type": name},
        traits=replace(model.traits, prediction=prediction),
    )
    found = sample_latents(other, request, pulls=[pull])
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    assert not torch.allclose(expected, sample_latents(model, request))


@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "DPM++ 2M", "UniPC", "LMS"])
def test_after_each_step_the_held_part_is_the_target_at_the_next_level(sampler, monkeypatch):
    """Fails for a paste at the level before, as published for the canvas of Mixture of Diffusers."""
    model, latents, original = tiny_model("sd1"), [], samplers.make_scheduler
    schedulers = []

    def make(*args):
        scheduler = original(*args)
        step = scheduler.step

        def recorded(*inputs, **options):
            out = step(*inputs, **options)
            latents.append(out.prev_sample)
            return out

        scheduler.step = recorded
        schedulers.append(scheduler)
        return scheduler

    monkeypatch.setattr(samplers, "make_scheduler", make)
    request = request_of(sampler, steps=5)
    noise = start_noise(model, request)
    denoise(model, request, noise, None, Progress(), pulls=[Pull(target_of(), LEFT, hold(1.0))])
    monkeypatch.undo()
    reference = original(sampler, model.scheduler_config)
    reference.set_timesteps(5)
    assert len(latents) == 5
    for i in range(4):
        expected = reference.add_noise(target_of(), noise, reference.timesteps[i + 1 : i + 2])
        torch.testing.assert_close(latents[i][..., :16], expected[..., :16], atol=1e-4, rtol=1e-4)


def test_a_start_picture_and_a_pull_go_together():
    model, request = tiny_model("sd1"), request_of("Euler", denoising_strength=0.5)
    noise, clean = start_noise(model, request), target_of(8)
    out = denoise(model, request, noise, clean, Progress(), pulls=[Pull(target_of(), LEFT, hold(1.0))])
    plain = denoise(model, request, noise, clean, Progress())
    assert torch.equal(out[..., :16], target_of()[..., :16])
    assert not torch.equal(out[..., 16:], plain[..., 16:])
    assert torch.isfinite(out).all()


def test_regions_of_any_settings_are_held():
    regions = {"regions": [{"prompt": "a tree", "w": 0.5, "cfg_scale": 5}], "wrap_x": True}
    request = replace(request_of("Euler a"), tiling=settings_from_dict({"version": 1, **regions}))
    out = sample_latents(tiny_model("sd1"), request, pulls=[Pull(target_of(), LEFT, hold(1.0))])
    assert torch.equal(out[..., :16], target_of()[..., :16])
    assert isinstance(request.tiling, Settings)
