"""Keeping the start picture by noise inversion, with every sampler, kind of model and whatever else there is."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.test_control import trained
from tests.standalone.test_inpaint import mask_of, picture
from tests.standalone.test_pull import Same
from tests.standalone.tiny import pipeline, tiny_model
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.control import fitted_hint
from tiled_diffusion.engine.inversion import Recent
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request, request_from_dict
from tiled_diffusion.settings.values import Region, settings_from_dict
from tiled_diffusion.standalone import inversion, sampling
from tiled_diffusion.standalone.cli.arguments import read_request
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_diffusion.standalone.cli.words import command_line
from tiled_diffusion.standalone.control import ControlNet, ControlNets
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import load_model, model_from_pipeline
from tiled_diffusion.standalone.samplers import SAMPLERS, make_scheduler
from tiled_diffusion.standalone.sampling import generate, sample_latents
from tiled_diffusion.standalone.vae import encode

TILES = settings_from_dict({"version": 1, "tile_width_lp": 8, "tile_height_lp": 8, "overlap_lp": 4})
WIDE = {"width": 128, "height": 64, "steps": 5, "cfg_scale": 3.0, "seed": 5, "denoising_strength": 0.6}
KEPT = Inversion(freedom=0.0)
ROUND_TRIPS = [(0.4, 1, 0.1), (0.8, 1, 0.1), (0.8, 2, 0.05)]


@pytest.fixture(autouse=True)
def recent(monkeypatch):
    monkeypatch.setattr(inversion, "RECENT", Recent())
    return inversion.RECENT


def request_of(sampler="Euler", kept=KEPT, **more):
    return Request("a red house", "snow", **{"tiling": TILES, **WIDE, **more}, sampler=sampler, inversion=kept)


def drawn(request, model=None, **more):
    return sample_latents(model or tiny_model("sd1"), request, init_image=picture(128), **more)


OFF = [Inversion(freedom=1.0), Inversion(rounds=0), Inversion(freedom=1.0, detail_map=True)]


@pytest.mark.parametrize(("sampler", "off"), [*((s, OFF[0]) for s in SAMPLERS), *(("Euler", off) for off in OFF[1:])])
def test_without_it_img2img_is_as_ever_bit_for_bit(sampler, off):
    assert torch.equal(drawn(request_of(sampler, off)), drawn(request_of(sampler, None)))


@pytest.mark.parametrize(("kind", "sampler"), [*(("sd1", s) for s in SAMPLERS), ("sd2", "DDIM"), ("sd2", "Euler"),
                                              ("sdxl", "UniPC"), ("sdxl", "Euler a")])  # fmt: skip
def test_every_sampler_and_kind(kind, sampler):
    model = tiny_model(kind)
    kept, again, plain = (drawn(request_of(sampler, own), model) for own in (KEPT, KEPT, None))
    assert torch.isfinite(kept).all()
    assert torch.equal(kept, again)
    assert not torch.allclose(kept, plain)


@pytest.fixture(scope="module")
def shipped():
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def landscape():
    from training.dataset import make_sample

    image, caption, *_ = make_sample(90_000_003, 192, 128)
    return image, caption


def landscape_request(caption, **more):
    tiling = settings_from_dict({"tile_width": 128, "tile_height": 128, "overlap": 64})
    return Request(caption, width=192, height=128, steps=20, cfg_scale=1.0, sampler="Euler", tiling=tiling, **more)


def rmse(a, b):
    return float((a - b).square().mean().sqrt())


@pytest.mark.parametrize(("strength", "rounds", "most"), ROUND_TRIPS)
def test_the_picture_comes_back_without_guidance(shipped, landscape, strength, rounds, most):
    image, caption = landscape
    request = landscape_request(caption, denoising_strength=strength, inversion=Inversion(rounds=rounds, freedom=0.0))
    clean = encode(shipped, sampling.fitted(image, request), request.tiling)
    assert rmse(sample_latents(shipped, request, init_image=image), clean) <= most


def test_fresh_noise_does_not_bring_it_back(shipped, landscape):
    """What the test above asks for cannot be had without the picture's own noise."""
    image, caption = landscape
    request = landscape_request(caption, denoising_strength=0.4)
    clean = encode(shipped, sampling.fitted(image, request), request.tiling)
    assert rmse(sample_latents(shipped, request, init_image=image), clean) > 0.1


@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
@pytest.mark.parametrize(("prediction", "name"), [("v", "v_prediction"), ("x0", "sample")])
def test_a_model_that_says_v_draws_the_same(shipped, landscape, sampler, prediction, name):
    image, caption = landscape
    config = {**shipped.scheduler_config, "timestep_spacing": "leading"}
    request = replace(landscape_request(caption, denoising_strength=0.6, inversion=KEPT), sampler=sampler, steps=10)
    other = replace(
        shipped,
        unet=Same(shipped.unet, prediction, make_scheduler("DDIM", config).alphas_cumprod),
        scheduler_config={**config, "prediction_type": name},
        traits=replace(shipped.traits, prediction=prediction),
    )
    (a,), (b,) = (generate(m, request, init_image=image) for m in (replace(shipped, scheduler_config=config), other))
    assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 2


def counted(monkeypatch, model):
    """Sizes of the calls of a model's U-Net."""
    calls, original = [], model.unet.forward

    def forward(x, t, *args, **kwargs):
        calls.append((x.shape[0], float(t)))
        return original(x, t, *args, **kwargs)

    monkeypatch.setattr(model.unet, "forward", forward)
    return calls


def test_it_asks_once_a_step_and_round_without_guidance(monkeypatch):
    model = tiny_model("sd1")
    calls = counted(monkeypatch, model)
    drawn(request_of(kept=None, batch_size=3), model)
    plain, last = sum(n for n, _ in calls), calls[-1][1]
    calls.clear()
    drawn(request_of(kept=Inversion(freedom=0.3, rounds=2), batch_size=3), model)
    assert sum(n for n, _ in calls) == plain * (1 + 2 / 6), "half of the rows, of one picture of the three"
    assert calls[0][1] == last, "it begins where the sampling ends"


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "Heun", "PNDM", "DPM++ 2M Karras"])
def test_steps_of_its_own_end_where_the_sampling_begins(sampler, steps):
    scheduler = make_scheduler(sampler, tiny_model("sd1").scheduler_config)
    scheduler.set_timesteps(10)
    first = 4 * scheduler.order
    own, asked = inversion.ladder(scheduler, first, None), inversion.ladder(scheduler, first, steps)
    sigmas = [float(rung.level.sigma) for rung in asked]
    assert len(asked) == steps
    assert sigmas == sorted(set(sigmas))
    assert sigmas[-1] == pytest.approx(float(own[-1].level.sigma), abs=2e-3)
    assert [float(rung.level.sigma) for rung in own] == sorted({float(rung.level.sigma) for rung in own})


CASES = {
    "regions": {"tiling": replace(TILES, regions=(Region("a tree AND fog :0.5", w=0.5, cfg_scale=7, bootstrap=0.4),))},
    "a moving grid": {"tiling": replace(TILES, method="jittered", overlap=None)},
    "a ring": {"tiling": replace(TILES, wrap_x=True)},
    "an empty prompt": {"inversion": replace(KEPT, prompt="empty")},
    "three pictures": {"batch_size": 3},
    "steps of its own": {"inversion": replace(KEPT, steps=2)},
    "a map of freedom": {"inversion": Inversion(freedom=0.5, detail_map=True)},
}


@pytest.mark.parametrize("more", CASES.values(), ids=CASES)
def test_beside_everything_else(more):
    request = replace(request_of(), **more)
    kept, plain = drawn(request), drawn(replace(request, inversion=None))
    assert torch.isfinite(kept).all()
    assert not torch.allclose(kept, plain)


def test_controlnets_act_on_the_inversion_too(recent):
    hint = fitted_hint(torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0)), Extent(8, 16), 8)
    for weight in (1.0, 0.5):
        drawn(request_of(), controls=ControlNets((ControlNet(trained("sd1"), hint, weight, 0.5, 1.0),)))
    drawn(request_of(), controls=ControlNets((ControlNet(trained("sd1"), 1 - hint, 0.5, 0.0, 0.4),)))
    drawn(request_of())
    assert recent.runs == 4


def test_a_mask_and_an_inpainting_model():
    photo, mask = picture(128), mask_of(32, 96, width=128)
    (kept,), (plain,) = (
        generate(tiny_model("sd1"), request_of(kept=own), init_image=photo, mask=mask) for own in (KEPT, None)
    )
    assert (np.asarray(kept)[:, :32] == np.asarray(photo)[:, :32]).all()
    assert (np.asarray(kept)[:, 48:80] != np.asarray(plain)[:, 48:80]).any()
    pipe = deepcopy(pipeline("sd1"))
    wide = torch.nn.Conv2d(9, pipe.unet.conv_in.out_channels, 3, padding=1)
    torch.nn.init.normal_(wide.weight, std=0.05)
    pipe.unet.conv_in = wide
    pipe.unet.register_to_config(in_channels=9)
    model = model_from_pipeline(pipe, "tiny-inpainting", torch.device("cpu"), torch.float32)
    assert generate(model, request_of(), init_image=photo, mask=mask)[0].size == (128, 64)


def test_nothing_to_keep_is_an_error():
    with pytest.raises(TiledError, match="inversion: there is no picture to keep"):
        sample_latents(tiny_model("sd1"), request_of())
    request = request_of(inpaint_from="noise")
    with pytest.raises(TiledError, match="inversion: there is no picture to keep"):
        generate(tiny_model("sd1"), request, init_image=picture(128), mask=mask_of(0, 64, width=128))


def test_what_does_not_matter_is_found_again(recent):
    for more in ({}, {"cfg_scale": 5.0}, {"seed": 6}, {"negative_prompt": "fog"}, {"batch_size": 2},
                 {"tiling": replace(TILES, tile_batch=1)}, {"inversion": Inversion(freedom=0.5)}):  # fmt: skip
        drawn(replace(request_of(), **more))
    assert recent.runs == 1


def test_what_matters_is_done_again(recent):
    region = Region("a tree", w=0.5)
    changes = [
        {}, {"tiling": replace(TILES, method="multidiffusion")}, {"tiling": replace(TILES, overlap=16)},
        {"tiling": replace(TILES, regions=(region,))}, {"tiling": replace(TILES, regions=(replace(region, w=0.4),))},
        {"prompt": "a blue house"}, {"steps": 6}, {"denoising_strength": 0.4},
        {"inversion": replace(KEPT, rounds=2)}, {"inversion": replace(KEPT, prompt="empty")},
    ]  # fmt: skip
    for more in changes:
        drawn(replace(request_of(), **more))
    assert (recent.runs, len(recent.kept)) == (len(changes), 4)


@pytest.mark.parametrize("part", ["vae", "unet"])
def test_another_vae_or_other_weights_are_another_model(recent, part):
    drawn(request_of())
    model = tiny_model("sd1")
    pipe = deepcopy(pipeline("sd1"))
    weights = pipe.vae.encoder.conv_in.weight if part == "vae" else pipe.unet.conv_in.weight
    with torch.no_grad():
        weights *= 1.05
    drawn(request_of(), model_from_pipeline(pipe, model.name, torch.device("cpu"), torch.float32))
    assert recent.runs == 2


def test_progress_is_told_of_both_runs():
    told = []

    class Told(Progress):
        def start(self, steps, tiles):
            told.append([steps])

        def step(self, i):
            told[-1].append(i)

        def finish(self):
            told[-1].append("end")

    drawn(request_of(kept=replace(KEPT, rounds=2)), progress=Told())
    assert told == [[6, 0, 1, 2, 3, 4, 5, "end"], [3, 0, 1, 2, "end"]]


def test_documents():
    request = request_of(kept=Inversion(9, 2, 0.4, True, "empty"), init_image="a.png")
    data = request.to_dict()
    assert data["inversion"] == {"version": 2, "steps": 9, "rounds": 2, "freedom": 0.4, "detail_map": True, "prompt": "empty"}
    assert request_from_dict(json.loads(json.dumps(data))) == request
    assert request_from_dict({"prompt": "x", "inversion": {}}).inversion == Inversion()
    with pytest.raises(TiledError, match="inversion.freedom: got 2"):
        request_from_dict({"prompt": "x", "inversion": {"freedom": 2}})


def parsed(*words):
    return read_request(build_parser().parse_args(["generate", "x", "--size", "64x64", *words]))


def test_flags():
    assert parsed().inversion is None
    assert parsed("--keep", "0.7").inversion == Inversion(freedom=0.3)
    assert parsed("--inversion-rounds", "2").inversion == Inversion(rounds=2)
    request = parsed("--keep", "1", "--inversion-steps", "5", "--inversion-prompt", "empty", "--inversion-detail-map")
    assert request.inversion == Inversion(5, 1, 0.0, True, "empty")
    words = command_line(request, "out")[3:]
    assert read_request(build_parser().parse_args(words)).inversion == request.inversion
    with pytest.raises(TiledError, match="--keep: got 2.0, allowed is a number from 0 to 1"):
        parsed("--keep", "2")


def test_upscaling_with_it_and_its_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(64).save("small.png")
    words = ["--scale", "2", "--prompt", "grass", "--steps", "4", "--denoising-strength", "0.5", "--device", "cpu", "--quiet"]
    assert main(["upscale", "small.png", *words, "--keep", "0.9", "--out", "big.png"]) == 0
    request = read_png("big.png")
    assert request.inversion == Inversion(freedom=0.1)
    assert "Noise inversion" in Image.open("big.png").text["parameters"]
    assert main(["generate", "big.png", "--device", "cpu", "--quiet", "--out", "again.png"]) == 0
    assert Image.open("again.png").tobytes() == Image.open("big.png").tobytes()
    assert main(["upscale", "big.png", *words, "--out", "bigger.png"]) == 0
    assert read_png("bigger.png").inversion is None
