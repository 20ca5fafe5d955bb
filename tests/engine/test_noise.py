"""Random numbers by key."""

import pytest
import torch

from tiled_diffusion.engine.noise import canvas_noise, keyed_generator, keyed_seed, region_noise
from tiled_diffusion.settings.values import Reroll, Settings


def test_image_k_depends_on_its_own_seed_alone():
    batch = canvas_noise((4, 16, 32), [5, 6, 7])
    for k, seed in enumerate([5, 6, 7]):
        assert torch.equal(batch[k], canvas_noise((4, 16, 32), [seed])[0])
    assert batch.dtype == torch.float32


def test_it_is_normal():
    x = canvas_noise((4, 128, 128), [1, 2])
    assert abs(float(x.mean())) < 0.01
    assert abs(float(x.var()) - 1) < 0.02


def test_keys_are_independent_and_stable():
    assert keyed_seed(0, "grid", 1, 0) == 1416626145182687439
    keys = [(s, p, i) for s in (0, 1) for p in ("grid", "noise") for i in range(50)]
    assert len({keyed_seed(*k) for k in keys}) == len(keys)
    assert all(0 <= keyed_seed(*k) < 2**63 for k in keys)
    assert not torch.equal(
        torch.randn(4, generator=keyed_generator(0, "a")), torch.randn(4, generator=keyed_generator(0, "b"))
    )


def test_the_global_generator_is_not_touched():
    before = torch.random.get_rng_state()
    canvas_noise((4, 8, 8), [1])
    keyed_generator(1, "x")
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_a_part_of_the_noise_is_drawn_anew_and_the_variance_stays(amount):
    noise = torch.randn((1, 4, 200, 200), generator=torch.Generator().manual_seed(0))
    new = region_noise(noise, Settings(rerolls=(Reroll(7, noise=amount),)))
    assert float(new.var()) == pytest.approx(1, abs=0.01)
    likeness = float((new * noise).mean() / noise.var())
    assert likeness == pytest.approx((1 - amount**2) ** 0.5, abs=0.02)
