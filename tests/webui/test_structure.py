"""ElasticDiffusion in a host of rows: its rows, combined by the host, are what the engine draws by itself."""

import pytest
import torch
from modules import prompt_parser, shared

from tests.webui.host_model import FAMILIES, Model, job
from tiled_diffusion.engine.composition import parts
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guidance import Guidance, guided
from tiled_diffusion.engine.guides import Moment
from tiled_diffusion.engine.guides.structure import structure_guides
from tiled_diffusion.engine.model import Level, ModelTraits
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

ELASTIC = {"version": 2, "method": "elastic", "elastic_rounds": 2, "elastic_until": 1.0}
CANVAS = Extent(20, 40)
LONG = "a very long prompt of many words that has another length than the others have, " * 2 + "end"


class Wide(Model):
    """A model whose every pixel depends on all of its input: tiles and small pictures are not alike."""

    def predict(self, x, sigma, cond):
        return super().predict(x, sigma, cond) + 0.3 * x.mean(dim=(-2, -1), keepdim=True)


@pytest.fixture(autouse=True)
def wide():
    shared.sd_model = Wide()


def straight(prompt, seed=1, scale=3.0, negative="", steps=4, **settings):
    """The same job without rows: the engine alone, sampled as the stand-in's Euler does."""
    settings = Settings(method="elastic", **{"elastic_rounds": 2, "elastic_until": 1.0, **settings})
    planner = Planner(CANVAS, settings, ModelTraits(16, 2), seed)
    model, x = Wide(), torch.randn(1, 4, *CANVAS, generator=torch.Generator().manual_seed(seed))
    how = Guidance(parts(prompt), negative, scale, settings.elastic_local_prompt)
    for step, sigma in enumerate(sigmas(steps)):
        pull = structure_guides(planner, None)[0]
        level = sigma.reshape(1)

        def rows(wanted, level=level):
            texts = [prompt_parser.embedded(row.text)[None] for row in wanted]
            return [model.predict(row.x, level, {"c_crossattn": [t]}) for row, t in zip(wanted, texts, strict=True)]

        def evaluate(crops, tiles, rows=rows, pull=pull):
            return guided(crops, tiles, [how], rows, pull.small)

        pull.begin_step(Moment(step, step / steps, Level.of_sigma(level), "x0"))
        denoised = pull.after(fuse(x, pull.plan(planner.plan(step)), evaluate, Batching(4)), x)
        x = x - 0.3 * (x - denoised)
    return x


def sigmas(steps):
    from tests.webui.host_model import Sampler

    return Sampler.get_sigmas(None, None, steps)


def close(a, b, most=1e-5):
    torch.testing.assert_close(a, b, atol=most, rtol=0)


PROMPTS = ["a house", "a house AND a tree :0.5", "a AND b :0.3 AND c :-0.2", LONG]
OPTIONS = [{}, {"batch_cond_uncond": False}, {"pad_cond_uncond_v0": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("local", [None, "grass, sky"])
def test_rows_are_what_the_engine_draws(prompt, options, local):
    for name, value in options.items():
        setattr(shared.opts, name, value)
    more = {} if local is None else {"elastic_local_prompt": local}
    drawn = job({**ELASTIC, **more}, prompt=prompt, negative_prompt="fog")
    if prompt != LONG or "pad_cond_uncond_v0" not in options:  # there the negative prompt itself is another one
        close(drawn, straight(prompt, negative="fog", **more))
    assert not torch.equal(drawn, job({"method": "mixture"}, prompt=prompt, negative_prompt="fog"))


@pytest.mark.parametrize("pull", [0.0, 0.06])
def test_the_pull_is_the_engines(pull):
    drawn = job({**ELASTIC, "elastic_pull": pull, "elastic_decay": 1})
    close(drawn, straight("a house", elastic_pull=pull, elastic_decay=1))


@pytest.mark.parametrize("until", [0.0, 0.6, 0.8])
def test_in_the_end_the_prompt_draws_the_tiles(until):
    drawn = job({**ELASTIC, "elastic_until": until}, negative_prompt="fog")
    close(drawn, straight("a house", negative="fog", elastic_until=until))
    assert not torch.equal(drawn, job(ELASTIC, negative_prompt="fog"))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_model_of_single_pixels_is_guided_as_it_is_without_tiles_where_all_is_read(family):
    """Every cell is one pixel here, since the small picture is the canvas: what is drawn is the plain job."""
    shared.sd_model = Model()
    more = {"width": 256, "height": 16, "sampler_name": family, "prompt": "a house AND a tree :0.5"}
    close(job({**ELASTIC, "elastic_rounds": 0, "elastic_pull": 0}, **more), job(**more))


def test_two_equal_prompts_of_half_the_weight_are_one():
    close(job(ELASTIC, prompt="a house :0.5 AND a house :0.5"), job(ELASTIC, prompt="a house"), 2e-5)


def test_a_step_without_negative_prompts_has_a_cfg_scale_of_one():
    shared.opts.skip_early_cond = 1.0
    drawn = job({**ELASTIC, "elastic_pull": 0}, negative_prompt="fog")
    assert torch.isfinite(drawn).all()
    shared.opts.skip_early_cond = 0
    close(drawn, straight("a house", scale=1.0 + 1e-9, negative="fog", elastic_pull=0.0))


def test_a_picture_of_a_batch_is_the_picture_alone():
    both = job({**ELASTIC, "grid_seed": 5}, batch_size=2, seed=1)
    close(both[1:], job({**ELASTIC, "grid_seed": 5}, seed=2))


def test_a_canvas_of_the_models_size_is_the_plain_job_bit_for_bit():
    small = {"width": 128, "height": 128}
    assert torch.equal(job(ELASTIC, **small), job(**small))


def test_each_picture_is_drawn_once_a_step_however_many_calls_the_host_makes():
    calls = []
    for value in (True, False):
        shared.sd_model, shared.opts.batch_cond_uncond = Wide(), value
        job(ELASTIC, steps=1, batch_size=2)
        calls.append(sum(shape[0] for shape, _ in shared.sd_model.calls))
    assert calls[0] == calls[1]


@pytest.mark.parametrize(
    ("settings", "more", "message"),
    [
        ({}, {"cfg_scale": 1.0}, "cfg_scale: got 1, but elastic draws by what the prompt changes"),
        ({"regions": [{"prompt": "a tower", "w": 0.5}]}, {}, "regions: elastic draws one prompt"),
    ],
)
def test_what_it_cannot_draw_is_named(settings, more, message):
    with pytest.raises(TiledError, match=message):
        job({**ELASTIC, **settings}, **more)
