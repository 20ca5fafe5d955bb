"""The pull on means: means of blocks become the target's, and what lies within blocks stays."""

import pytest
import torch

from tiled_diffusion.engine.guides import Moment
from tiled_diffusion.engine.guides.means import MeanPull, block_means
from tiled_diffusion.engine.guides.pull import hold
from tiled_diffusion.engine.model import Level, predicted


def pulled(prediction_kind, keep=1.0, progress=0.0, batch=3):
    g = torch.Generator().manual_seed(0)
    clean, target, noise = (torch.randn(batch, 4, 16, 24, generator=g, dtype=torch.float64) for _ in range(3))
    level = Level.of_alphas_cumprod(torch.tensor([0.4], dtype=torch.float64))
    level = Level.of_flow(torch.tensor([0.4], dtype=torch.float64)) if prediction_kind == "flow" else level
    x = level.noised(clean, noise)
    pull = MeanPull(target, torch.ones(1, 1, 16, 24, dtype=torch.float64), hold(keep), block=4)
    pull.begin_step(Moment(0, progress, level, prediction_kind))
    before = predicted(clean, x, level, prediction_kind)
    after = pull.after(before, x)
    return clean, target, x, level, before, after


@pytest.mark.parametrize("kind", ["eps", "v", "x0", "flow"])
def test_block_means_become_the_targets_whatever_is_predicted(kind):
    clean, target, x, level, _, after = pulled(kind)
    wanted = clean + block_means(target - clean, 4)
    assert torch.allclose(after, predicted(wanted, x, level, kind))
    assert torch.allclose(block_means(wanted, 4), block_means(target, 4))
    inside = clean - block_means(clean, 4)
    assert torch.allclose(wanted - block_means(wanted, 4), inside)


def test_it_lets_go():
    *_, before, after = pulled("eps", keep=0.5, progress=0.6)
    assert after is before


@pytest.mark.parametrize("size", [(16, 16), (18, 10), (3, 3)])
def test_means_keep_the_whole_and_are_their_own(size):
    values = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(1))
    means = block_means(values, 4)
    assert means.shape == values.shape
    if size == (16, 16):
        assert torch.allclose(means, block_means(means, 4))
        assert torch.allclose(means.mean((2, 3)), values.mean((2, 3)), atol=1e-6)


def test_start_and_end_are_left_alone():
    pull = MeanPull(torch.zeros(1, 4, 8, 8), torch.ones(1, 1, 8, 8), hold(1.0), block=2)
    latent = torch.randn(2, 4, 8, 8)
    assert pull.start(latent, latent, Level.of_sigma(torch.ones(1))) is latent
    assert pull.finish(latent) is latent
