"""Samplers that also call the model at other sizes than the picture's, in both kinds of hosts."""

import pytest
import torch
from modules import prompt_parser, shared

from tests.webui.forge_model import ControlNet, ForgeConditioning, ForgeJob, ForgeModel
from tests.webui.host_model import Job, run
from tests.webui.test_forge_control import hang, hint
from tests.webui.test_hosts import PARTS
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.forge import HOST as FORGE

MAIN, OWN = "a house", "a blue tower AND snow :0.5"
SIZES = {(20, 40), (10, 20), (25, 50)}
"""Of the canvas, of every second pixel, and enlarged."""


@pytest.fixture(params=["AUTOMATIC1111", "Forge"])
def kind(request, monkeypatch):
    """The class of the jobs of the host that runs."""
    if request.param == "AUTOMATIC1111":
        yield Job
        return
    monkeypatch.setattr(prompt_parser, "SdConditioning", ForgeConditioning)
    before = {part: getattr(host, part) for part in PARTS}
    for part in PARTS:
        object.__setattr__(host, part, getattr(FORGE, part))
    shared.sd_model = ForgeModel()
    yield ForgeJob
    for part, module in before.items():
        object.__setattr__(host, part, module)


def drawn(kind, settings=None, **more):
    """The latent, the comments, and the sizes of the model's calls."""
    shared.sd_model.calls.clear()
    p = kind(args=() if settings is None else (True, settings), sampler_name="Euler SMEA Dy", **more)
    out = run(p)
    return out, set(p.comments), {tuple(shape[-2:]) for shape, _ in shared.sd_model.calls}


TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("more", [{}, {"wrap_x": True}, {"method": "jittered", "overlap_lp": None}], ids=str)
def test_a_region_over_everything_is_its_prompt_at_every_size(kind, batch_size, more):
    plain, _, sizes = drawn(kind, prompt=OWN, batch_size=batch_size)
    assert sizes == SIZES
    region = {"prompt": OWN, "feather": 0}
    tiled, comments, sizes = drawn(kind, {**TILES, **more, "regions": [region]}, prompt=MAIN, batch_size=batch_size)
    torch.testing.assert_close(tiled, plain, atol=1e-4, rtol=0)
    assert sizes == {(16, 16), (10, 16)}
    assert not comments


def test_regions_keep_their_places_at_every_size(kind):
    """Of a model of single pixels: what is beside the edges is as if the whole picture had that prompt."""
    regions = [{"prompt": OWN, "w": 0.5, "feather": 0}, {"prompt": "a lake", "x": 0.5, "w": 0.5, "feather": 0}]
    out, _, _ = drawn(kind, {**TILES, "regions": regions})
    left, right = (drawn(kind, prompt=prompt)[0] for prompt in (OWN, "a lake"))
    torch.testing.assert_close(out[..., :19], left[..., :19], atol=1e-4, rtol=0)
    torch.testing.assert_close(out[..., 21:], right[..., 21:], atol=1e-4, rtol=0)


def test_what_belongs_to_the_pictures_size_is_left_out_there_and_named(kind):
    tiles = {"version": 2, "tile_width": 128, "tile_height": 128, "overlap": 48}
    region = {"prompt": OWN, "w": 0.25, "h": 0.5, "bootstrap": 0.5}
    every = {"tile_prompts": "list", "tile_texts": [{"x": 0, "y": 0, "w": 0.5, "h": 1, "prompt": "a lake"}]}
    out, comments, _ = drawn(kind, {**tiles, "regions": [region], **every})
    assert torch.isfinite(out).all()
    (comment,) = comments
    assert comment.endswith("this sampler also draws at other sizes, there without bootstrapping, prompts of tiles")


class Seen(ControlNet):
    """Fits its hint to every size, as the hosts' own do, and notes the sizes."""

    sizes = ()

    def get_control(self, x_noisy, t, cond, batched_number):
        self.sizes = {*self.sizes, tuple(x_noisy.shape[-2:])}
        return {"middle": [torch.zeros_like(x_noisy)]}


@pytest.mark.parametrize("kind", ["Forge"], indirect=True)
def test_with_controlnets_the_host_draws_other_sizes_whole(kind):
    net = Seen(hint(1))
    hang(net)
    _, comments, sizes = drawn(kind, {**TILES, "regions": [{"prompt": OWN, "w": 0.5}]})
    (comment,) = comments
    assert comment.endswith("this sampler also draws at other sizes, for ControlNet without tiles and regions")
    assert sizes >= SIZES - {(20, 40)}
    assert sizes == net.sizes
