"""Keep the picture in jobs of the WebUI: a loop before the sampler that changes the noise and nothing else."""

import math
from types import SimpleNamespace

import pytest
import torch
from modules import sd_samplers_common, shared

from tests.webui.host_model import FAMILIES, Job, Model, Sampler, field, run
from tests.webui.test_pictures import own, target, with_regions
from tiled_diffusion.engine.inversion import Recent
from tiled_diffusion.engine.model import Level
from tiled_diffusion.webui import inversion
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.a1111.sampling import rows_at_first
from tiled_diffusion.webui.hosts.values import Beginning

TILES = {"tile_width": 128, "tile_height": 128, "overlap": 48, "version": 2}
KEEP = {**TILES, "keep_picture": True, "inversion_freedom": 0.0}
WHOLE = {"version": 2, "tile_width": 320, "tile_height": 160}
REGION = {"prompt": "a tree AND fog :0.5", "w": 0.5, "cfg_scale": 6}


@pytest.fixture(autouse=True)
def recent(monkeypatch):
    monkeypatch.setattr(inversion, "RECENT", Recent())
    return inversion.RECENT


def latents(count=1, seed=7):
    return torch.randn((count, 4, 20, 40), generator=torch.Generator().manual_seed(seed))


def job_of(settings, batch=1, **more):
    return Job(args=(True, settings), init_latent=latents(batch), batch_size=batch, **more)


def drawn(settings, batch=1, **more):
    return run(job_of(settings, batch, **more))


class SaysNoise(Model):
    """Always the same noise, whatever it is asked."""

    def predict(self, x, sigma, cond):
        self.calls.append((x.shape, cond["c_crossattn"][0].shape))
        return x - sigma.reshape(-1, 1, 1, 1) * 0.7


@pytest.mark.parametrize("settings", [TILES, WHOLE, {**TILES, "regions": [REGION]}, {**TILES, "method": "jittered", "overlap": None}],
                         ids=["tiles", "whole", "regions", "moving"])  # fmt: skip
@pytest.mark.parametrize("rounds", [1, 2])
def test_the_sampler_begins_with_what_the_models_steps_lead_to(settings, rounds):
    shared.sd_model = SaysNoise()
    p = job_of({**settings, "keep_picture": True, "inversion_freedom": 0.0, "inversion_rounds": rounds}, 2)
    begun, original = [], Sampler._run

    def watched(self, p, x, *args):
        begun.append(x.clone())
        return original(self, p, x, *args)

    Sampler._run = watched
    try:
        run(p)
    finally:
        Sampler._run = original
    sigma = Sampler(p).get_sigmas(p, p.steps)[p.steps - int(0.6 * p.steps) - 1]
    torch.testing.assert_close(begun[0], latents(2) + 0.7 * sigma, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("off", [{"inversion_freedom": 1}, {"inversion_rounds": 0}, {"keep_picture": False}])
def test_without_it_img2img_is_as_ever_bit_for_bit(family, off):
    assert torch.equal(drawn({**KEEP, **off}, sampler_name=family), drawn(TILES, sampler_name=family))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("settings", [TILES, WHOLE, {**TILES, "regions": [REGION]}])
def test_every_family_of_samplers(settings, family):
    more = {"sampler_name": family, "prompt": "a house AND a tree :0.5", "batch": 2}
    kept, plain = drawn({**settings, "keep_picture": True}, **more), drawn(settings, **more)
    assert torch.isfinite(kept).all()
    assert not torch.allclose(kept, plain)


def test_the_pictures_of_a_batch_are_as_alone():
    both = drawn(KEEP, 2)
    for image in range(2):
        p = job_of(KEEP)
        p.init_latent, p.all_seeds = latents(2)[image : image + 1], [1 + image]
        torch.testing.assert_close(run(p)[0], both[image], atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", [Model, SaysNoise])
def test_it_asks_for_prompts_alone(model):
    shared.sd_model = model()
    drawn({**TILES, "tile_batch": 1})
    plain = sum(shape[0] for shape, _ in shared.sd_model.calls)
    shared.sd_model = model()
    drawn({**KEEP, "tile_batch": 1})
    assert sum(shape[0] for shape, _ in shared.sd_model.calls) == plain * 1.5, "half of the rows of the sampling"


@pytest.mark.parametrize("prompt", ["own", "empty"])
def test_the_rows_are_combined_as_the_host_does_without_negatives(prompt):
    """u = c_1 + sum_j v_j (c_j - c_1), over the prompt's parts or for the empty prompt alone."""
    p = job_of({**WHOLE, "keep_picture": True, "inversion_freedom": 0.0, "inversion_prompt": prompt, "inversion_steps": 1},
               prompt="a house AND a tree :0.5")  # fmt: skip
    noises = []
    original = inversion.mixed
    inversion.mixed = lambda own, fresh, freedom: noises.append(own) or original(own, fresh, freedom)
    try:
        run(p)
    finally:
        inversion.mixed = original
    model, x = shared.sd_model, latents()
    sigma = Sampler(p).get_sigmas(p, p.steps)[p.steps - int(0.6 * p.steps) - 1].reshape(1)
    said = [model.predict(x, sigma, {"c_crossattn": [model.encoded(t)[None]]}) for t in ("a house", "a tree", "")]
    clean = said[2] if prompt == "empty" else said[0] + 0.5 * (said[1] - said[0])
    torch.testing.assert_close(noises[0], (x - clean) / sigma, atol=1e-5, rtol=0)


def test_what_is_kept_of_region_pictures_begins_with_the_same_noise():
    settings = {**with_regions(own()), "keep_picture": True}
    out = drawn(settings)
    assert torch.equal(out[..., :20], target(with_regions(own())).target[..., :20])
    assert not torch.allclose(out[..., 20:], drawn(with_regions(own()))[..., 20:])


def test_it_is_found_again_and_done_again(recent):
    for more in ({}, {"cfg_scale": 7.0}, {"seed": 5}, {"negative_prompt": "fog"}):
        drawn(KEEP, **more)
    assert recent.runs == 1
    changes = [{"method": "multidiffusion"}, {"overlap": 64}, {"regions": [REGION]}, {"inversion_steps": 2}]
    for n, change in enumerate(changes, start=2):
        drawn({**KEEP, **change})
        assert recent.runs == n
    shared.sd_model = Model("one", 1.1)
    drawn(KEEP)
    drawn(KEEP, prompt="a tower")
    p = job_of(KEEP)
    p.init_latent = latents(seed=8)
    run(p)
    assert (recent.runs, len(recent.kept)) == (8, 4)


def test_stopping_it_gives_the_picture():
    class Stops(Model):
        def predict(self, x, sigma, cond):
            shared.state.interrupted = True
            return super().predict(x, sigma, cond)

    shared.sd_model = Stops()
    p = job_of(KEEP)
    run(p)
    assert len(shared.sd_model.calls) == 1
    assert "forward" not in p.sampler.model_wrap_cfg.model_wrap.__dict__
    assert "sample_img2img" not in p.sampler.__dict__
    assert not shared.state.textinfo


def test_broken_numbers_fail_the_job():
    class Broken(Model):
        def predict(self, x, sigma, cond):
            return super().predict(x, sigma, cond) * math.nan

    shared.sd_model = Broken()
    with pytest.raises(Exception, match="inversion: the numbers broke"):
        drawn(KEEP)


def test_the_hires_pass_keeps_the_first_passes_picture():
    p = job_of(KEEP)
    p.is_hr_pass, p.hr_prompts, p.hr_negative_prompts = True, ["a house"], [""]
    assert not torch.equal(run(p), drawn(TILES))


def test_txt2img_has_nothing_to_keep():
    p = Job(args=(True, KEEP))
    assert torch.equal(run(p), run(Job(args=(True, TILES))))
    assert any("no picture to keep" in text for text in p.comments)
    p = Job(args=(True, KEEP))
    p.enable_hr = True
    run(p)
    assert not any("no picture to keep" in text for text in p.comments)


def test_the_record_says_it():
    p = job_of({**KEEP, "inversion_rounds": 2, "inversion_prompt": "empty"})
    run(p)
    record = field(p.infotexts[0])
    assert {k: v for k, v in record.items() if "inversion" in k or "keep" in k} == {
        "keep_picture": True, "inversion_freedom": 0.0, "inversion_rounds": 2, "inversion_prompt": "empty"}  # fmt: skip


@pytest.mark.parametrize(("kind", "expected"), [("sigmas", [1.0, 2.0, 4.0]), ("timesteps", [1.0, 101.0])])
def test_the_values_of_both_kinds_of_samplers(kind, expected, monkeypatch):
    monkeypatch.setattr(sd_samplers_common, "setup_img2img_steps", lambda p, steps=None: (5, 2))
    sigmas, times = torch.tensor([14.0, 8, 4, 2, 1, 0]), torch.arange(0, 500, 100) + 1
    made = {"get_sigmas": lambda p, n: sigmas} if kind == "sigmas" else {"get_timesteps": lambda p, n: times}
    assert host.sampling.noise_values(SimpleNamespace(sampler=SimpleNamespace(**made)), None) == expected


@pytest.mark.parametrize(("key", "name"), [("crossattn-adm", "c_adm"), ("concat", "c_concat")])
def test_what_models_see_of_pictures_goes_to_each_row(key, name, monkeypatch):
    monkeypatch.setattr(shared.sd_model.model, "conditioning_key", key)
    p = job_of(KEEP, 2, prompt="a house AND a tree")
    run(p)
    image = torch.stack([torch.full((5, 1, 1), float(i)) for i in range(2)])
    weights, cond = rows_at_first(p, Beginning(latents(2), latents(2), p.c, image, None))
    seen = cond[name] if name == "c_adm" else cond[name][0]
    assert weights == [[1.0, 1.0]] * 2
    assert seen[:, 0, 0, 0].tolist() == [0, 0, 1, 1]


SIGMAS, PRESERVED = Level(torch.tensor([1.0]), torch.tensor([0.75])), Level(torch.tensor([0.8]), torch.tensor([0.6]))


@pytest.mark.parametrize(
    ("first", "begun", "scale"),
    [
        (PRESERVED, PRESERVED, 1),
        (Level(torch.tensor([0.6]), torch.tensor([0.8])), PRESERVED, 1),
        (SIGMAS, SIGMAS._replace(sigma=torch.tensor([0.8])), 1),
        (SIGMAS, PRESERVED, 0.8),
    ],
)
def test_where_the_host_adds_noise_at_another_level_than_its_first_step(first, begun, scale, monkeypatch):
    """In Forge samplers of timesteps have latents of preserved variance, and ask the model in sigmas."""
    levels = first, begun
    sampling = SimpleNamespace(noise_level=lambda *_: (levels[0], "eps"), start_level=lambda *_, **__: (levels[1], 0))
    monkeypatch.setattr(inversion, "host", SimpleNamespace(sampling=sampling))
    clean, own = latents(2), latents(2, seed=8)
    noise = inversion._as_begun(None, clean, own, 1.0)
    torch.testing.assert_close(begun.noised(clean, noise), first.noised(clean, own) * scale)
