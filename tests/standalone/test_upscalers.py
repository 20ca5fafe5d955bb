"""Enlarging by Lanczos and by the file of an upscaling network."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.upscale import upscaled_request
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone import DiffusersHost, generate, upscale
from tiled_diffusion.standalone.upscalers import enlarge


def picture(width=40, height=24, mode="RGB"):
    return Image.effect_mandelbrot((width, height), (-2, -1, 1, 1), 50).convert(mode)


def pixels(image):
    return np.asarray(image).tolist()


class Descriptor:
    """Stands for what spandrel loads: doubles every side by repeating pixels."""

    scale = 2

    def eval(self):
        return self

    def __call__(self, x):
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def fake_spandrel(monkeypatch, loaded):
    module = types.ModuleType("spandrel")
    module.ImageModelDescriptor = Descriptor
    module.ModelLoader = lambda: types.SimpleNamespace(load_from_file=loaded)
    monkeypatch.setitem(sys.modules, "spandrel", module)


@pytest.fixture
def network(monkeypatch, tmp_path):
    """The path of a network that doubles every side."""
    (tmp_path / "x2.pth").write_bytes(b"")
    fake_spandrel(monkeypatch, lambda path: Descriptor())
    return tmp_path / "x2.pth"


def test_a_network_is_applied_until_the_picture_is_large_enough(network):
    expected = picture().resize((160, 96), Image.Resampling.NEAREST)
    assert pixels(enlarge(picture(), (160, 96), network)) == pixels(expected)
    assert enlarge(picture(), (120, 30), network).size == (120, 30)


def test_the_host_and_the_recipe_take_a_networks_path(network):
    host, request = DiffusersHost(tiny_model("sd1")), Request("a", steps=2, denoising_strength=0.0)
    large = host.upscale(picture(64, 32), (256, 128), str(network))
    assert pixels(large) == pixels(picture(64, 32).resize((256, 128), Image.Resampling.NEAREST))
    [upscaled] = upscale(host.model, request, picture(64, 32), 4, upscaler=str(network))
    [decoded] = host.decode(host.encode([large]))
    assert pixels(upscaled) == pixels(decoded)


def test_what_is_no_upscaler(monkeypatch, tmp_path):
    file = tmp_path / "x.pth"
    with pytest.raises(TiledError, match="upscaler: there is no file"):
        enlarge(picture(), (80, 48), file)
    file.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(TiledError, match="pip install spandrel"):
        enlarge(picture(), (80, 48), file)

    def broken(path):
        raise RuntimeError("unknown architecture")

    fake_spandrel(monkeypatch, broken)
    with pytest.raises(TiledError, match="cannot be loaded .unknown architecture"):
        enlarge(picture(), (80, 48), file)
    fake_spandrel(monkeypatch, lambda path: torch.nn.Identity())
    with pytest.raises(TiledError, match="no model that makes pictures larger"):
        enlarge(picture(), (80, 48), file)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_recorded_request_draws_the_upscaled_picture_again(mode, tmp_path):
    """With Lanczos, where sides are rounded too: the start is enlarged once, to the canvas."""
    small, host = picture(50, 31, mode), DiffusersHost(tiny_model("sd1"))
    if mode == "RGBA":
        small.putalpha(Image.linear_gradient("L").resize(small.size))
    small.save(tmp_path / "small.png")
    request = Request("a tree", steps=4, seed=3, denoising_strength=0.5)
    [large] = upscale(host.model, request, small, 2.5)
    record = replace(upscaled_request(host, request, small, 2.5), init_image=str(tmp_path / "small.png"))
    [again] = generate(host.model, record)
    assert (record.width, record.height) == large.size == (128, 64)
    assert pixels(again) == pixels(large)
