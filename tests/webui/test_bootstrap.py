"""Bootstrapped regions in jobs of the WebUI: sketches at the first model call, whatever rows the host gives it."""

import itertools

import pytest
import torch
from modules import shared

from tests.webui.host_model import FAMILIES, Job, Model, job, run
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides.bootstrap import NOISES, STEPS, Sketcher, bootstrap_pulls
from tiled_diffusion.engine.inversion import stepped
from tiled_diffusion.engine.model import Level
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.settings.panel import panel_settings_from_dict
from tiled_diffusion.webui.hosts import host

TILES = {"tile_width": 128, "tile_height": 128, "overlap": 48, "version": 2}
ONE, LONG = "a blue tower", "a very long prompt of many words that has another length than the others have, twice"
SMALL = {"x": 0.3, "y": 0.2, "w": 0.25, "h": 0.5, "layer": "foreground", "feather": 0.0, "bootstrap": 0.5}
"""10 x 10 latent pixels at (4, 12)."""
BOX = Box(4, 12, 10, 10)


def settings(prompt=ONE, **more):
    return {**TILES, "regions": [{"prompt": prompt, **SMALL, **more}]}


class Uneven(Model):
    """Says something else in every column, the more so the larger its text's mean is."""

    def predict(self, x, sigma, cond):
        columns = 0.3 * torch.sin(torch.arange(x.shape[-1]) * 0.7)
        return super().predict(x, sigma, cond) + columns * cond["c_crossattn"][0].mean(dim=1)[:, :, None, None]


@pytest.fixture(autouse=True)
def model():
    shared.sd_model = Uneven()
    return shared.sd_model


def expected(prompt, main, scale, batch, steps=4):
    """What the engine's sketch is with the model asked directly."""
    noise = torch.stack([torch.randn(4, 20, 40, generator=torch.Generator().manual_seed(1 + k)) for k in range(batch)])
    values = stepped(torch.linspace(0.1, 1, steps).tolist(), STEPS)[::-1]
    model = Uneven()

    def said(text, x, value):
        encoded = model.encoded(text)[None].expand(len(x), -1, -1)
        return model.predict(x, torch.full((len(x),), value), {"c_crossattn": [encoded]})

    def clean(tile, x, number, guidance):
        own = said(prompt if tile.prompt else main, x, values[number])
        against = said("", x, values[number])
        return against + (scale if guidance else 1.0) * (own - against)

    own = panel_settings_from_dict(settings(prompt)).tiling
    planner = Planner(Extent(20, 40), own, host.sampling.model_size())
    levels = [Level.of_sigma(torch.tensor([value])) for value in values]
    (pull,) = bootstrap_pulls(planner, noise, Sketcher(levels, clean))
    return BOX.gather(pull.target)


def shown(prompt=ONE, main="a house", batch=1, **more):
    return BOX.gather(job(settings(prompt, bootstrap=1.0), prompt=main, batch_size=batch, **more))


@pytest.mark.parametrize("options", [{}, {"batch_cond_uncond": False}], ids=str)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_is_bootstrapped_to_the_end_is_the_sketch(batch, options):
    for key, value in options.items():
        setattr(shared.opts, key, value)
    for own, main, scale in itertools.product([ONE, LONG], ["a house", LONG], [None, 6.0]):
        region = {"bootstrap": 1.0} if scale is None else {"bootstrap": 1.0, "cfg_scale": scale}
        out = job(settings(own, **region), prompt=main, batch_size=batch)
        torch.testing.assert_close(BOX.gather(out), expected(own, main, scale or 3.0, batch), atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_it_is_the_same_with_every_sampler(family):
    torch.testing.assert_close(shown(sampler_name=family), shown(), atol=1e-6, rtol=0)


def test_it_ends_where_it_says():
    begun, plain, kept = (job(settings(bootstrap=b), steps=8) for b in (0.5, 0.0, 1.0))
    assert not torch.allclose(BOX.gather(begun), BOX.gather(plain), atol=1e-3)
    assert not torch.allclose(BOX.gather(begun), BOX.gather(kept), atol=1e-3)


def test_and_and_prompt_editing_and_several_regions():
    two = {
        **TILES,
        "regions": [
            {"prompt": "a tower AND snow :0.4", **SMALL},
            {"prompt": "[a tree:a house:0.5]", **SMALL, "x": 0.65},
        ],
    }
    both = job(two, batch_size=2)
    assert torch.isfinite(both).all()
    assert torch.equal(both, job(two, batch_size=2))


def test_a_sketch_is_so_many_rows_and_spares_the_regions_tile_while_it_holds(model):
    def rows(bootstrap):
        model.calls.clear()
        job(settings(bootstrap=bootstrap), steps=4)
        return sum(shape[0] for shape, _ in model.calls)

    plain = rows(0.0)
    assert rows(1e-9) - plain == 2 * (2 * STEPS + 2 * NOISES) - 2, "held in the first step alone"
    assert rows(1.0) - plain == 2 * (2 * STEPS + 2 * NOISES) - 4 * 2


def test_nothing_is_sketched_that_begins_with_a_picture(model):
    start = torch.randn(1, 4, 20, 40, generator=torch.Generator().manual_seed(7))

    def drawn(bootstrap):
        return run(Job(args=(True, settings(bootstrap=bootstrap)), init_latent=start))

    assert torch.equal(drawn(0.5), drawn(0.0))


def test_an_interrupt_ends_a_sketch(model, monkeypatch):
    original = Uneven.predict

    def interrupted(self, x, sigma, cond):
        shared.state.interrupted = True
        return original(self, x, sigma, cond)

    monkeypatch.setattr(Uneven, "predict", interrupted)
    job(settings())
    assert len(model.calls) == 1
