"""Making pictures larger."""

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.upscale import enlarge, upscale, upscaled_request


def picture(width=40, height=24):
    return Image.effect_mandelbrot((width, height), (-2, -1, 1, 1), 50).convert("RGB")


@pytest.mark.parametrize(("scale", "size"), [(1, (40, 24)), (2, (80, 48)), (2.5, (100, 60)), (4, (160, 96))])
def test_lanczos(scale, size):
    assert enlarge(picture(), scale).size == size


def test_scale_1_changes_nothing():
    assert (np.asarray(enlarge(picture(), 1)) == np.asarray(picture())).all()


@pytest.mark.parametrize("scale", [0.5, 17, float("nan"), "2"])
def test_wrong_scales(scale):
    with pytest.raises(TiledError, match="scale: got .*, allowed is a number from 1 to 16"):
        enlarge(picture(), scale)


def test_the_canvas_is_rounded_to_what_models_can_make():
    for kind, size in (("sd1", (256, 128)), ("sdxl", (256, 160))):
        request = upscaled_request(tiny_model(kind), Request("a"), picture(100, 61), 2.5)
        assert (request.width, request.height) == size


def test_upscale_keeps_the_picture_where_nothing_is_drawn_anew():
    model, small = tiny_model("sd1"), picture(64, 32)
    [kept] = upscale(model, Request("a", steps=4, denoising_strength=0.0), small, 4)
    [drawn] = upscale(model, Request("a", steps=4, denoising_strength=0.9), small, 4)
    assert kept.size == drawn.size == (256, 128)
    assert (np.asarray(kept) != np.asarray(drawn)).any()


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


def test_an_upscaler_is_applied_until_the_picture_is_large_enough(monkeypatch, tmp_path):
    (tmp_path / "x2.pth").write_bytes(b"")
    fake_spandrel(monkeypatch, lambda path: Descriptor())
    expected = picture().resize((160, 96), Image.Resampling.NEAREST)
    assert (np.asarray(enlarge(picture(), 4, tmp_path / "x2.pth")) == np.asarray(expected)).all()
    assert enlarge(picture(), 3, tmp_path / "x2.pth").size == (120, 72)


def test_what_is_no_upscaler(monkeypatch, tmp_path):
    file = tmp_path / "x.pth"
    with pytest.raises(TiledError, match="upscaler: there is no file"):
        enlarge(picture(), 2, file)
    file.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(TiledError, match="pip install spandrel"):
        enlarge(picture(), 2, file)

    def broken(path):
        raise RuntimeError("unknown architecture")

    fake_spandrel(monkeypatch, broken)
    with pytest.raises(TiledError, match="cannot be loaded .unknown architecture"):
        enlarge(picture(), 2, file)
    fake_spandrel(monkeypatch, lambda path: torch.nn.Identity())
    with pytest.raises(TiledError, match="no model that makes pictures larger"):
        enlarge(picture(), 2, file)
