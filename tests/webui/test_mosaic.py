"""The script Hypermosaic: tiles by the host's own jobs, which are afterwards as they were."""

import copy
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from modules import processing, shared
from PIL import Image

from tests.webui.host_model import Job, run
from tiled_diffusion.recipes.mosaic.draw import tile_seed
from tiled_diffusion.recipes.mosaic.folder import opened_folder
from tiled_diffusion.settings.mosaic import Place
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.hosts.values import ScriptArguments
from tiled_diffusion.webui.mosaic import HypermosaicScript, _shown, mosaics_folder

SIDE = 128


def picture(side=64):
    return Image.effect_mandelbrot((side, side), (-2, -1.5, 1, 1.5), 50).convert("RGB")


@dataclass
class Img2Img(Job):
    """The stand-in's job with an input picture: its latent is the mean of 8 x 8 pixels, and a fourth channel of zeros."""

    width: int = SIDE
    height: int = SIDE
    prompt: object = "a tree"
    seed: object = 7
    subseed: int = 0
    batch_size: int = 3
    denoising_strength: float = 0.8
    image_mask: object = None
    do_not_save_grid: bool = False
    do_not_save_samples: bool = False
    outpath_samples: str = ""
    jobs: list = field(default_factory=list)
    stop_at: int | None = None

    def setup_prompts(self):
        texts = [(t if isinstance(t, list) else [t]) for t in (self.prompt, self.negative_prompt)]
        self.all_prompts, self.all_negative_prompts = (t * (self.batch_size // len(t)) for t in texts)

    def pictures(self):
        self.jobs.append({n: copy.copy(getattr(self, n)) for n in ("prompt", "negative_prompt", "seed", "batch_size", "cfg_scale")})
        assert (self.do_not_save_grid, self.do_not_save_samples) == (True, True)
        self.all_seeds = list(self.seed)
        latents = run(self)
        if self.stop_at is not None and len(self.jobs) > self.stop_at:
            shared.state.interrupted = True
        pixels = ((latents[:, :3].clamp(-1, 1) + 1) * 127.5).repeat_interleave(8, -1).repeat_interleave(8, -2)
        return [Image.fromarray(x.permute(1, 2, 0).round().to(torch.uint8).numpy()) for x in pixels]

    def sample(self):
        original = self.script.process_before_every_sampling
        clean = torch.stack([encoded(image) for image in self.init_images])

        def begin(p, *args, x, noise, **more):
            original(p, *args, x=clean, noise=noise, **more)
            noise.copy_(clean + 0.5 * noise)

        self.script.process_before_every_sampling = begin
        try:
            return super().sample()
        finally:
            del self.script.process_before_every_sampling


def encoded(image):
    x = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    return torch.nn.functional.pad(torch.nn.functional.avg_pool2d(x, 8)[0], (0, 0, 0, 0, 0, 1))


@pytest.fixture
def job(tmp_path):
    shared.opts.img2img_background_color = "#ffffff"

    def made(**values):
        return Img2Img(**{"outpath_samples": str(tmp_path), "init_images": [picture()], **values})

    return made


def drawn(p, grid="4", name="m", colour="match", hold=0.8, depth=1, loop=False, by_regions=True):
    return HypermosaicScript().run(p, grid, name, colour, hold, depth, loop, by_regions)


def test_it_is_drawn_by_batches_of_the_hosts_jobs_which_are_then_as_before(job, tmp_path):
    p = job()
    before = {k: v for k, v in vars(p).items() if k not in ("jobs", "script", "infotexts")}
    processed = drawn(p)
    folder = opened_folder(tmp_path / "mosaic" / "m")
    assert len(folder.done(1)) == 16
    assert [len(j["seed"]) for j in p.jobs] == [3] * 6
    assert p.jobs[0]["seed"] == [tile_seed(7, 1, Place(x, 0)) for x in range(3)]
    assert {t for j in p.jobs for t in j["prompt"]} == {"a tree"}
    for name in ("prompt", "negative_prompt", "seed", "batch_size", "n_iter", "width", "height", "init_images", "denoising_strength"):
        assert getattr(p, name) == before[name], name
    assert not any("hold" in name for name in vars(p))
    (shrunk,) = processed.images
    assert shrunk.size == (4 * SIDE, 4 * SIDE)
    assert processed.seed == 7
    assert "Hypermosaic" in processed.info
    off = np.abs(np.asarray(shrunk, float).reshape(4, SIDE, 4, SIDE, 3).mean((1, 3)) - np.asarray(picture().resize((4, 4), 4), float))
    assert off.max() < 12


def means_off(p, folder):
    """How far the latent means of quarters of tiles are from those of what they were drawn from."""
    pyramid = folder.pyramid(1)
    off = []
    for place in folder.places():
        from tiled_diffusion.recipes.mosaic.cells import enlarged_cell

        want = encoded(enlarged_cell(folder.picture(1), folder.grid, *place, SIDE))[:3]
        got = encoded(pyramid.tile_image(pyramid.top, *place))[:3]
        off.append((torch.nn.functional.avg_pool2d(got - want, 4)).abs().mean())
    return float(torch.stack(off).mean())


def test_hold_holds_the_means_of_blocks_in_the_hosts_own_sampling(job, tmp_path):
    held, free = job(), job()
    drawn(held, name="held", hold=1.0, colour="none")
    drawn(free, name="free", hold=0.0, colour="none")
    a, b = (means_off(held, opened_folder(tmp_path / "mosaic" / name)) for name in ("held", "free"))
    assert a < b / 2


def test_after_an_interrupt_the_same_name_goes_on(job, tmp_path, monkeypatch):
    p = job(stop_at=2)
    processed = drawn(p)
    done = len(opened_folder(tmp_path / "mosaic" / "m").done(1))
    assert done == 6, "an unfinished batch is not kept"
    assert "stopped; all finished tiles are kept" in p.comments[-1]
    assert processed.images[0].mode == "RGB"
    shared.state.interrupted = False
    again = job()
    drawn(again)
    assert len(again.jobs) == 4
    whole = job()
    drawn(whole, name="whole")
    for place in opened_folder(tmp_path / "mosaic" / "m").places():
        a, b = (opened_folder(tmp_path / "mosaic" / n).pyramid(1).tile_path(*place).read_bytes() for n in ("m", "whole"))
        assert a == b


def test_prompts_by_the_regions_of_the_panel(job, monkeypatch):
    from tiled_diffusion.webui.hosts import host

    regions = {"regions": [{"prompt": "a house", "w": 0.5}]}
    told = [ScriptArguments("Tiled Diffusion", "x", (True, regions))]
    monkeypatch.setattr(host.jobs, "scripts_of", lambda p: iter(told))
    p = job(args=(True, regions))
    drawn(p)
    by_seed = {s: t for j in p.jobs for s, t in zip(j["seed"], j["prompt"], strict=True)}
    for y in range(4):
        assert [by_seed[tile_seed(7, 1, Place(x, y))] for x in range(4)] == ["a house"] * 2 + ["a tree"] * 2
    p = job(args=(True, regions))
    drawn(p, name="plain", by_regions=False)
    assert {t for j in p.jobs for t in j["prompt"]} == {"a tree"}


WRONG = {
    "a size that is no square": ({"width": 128, "height": 64}, {}, "width, height: got 128x64"),
    "a mask": ({"image_mask": 1}, {}, "without a mask"),
    "a grid of 0": ({}, {"grid": "0"}, "grid: got"),
    "a path": ({}, {"name": "../../etc"}, "name: got"),
    "an absolute path": ({}, {"name": "/etc"}, "name: got"),
    "a depth between": ({}, {"depth": 1.5}, "depth: got 1.5"),
    "a picture too small": ({"init_images": [picture(3)]}, {}, "picture: got 3x3 px"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn_is_told(name, job, tmp_path):
    values, words, message = WRONG[name]
    p = job(**values)
    with pytest.raises(JobError, match=message) as told:
        drawn(p, **words)
    assert told.value.status_code == 422
    assert p.jobs == []
    assert not [*tmp_path.rglob("*.png")]


def test_another_job_in_the_same_folder_is_refused(job):
    drawn(job())
    with pytest.raises(JobError, match="prompt: the mosaic in"):
        drawn(job(prompt="a house"))
    with pytest.raises(JobError, match="model: the mosaic in .*sampler_name Heun"):
        drawn(job(sampler_name="Heun"))


def test_a_seed_of_minus_1_names_the_folder(job, tmp_path):
    p = job(seed=-1)
    drawn(p, name="")
    assert (tmp_path / "mosaic" / "77" / "mosaic.json").is_file()


def test_it_is_a_script_of_img2img():
    script = HypermosaicScript()
    assert (script.title(), script.show(True), script.show(False)) == ("Hypermosaic", True, False)


def test_viewer_and_zoom_of_the_page(job, tmp_path, monkeypatch):
    drawn(job(), name="shown", loop=True)
    monkeypatch.setattr(shared.opts, "outdir_samples", str(tmp_path), raising=False)
    assert mosaics_folder() == tmp_path / "mosaic"
    html = _shown("shown", 0.2)
    assert "/tiled-diffusion/mosaics/shown/index.html" in html
    assert any((tmp_path / "mosaic" / "shown" / name).is_file() for name in ("zoom.webm", "zoom.gif"))
    assert "name: got" in _shown("../x", 1)
    assert "there is no mosaic" in _shown("nothing", 1)


def test_the_stand_in_has_what_is_asked():
    assert callable(processing.process_images)


def test_the_global_random_numbers_are_as_before_and_each_batch_has_its_own(job, monkeypatch):
    """The host's encoder draws from them."""
    drawn_numbers = []
    original = Img2Img.pictures
    monkeypatch.setattr(Img2Img, "pictures", lambda p: drawn_numbers.append(float(torch.rand(1))) or original(p))
    for name in ("a", "b"):
        torch.manual_seed(len(drawn_numbers))
        before = torch.get_rng_state()
        drawn(job(), name=name)
        assert torch.equal(torch.get_rng_state(), before)
    assert drawn_numbers[:6] == drawn_numbers[6:]
    assert len({*drawn_numbers}) == 6
