"""Stable Diffusion 3 and Flux: rows with all that goes beside a text, even tiles, and noise along a straight line."""

import ast
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from modules import shared

from tests.webui import flow_model
from tests.webui.flow_model import Chroma, FlowJob, Flux, StableDiffusion3
from tests.webui.host_model import FAMILIES, Job, run
from tests.webui.test_forge import EVERYWHERE, TILES, forge  # noqa: F401 a fixture
from tests.webui.test_pictures import own, target, with_regions
from tiled_diffusion.engine.model import Level, ModelTraits
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.a1111 import sampling as a1111
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.hosts.forge import library
from tiled_diffusion.webui.hosts.forge import sampling as forge_sampling
from tiled_diffusion.webui.hosts.forge import texts as forge_texts

SIZES = {"version": 2, "tile_width": 128, "tile_height": 128, "overlap": 48}
ENGINES = {"sd3": StableDiffusion3, "flux": Flux}
WEBUI = os.environ.get("WEBUI_DIR")


@pytest.fixture(params=ENGINES, autouse=True)
def engine(request, forge):  # noqa: F811
    """Forge with such a model."""
    shared.sd_model = ENGINES[request.param]()
    return request.param


def draw(settings=None, **more):
    return run(FlowJob(args=() if settings is None else (True, settings), **more))


PROMPTS = ["a house", "[a house:a tree:2]", "a house AND a tree :0.5", "a house of many words that make two chunks"]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("tile_batch", [1, 3])
@pytest.mark.parametrize("ring", [False, True])
def test_tiles_of_a_model_without_surroundings_are_the_plain_picture(prompt, tile_batch, ring):
    more = {"prompt": prompt, "batch_size": 2}
    tiled = draw({**TILES, "tile_batch": tile_batch, "wrap_x": ring}, **more)
    assert torch.allclose(tiled, draw(**more), atol=1e-5)
    assert {tuple(shape[-2:]) for shape, _ in shared.sd_model.calls} == {(16, 16), (20, 40)}


@pytest.mark.parametrize(
    ("prompt", "scale"),
    [*((p, 3.0) for p in PROMPTS), *((p, 1.0) for p in (PROMPTS[0], PROMPTS[1], "a house :0.4 AND a tree :0.6"))],
)
def test_a_region_over_everything_is_its_prompt(prompt, scale):
    """At a scale of 1 the host multiplies parts by the sum of their weights."""
    region = {**EVERYWHERE, "prompt": prompt, "negative_prompt": "rain", "join": "replace"}
    tiled = draw({**TILES, "regions": [region]}, prompt="a garden", batch_size=2, cfg_scale=scale)
    assert torch.allclose(tiled, draw(prompt=prompt, negative_prompt="rain", batch_size=2, cfg_scale=scale), atol=1e-4)


def test_a_regions_scale_is_told_to_models_that_are_told_it(engine):
    region = {**EVERYWHERE, "prompt": "a tree", "cfg_scale": 7.0, "join": "replace"}
    told = {"distilled_cfg_scale": 7.0} if engine == "flux" else {"cfg_scale": 7.0}
    plain = draw(prompt="a tree", **told)
    assert torch.allclose(draw({**TILES, "regions": [region]}, prompt="a garden"), plain, atol=1e-4)
    assert not torch.allclose(draw(prompt="a tree"), plain, atol=1e-2)


def test_regions_are_encoded_with_the_guidance_of_the_pass():
    region = {**EVERYWHERE, "prompt": "a tree", "join": "replace"}
    more = {"distilled_cfg_scale": 2.0}
    assert torch.allclose(draw({**TILES, "regions": [region]}, **more), draw(prompt="a tree", **more), atol=1e-4)
    p = FlowJob(args=(True, {}))
    p.is_hr_pass, p.hr_distilled_cfg, p.hr_sampler_name, p.hr_second_pass_steps = True, 9.0, None, 0
    forge_texts.encode(p, ["a tree"], (8, 8), False)
    assert flow_model.TOLD[-1] == 9.0


def test_what_the_model_likes():
    assert host.sampling.model_size() == ModelTraits(128, 2, channels=16, prediction="flow")
    with pytest.raises(JobError, match="multiple of 16 px here, got 120 px"):
        draw({"tile_width": 120, "tile_height": 128, "overlap": 16})


@pytest.mark.parametrize("each", ["canvas", "tile"])
def test_the_size_told_to_sdxl_is_not_written_into_pooled_texts(each, monkeypatch):
    """Their vector is as long as SDXL's size conditioning, and longer."""
    encoded = shared.sd_model.encoded
    monkeypatch.setattr(flow_model, "CHANNELS", 16)

    def long(text):
        out = encoded(text)
        return type(out)({**out, "vector": out["vector"].repeat(128)})

    seen = []

    def applied(x, t, c_crossattn, y, **more):
        seen.append(y.clone())
        return x * 0.5

    monkeypatch.setattr(shared.sd_model, "encoded", long)
    monkeypatch.setattr(shared.sd_model, "apply_model", applied)
    shared.sd_model.forge_objects.unet.model.apply_model = applied
    draw({**TILES, "size_conditioning": each})
    texts = [long("a house")["vector"], long("")["vector"]]
    assert all(any(torch.equal(row, text) for text in texts) for rows in seen for row in rows)


class Table:
    """Stable Diffusion 3's network, as far as places go: a vector for each, of which a picture takes the middle."""

    pos_embed_max_size = 48

    def __init__(self):
        self.pos_embed = torch.randn(1, 48 * 48, 16, generator=torch.Generator().manual_seed(1))

    def cropped_pos_embed(self, hw):
        h, w = (side // 2 for side in hw)
        y, x = (48 - h) // 2, (48 - w) // 2
        return self.pos_embed.view(48, 48, -1)[y : y + h, x : x + w].reshape(1, h * w, -1)

    def places(self, x):
        return self.cropped_pos_embed(x.shape[-2:])


class Turned(torch.nn.Module):
    """Flux's, which tells its rows and columns of tokens, those of five tokens of text before them."""

    def __init__(self):
        super().__init__()
        self.pe_embedder = torch.nn.Identity()
        self.pe_embedder.axes_dim = (4, 4, 8)

    def places(self, x):
        h, w = (side // 2 for side in x.shape[-2:])
        ids = torch.zeros(len(x), 5 + h * w, 3)
        ids[:, 5:, 1], ids[:, 5:, 2] = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
        return torch.sin(self.pe_embedder(ids)[:, 5:] @ torch.randn(3, 16, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("network", [Table, Turned])
@pytest.mark.parametrize("tile_batch", [1, 3])
def test_told_their_places_tiles_are_the_plain_picture(network, tile_batch):
    """Of a model in which a pixel's prediction depends on its place; and afterwards nothing is left on it."""
    model = shared.sd_model
    inner = model.forge_objects.unet.model
    plain, inner.diffusion_model = inner.apply_model, network()

    def applied(x, *args, **more):
        places = inner.diffusion_model.places(x).expand(len(x), -1, -1)
        fine = places.movedim(1, -1).unflatten(-1, [side // 2 for side in x.shape[-2:]])
        return plain(x, *args, **more) + fine.repeat_interleave(2, -1).repeat_interleave(2, -2)

    inner.apply_model = model.apply_model = applied
    before = dict(inner.diffusion_model.__dict__)
    tiles = {**SIZES, "tile_batch": tile_batch, "positions": "canvas"}
    told = draw(tiles, prompt="a house")
    assert torch.allclose(told, draw(prompt="a house"), atol=1e-4)
    assert not torch.allclose(told, draw({**tiles, "positions": "tile"}, prompt="a house"), atol=1e-2)
    halves = [{"prompt": "a house", "x": x, "w": 0.5, "feather": 0.1} for x in (0, 0.5)]
    assert torch.allclose(draw({**tiles, "regions": halves}, prompt="a tree"), draw(prompt="a house"), atol=1e-4)
    assert inner.diffusion_model.__dict__ == before


def test_a_table_without_all_places_ends_the_job_by_name(monkeypatch):
    monkeypatch.setattr(Table, "pos_embed_max_size", 16)
    shared.sd_model.forge_objects.unet.model.diffusion_model = table = Table()
    table.pos_embed = table.pos_embed[:, : 16 * 16]
    with pytest.raises(JobError, match=r"positions: this model has places for 256 x 256 px, and a picture of 320 x 160 px"):
        draw({**SIZES, "positions": "canvas"})


def test_the_noise_levels_of_flows():
    p = FlowJob()
    p.sampler = flow_model.FlowSampler(p)
    sigma = torch.tensor([0.25, 1.0])
    level, kind = host.sampling.noise_level(p, sigma)
    assert kind == "x0"
    torch.testing.assert_close(torch.stack(level), torch.stack(Level.of_flow(sigma)))
    level, factor = host.sampling.start_level(p, from_picture=False)
    assert [float(n) for n in (*level, factor)] == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("from_picture", [False, True])
def test_a_picture_that_is_kept_to_the_end_is_what_comes_out(family, from_picture, monkeypatch):
    def encoded(p, pixels):
        generator = torch.Generator().manual_seed(5)
        return torch.randn(1, 16, pixels.shape[2] // 8, pixels.shape[3] // 8, generator=generator)

    monkeypatch.setattr(host.sampling, "encoded", encoded)
    start, settings = torch.randn(1, 16, 20, 40) if from_picture else None, with_regions(own())
    out = draw(settings, sampler_name=family, init_latent=start)
    assert torch.equal(out[..., :20], target(settings).target[..., :20])


def test_other_models_of_flows_and_those_of_reforge_are_refused_by_name(monkeypatch, engine):
    monkeypatch.setattr(forge_sampling, "is_reforge", lambda: True)
    name = type(shared.sd_model).__name__
    with pytest.raises(JobError, match=f"Tiled Diffusion: {name} is not drawn in tiles in this WebUI yet"):
        draw(TILES)
    monkeypatch.setattr(forge_sampling, "is_reforge", library.is_reforge)
    shared.sd_model = Chroma()
    unet = shared.sd_model.forge_objects.unet
    with pytest.raises(JobError, match="Chroma is not drawn in tiles in this WebUI yet"):
        draw(TILES)
    assert shared.sd_model.forge_objects.unet is unet


REFUSED = "ControlNet: Stable Diffusion 3 and Flux are not drawn in tiles with it here"


def test_controlnets_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(host.sampling, "controls", lambda p, on_cpu: object())
    with pytest.raises(JobError, match=REFUSED):
        draw(TILES)


@pytest.mark.parametrize("unit", [{"enabled": True}, SimpleNamespace(enabled=True), {"enabled": False}, None])
def test_units_that_are_on_are_refused_though_none_is_at_work(unit, monkeypatch):
    monkeypatch.setattr(host.sampling, "controls", lambda p, on_cpu: None)
    script = SimpleNamespace(title=lambda: "ControlNet", filename="x.py", args_from=0, args_to=1)
    p = FlowJob(args=(True, TILES))
    p.scripts, p.script_args = SimpleNamespace(alwayson_scripts=[script]), (unit,)
    if unit is None or unit == {"enabled": False}:
        run(p)
        return
    with pytest.raises(JobError, match=REFUSED):
        run(p)


def test_stable_diffusion_3_in_automatic1111():
    p = Job()
    shared.sd_model.add_noise_to_latent = flow_model.straight
    p.sampler = flow_model.FlowSampler(p)
    assert a1111.unseen_model() is None
    assert a1111.model_size() == a1111.FLOW
    level, kind = a1111.noise_level(p, torch.tensor([0.3]))
    assert (kind, [round(float(n), 6) for n in level]) == ("x0", [0.7, 0.3])
    level, factor = a1111.start_level(p, from_picture=True)
    assert float(level.alpha + level.sigma) == 1.0
    assert float(level.sigma) == float(factor) == float(p.sampler.get_sigmas(p, 4)[4 - int(0.6 * 4) - 1])


def source(name):
    """A file of the real WebUI, parsed; skips where it has none of that name."""
    path = Path(WEBUI or "") / name
    if not WEBUI or not path.is_file():
        pytest.skip(f"WEBUI_DIR names no WebUI with {name}")
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree):
    return {n.name: [a.arg for a in n.args.args] for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_forges_engines_predictors_and_texts_are_like_the_real_ones():
    for engine, name in ((StableDiffusion3, "sd35"), (Flux, "flux")):
        classes = [n.name for n in source(f"backend/diffusion_engine/{name}.py").body if isinstance(n, ast.ClassDef)]
        assert engine.__name__ in classes
    assert functions(source("backend/modules/k_prediction.py"))["noise_scaling"][1:4] == ["sigma", "noise", "latent_image"]
    parser = next(n for n in source("modules/prompt_parser.py").body if getattr(n, "name", "") == "SdConditioning")
    assert functions(parser)["__init__"][1:] == ["prompts", "is_negative_prompt", "width", "height", "copy_from", "distilled_cfg_scale"]
    strings = {n.value for n in ast.walk(source("backend/sampling/condition.py")) if isinstance(n, ast.Constant)}
    assert {"crossattn", "vector", "guidance"} <= strings
    job = ast.unparse(source("modules/processing.py"))
    assert all(f"{name}: float" in job for name in ("distilled_cfg_scale", "hr_distilled_cfg"))


def test_automatic1111s_stable_diffusion_3_is_like_the_real_one():
    real = functions(source("modules/models/sd3/sd3_model.py"))
    assert real["add_noise_to_latent"] == ["self", "x", "noise", "amount"]
    assert "cond" in real["apply_model"]
