"""Forge and reForge: the ControlNets of a patcher, each row with its crop of the hint."""

import ast
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from modules import shared

from tests.webui.forge_model import ControlNet, ForgeJob, Lllite, patcher_chain
from tests.webui.host_model import run
from tests.webui.test_forge import EVERYWHERE, TILES, draw, forge  # noqa: F401 a fixture
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.hosts.forge import control

WEBUI = os.environ.get("WEBUI_DIR")
KEEP = {"tile_width": 128, "tile_height": 128, "overlap": 48, "keep_picture": True, "inversion_freedom": 0.0}


def hint(seed, pictures=1, channels=3, size=(160, 320)):
    return torch.rand((pictures, channels, *size), generator=torch.Generator().manual_seed(seed))


def hang(*controls):
    """Puts ControlNets on the model, as the built-in script does before each sampling."""
    unet = shared.sd_model.forge_objects.unet.clone()
    for each in controls:
        unet.add_patched_controlnet(each)
    shared.sd_model.forge_objects.unet = unet


CHAINS = {
    "one": lambda batch: [ControlNet(hint(1))],
    "a hint for each picture": lambda batch: [ControlNet(hint(1, batch))],
    "two": lambda batch: [ControlNet(hint(1)), ControlNet(hint(2, batch), 0.3)],
    "masked": lambda batch: [ControlNet(hint(1), advanced_mask_weighting=hint(3, channels=1))],
    "weights of pictures": lambda batch: [ControlNet(hint(1), advanced_frame_weighting=[0.2, 0.9][:batch])],
    "prompts' rows alone": lambda batch: [ControlNet(hint(1), negative=0.0)],
    "T2I-Adapter": lambda batch: [ControlNet(hint(1), control_input=[])],
}


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("tile_batch", [1, 4])
@pytest.mark.parametrize("prompt", ["a house", "a house AND a tree of many words that make two chunks :0.5"])
def test_tiles_see_their_part_of_the_hint(kind, batch_size, tile_batch, prompt):
    """A pixel's prediction depends on that pixel and its hint alone, so any fusing of tiles gives the plain picture."""
    more, without = {"prompt": prompt, "batch_size": batch_size}, draw(prompt=prompt, batch_size=batch_size)
    controls = CHAINS[kind](batch_size)
    hang(*controls)
    plain = draw(**more)
    before = [(c.cond_hint_original, c.advanced_mask_weighting, c.advanced_frame_weighting) for c in controls]
    tiled = draw({**TILES, "tile_batch": tile_batch}, **more)
    assert torch.allclose(tiled, plain, atol=1e-5)
    assert not torch.allclose(plain, without, atol=1e-2)
    for own, kept in zip(controls, before, strict=True):
        now = (own.cond_hint_original, own.advanced_mask_weighting, own.advanced_frame_weighting)
        assert all(a is b for a, b in zip(now, kept, strict=True))


@pytest.mark.parametrize("wrap", [{}, {"wrap_x": True}, {"method": "jittered", "overlap_lp": None}, {"method": "multidiffusion"}], ids=str)
def test_whatever_the_tiles(wrap):
    hang(ControlNet(hint(1)))
    assert torch.allclose(draw({**TILES, **wrap}), draw(), atol=1e-5)


def test_a_region_without_controlnets():
    region = {**EVERYWHERE, "prompt": "a tree", "controlnet": False, "join": "replace"}
    expected = draw(prompt="a tree")
    hang(ControlNet(hint(1)), ControlNet(hint(2)))
    assert torch.allclose(draw({**TILES, "regions": [region]}), expected, atol=1e-4)
    both = draw({**TILES, "regions": [{**region, "controlnet": True}]})
    assert torch.allclose(both, draw(prompt="a tree"), atol=1e-4)


def test_hints_of_another_size_are_fitted_to_the_canvas():
    net = ControlNet(torch.full((1, 3, 160, 320), 0.6))
    hang(net)
    plain = draw()
    net.cond_hint_original = torch.full((1, 3, 80, 160), 0.6)
    assert torch.allclose(draw(TILES), plain, atol=1e-5)


def test_a_canvas_of_one_tile_is_the_hosts_own():
    hang(ControlNet(hint(1)))
    assert torch.equal(draw({**TILES, "tile_width_lp": 64, "tile_height_lp": 64}), draw())


def test_they_act_while_a_picture_is_inverted():
    latent = torch.randn((1, 4, 20, 40), generator=torch.Generator().manual_seed(7))
    without = draw(KEEP, init_latent=latent)
    hang(ControlNet(hint(1), 0.2))
    tiled, whole = (draw({**KEEP, **t}, init_latent=latent) for t in ({}, {"tile_width": 512, "tile_height": 512}))
    assert torch.allclose(tiled, whole, atol=1e-4)
    assert not torch.allclose(tiled, without, atol=1e-2)


def test_one_that_is_added_later_fails_by_name():
    class Late(ForgeJob):
        def before_sampling(self):
            hang(ControlNet(hint(1)))

    with pytest.raises(JobError, match="added after the tiles were prepared"):
        run(Late(args=(True, TILES)))


class Elsewhere(ControlNet):
    """As in reForge."""

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        assert transformer_options["cond_or_uncond"]
        return {"middle": [torch.zeros_like(x_noisy)]}


def test_reforge_gives_the_options_to_each():
    call = {"input": torch.zeros(2, 4, 8, 8), "timestep": torch.ones(2), "cond_or_uncond": [0, 1],
            "c": {"transformer_options": {"cond_or_uncond": [0, 1]}}}  # fmt: skip
    asked = control.controlled(Elsewhere(hint(1)), call, cropped=True)
    assert "control_model" not in asked["c"]
    assert asked["c"]["control"]["middle"][0].shape == (2, 4, 8, 8)
    assert "control" not in call["c"]


def unit_of(module, model):
    return SimpleNamespace(enabled=True, module=module, model=model)


def job_with(*units):
    script = SimpleNamespace(title=lambda: "ControlNet", filename="controlnet.py", args_from=0, args_to=len(units))
    p = ForgeJob(args=(True, TILES))
    p.scripts, p.script_args = SimpleNamespace(alwayson_scripts=[script]), units
    return p


def test_what_cannot_be_cut_is_named():
    with pytest.raises(JobError, match="ControlNet: reference_only, None needs the whole picture"):
        run(job_with(unit_of("reference_only", "None")))
    off = {"enabled": False, "module": "reference_only", "model": "None"}
    assert torch.equal(run(job_with(off)), draw(TILES))


LLLITE = unit_of("None", "kohya_lllite_xl_canny")


def with_lllite(settings=None, **more):
    """A job whose LLLite hangs in the attention of the U-Net; afterwards its layers are as they were."""
    unet = shared.sd_model.forge_objects.unet
    patch = Lllite(hint(1), **more)
    unet.model_options["transformer_options"] = {"patches": {"attn1_patch": [patch], "attn2_patch": [patch]}}
    p = job_with(LLLITE)
    p.args = (settings is not None, settings or {})
    out = run(p)
    assert all(layer.cond_image.shape == (1, 3, 160, 320) for layer in patch.modules.values())
    return out


@pytest.mark.parametrize("steps", [{}, {"start_step": 1, "end_step": 3}, {"num_steps": 0}], ids=str)
@pytest.mark.parametrize("tile_batch", [1, 3])
def test_an_lllite_sees_its_part_of_the_hint_in_its_steps(steps, tile_batch):
    without, plain = draw(), with_lllite(**steps)
    assert torch.allclose(with_lllite({**TILES, "tile_batch": tile_batch}, **steps), plain, atol=1e-5)
    assert not torch.allclose(plain, without, atol=1e-2)


def test_a_region_without_an_lllite():
    region = {**EVERYWHERE, "prompt": "a tree", "controlnet": False, "join": "replace"}
    expected = draw(prompt="a tree")
    assert torch.allclose(with_lllite({**TILES, "regions": [region]}), expected, atol=1e-4)


def test_what_acts_on_the_whole_picture_is_told():
    p = job_with(unit_of("CLIP-ViT-H (IPAdapter)", "ip-adapter_sd15"))
    run(p)
    assert any("act on the whole picture: CLIP-ViT-H (IPAdapter), ip-adapter_sd15" in text for text in p.comments)


def test_a_hint_that_is_no_picture_is_named():
    hang(ControlNet(None))
    with pytest.raises(JobError, match="the hint of a ControlNet cannot be cut"):
        draw(TILES)


@pytest.mark.skipif(not WEBUI or not (Path(WEBUI) / "modules_forge").is_dir(), reason="WEBUI_DIR names no Forge")
def test_the_fake_is_like_the_real_one():
    """Names that are set or asked for on the host's objects, and how the host asks them."""
    real = Path(WEBUI) / "backend/patcher/controlnet.py"
    source = (real if real.is_file() else Path(WEBUI) / "ldm_patched/modules/controlnet.py").read_text("utf-8")
    named = {n.attr for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute)}
    assert {"cond_hint_original", "cond_hint", "timestep_range", "previous_controlnet", "control_input"} <= named
    asks = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == "get_control"]
    for each in asks:
        assert [a.arg for a in each.args.args][1:5] == ["x_noisy", "t", "cond", "batched_number"]
    assert list(patcher_chain(None)) == []
