"""Noise inversion: closed forms, the mixing of noises, the map of freedom, and what is found again."""

import math

import pytest
import torch

from tiled_diffusion.engine.inversion import Recent, freedom_map, inverted_noise, mixed, stepped
from tiled_diffusion.engine.model import Level, noise_in, predicted
from tiled_diffusion.errors import TiledError

SIGMAS = [0.1, 0.4, 1.0, 3.0]
VE = [Level.of_sigma(torch.tensor([s], dtype=torch.float64)) for s in SIGMAS]
VP = [Level(1 / (1 + s**2).sqrt(), s / (1 + s**2).sqrt()) for s in (level.sigma for level in VE)]


def latent(seed=0, shape=(2, 4, 8, 12)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("levels", [VE, VP], ids=["ve", "vp"])
@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_model_that_always_says_the_same_noise(levels, rounds):
    own = latent(1)
    noise = inverted_noise(latent(), levels, lambda x, k: own, rounds)
    torch.testing.assert_close(noise, own, atol=1e-12, rtol=0)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_linear_model_in_closed_form(rounds):
    """eps = a x, so that all is a multiple of the picture: of e = a (f + d e), as often as there are rounds, f + d e."""
    a, x = 0.3, latent()
    factor, eps, before = 1.0, 0.0, 0.0
    for sigma in SIGMAS:
        for _ in range(rounds):
            eps = a * (factor + (sigma - before) * eps)
        factor, before = factor + (sigma - before) * eps, sigma
    noise = inverted_noise(x, VE, lambda x, k: a * x, rounds)
    torch.testing.assert_close(noise, x * (factor - 1) / SIGMAS[-1], atol=1e-12, rtol=1e-9)


def test_with_many_rounds_a_linear_model_is_inverted_exactly():
    """Euler's steps from there lead back: the product of 1 / (1 - a d)."""
    a, x, factor = 0.3, latent(), 1.0
    for sigma, before in zip(SIGMAS, [0.0, *SIGMAS], strict=False):
        factor /= 1 - a * (sigma - before)
    noise = inverted_noise(x, VE, lambda x, k: a * x, 60)
    torch.testing.assert_close(noise, x * (factor - 1) / SIGMAS[-1], atol=1e-9, rtol=1e-6)


def test_both_kinds_of_coordinates_agree():
    def model(x, sigma):
        return torch.tanh(0.3 * x + sigma)

    ve = inverted_noise(latent(), VE, lambda x, k: model(x, SIGMAS[k]), 2)
    vp = inverted_noise(latent(), VP, lambda x, k: model(x / VP[k].alpha, SIGMAS[k]), 2)
    torch.testing.assert_close(vp, ve, atol=1e-12, rtol=1e-9)


def test_the_models_own_steps_lead_back():
    """Euler from the found noise; closer with every round, and far off with any other noise."""

    def model(x, k):
        return torch.tanh(x) * 0.8 + 0.1 * SIGMAS[k]

    def back(noise):
        x = latent() + SIGMAS[-1] * noise
        for k in reversed(range(len(SIGMAS))):
            x = x + model(x, k) * ((SIGMAS[k - 1] if k else 0.0) - SIGMAS[k])
        return float((x - latent()).square().mean().sqrt())

    gaps = [back(inverted_noise(latent(), VE, model, rounds)) for rounds in (1, 4, 16)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.2 * back(latent(3))


@pytest.mark.parametrize("kind", ["eps", "v", "x0", "flow"])
@pytest.mark.parametrize("level", [VP[2], Level.of_flow(torch.tensor([0.3], dtype=torch.float64))], ids=["vp", "flow"])
def test_the_noise_in_every_kind_of_prediction(kind, level):
    clean, noise = latent(1), latent(2)
    x = level.noised(clean, noise)
    torch.testing.assert_close(noise_in(predicted(clean, x, level, kind), x, level, kind), noise, atol=1e-10, rtol=0)


def test_levels_without_a_picture_are_left_out():
    last = Level(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    seen = []

    def model(x, k):
        seen.append(k)
        return torch.zeros_like(x)

    assert torch.isfinite(inverted_noise(latent(), [*VP, last], model, 1)).all()
    assert seen == [0, 1, 2, 3]
    with pytest.raises(TiledError, match="no step"):
        inverted_noise(latent(), [last], model, 1)


def test_broken_numbers_are_an_error():
    with pytest.raises(TiledError, match="NaN"):
        inverted_noise(latent(), VE, lambda x, k: x * math.nan, 1)


@pytest.mark.parametrize("freedom", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_mixed_noise_has_variance_one(freedom):
    a, b = latent(1, (1, 4, 160, 160)), latent(2, (1, 4, 160, 160))
    assert float(mixed(a, b, freedom).var()) == pytest.approx(1, abs=0.02)
    if freedom in (0, 1):
        assert torch.equal(mixed(a, b, freedom), (a, b)[int(freedom)])


@pytest.mark.parametrize("freedom", [0.0, 0.2, 0.7, 1.0])
def test_flat_areas_are_freer(freedom):
    picture = torch.randn(2, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    picture[..., :12] *= 0.01
    free = freedom_map(picture, freedom)
    assert free.shape == (2, 1, 24, 24)
    assert float(free.mean()) == pytest.approx(freedom, abs=1e-3)
    assert 0 <= float(free.min()) <= float(free.max()) <= 1
    flat, detailed = float(free[..., :10].mean()), float(free[..., 14:].mean())
    assert flat > detailed + 0.1 if 0 < freedom < 1 else flat == detailed


def test_steps_over_the_same_range():
    assert stepped([1, 2, 3, 4], None) == stepped([1, 2, 3, 4], 4) == [1, 2, 3, 4]
    assert stepped([1, 2, 3, 4], 2) == [2, 4]
    assert stepped([1, 2], 4) == [0.5, 1, 1.5, 2]


def test_what_was_found_is_found_again():
    recent, calls = Recent(most=2), []

    def model(scale):
        def noise_of(x, k):
            calls.append(k)
            return scale * x

        return noise_of

    def noise(key="a", x=latent(), scale=0.3, rounds=1):  # noqa: B008 the same for all
        return recent.noise(key, x, VE, model(scale), rounds)

    first = noise()
    assert calls == [0, 1, 2, 3]
    assert torch.equal(noise(), first)
    assert (recent.runs, len(calls)) == (1, 5), "the model is asked once, to see whether it is the same"
    for other in ({"key": "b"}, {"x": latent(7)}, {"scale": 0.31}, {"rounds": 2}):
        noise(**other)
    assert (recent.runs, len(recent.kept)) == (5, 2)
