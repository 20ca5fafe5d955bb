"""Short number types on a processor, where an error of types shows as it would on a card."""

from functools import lru_cache

import pytest
import torch
from PIL import Image

from tests.standalone.tiny import flow_model, flow_pipeline, pipeline, tiny_model
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.images import fitted
from tiled_diffusion.standalone.model import model_from_pipeline
from tiled_diffusion.standalone.sampling import sample_latents
from tiled_diffusion.standalone.vae import decode, encode
from tiled_vae import TiledVaeSettings

KINDS = ("sd1", "sd2", "sdxl", "sd3", "flux")
SHORT = {"bf16": torch.bfloat16, "fp16": torch.float16}


def wide(kind):
    return flow_model(kind) if kind in ("sd3", "flux") else tiny_model(kind)


@lru_cache
def short(kind, dtype):
    """The same weights in short numbers; pipelines are made anew, for the others keep theirs."""
    make = flow_pipeline if kind in ("sd3", "flux") else pipeline
    return model_from_pipeline(make.__wrapped__(kind), f"short-{kind}", torch.device("cpu"), SHORT[dtype])


def likeness(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


CASES = [("bf16", kind, method) for kind in KINDS for method in METHODS]
CASES += [("fp16", kind, "mixture") for kind in KINDS]


@pytest.mark.parametrize(("dtype", "kind", "method"), CASES)
def test_latents(dtype, kind, method):
    request = Request("a house", width=128, height=64, steps=2, sampler="Euler", tiling=Settings(method=method))
    ours, wanted = (sample_latents(model, request) for model in (short(kind, dtype), wide(kind)))
    assert ours.dtype == torch.float32
    assert likeness(ours, wanted) > 0.99


@pytest.mark.parametrize("mode", ["untiled", "exact", "fast"])
@pytest.mark.parametrize("kind", ["sd1", "sd3"])
@pytest.mark.parametrize("dtype", SHORT)
def test_pictures(kind, mode, dtype):
    """To latents and back; a VAE of random weights."""
    settings = TiledVaeSettings(mode, encoder_tile_px=64, decoder_tile_lp=8)
    start = Image.linear_gradient("L").convert("RGB")
    pixels = fitted(start, Request("", width=128, height=64, init_image="given"))
    latents, pictures = [], []
    for model in (short(kind, dtype), wide(kind)):
        latents.append(encode(model, pixels, Settings(), settings))
        pictures.append(decode(model, latents[-1], Settings(), settings))
    assert likeness(*latents) > 0.99
    assert likeness(*pictures) > 0.98
