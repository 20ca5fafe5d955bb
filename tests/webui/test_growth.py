"""Growing in stages: jobs within a job of the host, which is afterwards as it was."""

import json
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from modules import processing, shared
from PIL import Image

from tests.webui.host_model import Job, run
from tiled_diffusion.webui.growth import APART, digest_of
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.a1111.pictures import _own_numbers
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.timing import LAST_JOBS

GROW = {"version": 2, "grow": True}
JOBS = []


@dataclass
class Processing(Job):
    """What the stand-in's jobs need besides to be made of one another."""

    width: int = 256
    height: int = 224
    subseed: int = 40
    subseed_strength: float = 0.0
    do_not_save_grid: bool = False
    do_not_save_samples: bool = True
    restore_faces: object = True
    override_settings: dict = field(default_factory=dict)
    overlay_images: object = None
    outpath_samples: str = ""
    enable_hr: bool = False

    def __post_init__(self):
        super().__post_init__()
        self.all_subseeds = [self.subseed + i for i in range(self.batch_size * self.n_iter)]
        self.is_api, self.user, self.closed = True, None, False

    def close(self):
        self.closed = True

    def pictures(self):
        JOBS.append(self)
        self.latents = latents = run(self)
        self.extra_generation_params["Schedule type"] = "Karras"
        self.comment("said by a stage")
        pixels = ((torch.tanh(latents[:, :3] / 3) + 1) * 127.5).repeat_interleave(8, -1).repeat_interleave(8, -2)
        return [Image.fromarray(x.permute(1, 2, 0).round().to(torch.uint8).numpy()) for x in pixels]


class Txt2Img(Processing):
    """As Job."""


class Img2Img(Processing):
    """Its latent is the mean of 8 x 8 pixels, and a fourth channel of zeros."""

    def sample(self):
        (image,) = self.init_images
        x = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        clean = torch.nn.functional.pad(torch.nn.functional.avg_pool2d(x, 8), (0, 0, 0, 0, 0, 1))
        self.init_latent = clean
        return super().sample()


@pytest.fixture(autouse=True)
def classes(monkeypatch):
    JOBS.clear()
    for name, cls in (("", Processing), ("Txt2Img", Txt2Img), ("Img2Img", Img2Img)):
        monkeypatch.setattr(processing, f"StableDiffusionProcessing{name}", cls, raising=False)
    monkeypatch.setattr(host.vae, "decoded", torch.stack)
    monkeypatch.setattr(shared.state, "job_count", 1, raising=False)


def grown(settings=None, **values):
    p = Txt2Img(args=(True, {**GROW, **(settings or {})}), **values)
    p.script.is_img2img = False
    pixels = run(p)
    return p, [Image.fromarray(((x + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()) for x in pixels]


def by_hand(settings=None, seed=1, prompt="a house", strength=0.5):
    """Txt2img in the model's own size, and img2img of the enlarged picture."""
    job = {"seed": seed, "prompt": prompt, "args": (True, settings or {"version": 2})}
    first = Txt2Img(width=144, height=112, **job)
    second = Img2Img(denoising_strength=strength, **job)
    first.script.is_img2img, second.script.is_img2img = False, True
    (small,) = first.pictures()
    start = small.resize((256, 224), Image.Resampling.LANCZOS)
    second.init_images, second.args = [start], (True, {**(settings or {}), "version": 2, "keep_size": False})
    (large,) = second.pictures()
    JOBS.clear()
    return large


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


def test_it_is_what_the_hosts_jobs_make_one_after_the_other():
    expected = by_hand()
    p, (picture,) = grown()
    assert picture.size == (256, 224)
    assert same(picture, expected)
    assert [(type(j), j.width, j.height) for j in JOBS] == [(Txt2Img, 144, 112), (Img2Img, 256, 224)]
    for job in JOBS:
        assert (job.do_not_save_samples, job.do_not_save_grid, job.restore_faces, job.closed) == (True, True, False, True)
    assert (p.width, p.height, p.restore_faces, p.do_not_save_samples) == (256, 224, True, True)
    assert APART not in p.__dict__
    assert shared.state.job_count == 3
    assert shared.state.textinfo is None


def test_what_the_first_stage_says_is_in_the_record_and_what_all_say_is_said_once():
    p, _ = grown()
    assert p.extra_generation_params["Schedule type"] == "Karras"
    assert json.loads(p.extra_generation_params["Tiled Diffusion"])["grow"] is True
    assert p.comments.count("said by a stage") == 1


def test_pictures_of_a_batch_are_the_pictures_alone():
    regions = {"method": "jittered", "regions": [{"prompt": "a tree", "w": 0.5, "seed": 5}]}
    _, many = grown(regions, batch_size=2, n_iter=2)
    assert len(many) == 4
    texts = Txt2Img(args=(True, {}))
    for k, picture in enumerate(many):
        moved = {**regions, "regions": [{**regions["regions"][0], "seed": 5 + k}]}
        (alone,) = grown(moved, seed=1 + k)[1]
        assert same(picture, alone), k
    assert texts.styles == []


def test_styles_are_in_the_texts_once():
    p, _ = grown({"regions": [{"prompt": "a tree", "w": 0.5}]}, styles=["{prompt}, oil paint"])
    assert [job.prompt for job in JOBS] == ["a house, oil paint"] * 2
    assert all(job.styles == [] for job in JOBS)
    for job in JOBS:
        run_of_job = job.__dict__["_tiled_diffusion_run"]
        assert run_of_job.texts.prompts[0][1].full == "a tree, oil paint"
    assert json.loads(p.extra_generation_params["Tiled Diffusion"])["regions"][0]["prompt"] == "a tree"


def recorded(original, seen):
    """Keeps the latents of every job that is drawn."""

    def pictures(self):
        images = original(self)
        seen.append(self.latents)
        return images

    return pictures


def stage_files(folder):
    return {path.name.split("-")[1]: path.read_bytes() for path in Path(folder).glob("stages/*/*.png")}


def test_a_stopped_job_goes_on_from_its_last_stage(tmp_path, monkeypatch):
    settings = {"growth_stages": 2}
    _, (expected,) = grown(settings)
    assert stage_files(tmp_path) == {}, "a job that saves nothing keeps nothing"
    JOBS.clear()
    saving = {"do_not_save_samples": False, "outpath_samples": str(tmp_path)}
    original = Processing.pictures

    def stopping(self):
        shared.state.interrupted = len(JOBS) == 2
        return original(self)

    monkeypatch.setattr(Processing, "pictures", stopping)
    p, (stopped,) = grown(settings, **saving)
    monkeypatch.setattr(Processing, "pictures", original)
    shared.state.interrupted = False
    assert stopped.size == (256, 224)
    assert "stopped while it grew" in p.comments[-1]
    kept = stage_files(tmp_path)
    assert sorted(kept) == ["1", "2"]
    finished = Image.open(BytesIO(kept["2"]))
    assert same(stopped, finished.resize((256, 224), Image.Resampling.LANCZOS))
    JOBS.clear()
    _, (again,) = grown(settings, **saving)
    assert [(job.width, job.height) for job in JOBS] == [(256, 224)]
    assert same(again, expected)
    for other in ({"prompt": "a tower"}, {"steps": 5}):
        JOBS.clear()
        if "steps" in other:
            monkeypatch.setattr(host.jobs, "described", lambda p, image: f"Steps: {p.steps}")
        grown(settings, **saving, **other)
        assert len(JOBS) == 3, other


def test_what_scripts_are_told_counts(tmp_path):
    picture = np.zeros((4, 4, 3), np.uint8)
    unit = SimpleNamespace(weight=1.0, image=picture)
    kind = Enum("kind", ["A", "B"])
    told = [
        (1, None), (2, None), ("1", None), (unit, "x"), (SimpleNamespace(weight=0.5, image=picture), "x"),
        (SimpleNamespace(weight=1.0, image=picture + 1), "x"), ({"image": picture},), ([picture],), (kind.A,), (kind.B,),
        (Image.new("RGB", (4, 4)),), (torch.ones(2),), (torch.zeros(2),),
        (np.float32(0.5),), (np.int64(7),), (np.int64(8),), (Path("a"),), (Path("b"),), ({"a", "b"},), ({"a", "c"},),
    ]  # fmt: skip
    digests = [digest_of(value) for value in told]
    assert len({*digests}) == len(told)
    assert digest_of((SimpleNamespace(weight=1.0, image=picture.copy()), "x")) == digests[3]
    circle = []
    circle.append(circle)
    assert digest_of(circle) == digest_of(circle)


def test_it_is_remembered_as_one_job_unless_some_of_it_was_there(tmp_path):
    LAST_JOBS.jobs.clear()
    saving = {"do_not_save_samples": False, "outpath_samples": str(tmp_path)}
    grown(**saving)
    (job,) = LAST_JOBS.jobs
    assert (job.kind.size, job.kind.ways) == ((256, 224), ("grown in stages at 0.5",))
    grown(**saving)
    assert list(LAST_JOBS.jobs) == [job]


def test_a_finished_job_is_read_again_with_all_that_was_said_of_it(tmp_path):
    saving = {"do_not_save_samples": False, "outpath_samples": str(tmp_path), "batch_size": 2, "n_iter": 2}
    first, drawn = grown(**saving)
    assert len(JOBS) == 8
    folders = sorted(tmp_path.glob("stages/*"))
    JOBS.clear()
    again, read = grown(**saving)
    assert JOBS == []
    assert sorted(tmp_path.glob("stages/*")) == folders
    assert all(same(a, b) for a, b in zip(drawn, read, strict=True))
    assert again.extra_generation_params == first.extra_generation_params
    assert again.extra_generation_params["Schedule type"] == "Karras"
    assert again.comments == first.comments
    for broken in (b"[]", b"\xff", b'{"records": 1, "comments": []}'):
        for file in tmp_path.glob("stages/*/*.json"):
            file.write_bytes(broken)
        assert "Schedule type" not in grown(**saving)[0].extra_generation_params
    assert JOBS == []


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        ({}, {"enable_hr": True}, "grow: hires fix is on too"),
        ({"growth_stages": 99}, {}, "growth_stages: got 99"),
        ({"dilated": True, "regions": [{"prompt": "a", "w": 0.5}]}, {}, "dilated views draw one prompt"),
        ({"grow": "yes"}, {}, "grow: got"),
    ],
)
def test_what_cannot_grow_is_told(settings, values, message):
    with pytest.raises(JobError, match=message) as told:
        grown(settings, **values)
    assert told.value.status_code == 422


def test_img2img_does_not_grow():
    p = Img2Img(args=(True, GROW), init_images=[Image.new("RGB", (256, 224))])
    p.script.is_img2img = True
    with pytest.raises(JobError, match="grow: got true in img2img, allowed is txt2img"):
        run(p)


def test_dilated_views_and_the_skip_residual_reach_the_stages(monkeypatch):
    """Latents, since the stand-in's levels are low ones, where both terms are small."""
    seen = []
    monkeypatch.setattr(Processing, "pictures", recorded(Processing.pictures, seen))
    for more in ({}, {"dilated": True}, {"skip_residual": 1.0}, {"growth_stage_strength": 1.0}):
        grown(more)
    pictures = seen[1::2]
    assert len({latents.numpy().tobytes() for latents in pictures}) == 4
    assert len({latents.numpy().tobytes() for latents in seen[::2]}) == 1, "the first stage is drawn in one piece, from noise"


def test_the_encoder_of_a_stage_has_random_numbers_of_its_own():
    """Not those of the start noise, of which a part would come twice; and the process keeps its own."""
    before = torch.get_rng_state()
    draws = []
    for seed in (5, 5, 6):
        with _own_numbers(seed):
            draws.append(torch.randn(8))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], torch.randn(8, generator=torch.Generator().manual_seed(5)))
    assert torch.equal(torch.get_rng_state(), before)
