"""The port: one place for each WebUI, an unknown one is named, and nothing is recorded that nobody asked for."""

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from tests.webui.host_model import Job, field, job, run
from tiled_diffusion.errors import TiledError
from tiled_diffusion.webui import hosts, register
from tiled_diffusion.webui.hosts import port
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.vae import plan_line
from tiled_diffusion.webui.vae.script import TiledVaeScript

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
PARTS = {"page": port.Page, "jobs": port.Jobs, "texts": port.Texts, "sampling": port.Sampling, "vae": port.Vaes}


@pytest.mark.parametrize("part", PARTS)
def test_a_host_has_every_name_of_its_part(part):
    names = [name for name in vars(PARTS[part]) if not name.startswith("_")]
    assert len(names) > 5
    assert [name for name in names if not hasattr(getattr(hosts.host, part), name)] == []


def test_an_unknown_webui_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        hosts, "find_spec", lambda name: name if name == "modules.processing_diffusers" else found(name)
    )
    with pytest.raises(JobError, match="this WebUI is SD.Next.*it knows AUTOMATIC1111's WebUI"):
        job(TILES)
    assert torch.equal(run(Job(args=(False, TILES))), run(Job()))
    p, vae = Job(), TiledVaeScript()
    vae.controls = ()
    vae.before_process(p)
    vae.process(p, True, {"mode": "exact"})
    with pytest.raises(JobError, match="Tiled VAE: this WebUI is SD.Next"):
        p.init()


def test_the_panels_lines_say_what_would_not_be_drawn(monkeypatch):
    from modules import sd_models

    assert register._known_model_size() == hosts.host.sampling.model_size()
    monkeypatch.setattr(hosts.host.sampling, "unseen_model", lambda: "Chroma")
    with pytest.raises(TiledError, match="Chroma is not drawn in tiles in this WebUI yet: take another model"):
        register._known_model_size()
    found = importlib.util.find_spec
    monkeypatch.setattr(
        hosts, "find_spec", lambda name: name if name == "modules.processing_diffusers" else found(name)
    )
    with pytest.raises(TiledError, match=r"this WebUI is SD\.Next"):
        register._known_model_size()
    model = SimpleNamespace(first_stage_model=object())
    monkeypatch.setattr(sd_models, "model_data", SimpleNamespace(sd_model=model), raising=False)
    line = plan_line.describe("txt2img", ("mode",), ("exact", 640, 480))
    assert line.startswith("Tiled VAE: this WebUI is SD.Next")


class Elsewhere(Job):
    """A job whose sampler has another model by the time that it begins."""

    def setup_conds(self):
        super().setup_conds()
        original = self.script.process_before_every_sampling

        def hook(p, *args, **kwargs):
            original(p, *args, **kwargs)
            p.sampler.model_wrap_cfg.model_wrap = None
            p.sampler.model_wrap_cfg.__class__ = type("Deaf", (type(p.sampler.model_wrap_cfg),), {"forward": quiet})

        self.script.process_before_every_sampling = hook


def quiet(self, x, sigma):
    """A denoiser that neither asks callbacks nor the wrapper."""
    return x * 0.5


class Unannounced(Job):
    """A job that a script draws by itself, as some do, without the event before sampling."""

    def sample(self):
        return torch.zeros(len(self.prompts), 4, self.height // 8, self.width // 8)


@pytest.mark.parametrize("kind", [Elsewhere, Unannounced])
@pytest.mark.parametrize("stopped", [False, True])
def test_tiles_that_nobody_asked_for_are_no_picture(kind, stopped, monkeypatch):
    from modules import shared

    monkeypatch.setattr(shared.state, "interrupted", stopped)
    p = kind(args=(True, TILES))
    if stopped:
        run(p)
        return
    with pytest.raises(JobError, match="did not ask for tiles") as e:
        run(p)
    assert e.value.status_code == 422
    assert p.infotexts == []


def test_a_job_of_one_tile_asks_for_none():
    p = Job(args=(True, {}), width=128, height=128)
    assert torch.equal(run(p), job(width=128, height=128))
    assert field(p.infotexts[0]) == {"version": 2}
