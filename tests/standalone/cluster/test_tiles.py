"""Tiles of one step at workers: the picture is the same bit for bit, whatever acts on the tiles."""

import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.cluster.places import places
from tests.standalone.test_control import trained
from tests.standalone.test_flow_control import net_of
from tests.standalone.tiny import flow_model, tiny_model
from tiled_diffusion.errors import OutOfMemoryError, TiledError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.match import MatchKind
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.tile_texts import TileText
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.control import ControlNets, with_full_paths
from tiled_diffusion.standalone.sampling import generate, sample_latents

TILES = Settings(tile_width=64, tile_height=64, overlap=32, tile_batch=1)
WIDE = Request("a red house AND a tree :0.5", "snow", width=256, height=64, steps=3, cfg_scale=3.0, seed=5, sampler="Euler", tiling=TILES)
PHOTO = Image.effect_mandelbrot((256, 64), (-2, -1, 1, 1), 40).convert("RGB")
LEFT = Region("a boat", w=0.6, cfg_scale=5.0)
SMALL = Region("a tree", 0.3, 0.2, 0.1, 0.6, layer="foreground", bootstrap=0.5)


def with_tiling(**values):
    return replace(WIDE, tiling=replace(TILES, **values))


JOBS = {
    "sd1": ("sd1", WIDE),
    "sd2, v": ("sd2", replace(WIDE, sampler="DPM++ 2M")),
    "sdxl, told sizes": ("sdxl", with_tiling(size_conditioning="tile")),
    "several pictures": ("sd1", replace(WIDE, batch_size=2, sampler="Euler a")),
    "batches of tiles": ("sd1", with_tiling(tile_batch=2)),
    "regions, bootstrapped": ("sd1", with_tiling(regions=(LEFT, Region("the sea", x=0.4, w=0.6, negative_prompt="rain"), SMALL))),
    "texts of tiles": ("sd1", with_tiling(tile_prompts="list", tile_texts=(TileText("a boat", row=1, column=2),))),
    "moving grid, ring": ("sd1", with_tiling(method="jittered", wrap_x=True)),
    "elastic": ("sd1", with_tiling(method="elastic", elastic_rounds=1, elastic_reference="pad", elastic_pull=0.02)),
    "fits together": ("sd1", replace(WIDE, batch_size=2, match=MatchKind().from_text("match", "1.right=2.left"))),
    "sd3": ("sd3", WIDE),
    "flux": ("flux", WIDE),
    "sd3, positions in the canvas": ("sd3", with_tiling(positions="canvas", tile_batch=2)),
    "flux, positions in the canvas": ("flux", with_tiling(positions="canvas")),
}


def drawn(model, request, **more):
    return generate(model, request, **more)


def same(first, second):
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=True))


def model_of(kind):
    return flow_model(kind) if kind in ("sd3", "flux") else tiny_model(kind)


@pytest.mark.parametrize("name", JOBS)
def test_the_picture_is_the_same_bit_for_bit(name):
    kind, request = JOBS[name]
    runner = places(model_of(kind), 3, delay=0.003, home=object())
    assert torch.equal(sample_latents(model_of(kind), request, runner=runner), sample_latents(model_of(kind), request))
    assert sum(len(seat.worker.sent) for seat in runner.seats) >= 3 * 3
    assert all(seat.worker.sent for seat in runner.seats)


def test_a_kept_picture_is_the_same(monkeypatch):
    from tiled_diffusion.engine.inversion import Recent
    from tiled_diffusion.standalone import inversion

    request = replace(WIDE, inversion=Inversion(freedom=0.2), denoising_strength=0.7)
    pictures = []
    for runner in (places(tiny_model("sd1"), home=object()), None):
        monkeypatch.setattr(inversion, "RECENT", Recent())  # else the second takes the first one's noise
        pictures.append(drawn(tiny_model("sd1"), request, init_image=PHOTO, runner=runner))
    assert same(*pictures)


@pytest.fixture
def control(tmp_path):
    net = trained("sd1")
    net.save_pretrained(tmp_path / "net")
    PHOTO.save(tmp_path / "hint.png")
    return Control(str(tmp_path / "net"), str(tmp_path / "hint.png"), weight=0.8, end=0.7)


def test_controlnets_act_at_workers_which_get_the_hint_and_no_path_of_it(control, tmp_path):
    request, model = replace(WIDE, controls=(control,)), tiny_model("sd1")
    here, free = drawn(model, request), drawn(model, WIDE)
    runner = places(model, home=object())
    assert same(drawn(model, request, runner=runner), here)
    assert not same(here, free)


@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_workers_encode_the_hints_of_flows_themselves(kind, tmp_path):
    net_of(kind).save_pretrained(tmp_path / "net")
    PHOTO.resize((256, 128)).save(tmp_path / "hint.png")
    tiles = replace(TILES, tile_width=128, tile_height=128, overlap=48)
    free, model = replace(WIDE, height=128, tiling=tiles), flow_model(kind)
    request = replace(free, controls=(Control(str(tmp_path / "net"), str(tmp_path / "hint.png")),))
    here = drawn(model, request)
    assert same(drawn(model, request, runner=places(model, home=object())), here)
    assert not same(here, drawn(model, free))


def test_paths_of_controlnets_hold_in_every_folder(control, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = (replace(control, model="net"), replace(control, model="edges"), replace(control, model="nowhere/net"))
    request = with_full_paths(replace(WIDE, controls=named))
    assert [c.model for c in request.controls] == [str((tmp_path / "net").resolve()), "edges", "nowhere/net"]
    here = drawn(tiny_model("sd1"), replace(WIDE, controls=(control,)))
    runner, model, elsewhere = places(tiny_model("sd1"), home=object()), tiny_model("sd1"), tmp_path / "elsewhere"
    elsewhere.mkdir()

    def does(job, replica):
        os.chdir(elsewhere)
        return job(replica)

    for seat in runner.seats:
        seat.worker.does = does
    assert same(drawn(model, replace(WIDE, controls=named[:1]), runner=runner), here)


def test_controlnets_that_were_loaded_here_stay_here(control):
    runner = places(tiny_model("sd1"))
    drawn(tiny_model("sd1"), WIDE, controls=ControlNets(()), runner=runner)
    assert [seat.worker.sent for seat in runner.seats] == [[], []]


def test_what_all_tiles_have_in_common_is_sent_once():
    runner, model = places(tiny_model("sd1")), tiny_model("sd1")
    shared = []
    own = runner.share
    runner.share = lambda value: shared.append(value) or own(value)
    drawn(model, WIDE, runner=runner)
    assert len(shared) == 1


LIES = {
    "NaN": lambda result: replace(result, prediction=replace(result.prediction, data=np.full_like(result.prediction.data, 255))),
    "shape": lambda result: replace(result, prediction=replace(result.prediction, shape=(1, 4, 8, 16))),
    "nothing": lambda result: None,
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_wrong_is_not_added_up(lie, caplog):
    model = tiny_model("sd1")
    runner = places(model)
    liar = runner.seats[0].worker
    liar.does = lambda job, replica: LIES[lie](job(replica))
    with caplog.at_level(logging.WARNING, "tiled_diffusion"):
        assert same(drawn(model, WIDE, runner=runner), drawn(model, WIDE))
    assert next(r.message for r in caplog.records if "place 0" in r.message).startswith("place 0 failed twice")
    assert runner.width == 1


def test_numbers_that_break_everywhere_are_the_samplers_error():
    model = tiny_model("sd1")
    runner = places(model)
    parameter = next(model.unet.parameters())
    before = parameter.detach().clone()
    try:
        with torch.no_grad():
            parameter.fill_(float("nan"))
        with pytest.raises(TiledError, match="the picture broke at step 1 of 3"):
            drawn(model, WIDE, runner=runner)
    finally:
        with torch.no_grad():
            parameter.copy_(before)


def test_a_worker_without_memory_halves_its_own_batches(monkeypatch):
    model, request = tiny_model("sd1"), with_tiling(tile_batch=4)
    sizes, forward = [], model.unet.forward

    def small_memory(x, *args, **more):
        sizes.append(x.shape[0])
        if x.shape[0] > 2 * 3:
            raise RuntimeError("CUDA out of memory")
        return forward(x, *args, **more)

    model.unet.forward = small_memory
    try:
        with_workers = sample_latents(model, request, runner=places(model, home=object()))
    finally:
        del model.unet.forward
    assert max(sizes) == 4 * 3
    torch.testing.assert_close(with_workers, sample_latents(model, request), atol=1e-3, rtol=1e-3)


def test_a_tile_that_is_too_large_for_all_is_told():
    model = tiny_model("sd1")

    def no_memory(*args, **more):
        raise RuntimeError("CUDA out of memory")

    model.unet.forward = no_memory
    try:
        with pytest.raises(OutOfMemoryError, match="a single tile of 8 x 8 latent pixels"):
            drawn(model, WIDE, runner=places(model))
    finally:
        del model.unet.forward


def test_stopping_stops_at_the_next_batch():
    from tiled_diffusion.recipes.progress import Progress
    from tiled_vae import Interrupted

    class Stops(Progress):
        def tiles(self, done):
            if done >= 2:
                raise Interrupted

    model = tiny_model("sd1")
    runner = places(model)
    with pytest.raises(Interrupted):
        drawn(model, WIDE, progress=Stops(), runner=runner)
    assert sum(len(seat.worker.sent) for seat in runner.seats) <= 2 + 3 * 2
    assert same(drawn(model, WIDE, runner=runner), drawn(model, WIDE))


def test_a_message_is_little_more_than_its_tiles():
    model = tiny_model("sd1")
    runner = places(model)
    drawn(model, with_tiling(tile_batch=1), runner=runner)
    numbers = 4 * 8 * 8 * 4
    sent = [len(data) for seat in runner.seats for data in seat.worker.sent]
    received = [len(data) for seat in runner.seats for data in seat.worker.received]
    assert numbers < max(received) < numbers + 1000
    assert numbers < min(sent)  # what is shared is pickled too here: Ray sends a reference in its place
