"""Bootstrapped regions in the standalone program: sketches by the request's own model, prompts and noise."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.standalone.tiny import flow_model, tiny_model
from tiled_diffusion.engine.fuse import Batching
from tiled_diffusion.engine.masks import region_box
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.bootstrap import bootstrapped
from tiled_diffusion.standalone.control import load_controls
from tiled_diffusion.standalone.denoiser import Denoiser
from tiled_diffusion.standalone.inversion import Sampling
from tiled_diffusion.standalone.samplers import scheduler_of
from tiled_diffusion.standalone.sampling import make_planner, sample_latents, start_noise

WIDE = {"width": 256, "height": 64, "steps": 4, "cfg_scale": 3.0, "seed": 5}
SMALL = Region("a tree", 0.3, 0.25, 0.1, 0.5, layer="foreground", feather=0.0, bootstrap=0.5)


def request_of(region, **more):
    return Request("a field", **{**WIDE, **more}, tiling=Settings(regions=(region,)))


def latents(kind="sd1", bootstrap=0.5, init_image=None, **more):
    return sample_latents(
        tiny_model(kind), request_of(replace(SMALL, bootstrap=bootstrap), **more), init_image=init_image
    )


def test_it_is_deterministic_and_ends():
    assert torch.equal(latents(), latents())
    assert not torch.equal(latents(), latents(bootstrap=0.0))
    assert not torch.equal(latents(), latents(bootstrap=1.0))


@pytest.mark.parametrize(
    ("kind", "sampler"),
    [
        ("sd1", "DDIM"),
        ("sd1", "Euler a"),
        ("sd1", "UniPC"),
        ("sd2", "DPM++ 2M"),
        ("sdxl", "Heun"),
        ("sd3", "Euler"),
        ("flux", "Euler"),
    ],
)
@pytest.mark.parametrize(
    "region", [SMALL, replace(SMALL, prompt="a tree AND fog :0.5", cfg_scale=5.0)], ids=["one", "AND"]
)
def test_what_is_bootstrapped_to_the_end_is_the_sketch(kind, sampler, region):
    model = flow_model(kind) if kind in ("sd3", "flux") else tiny_model(kind)
    request = request_of(replace(region, bootstrap=1.0), sampler=sampler, batch_size=2)
    drawn, planner = sample_latents(model, request), make_planner(model, request)
    scheduler = scheduler_of(model, request, planner.largest_crop())
    coming = Sampling(model, request, planner, Batching(1), load_controls(model, request), None)
    (pull,) = bootstrapped(coming, Denoiser.of(model, request), start_noise(model, request), scheduler)
    box = region_box(region, planner.canvas)
    assert box.gather(drawn).std() > 0.01
    torch.testing.assert_close(box.gather(drawn), box.gather(pull.target), atol=1e-5, rtol=0)


def test_a_picture_of_a_batch_is_as_alone():
    together, alone = latents(batch_size=2), latents(seed=6)
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)


def test_nothing_is_sketched_that_begins_with_a_picture():
    start = {"init_image": Image.new("RGB", (64, 64), "teal"), "denoising_strength": 0.6}
    assert torch.equal(latents(**start), latents(bootstrap=0.0, **start))


def test_the_sketch_has_the_regions_prompt_and_the_tiles_noise():
    """So another prompt and another seed of the region change it, and another main prompt moves it at most."""
    kept = [latents(bootstrap=1.0, steps=2)]
    for change in ({"prompt": "a house"}, {"seed": 9}, {"cfg_scale": 8.0}, {"negative_prompt": "snow"}):
        region = replace(SMALL, bootstrap=1.0, **change)
        kept.append(sample_latents(tiny_model("sd1"), request_of(region, steps=2)))
    box = region_box(SMALL, make_planner(tiny_model("sd1"), request_of(SMALL)).canvas)
    seen = [box.gather(k) for k in kept]
    assert all(not torch.allclose(seen[0], other, atol=1e-4) for other in seen[1:])
