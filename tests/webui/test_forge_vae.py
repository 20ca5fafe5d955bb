"""Forge and reForge: the VAE of a patcher, tiled, with memory kept free for a tile."""

import ast
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from backend import memory_management
from modules import processing, shared
from torch import nn

from tests.tiled_vae.models import tiny
from tests.webui.test_forge import forge  # noqa: F401 a fixture
from tests.webui.test_vae import EXACT, Job, panel_script, run
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.hosts.forge import library

WEBUI = os.environ.get("WEBUI_DIR")


class Vae:
    """Keeps memory free before it works, as the hosts' patchers do."""

    def __init__(self):
        self.first_stage_model, self.kept_free = tiny(torch.float32), []
        self.memory_used_decode = lambda shape, dtype: 10 * shape[2] * shape[3]
        self.memory_used_encode = lambda shape, dtype: shape[2] * shape[3]

    def decode(self, z):
        self.kept_free.append(self.memory_used_decode(z.shape, z.dtype))
        return self.first_stage_model.decode(z)

    def encode(self, x):
        self.kept_free.append(self.memory_used_encode(x.shape, x.dtype))
        return self.first_stage_model.encode(x)


class Model(nn.Module):
    """Has its VAE in a patcher alone."""

    def __init__(self):
        super().__init__()
        self.first_stage_model, self.forge_objects = None, SimpleNamespace(vae=Vae())

    def decode_first_stage(self, z):
        return self.forge_objects.vae.decode(z)


class ForgeJob(Job):
    """A job that reads a picture by the patcher."""

    def init(self):
        self.at("init", lambda: shared.sd_model.forge_objects.vae.encode(self.x))

    def sample_hr_pass(self, samples, decoded_samples):
        self.at("hires", lambda: shared.sd_model.forge_objects.vae.encode(self.x))
        return processing.DecodedSamples(shared.sd_model.decode_first_stage(samples))


@pytest.fixture(autouse=True)
def vae(monkeypatch, forge):  # noqa: F811 the fixture
    monkeypatch.setattr(shared, "sd_model", Model())
    monkeypatch.setattr(
        processing, "decode_latent_batch",
        lambda model, batch, **_: processing.DecodedSamples(shared.sd_model.decode_first_stage(z[None])[0] for z in batch),
    )  # fmt: skip
    return shared.sd_model.forge_objects.vae


@pytest.fixture(scope="module")
def ours():
    return panel_script()


def left(vae):
    """What of ours is still on the VAE."""
    nets = (vae.first_stage_model.decoder, vae.first_stage_model.encoder)
    estimates = [vae.memory_used_decode((1, 4, 100, 100), None), vae.memory_used_encode((1, 3, 800, 800), None)]
    return [name for net in nets for name in vars(net) if name == "forward"], estimates


@pytest.mark.parametrize("hires", [False, True])
def test_it_gives_what_the_untiled_one_gives_and_keeps_a_tile_free(ours, vae, hires):
    plain, p = ForgeJob(with_hires=hires, enabled=False), ForgeJob(EXACT, with_hires=hires)
    want, untiled = run(ours, plain), vae.kept_free.copy()
    vae.kept_free.clear()
    got = run(ours, p)
    assert (got - want).abs().max() < 1e-4
    assert len(vae.kept_free) == len(untiled)
    assert set(vae.kept_free) == {10 * 8 * 8, 48 * 64}, "a tile of 8 latent pixels; 64 image pixels, or fewer"
    assert set(untiled) == {10 * 12 * 20, 48 * 80}
    assert left(vae) == ([], [100000, 640000])


@pytest.mark.parametrize("mode", ["auto", "untiled"])
def test_where_it_may_be_untiled_the_hosts_estimate_holds(ours, vae, mode):
    run(ours, ForgeJob({"mode": mode}))
    assert set(vae.kept_free) == {10 * 12 * 20, 48 * 80}


@pytest.mark.parametrize("stage", ["init", "sample", "hires"])
def test_an_error_leaves_the_vae_as_it_was(ours, vae, stage):
    def fail(p):
        raise KeyError(stage)

    with pytest.raises(KeyError, match=stage):
        run(ours, ForgeJob(EXACT, with_hires=True, **{stage: fail}))
    assert left(vae) == ([], [100000, 640000])


def test_another_estimate_that_was_set_meanwhile_stays(ours, vae):
    def other(shape, dtype):
        return 1

    run(ours, ForgeJob(EXACT, sample=lambda p: setattr(vae, "memory_used_decode", other)))
    assert vae.memory_used_decode is other


@pytest.mark.parametrize("settings", [EXACT, {"mode": "auto"}])
def test_tiles_of_the_hosts_own_are_named(ours, vae, settings, monkeypatch):
    monkeypatch.setattr(memory_management, "VAE_ALWAYS_TILED", True)
    with pytest.raises(JobError, match="Tiled VAE: Never OOM Integrated cuts pictures into tiles of its own"):
        run(ours, ForgeJob(settings))
    assert left(vae) == ([], [100000, 640000])
    run(ours, ForgeJob(enabled=False))


def test_reforge_manages_memory_elsewhere(monkeypatch):
    module = ModuleType("model_management")
    monkeypatch.setitem(__import__("sys").modules, "ldm_patched.modules.model_management", module)
    monkeypatch.setattr(library, "find_spec", lambda name: name)
    assert library.memory_module() is module


@pytest.mark.skipif(not WEBUI or not (Path(WEBUI) / "modules_forge").is_dir(), reason="WEBUI_DIR names no Forge")
def test_the_fake_is_like_the_real_one():
    forges = Path(WEBUI) / "backend/patcher/vae.py"
    source = (forges if forges.is_file() else Path(WEBUI) / "ldm_patched/modules/sd.py").read_text("utf-8")
    named = {n.attr for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute)}
    assert {"memory_used_decode", "memory_used_encode", "first_stage_model", "VAE_ALWAYS_TILED"} <= named
