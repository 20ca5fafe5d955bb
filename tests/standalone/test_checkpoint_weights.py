"""The weights that ship with the package: small, of SD1's structure, and with norms that are norms."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from tiled_diffusion import standalone
from training import dataset

CHECKPOINT = Path(standalone.__file__).parent / "checkpoint"


@pytest.fixture(scope="module")
def pipeline():
    return StableDiffusionPipeline.from_pretrained(
        CHECKPOINT, torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )


def pictures(count):
    u8 = np.stack([np.asarray(dataset.make_sample(20_000_000 + i)[0]) for i in range(count)])
    return torch.from_numpy(u8).permute(0, 3, 1, 2) / 127.5 - 1


def test_it_is_small():
    assert sum(f.stat().st_size for f in CHECKPOINT.rglob("*") if f.is_file()) <= 15e6


def test_the_vae_has_sd1s_structure(pipeline):
    config = pipeline.vae.config
    assert (config.latent_channels, config.scaling_factor) == (4, 0.18215)
    assert pipeline.vae_scale_factor == 8
    assert pipeline.vae.quant_conv is not None
    assert pipeline.vae.decoder.mid_block.attentions[0] is not None


def test_every_norm_of_the_vae_normalises_over_several_channels(pipeline):
    """Each norm sees groups that vary, not constants that turn it into an identity."""
    norms = {n: m for n, m in pipeline.vae.named_modules() if isinstance(m, torch.nn.GroupNorm)}
    assert norms
    seen = {}
    handles = [m.register_forward_pre_hook(lambda m, x, n=n: seen.update({n: x[0]})) for n, m in norms.items()]
    with torch.no_grad():
        pipeline.vae(pictures(2))
    for h in handles:
        h.remove()
    assert seen.keys() == norms.keys()
    for name, m in norms.items():
        assert m.num_channels // m.num_groups >= 2, name
        channels = seen[name].reshape(2, m.num_groups, m.num_channels // m.num_groups, -1)
        assert (channels.std(-1) > 1e-5).float().mean() > .9, name
        assert channels.abs().max() < 400, name


def test_the_vae_gives_unseen_pictures_back(pipeline):
    x = pictures(16)
    with torch.no_grad():
        y = pipeline.vae.decode(pipeline.vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
    psnr = 10 * torch.log10(4 / ((x - y) ** 2).mean((1, 2, 3)))
    assert psnr.mean() >= 27


def test_latents_are_scaled_to_unit_variance(pipeline):
    with torch.no_grad():
        z = pipeline.vae.encode(pictures(16)).latent_dist.mode() * pipeline.vae.config.scaling_factor
    assert z.mean().abs() < .2
    assert .8 < z.std() < 1.25
