"""The studio's workshop: progress, previews, stopping, history."""

import threading
from dataclasses import replace

import pytest
import torch

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.sampling import generate
from tiled_diffusion.standalone.studio import studio as module
from tiled_diffusion.standalone.studio.draw_fields import first_size
from tiled_diffusion.standalone.studio.model_picker import its_samplers, native_px
from tiled_diffusion.standalone.studio.studio import Studio
from tiled_vae import Interrupted

from . import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_model("sd1")


REQUEST = Request("a tree", width=192, height=64, steps=4, seed=7, tiling=Settings(tile_width=128, tile_batch=1))


def test_updates_end_with_the_files_that_generate_makes(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PREVIEW_SECONDS", 0.0)
    updates = list(Studio(model, tmp_path).make(replace(REQUEST, batch_size=2)))
    fractions = [u.fraction for u in updates]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    previews = [u.preview for u in updates if u.preview]
    assert [p.size for p in previews] == [(192, 64)] * 4
    assert [f.name for f in updates[-1].files] == ["00001-7.png", "00002-8.png"]
    made = read_png(updates[-1].files[1])
    assert made == replace(REQUEST, seed=8)
    assert "Step 4 of 4" in updates[-2].text


def test_a_job_that_is_done_is_remembered_with_its_time(model, tmp_path):
    studio = Studio(model, tmp_path)
    list(studio.make(REQUEST))
    (job,) = studio.jobs.jobs
    assert (job.kind.size, job.kind.tile, job.steps, job.peak) == ((192, 64), (128, 64), 4, None)
    assert job.kind.rows > 2
    assert job.seconds > 0


def test_another_model_keeps_device_and_precision_and_the_fields_follow_it(tmp_path):
    folder = tmp_path / "models" / "v"
    tiny.pipeline("sd2").save_pretrained(folder)
    studio = Studio(load_model(device="cpu", dtype="bf16"), tmp_path)
    before = first_size(studio.model), native_px(studio.model)
    studio.load(str(folder))
    assert (studio.model.dtype, studio.model.path) == (torch.bfloat16, folder)
    assert before == ((512, 256), 128)
    assert first_size(studio.model) == (2 * max(256, native_px(studio.model)), max(256, native_px(studio.model)))
    assert its_samplers(studio.model)["value"] in its_samplers(studio.model)["choices"]


def test_a_large_picture_has_a_small_preview(model):
    noise = module.torch.randn(1, 4, 16, 128)
    assert module.preview(model, noise).size == (256, 32)


def test_cancel_stops_within_a_batch_and_saves_nothing(model, tmp_path):
    studio = Studio(model, tmp_path)
    seen = []
    with pytest.raises(Interrupted):
        for update in studio.make(REQUEST):
            seen.append(update)
            if len(seen) == 3:
                studio.cancel()
    assert not list(tmp_path.iterdir())
    assert list(studio.make(REQUEST))[-1].files  # the next one is as if nothing had happened


def test_a_reader_who_goes_away_stops_the_run(model, tmp_path):
    studio = Studio(model, tmp_path)
    run = studio.make(REQUEST)
    next(run), next(run)
    run.close()
    assert not list(tmp_path.iterdir())
    assert list(studio.make(REQUEST))[-1].files


def test_one_waits_for_the_other(model, tmp_path):
    studio = Studio(model, tmp_path)
    first = studio.make(REQUEST)
    next(first), next(first)
    texts = []
    other = threading.Thread(target=lambda: texts.extend(u.text for u in studio.make(replace(REQUEST, seed=9))))
    other.start()
    done = list(first)
    other.join(60)
    assert done[-1].files
    assert texts[0].startswith("Waiting")
    assert texts[-1].startswith("Done")
    assert [p.name for p in studio.history()] == ["00002-9.png", "00001-7.png"]


def test_errors_reach_the_reader(model, tmp_path):
    studio = Studio(model, tmp_path)
    with pytest.raises(TiledError, match="overlap"):
        list(studio.make(replace(REQUEST, tiling=Settings(tile_width=128, overlap=128))))
    assert list(studio.make(REQUEST))[-1].files


def test_the_picture_is_the_one_of_the_command_line(model, tmp_path):
    from PIL import Image, ImageChops

    (path,) = list(Studio(model, tmp_path).make(REQUEST))[-1].files
    (image,) = generate(model, REQUEST)
    with Image.open(path) as saved:
        assert ImageChops.difference(saved.convert("RGB"), image).getbbox() is None
