"""Pictures as regions in jobs of the WebUI: kept as long as they say, from the right noise, and only from their folder."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from modules import sd_samplers_common, shared
from PIL import Image

from tests.webui.host_model import FAMILIES, Job, Model, field, job, run
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.pull import Pull, hold
from tiled_diffusion.engine.model import Level
from tiled_diffusion.settings.panel import panel_settings_from_dict
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.pictures import folders, job_pulls, noise_towards

TILES = {"tile_width": 128, "tile_height": 128, "overlap": 48, "version": 2}
CANVAS = (20, 40)


def picture(seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((160, 160), Image.Resampling.BICUBIC)


def url(image):
    data = io.BytesIO()
    image.save(data, format="PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def with_regions(*regions, **more):
    return {**TILES, **more, "regions": list(regions)}


def own(prompt="", **more):
    return {"prompt": prompt, "picture": url(picture()), "w": 0.5, "feather": 0, "keep": 1.0, **more}


def target(settings):
    (pull,) = job_pulls(SimpleNamespace(sd_model=None), panel_settings_from_dict(settings).tiling, Extent(*CANVAS))
    return pull


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("batch", [1, 2])
def test_a_kept_picture_is_as_if_the_model_said_it(family, batch):
    settings = with_regions(own(keep=0.9999999))
    pull = target(settings)

    class Held(Model):
        def predict(self, x, sigma, cond):
            return torch.where(pull.mask > 0, pull.target, super().predict(x, sigma, cond))

    more = {"sampler_name": family, "batch_size": batch, "prompt": "a house AND a tree :0.5"}
    kept = job(settings, **more)
    shared.sd_model = Held()
    p = Job(args=(), **more)
    p.script = SimpleNamespace(**{name: lambda *a, **k: None for name in (
        "before_process", "process", "before_process_batch", "after_extra_networks_activate", "process_batch",
        "postprocess")},
        process_before_every_sampling=lambda p, *a, x, **k: x.copy_(torch.where(pull.mask > 0, pull.target + x, x)))  # fmt: skip
    expected = run(p)
    torch.testing.assert_close(kept[..., :20], expected[..., :20], atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_picture_that_is_kept_to_the_end_is_what_comes_out(family):
    settings = with_regions(own())
    out = job(settings, sampler_name=family)
    assert torch.equal(out[..., :20], target(settings).target[..., :20])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_nothing_changes_without_keep(family):
    plain = job(TILES, sampler_name=family)
    assert torch.equal(job(with_regions(own(keep=0)), sampler_name=family), plain)
    assert torch.equal(job(with_regions(own(enabled=False)), sampler_name=family), plain)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_picture_with_a_prompt_is_a_region_too(family):
    alone, both = (job(with_regions(own(text, keep=0.5)), sampler_name=family) for text in ("", "a tree AND fog :0.5"))
    assert not torch.equal(alone[..., :20], both[..., :20])


def test_tiles_that_are_held_are_not_asked_for():
    job(with_regions(own()))
    held = sum(shape[0] for shape, _ in shared.sd_model.calls)
    shared.sd_model = Model()
    job(TILES)
    assert held < 0.8 * sum(shape[0] for shape, _ in shared.sd_model.calls)


def sampler(**more):
    return SimpleNamespace(**more)


@pytest.mark.parametrize("from_picture", [False, True])
@pytest.mark.parametrize("sgm", [False, True])
@pytest.mark.parametrize("kind", ["sigmas", "timesteps"])
def test_the_host_makes_the_noised_picture_of_the_noise(kind, sgm, from_picture, monkeypatch):
    """As `sample` and `sample_img2img` of the WebUI's two kinds of samplers begin."""
    shared.opts.sgm_noise_multiplier = sgm
    sigmas, times = torch.linspace(14, 0, 11), torch.arange(0, 1000, 100) + 1
    shared.sd_model.alphas_cumprod = torch.linspace(0.999, 0.005, 1000)
    monkeypatch.setattr(sd_samplers_common, "setup_img2img_steps", lambda p, steps=None: (10, 5), raising=False)
    made = sampler(get_sigmas=lambda p, n: sigmas) if kind == "sigmas" else sampler(get_timesteps=lambda p, n: times)
    p = SimpleNamespace(sampler=made, steps=10)
    noise, x = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    pull = Pull(torch.randn(1, 4, 8, 8), mask, hold(1.0))
    new = noise_towards(p, [pull], x, noise.clone(), from_picture=from_picture)
    if kind == "sigmas":
        sigma = sigmas[4] if from_picture else sigmas[0]
        level, begun = Level.of_sigma(sigma.reshape(1)), lambda n: x + n * sigma if from_picture else n * (
            (1 + sigma**2).sqrt() if sgm else sigma)  # fmt: skip
    else:
        product = shared.sd_model.alphas_cumprod[times[5 if from_picture else -1]]
        level, begun = Level.of_alphas_cumprod(product.reshape(1)), lambda n: (
            x * product.sqrt() + n * (1 - product).sqrt() if from_picture else n)  # fmt: skip
    expected = level.noised(pull.target.expand_as(noise), noise)
    torch.testing.assert_close(begun(new)[..., :4], expected[..., :4], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(new[..., 4:], noise[..., 4:], atol=1e-5, rtol=1e-5)


def test_encoding_takes_no_random_numbers():
    before = torch.get_rng_state()
    host.sampling.encoded(SimpleNamespace(sd_model=None), torch.zeros(1, 3, 64, 64))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_record_has_the_digest_and_not_the_bytes():
    p = Job(args=(True, with_regions(own(keep=0.5))))
    run(p)
    assert "base64" not in p.infotexts[0]
    assert field(p.infotexts[0])["regions"][0]["picture"].startswith("sha256:")


@pytest.mark.parametrize("name", ["../../config.json", "/etc/hostname", "sha256:00"])
def test_other_files_are_refused(name, capsys):
    with pytest.raises(Exception, match=r"regions\[0\].picture"):
        job(with_regions(own(picture=name)))


def test_a_file_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(host.page, "data_folder", lambda: tmp_path)
    (folder,) = folders()
    folder.mkdir(parents=True)
    picture().save(folder / "a.png")
    assert torch.equal(job(with_regions(own(picture="a.png"))), job(with_regions(own())))
