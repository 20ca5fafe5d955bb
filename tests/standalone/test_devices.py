"""What runs touch on their device: seldom waited for, and no number that Apple's do not know. See bench/gpu/simulated.py."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from PIL import Image

from bench.gpu.simulated import simulated
from tests.standalone.tiny import flow_model, tiny_model
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import SAMPLERS, Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.samplers import samplers_of
from tiled_diffusion.standalone.sampling import generate, sample_latents
from tiled_vae import TiledVaeSettings

KINDS = ("sd1", "sd2", "sdxl", "sd3", "flux")
REGIONS = (
    Region(prompt="a tree", x=0, y=0, w=0.5, h=1),
    Region(prompt="a lake", x=0.5, y=0, w=0.5, h=0.5, layer="foreground"),
)
SETTINGS = {
    **{name: Settings(method=name) for name in METHODS},
    "ring": Settings(wrap_x=True),
    "regions": Settings(regions=REGIONS),
    "bootstrap": Settings(regions=(replace(REGIONS[0], w=0.3, bootstrap=0.6),)),
    "framed": Settings(method="elastic", elastic_reference="pad"),
}
OF_THE_LIBRARY = {"UniPC": 6}
"""Waits a step of diffusers' own, in its scheduler."""


def copied(kind):
    """A tiny model of its own."""
    return copy.deepcopy(flow_model(kind) if kind in ("sd3", "flux") else tiny_model(kind))


class Watch(Progress):
    """Notes how often the host had waited by the end of each step."""

    def __init__(self, device):
        self.device, self.totals = device, []

    def step(self, i):
        self.totals.append(self.device.total)


def waits_a_step(kind, **job):
    """The most of all steps but the first, in which a run's tiles come to the device."""
    model = copied(kind)
    with simulated("xla") as device:
        watch = Watch(device)
        request = Request("a house", width=128, height=64, steps=3, **job)
        latents = sample_latents(device.hold(model), request, progress=watch)
        assert latents.device.type == "xla"
        assert len(watch.totals) >= 3
        return max(after - before for before, after in pairwise(watch.totals))


@pytest.mark.parametrize("kind", KINDS)
def test_the_host_waits_but_twice_a_step(kind):
    """For the noise of a sampler, which is drawn by the processor, and to see whether numbers broke."""
    assert waits_a_step(kind, sampler="Euler" if kind in ("sd3", "flux") else "Euler a") <= 2


@pytest.mark.parametrize("name", SETTINGS)
def test_the_host_waits_but_twice_a_step_with_any_settings(name):
    assert waits_a_step("sd1", sampler="Euler a", tiling=SETTINGS[name]) <= 2 + OF_THE_LIBRARY.get(name, 0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_host_waits_but_twice_a_step_with_any_sampler(sampler):
    assert waits_a_step("sd1", sampler=sampler) <= 2 + OF_THE_LIBRARY.get(sampler, 0)


def drawn_without_float64(kind, *, vae=None, start=None, half=None, **job):
    model = copied(kind)
    with simulated("mps", (torch.float64,)) as device:
        request = Request("a house", width=128, height=64, steps=2, **job)
        [image] = generate(device.hold(model), request, init_image=start, mask=half, vae_settings=vae)
        assert device.calls > 1000
    assert image.size == (128, 64)


@pytest.mark.parametrize("kind", KINDS)
def test_no_float64_with_any_model(kind):
    drawn_without_float64(kind, sampler="Euler")


@pytest.mark.parametrize("name", SETTINGS)
def test_no_float64_with_any_settings(name):
    drawn_without_float64("sd1", tiling=SETTINGS[name])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_float64_with_any_sampler(sampler):
    drawn_without_float64("sd1", sampler=sampler)


@pytest.mark.parametrize("sampler", samplers_of(flow_model("sd3")))
def test_no_float64_with_any_sampler_of_flows(sampler):
    drawn_without_float64("sd3", sampler=sampler)


@pytest.mark.parametrize(
    ("mode", "offload"),
    [("untiled", "device"), ("exact", "device"), ("exact", "host"), ("exact", "recompute"), ("fast", "device")],
)
def test_no_float64_in_the_tiled_vae(mode, offload):
    vae = TiledVaeSettings(mode, encoder_tile_px=64, decoder_tile_lp=8, offload=offload)
    drawn_without_float64("sd1", vae=vae, start=Image.new("RGB", (128, 64), "teal"), denoising_strength=0.5)


@pytest.mark.parametrize(
    "job",
    [
        {"hold": 0.5},
        {"inversion": Inversion(steps=2)},
        {"mask": "given", "inpaint_from": "noise"},
        {"mask": "given", "inpaint_from": "original", "mask_feather": 8},
    ],
    ids=["hold", "inversion", "inpaint from noise", "inpaint"],
)
def test_no_float64_with_a_start_picture(job):
    start, half = Image.new("RGB", (128, 64), "teal"), Image.new("L", (128, 64))
    half.paste(255, (0, 0, 64, 64))
    drawn_without_float64("sd1", start=start, half=half if "mask" in job else None, init_image="given", **job)
