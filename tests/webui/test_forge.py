"""Forge and reForge: tiles under the patcher's wrapper, rows by name, and nothing left behind."""

import ast
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from modules import prompt_parser, shared

from tests.webui.forge_model import ForgeConditioning, ForgeDenoiser, ForgeJob, ForgeModel, Patcher
from tests.webui.host_model import run
from tests.webui.test_hosts import PARTS
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.hosts.forge import HOST as FORGE
from tiled_diffusion.webui.hosts.forge import library, patcher, texts

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
EVERYWHERE = {"x": 0, "y": 0, "w": 1, "h": 1}
WEBUI = os.environ.get("WEBUI_DIR")


@pytest.fixture(autouse=True)
def forge(monkeypatch):
    """Forge in the place of the host that runs, with a model of its own."""
    monkeypatch.setattr(prompt_parser, "SdConditioning", ForgeConditioning)
    before = {part: getattr(host, part) for part in PARTS}
    for part in PARTS:
        object.__setattr__(host, part, getattr(FORGE, part))
    shared.sd_model = ForgeModel()
    yield
    for part, module in before.items():
        object.__setattr__(host, part, module)


def draw(settings=None, **more):
    p = ForgeJob(args=() if settings is None else (True, settings), **more)
    return run(p)


@pytest.mark.parametrize("part", PARTS)
def test_forge_has_every_name_of_its_part(part):
    names = [name for name in vars(PARTS[part]) if not name.startswith("_")]
    assert [name for name in names if not hasattr(getattr(FORGE, part), name)] == []


PROMPTS = [
    "a house",
    "[a house:a tree:2]",
    "a house AND a tree :0.5",
    "a house of many words that make two chunks AND a tree",
]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("tile_batch", [1, 4])
def test_tiles_of_a_model_without_surroundings_are_the_plain_picture(prompt, batch_size, tile_batch):
    """A pixel's prediction depends on that pixel alone, so that any fusing of tiles gives the untiled picture."""
    more = {"prompt": prompt, "batch_size": batch_size}
    tiled = draw({**TILES, "tile_batch": tile_batch}, **more)
    assert torch.allclose(tiled, draw(**more), atol=1e-5)


def test_one_tile_is_the_plain_picture_bit_for_bit():
    assert torch.equal(draw({**TILES, "tile_width_lp": 64, "tile_height_lp": 64, "regions": []}), draw())


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_region_over_everything_is_its_prompt(prompt, batch_size):
    region = {**EVERYWHERE, "prompt": prompt, "negative_prompt": "rain", "join": "replace"}
    tiled = draw({**TILES, "regions": [region]}, prompt="a garden", batch_size=batch_size)
    plain = draw(prompt=prompt, negative_prompt="rain", batch_size=batch_size)
    assert torch.allclose(tiled, plain, atol=1e-4)


def test_a_region_with_its_own_scale():
    region = {**EVERYWHERE, "prompt": "a tree", "cfg_scale": 7.0, "join": "replace"}
    plain = draw(prompt="a tree", cfg_scale=7.0)
    assert torch.allclose(draw({**TILES, "regions": [region]}, prompt="a garden AND a lake"), plain, atol=1e-4)


def test_steps_in_which_the_host_leaves_negatives_out(monkeypatch):
    monkeypatch.setattr(ForgeDenoiser, "skips", (0, 2))
    region = {**EVERYWHERE, "prompt": "a tree", "join": "replace"}
    assert torch.allclose(draw({**TILES, "regions": [region]}), draw(prompt="a tree"), atol=1e-4)


@pytest.mark.parametrize("reforge", [False, True])
def test_what_a_record_says_of_a_regions_text_goes_to_that_job_alone(reforge, monkeypatch):
    """Forge takes what is left for the next prompt's; reForge keeps the dict itself with the main prompt's encoding."""
    for module in (library, texts):
        monkeypatch.setattr(module, "is_reforge", lambda: reforge)
    owner, name = library.remarks_on_texts()
    main = {"TI hashes": "one: 1"} if reforge else {}
    monkeypatch.setattr(owner, name, main)
    encoded = ForgeModel.encoded

    def encoding(model, text):
        if "style" in text:
            getattr(owner, name).update({"TI hashes": "style: 2", "Emphasis": "No norm"})
        return encoded(model, text)

    monkeypatch.setattr(ForgeModel, "encoded", encoding)
    p = ForgeJob(args=(True, {**TILES, "regions": [{**EVERYWHERE, "prompt": "a tree, style"}]}))
    p.extra_generation_params["TI hashes"] = "one: 1"
    run(p)
    assert p.extra_generation_params["TI hashes"] == "one: 1, style: 2"
    assert p.extra_generation_params["Emphasis"] == "No norm"
    assert getattr(owner, name) is main
    assert main == ({"TI hashes": "one: 1"} if reforge else {})


def test_rows_are_named_and_not_counted():
    assert [(r.image, r.part) for r in patcher._rows(torch.tensor([[1, -1], [0, 2]]))] == [(1, None), (0, 2)]


def test_the_refiner_gets_tiles_of_its_own():
    refiner = ForgeModel("two", 0.5)
    p = ForgeJob(args=(True, TILES))
    p.refiner, p.refine_at, first = refiner, 2, shared.sd_model
    own = refiner.forge_objects.unet
    run(p)
    assert {tuple(shape[-2:]) for shape, _ in refiner.calls} == {(16, 16)}
    assert refiner.forge_objects.unet is own
    assert "model_function_wrapper" not in first.forge_objects.unet.model_options


@pytest.mark.parametrize("fail_at", [0, 2])
def test_an_error_leaves_the_patcher_as_it_was(fail_at):
    own = shared.sd_model.forge_objects.unet
    with pytest.raises(RuntimeError, match="broken on purpose"):
        draw(TILES, fail_at=fail_at)
    assert shared.sd_model.forge_objects.unet is own
    assert own.model_options == {}
    plain = draw()
    assert torch.equal(draw(), plain)


def test_an_interrupt_leaves_the_patcher_as_it_was(monkeypatch):
    own = shared.sd_model.forge_objects.unet
    predict = ForgeModel.predict

    def pressed(model, *args):
        shared.state.interrupted = len(model.calls) > 8
        return predict(model, *args)

    monkeypatch.setattr(ForgeModel, "predict", pressed)
    draw({**TILES, "tile_batch": 1})
    assert 8 < len(shared.sd_model.calls) < 12
    assert shared.sd_model.forge_objects.unet is own


def test_a_sampler_announced_twice_is_tiled_once(monkeypatch):
    monkeypatch.setattr(ForgeJob, "announced", 2)
    assert torch.allclose(draw(TILES), draw(), atol=1e-5)


class Cloned(ForgeJob):
    """Another script clones the patcher afterwards, and sets a wrapper of its own or none."""

    wrapper = None

    def before_sampling(self):
        objects = shared.sd_model.forge_objects
        objects.unet = objects.unet.clone()
        if self.wrapper is not None:
            objects.unet.set_model_unet_function_wrapper(self.wrapper)


def test_a_clone_of_our_clone_is_tiled_and_then_passes_through():
    p = Cloned(args=(True, TILES))
    run(p)
    assert {tuple(shape[-2:]) for shape, _ in shared.sd_model.calls} == {(16, 16)}
    shared.sd_model.calls.clear()
    draw()
    assert {tuple(shape[-2:]) for shape, _ in shared.sd_model.calls} == {(20, 40)}


def test_a_wrapper_that_drops_ours_fails_by_name(monkeypatch):
    def other(apply, args):
        c = {key: value for key, value in args["c"].items() if key != patcher.ROW}
        return apply(args["input"], args["timestep"], **c)

    monkeypatch.setattr(Cloned, "wrapper", staticmethod(other))
    with pytest.raises(JobError, match="did not ask for tiles"):
        run(Cloned(args=(True, TILES)))


def test_a_wrapper_below_ours_gets_every_tile():
    seen = []

    def below(apply, args):
        seen.append((tuple(args["input"].shape[-2:]), len(args["cond_or_uncond"])))
        return apply(args["input"], args["timestep"], **args["c"])

    shared.sd_model.forge_objects.unet.set_model_unet_function_wrapper(below)
    draw({**TILES, "tile_batch": 2})
    assert {shape for shape, _ in seen} == {(16, 16)}
    assert {rows for _, rows in seen} <= {2, 4}


@pytest.mark.parametrize("on", [True, False])
def test_the_built_in_tiles_are_refused_by_name(on):
    script = SimpleNamespace(title=lambda: "MultiDiffusion Integrated", filename="x.py", args_from=0, args_to=1)
    p = ForgeJob(args=(True, TILES))
    p.scripts, p.script_args = SimpleNamespace(alwayson_scripts=[script]), (on,)
    if not on:
        run(p)
        return
    with pytest.raises(JobError, match="MultiDiffusion Integrated is switched on too"):
        run(p)


def test_memory_is_reserved_for_a_model_call_of_tiles():
    seen = []
    hung = patcher.Hung(SimpleNamespace.__class__, seen.append, None, (2, 16, 24))
    memory = hung._memory(Patcher(None))
    assert memory([2, 4, 100, 100]) == 2 * 2 * 4 * 16 * 24


@pytest.mark.parametrize(
    ("step", "sigma", "options", "out"),
    [(0, 0.5, {"s_min_uncond": 1.0}, True), (1, 0.5, {"s_min_uncond": 1.0}, False), (1, 0.5, {"s_min_uncond": 1.0, "s_min_uncond_all": True}, True),
     (0, 2.0, {"s_min_uncond": 1.0}, False), (1, 2.0, {"skip_early_cond": 0.5}, True), (3, 2.0, {"skip_early_cond": 0.5}, False)],
)  # fmt: skip
def test_reforges_rules_of_leaving_negatives_out(step, sigma, options, out, monkeypatch):
    denoiser = SimpleNamespace(step=step, total_steps=4)
    for name, value in options.items():
        setattr(shared.opts, name, value)
    assert not patcher.leaves_out_negatives(denoiser, sigma)
    monkeypatch.setattr(patcher, "is_reforge", lambda: True)
    assert patcher.leaves_out_negatives(denoiser, sigma) is out


SOURCES = ("backend/patcher/unet.py", "modules_forge/unet_patcher.py")


@pytest.mark.skipif(
    not WEBUI or not any((Path(WEBUI) / s).is_file() for s in SOURCES), reason="WEBUI_DIR names no Forge"
)
def test_the_fake_patcher_is_like_the_real_one():
    tree = ast.parse(next(Path(WEBUI) / s for s in SOURCES if (Path(WEBUI) / s).is_file()).read_text(encoding="utf-8"))
    methods = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    assert {"clone", "add_conditioning_modifier", "set_memory_peak_estimation_modifier"} <= methods
