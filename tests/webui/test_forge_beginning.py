"""Forge and reForge: pictures as regions and inversion, which need to know what a sampling begins with."""

import ast
import math
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from backend.sampling import sampling_function
from modules import sd_samplers_common, shared

from tests.webui.forge_model import ForgeJob, ForgeModel
from tests.webui.host_model import FAMILIES, Sampler, run
from tests.webui.test_forge import TILES, draw, forge  # noqa: F401 a fixture
from tests.webui.test_pictures import own, target, with_regions
from tiled_diffusion.engine.inversion import Recent
from tiled_diffusion.webui import inversion
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.hosts.forge import beginning, library
from tiled_diffusion.webui.hosts.values import Beginning

WEBUI = os.environ.get("WEBUI_DIR")
KEEP = {"tile_width": 128, "tile_height": 128, "overlap": 48, "keep_picture": True, "inversion_freedom": 0.0}
REGION = {"prompt": "a tree AND fog :0.5", "w": 0.5, "cfg_scale": 6}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(inversion, "RECENT", Recent())
    monkeypatch.setattr(sampling_function, "prepared", [])


def latents(count=1):
    return torch.randn((count, 4, 20, 40), generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("init_latent", [None, latents()], ids=["txt2img", "img2img"])
def test_a_picture_that_is_kept_to_the_end_is_what_comes_out(family, init_latent):
    settings = with_regions(own())
    out = draw(settings, sampler_name=family, init_latent=init_latent)
    assert torch.equal(out[..., :20], target(settings).target[..., :20])


def test_without_keep_a_picture_changes_nothing():
    assert torch.equal(draw(with_regions(own(keep=0))), draw(with_regions(own(enabled=False))))


class SaysNoise(ForgeModel):
    """Always the same noise, and only where it works."""

    def predict(self, x, sigma, cond):
        assert sampling_function.prepared or self.sampling
        return x - sigma.reshape(-1, 1, 1, 1) * 0.7

    sampling = False


def begun_with(settings, batch=1, **more):
    """What the sampler begins with."""
    shared.sd_model = SaysNoise()
    begun, original = [], Sampler._run

    def watched(sampler, p, x, *args):
        assert sampling_function.prepared == []
        shared.sd_model.sampling = True
        begun.append(x.clone())
        return original(sampler, p, x, *args)

    Sampler._run = watched
    try:
        run(ForgeJob(args=(True, settings), init_latent=latents(batch), batch_size=batch, **more))
    finally:
        Sampler._run = original
    return begun[0]


@pytest.mark.parametrize("settings", [KEEP, {**KEEP, "regions": [REGION]}, {**KEEP, "method": "jittered", "overlap": None}],
                         ids=["tiles", "regions", "moving"])  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"prompt": "a house AND a tree :0.5"}, {"batch": 2}], ids=str)
def test_the_sampler_begins_with_what_the_models_steps_lead_to(settings, more):
    begun = begun_with(settings, **more)
    sigma = torch.linspace(1, 0.1, 4)[4 - int(0.6 * 4) - 1]
    torch.testing.assert_close(begun, latents(more.get("batch", 1)) + 0.7 * sigma, atol=1e-5, rtol=0)


def test_an_error_lets_the_model_go():
    class Broken(ForgeModel):
        def predict(self, x, sigma, cond):
            return super().predict(x, sigma, cond) * math.nan

    shared.sd_model = Broken()
    unet = shared.sd_model.forge_objects.unet
    with pytest.raises(JobError, match="inversion: the numbers broke"):
        draw(KEEP, init_latent=latents())
    assert sampling_function.prepared == []
    assert shared.sd_model.forge_objects.unet is unet


def test_the_wrapper_of_others_is_asked_in_the_loop_too():
    seen = []

    def below(apply, args):
        assert len(args["cond_or_uncond"]) == len(args["c"]["transformer_options"]["cond_mark"]) == len(args["input"])
        seen.append(args["cond_or_uncond"])
        return apply(args["input"], args["timestep"], **args["c"])

    unet = shared.sd_model.forge_objects.unet
    unet.set_model_unet_function_wrapper(below)
    beginning.model_call(SimpleNamespace(sd_model=shared.sd_model))(
        torch.zeros(2, 4, 8, 8), torch.ones(2), {"c_crossattn": [torch.zeros(2, 3, 4)]}
    )
    assert seen == [[0, 0]]


def test_samplers_of_timesteps_ask_in_sigmas(monkeypatch):
    monkeypatch.setattr(sd_samplers_common, "setup_img2img_steps", lambda p, steps=None: (5, 2))
    shared.sd_model.alphas_cumprod = torch.linspace(0.99, 0.01, 1000)
    sampler = SimpleNamespace(get_timesteps=lambda p, n: torch.arange(0, 500, 100) + 1)
    values = beginning.noise_values(SimpleNamespace(sampler=sampler, sd_model=shared.sd_model), None)
    product = shared.sd_model.alphas_cumprod[torch.tensor([1, 101])]
    assert values == pytest.approx(((1 - product) / product).sqrt().tolist())


def test_reforge_has_them_elsewhere(monkeypatch):
    module = ModuleType("modules_forge.forge_sampler")
    monkeypatch.setitem(__import__("sys").modules, "modules_forge.forge_sampler", module)
    assert library.sampling_module() is sampling_function
    monkeypatch.setattr(library, "find_spec", lambda name: name)
    assert library.sampling_module() is module


@pytest.mark.parametrize("fits", [True, False])
def test_what_the_model_sees_of_a_picture_goes_to_each_row(fits):
    p = ForgeJob(args=(True, KEEP), init_latent=latents(2), batch_size=2, prompt="a house AND a tree")
    run(p)
    image = torch.stack([torch.full((5, 20, 40) if fits else (5, 1, 1), float(i)) for i in range(2)])
    weights, cond = beginning.rows_at_first(p, Beginning(latents(2), latents(2), p.c, image, None))
    assert weights == [[1.0, 1.0]] * 2
    seen = cond["c_concat"][0][:, 0, 0, 0].tolist() if fits else cond.get("c_concat")
    assert seen == ([0, 0, 1, 1] if fits else None)


FORGE = WEBUI and (Path(WEBUI) / "modules_forge").is_dir()
RELIED_ON = {
    "sampling_prepare": (("backend/sampling/sampling_function.py", "modules_forge/forge_sampler.py"), ["unet", "x"]),
    "sampling_cleanup": (("backend/sampling/sampling_function.py", "modules_forge/forge_sampler.py"), ["unet"]),
    "noise_scaling": (("backend/modules/k_prediction.py", "ldm_patched/modules/model_sampling.py"), ["sigma", "noise", "latent_image"]),
    "sample_img2img": (("modules/sd_samplers_kdiffusion.py",), ["p", "x", "noise", "conditioning", "unconditional_conditioning", "steps", "image_conditioning"]),
    "get_sigmas": (("modules/sd_samplers_kdiffusion.py",), ["p", "steps"]),
    "get_timesteps": (("modules/sd_samplers_timesteps.py",), ["p", "steps"]),
    "setup_img2img_steps": (("modules/sd_samplers_common.py",), ["p", "steps"]),
    "reconstruct_multicond_batch": (("modules/prompt_parser.py",), ["c", "current_step"]),
}  # fmt: skip
"""Functions by name: the files that have them in Forge or reForge, and their first parameters."""


@pytest.mark.skipif(not FORGE, reason="WEBUI_DIR names no Forge")
@pytest.mark.parametrize("name", RELIED_ON)
def test_what_is_relied_on_is_there(name):
    files, parameters = RELIED_ON[name]
    file = next(Path(WEBUI) / f for f in files if (Path(WEBUI) / f).is_file())
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    every = [[a.arg for a in n.args.args if a.arg != "self"] for n in nodes if isinstance(n, ast.FunctionDef) and n.name == name]
    assert every, f"{file} has no {name}"
    assert all(found[: len(parameters)] == parameters for found in every), every
