"""Whoever asks for a ring gets one: what Tiled Diffusion draws as a ring, the VAE closes, with its panel or without."""

import json
from types import SimpleNamespace

import pytest
import torch
from modules import processing, shared

from tests.tiled_vae.models import noise, tiny
from tests.webui import host_model
from tests.webui.host_model import Job, field
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.vae.script import TiledVaeScript
from tiled_vae import TiledVaeSettings, swapped

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
X, Y = {**TILES, "wrap_x": True}, {**TILES, "wrap_y": True}
OFF, ON = (False, None), (True, {"mode": "exact"})


class Model(host_model.Model):
    """With a VAE."""

    def __init__(self):
        super().__init__()
        self.first_stage_model = tiny(torch.float32)

    def decode_first_stage(self, z):
        return self.first_stage_model.decode(z)


class Drawn(Job):
    """A job that reads a picture before it draws, and keeps what it has drawn."""

    def init(self, *args):
        self.latent = shared.sd_model.first_stage_model.encode(noise(1, 3, 48, 80, dtype=torch.float32))

    def sample(self):
        self.drawn = super().sample()
        return self.drawn


@pytest.fixture(autouse=True)
def model(monkeypatch):
    monkeypatch.setattr(shared, "sd_model", Model())
    monkeypatch.setattr(processing, "decode_latent_batch", decode_latent_batch)


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    return processing.DecodedSamples(
        shared.sd_model.decode_first_stage(batch[i : i + 1])[0] for i in range(batch.shape[0])
    )


def drawn(settings, vae, **more):
    """A job with both scripts, in the WebUI's order of events; with its pictures, and the latents that they are of."""
    p, ours = Drawn(args=(True, settings), **more), TiledVaeScript()
    ours.controls = ()
    p.script.before_process(p, *p.args)
    ours.before_process(p, *vae)
    p.setup_prompts()
    p.script.process(p, *p.args)
    ours.process(p, *vae)
    p.init()
    p.pictures, p.latents = [], []
    for number in range(p.n_iter):
        ps = SimpleNamespace(samples=host_model._batch(p, number))
        p.latents.append(p.drawn)
        ours.post_sample(p, ps, *vae)
        p.pictures += ps.samples if host.vae.is_decoded(ps.samples) else decode_latent_batch(None, ps.samples)
    p.processed = SimpleNamespace()
    ours.postprocess(p, p.processed, *vae)
    p.pictures, p.latents = torch.stack(p.pictures), torch.cat(p.latents)
    return p


def closed(p, **rings):
    """What the VAE makes of the same, with rings or without: (pictures, latent)."""
    vae, mode = shared.sd_model.first_stage_model, "exact" if rings else "untiled"
    with swapped(vae, TiledVaeSettings(mode=mode, **rings)):
        return vae.decode(p.latents), vae.encode(noise(1, 3, 48, 80, dtype=torch.float32))


BATCHES = [{}, {"batch_size": 2}, {"n_iter": 2}, {"batch_size": 2, "n_iter": 2}]


@pytest.mark.parametrize("more", BATCHES, ids=str)
@pytest.mark.parametrize("vae", [OFF, ON], ids=str)
@pytest.mark.parametrize(
    ("settings", "rings"),
    [(X, {"wrap_x": True}), (Y, {"wrap_y": True}), ({**X, "wrap_y": True}, {"wrap_x": True, "wrap_y": True}),
     ({**X, "method": "jittered"}, {"wrap_x": True})],
    ids=["x", "y", "both", "a moving grid"],
)  # fmt: skip
def test_a_ring_is_closed(settings, rings, vae, more):
    p = drawn(settings, vae, **more)
    pictures, latent = closed(p, **rings)
    assert (p.pictures - pictures).abs().max() < 1e-4
    assert (p.latent - latent).abs().max() < 1e-4
    assert (p.pictures - closed(p)[0]).abs().max() > 1e-3, "the ring changes nothing here"
    own = {} if vae == OFF else {"mode": "exact"}
    assert [field(text, "Tiled VAE") for text in p.infotexts] == [{"version": 2, **own, **rings}] * len(p.pictures)
    assert "forward" not in vars(shared.sd_model.first_stage_model.decoder)


@pytest.mark.parametrize("settings", [TILES, {}])
def test_without_a_ring_and_its_panel_the_vae_is_left_alone(settings):
    p = drawn(settings, OFF)
    assert torch.equal(p.pictures, closed(p)[0])
    assert field(p.infotexts[0], "Tiled VAE") is None
    assert p.comments == []


def test_untiled_cannot_close_a_ring_and_gives_way():
    p = drawn(X, (True, {"mode": "untiled"}))
    assert (p.pictures - closed(p, wrap_x=True)[0]).abs().max() < 1e-4
    assert field(p.infotexts[0], "Tiled VAE") == {"version": 2, "mode": "exact", "wrap_x": True}
    assert "exact instead of untiled" in p.comments[0]


def test_what_the_vae_s_settings_say_of_a_ring_holds():
    p = drawn({**X, "wrap_y": True}, (True, {"mode": "exact", "wrap_x": False}))
    assert (p.pictures - closed(p, wrap_y=True)[0]).abs().max() < 1e-4


def test_a_stand_in_that_cannot_close_the_ring_is_told():
    shared.opts.sd_vae_decode_method = "TAESD"
    p = drawn(X, OFF)
    assert any("cannot close the ring" in comment for comment in p.comments)
    assert p.processed.extra_generation_params["Comments"] == p.comments


def test_a_wrong_ring_closes_nothing():
    with pytest.raises(ValueError, match="overlap"):
        drawn({"wrap_x": True, "tile_width_lp": 16, "overlap_lp": 16}, OFF)
    assert "forward" not in vars(shared.sd_model.first_stage_model.decoder)


def test_the_record_of_a_ring_draws_it_again():
    p = drawn(X, OFF)
    again = drawn(field(p.infotexts[0]), (True, json.dumps(field(p.infotexts[0], "Tiled VAE"))))
    assert (again.pictures - p.pictures).abs().max() < 1e-6
