"""The VAE at both ends of a run."""

import pytest
import torch

from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.sampling import generate
from tiled_diffusion.standalone.vae import decode, encode
from tiled_vae import TiledVaeSettings


def latents(h=8, w=24):
    return torch.randn(2, 4, h, w, generator=torch.Generator().manual_seed(0))


def test_a_small_picture_is_the_untiled_pass_and_the_vae_is_left_as_it_was():
    model, z = tiny_model("sd1"), latents()
    before = dict(model.vae.decoder.__dict__), dict(model.vae.encoder.__dict__)
    with torch.no_grad():
        plain = model.vae.decode(z / model.vae.config.scaling_factor).sample
    torch.testing.assert_close(decode(model, z, Settings()), plain, atol=1e-4, rtol=0)
    encode(model, plain.clamp(-1, 1), Settings())
    assert before == (dict(model.vae.decoder.__dict__), dict(model.vae.encoder.__dict__))


@pytest.mark.parametrize(("axis", "ring"), [(-1, {"wrap_x": True}), (-2, {"wrap_y": True})])
def test_a_ring_has_no_seam(axis, ring):
    model, z = tiny_model("sd1"), latents(16, 24)

    def worst(**settings):
        turned = decode(model, torch.roll(z, 5, axis), Settings(**settings))
        return (turned - torch.roll(decode(model, z, Settings(**settings)), 40, axis)).abs().max()

    assert worst(**ring) < 1e-4
    assert worst() > 1e-2


def test_encoding_a_ring_goes_around_too():
    model = tiny_model("sd1")
    pixels = decode(model, latents(8, 16), Settings(wrap_x=True)).clamp(-1, 1)
    turned = encode(model, torch.roll(pixels, 32, -1), Settings(wrap_x=True))
    straight = encode(model, pixels, Settings(wrap_x=True))
    torch.testing.assert_close(turned, torch.roll(straight, 4, -1), atol=1e-4, rtol=0)


def test_numbers_that_break_are_an_error():
    model = tiny_model("sd1")
    with pytest.raises(TiledError, match="finite"):
        decode(model, latents() * float("nan"), Settings())


def test_vae_settings_are_passed_on_and_their_errors_are_ours():
    request = Request("a", width=128, height=64, steps=1, tiling=Settings(wrap_x=True))
    with pytest.raises(TiledError, match="VAE: wrap_x and wrap_y need mode auto"):
        generate(tiny_model("sd1"), request, vae_settings=TiledVaeSettings("untiled"))
