"""Pictures from tiny models of every kind."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.tiny import pipeline, tiny_model
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import SAMPLERS, Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone import sampling as module
from tiled_diffusion.standalone.denoiser import Denoiser
from tiled_diffusion.standalone.samplers import make_scheduler
from tiled_diffusion.standalone.sampling import denoise, generate, make_planner, sample_latents, start_noise

KINDS = ("sd1", "sd2", "sdxl")
WIDE = {"width": 256, "height": 64, "steps": 3, "cfg_scale": 3.0, "seed": 5}


@pytest.mark.parametrize(
    ("kind", "traits"),
    [
        ("sd1", ModelTraits(8, 8, prediction="eps")),
        ("sd2", ModelTraits(8, 8, prediction="v")),
        ("sdxl", ModelTraits(8, 4, prediction="eps")),
    ],
)
def test_what_a_model_is(kind, traits):
    model = tiny_model(kind)
    assert (model.kind, model.traits) == (kind, traits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_and_method(kind, method):
    request = Request("a red house", negative_prompt="snow", **WIDE, tiling=Settings(method=method, wrap_x=True))
    images = generate(tiny_model(kind), request)
    assert [i.size for i in images] == [(256, 64)]
    assert len(np.unique(np.asarray(images[0]))) > 8


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", ["sd1", "sd2"])
def test_every_sampler_is_finite_and_deterministic_and_one_scheduler_on_the_canvas(kind, sampler):
    request = Request("a red house", **WIDE, sampler=sampler)
    a, b = (sample_latents(tiny_model(kind), request) for _ in range(2))
    assert torch.isfinite(a).all()
    assert torch.equal(a, b)
    other_tiles = sample_latents(tiny_model(kind), replace(request, tiling=Settings(tile_batch=1)))
    torch.testing.assert_close(a, other_tiles, atol=1e-5 * float(a.abs().max()), rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_image_k_of_a_batch_is_the_single_image_with_seed_plus_k(sampler):
    model, request = tiny_model("sd1"), Request("a red house", **WIDE, sampler=sampler)
    batch = sample_latents(model, replace(request, batch_size=3))
    single = sample_latents(model, replace(request, seed=request.seed + 2, tiling=request.tiling))
    torch.testing.assert_close(batch[2:], single, atol=2e-5 * float(single.abs().max()), rtol=0)


def test_a_moving_grid_follows_the_first_seed():
    request = Request("a", **WIDE, tiling=Settings(method="jittered"))
    assert make_planner(tiny_model("sd1"), request).seed == request.seed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", ["DDIM", "Euler", "DPM++ 2M", "UniPC"])
def test_one_tile_is_diffusers_own_result_bit_for_bit(kind, sampler):
    model = tiny_model(kind)
    request = Request(
        "a red house", negative_prompt="snow", width=64, height=64, steps=4, cfg_scale=3.0, sampler=sampler
    )
    assert make_planner(model, request).plan().is_whole
    ours = sample_latents(model, request)

    pipe, denoiser = pipeline(kind), Denoiser.of(model, request)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = make_scheduler(sampler, model.scheduler_config)
    positive, negative = denoiser.encoded["a red house"], denoiser.encoded["snow"]
    pooled = {}
    if kind == "sdxl":
        pooled = {"pooled_prompt_embeds": positive.pooled[None], "negative_pooled_prompt_embeds": negative.pooled[None]}
    theirs = pipe(
        prompt_embeds=positive.text[None], negative_prompt_embeds=negative.text[None], **pooled,
        latents=start_noise(model, request), width=64, height=64, num_inference_steps=4, guidance_scale=3.0, output_type="latent",
    ).images  # fmt: skip
    assert torch.equal(ours, theirs)


def test_without_guidance_only_the_prompt_is_evaluated(monkeypatch):
    model, rows = tiny_model("sd1"), []
    original = model.unet.forward
    monkeypatch.setattr(model.unet, "forward", lambda x, *a, **k: rows.append(x.shape[0]) or original(x, *a, **k))
    request = Request("a", **{**WIDE, "cfg_scale": 1.0, "steps": 1}, sampler="Euler", tiling=Settings(tile_batch=64))
    sample_latents(model, request)
    assert rows == [len(make_planner(model, request).plan().tiles)]


def test_the_global_generators_are_not_touched():
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    for sampler in SAMPLERS:
        sample_latents(tiny_model("sd1"), Request("a", **{**WIDE, "steps": 2}, sampler=sampler))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())


def test_each_region_has_its_own_prompt_and_negative():
    regions = (Region("a blue tower", 0, 0, 0.5, 1, feather=0), Region("a tree", 0.5, 0, 0.5, 1, "night", feather=0))
    request = Request("a red house", **WIDE, tiling=Settings(regions=regions))
    denoiser = Denoiser.of(tiny_model("sd1"), request)
    assert [g.negative for g in denoiser.guidances] == ["", "", "night"]
    assert set(denoiser.encoded) == {"a red house", "", "a blue tower", "a tree", "night"}
    base = sample_latents(tiny_model("sd1"), replace(request, steps=1))
    changed = (regions[0], replace(regions[1], prompt="a cactus"))
    other = sample_latents(tiny_model("sd1"), replace(request, steps=1, tiling=Settings(regions=changed)))
    difference = (base - other).abs().amax(dim=(0, 1, 2))
    assert difference[:16].max() == 0
    assert difference[16:].max() > 0


def test_a_ring_turned_by_a_stride_is_the_same_ring():
    model, request = tiny_model("sd1"), Request("a", **WIDE, sampler="DDIM", tiling=Settings(wrap_x=True, tile_width=64, overlap=32))
    starts = sorted({t.box.x for t in make_planner(model, request).plan().tiles})
    turn = starts[1]
    assert [s - starts[0] for s in starts] == [i * turn for i in range(len(starts))]
    noise = start_noise(model, request)
    turned = denoise(model, request, torch.roll(noise, turn, -1), None, Progress())
    straight = denoise(model, request, noise, None, Progress())
    torch.testing.assert_close(turned, torch.roll(straight, turn, -1), atol=1e-4 * float(straight.abs().max()), rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_img2img(sampler):
    model = tiny_model("sd1")
    image = Image.effect_mandelbrot((256, 64), (-2, -1, 1, 1), 50).convert("RGB")
    request = Request("a", **{**WIDE, "steps": 6}, sampler=sampler)
    kept, little, much = (
        sample_latents(model, replace(request, denoising_strength=s), init_image=image) for s in (0.0, 0.34, 1.0)
    )
    clean = module.encode(model, module.fitted(image, request), request.tiling)
    assert torch.equal(kept, clean)
    assert torch.isfinite(torch.cat([little, much])).all()
    assert not torch.equal(little, clean)
    if sampler != "LCM":
        assert (little - clean).std() < (much - clean).std()


def test_a_start_picture_of_any_mode_and_size_is_fitted():
    request = Request("a", width=64, height=128)
    for mode in ("L", "P", "RGBA", "1", "I;16", "CMYK"):
        fitted = module.fitted(Image.new(mode, (33, 77)), request)
        assert fitted.shape == (1, 3, 128, 64)
    assert module.fitted(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), request).min() == 1, "transparent is white"


@pytest.mark.parametrize(("mode", "expected"), [("canvas", {(64, 256, 0, 0, 64, 256)}), ("tile", None)])
def test_sdxl_is_told_sizes(monkeypatch, mode, expected):
    model, seen = tiny_model("sdxl"), set()
    original = model.unet.forward

    def forward(x, *args, added_cond_kwargs, **kwargs):
        seen.update(tuple(int(v) for v in row) for row in added_cond_kwargs["time_ids"])
        return original(x, *args, added_cond_kwargs=added_cond_kwargs, **kwargs)

    monkeypatch.setattr(model.unet, "forward", forward)
    request = Request("a", **{**WIDE, "steps": 1}, tiling=Settings(size_conditioning=mode))
    sample_latents(model, request)
    if expected is None:
        jobs = make_planner(model, request).plan().tiles
        expected = {(64, 256, 8 * j.box.y, 8 * j.box.x, 8 * j.box.h, 8 * j.box.w) for j in jobs}
    assert seen == expected


def test_progress_is_told_everything():
    class Log(Progress):
        def __init__(self):
            self.events = []

        def start(self, steps, tiles):
            self.events.append(("start", steps, tiles))

        def tiles(self, done):
            self.events.append(("tiles", done))

        def step(self, i):
            self.events.append(("step", i))

        def finish(self):
            self.events.append(("finish",))

    model, log = tiny_model("sd1"), Log()
    request = Request("a", **WIDE, sampler="Euler", tiling=Settings(tile_batch=64))
    generate(model, request, progress=log)
    n = len(make_planner(model, request).plan().tiles)
    middle = [e for i in range(3) for e in (("tiles", n), ("step", i))]
    assert log.events == [("start", 3, n), *middle, ("finish",)]


def test_numbers_that_break_are_an_error(monkeypatch):
    model = tiny_model("sd1")
    monkeypatch.setattr(model.unet, "forward", lambda x, *a, **k: (x * float("nan"),))
    with pytest.raises(TiledError, match="broke at step 1 of 3: not all numbers are finite"):
        generate(model, Request("a", **WIDE, sampler="Euler"))


@pytest.mark.parametrize(("width", "message"), [(72, "width: got 72, .* multiples of 64: take 64 or 128")])
def test_a_size_that_the_model_cannot_make(width, message):
    with pytest.raises(TiledError, match=message):
        generate(tiny_model("sd1"), Request("a", width=width, height=64, steps=1, tiling=Settings(tile_width=128)))


def test_an_unknown_sampler_is_named():
    with pytest.raises(SettingsError, match="sampler: got 'Eular', allowed is one of Euler, Euler a"):
        make_scheduler("Eular", {})


def test_a_missing_start_picture_is_named(tmp_path):
    with pytest.raises(TiledError, match=r"init_image: .*nothing.png cannot be read as a picture"):
        generate(tiny_model("sd1"), Request("a", **WIDE, init_image=str(tmp_path / "nothing.png")))


ONE = {"width": 64, "height": 64, "steps": 3, "seed": 5, "sampler": "Euler"}


def _latents(prompt, settings=None, **more):
    return sample_latents(tiny_model("sd1"), Request(prompt, **{**ONE, **more}, tiling=settings or Settings()))


def _close(a, b):
    torch.testing.assert_close(a, b, atol=2e-5 * float(b.abs().max()), rtol=0)


def test_a_regions_cfg_scale_is_that_of_its_place():
    whole = Region("a tree", cfg_scale=7.0, feather=0)
    _close(_latents("a house", Settings(regions=(whole,)), cfg_scale=2.0), _latents("a tree", cfg_scale=7.0))


SAME = [
    ("a tree AND a house :0", "a tree"),
    ("a tree ENSEMBLE a tree", "a tree"),
    ("a tree ENSEMBLE a house", "a house ENSEMBLE a tree"),
    ("a tree :1 ENSEMBLE a house :0", "a tree"),
    ("a tree :1 ENSEMBLE a house :3", "a tree :0.25 AND a house :0.75"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_compositions_that_are_the_same(one, other):
    _close(_latents(one), _latents(other))


def test_and_adds_directions():
    doubled = _latents("a tree AND a tree", cfg_scale=2.0)
    _close(doubled, _latents("a tree", cfg_scale=4.0))


@pytest.mark.parametrize(("join", "text"), [("replace", "b"), ("append", "a tree, b"), ("prepend", "b, a tree")])
def test_a_region_over_everything_is_its_joined_prompt(join, text):
    region = Region("b", join=join, negative_prompt="fog", feather=0)
    ours = _latents("a tree", Settings(regions=(region,)), negative_prompt="snow")
    negative = {"replace": "fog", "append": "snow, fog", "prepend": "fog, snow"}[join]
    _close(ours, _latents(text, negative_prompt=negative))


def test_a_disabled_region_and_one_after_the_end_do_nothing():
    plain = _latents("a tree")
    for region in (Region("b", enabled=False), Region("b", step_from=0.99)):
        assert torch.equal(_latents("a tree", Settings(regions=(region,))), plain)


def test_a_step_range_ends_where_it_says(monkeypatch):
    seen, original = [], Denoiser.predict

    def predict(self, x, t, plan, *rest):
        seen.append({j.prompt for j in plan.tiles})
        return original(self, x, t, plan, *rest)

    monkeypatch.setattr(Denoiser, "predict", predict)
    regions = (Region("b", 0, 0, 0.25, 1, step_to=0.5, feather=0), Region("c", step_from=0.75, feather=0))
    _latents("a", Settings(regions=regions), width=256, steps=4)
    assert seen == [{0, 1}, {0, 1}, {0}, {2}]


def test_a_regions_seed_is_its_own_and_changes_only_its_place():
    region = Region("a tree", 0.5, 0, 0.5, 1, seed=11)
    request = Request("a tree", **WIDE, batch_size=2, tiling=Settings(regions=(region,)))
    model = tiny_model("sd1")
    base, ours = start_noise(model, replace(request, tiling=Settings())), start_noise(model, request)
    assert torch.equal(base[..., :16], ours[..., :16])
    assert not torch.equal(ours[0, ..., 16:], ours[1, ..., 16:])
    later = start_noise(model, replace(request, seed=99, tiling=request.tiling))
    assert torch.equal(later[..., 16:], ours[..., 16:])
