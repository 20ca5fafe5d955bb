"""Masked inpainting: what is not drawn comes back bit for bit, what is drawn is drawn as ever, with every sampler."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.test_control import trained
from tests.standalone.tiny import pipeline, tiny_model
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.control import fitted_hint
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.inpaint import inpaint, inpaint_request
from tiled_diffusion.settings.request import Request, request_from_dict
from tiled_diffusion.settings.sides import Sides
from tiled_diffusion.settings.values import Settings, settings_from_dict
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.control import ControlNet, ControlNets
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.images import to_pixels
from tiled_diffusion.standalone.inpainting import Painting, filled
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import model_from_pipeline
from tiled_diffusion.standalone.samplers import SAMPLERS
from tiled_diffusion.standalone.sampling import generate
from tiled_diffusion.standalone.tile_prompts import content_of_latent
from tiled_diffusion.standalone.vae import encode

TILES = settings_from_dict({"version": 1, "tile_width_lp": 8, "tile_height_lp": 8, "overlap_lp": 4})
REGIONS = settings_from_dict(
    {"version": 1, "tile_width_lp": 8, "tile_height_lp": 8, "regions": [{"prompt": "a tree", "w": 0.5, "bootstrap": 0.3}]}
)
WIDE = {"width": 256, "height": 64, "steps": 3, "cfg_scale": 3.0, "seed": 5}


def picture(width=256, height=64, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def mask_of(left=0, right=256, width=256, height=64, value=255):
    grey = np.zeros((height, width), dtype=np.uint8)
    grey[:, left:right] = value
    return Image.fromarray(grey)


def request_of(sampler="Euler", tiling=TILES, **more):
    return Request("a red house", "snow", **{**WIDE, **more}, sampler=sampler, tiling=tiling)


def pixels(image):
    return np.asarray(image)


@pytest.mark.parametrize("inpaint_from", ["noise", "original", "fill"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_outside_the_mask_the_photo_comes_back(sampler, inpaint_from):
    photo, mask = picture(), mask_of(100, 181)
    request = request_of(sampler, inpaint_from=inpaint_from, batch_size=2)
    outs = generate(tiny_model("sd1"), request, init_image=photo, mask=mask)
    for out in outs:
        assert (pixels(out)[:, :100] == pixels(photo)[:, :100]).all()
        assert (pixels(out)[:, 181:] == pixels(photo)[:, 181:]).all()
        assert (pixels(out)[:, 110:170] != pixels(photo)[:, 110:170]).mean() > 0.9
    assert (pixels(outs[0])[:, 110:170] != pixels(outs[1])[:, 110:170]).any()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_full_mask_is_img2img_bit_for_bit(sampler):
    for tiling in (TILES, REGIONS):
        request, model = request_of(sampler, tiling), tiny_model("sd1")
        plain = generate(model, request, init_image=picture())[0]
        assert (pixels(generate(model, request, init_image=picture(), mask=mask_of())[0]) == pixels(plain)).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_empty_mask_is_the_photo(sampler, monkeypatch):
    model = tiny_model("sd1")
    monkeypatch.setattr(model.unet, "forward", None)
    request = request_of(sampler, inpaint_from="noise")
    out = generate(model, request, init_image=picture(), mask=mask_of(value=0))[0]
    assert (pixels(out) == pixels(picture())).all()


def test_a_full_mask_from_noise_is_no_start_picture_at_all():
    request, model = request_of(inpaint_from="noise"), tiny_model("sd2")
    plain = generate(model, request)[0]
    assert (pixels(generate(model, request, init_image=picture(), mask=mask_of())[0]) == pixels(plain)).all()


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("tiling", [{"wrap_x": True}, {"method": "jittered"}, {"regions": [{"prompt": "x", "w": 0.6}]}])
def test_rings_methods_and_regions(kind, tiling):
    request = request_of("DPM++ 2M", settings_from_dict(tiling))
    out = generate(tiny_model(kind), request, init_image=picture(), mask=mask_of(64, 200))[0]
    assert (pixels(out)[:, :64] == pixels(picture())[:, :64]).all()
    assert (pixels(out)[:, 80:180] != pixels(picture())[:, 80:180]).mean() > 0.9


def test_a_controlnet_guides_what_is_drawn():
    model, request = tiny_model("sd1"), request_of(inpaint_from="noise")
    hint = fitted_hint(torch.rand((1, 3, 64, 256)), Extent(8, 32), 8)
    nets = ControlNets((ControlNet(trained("sd1"), hint),))
    free, guided = (
        pixels(generate(model, request, init_image=picture(), mask=mask_of(64, 200), controls=controls)[0])
        for controls in (ControlNets(()), nets)
    )
    assert (guided[:, :64] == pixels(picture())[:, :64]).all()
    assert (guided[:, 80:180] != free[:, 80:180]).any()


def test_the_soft_edge_lies_within_the_mask():
    request = request_of(mask_feather=16)
    painting = Painting.of(tiny_model("sd1"), request, picture(), mask_of(64, 160))
    row = painting._soft()[30]
    assert (row[:64] == 0).all()
    assert (row[160:] == 0).all()
    assert (row[84:140] == 1).all()
    assert (np.diff(row[64:82]) >= 0).all()
    assert 0 < row[66] < 0.5
    assert (replace(painting, feather=0)._soft()[30, 64:160] == 1).all()
    ring = replace(painting, mask=np.roll(painting.mask, -112, axis=1), rings=(True, False))
    np.testing.assert_array_equal(ring._soft(), np.roll(painting._soft(), -112, axis=1))


def test_grey_is_drawn_in_part():
    photo = Image.new("RGB", (256, 64), (90, 120, 200))
    request = request_of(mask_feather=0, inpaint_from="noise")
    gap = {}
    for value in (64, 128, 255):
        out = generate(tiny_model("sd1"), request, init_image=photo, mask=mask_of(0, 128, value=value))[0]
        gap[value] = np.abs(pixels(out)[:, :128].astype(int) - pixels(photo)[:, :128]).mean()
    assert 0 < gap[64] < gap[128] < gap[255]


@pytest.mark.parametrize("size", [(250, 61), (201, 128)])
def test_a_photo_of_any_size_keeps_it(size):
    host, photo = DiffusersHost(tiny_model("sd1")), picture(*size)
    mask = mask_of(20, 90, *size)
    request = inpaint_request(host, request_of(inpaint_from="noise"), photo)
    assert (request.width, request.height) == (256, 64 if size[1] == 61 else 128)
    out = inpaint(host, request_of(inpaint_from="noise"), photo, mask)[0].image
    assert out.size == size
    assert (pixels(out)[:, 90:] == pixels(photo)[:, 90:]).all()


def test_a_photo_is_extended():
    host, photo = DiffusersHost(tiny_model("sd1")), picture(120, 60)
    request = request_of(inpaint_from="noise", extend=Sides(left=64, bottom=8))
    out = inpaint(host, request, photo)[0].image
    assert out.size == (184, 68)
    assert (pixels(out)[:60, 64:] == pixels(photo)).all()
    assert pixels(out)[:, :50].std() > 0
    masked = inpaint(host, request, photo, mask_of(0, 40, 120, 60))[0].image
    assert (pixels(masked)[:60, 104:] == pixels(photo)[:, 40:]).all()
    assert (pixels(masked)[:50, 70:90] != pixels(photo)[:50, 6:26]).any()


def test_fill_takes_the_colours_around():
    photo = np.full((40, 60, 3), (200, 30, 30), dtype=np.uint8)
    photo[10:25, 20:45] = 0
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10:25, 20:45] = 255
    assert np.abs(filled(photo, mask).astype(int) - (200, 30, 30)).max() <= 1
    assert (filled(photo, np.full_like(mask, 255)) == 128).all()


@pytest.fixture(scope="module")
def nine():
    """An inpainting model: the tiny one with a first layer that sees 9 channels."""
    pipe = deepcopy(pipeline("sd1"))
    config = {name: value for name, value in pipe.unet.config.items() if not name.startswith("_")}
    pipe.unet = type(pipe.unet)(**config | {"in_channels": 9}).eval()
    return model_from_pipeline(pipe, "tiny-inpainting", torch.device("cpu"), torch.float32)


def test_an_inpainting_model_sees_mask_and_photo_of_each_tile(nine, monkeypatch):
    seen, original = [], nine.unet.forward

    def forward(x, *args, **kwargs):
        seen.append(x.clone())
        return original(x, *args, **kwargs)

    monkeypatch.setattr(nine.unet, "forward", forward)
    request = request_of(inpaint_from="noise", tiling=replace(TILES, tile_batch=1))
    out = generate(nine, request, init_image=picture(), mask=mask_of(100, 181))[0]
    assert (pixels(out)[:, :100] == pixels(picture())[:, :100]).all()
    assert {x.shape[1] for x in seen} == {9}
    masks = torch.cat([x[:, 4] for x in seen])
    assert masks.min() == 0
    assert masks.max() == 1
    columns = {tuple(x[0, 4, 0].tolist()) for x in seen}
    assert (0,) * 4 + (1,) * 4 in columns, "the tile from 64 px on sees its own part of the mask, which begins at 96 px"
    seen.clear()
    generate(nine, request_of())
    assert all((x[:, 4] == 1).all() for x in seen)


def test_an_inpainting_model_looks_at_the_content_of_a_picture(nine):
    clean = encode(nine, to_pixels(picture()), Settings())
    content = content_of_latent(nine, "a red house, snow", clean)
    assert content.places.shape == (len(content.prompt), *clean.shape[-2:])
    assert len(content.prompt) == 2
    tiling = replace(request_of().tiling, tile_prompts="content")
    (out,) = generate(nine, replace(request_of(), prompt="a red house, snow", tiling=tiling), init_image=picture())
    assert out.size == (256, 64)


def test_an_inpainting_model_is_loaded_from_a_folder(nine, tmp_path):
    from tiled_diffusion.standalone.model import load_model

    pipe = deepcopy(pipeline("sd1"))
    pipe.unet = nine.unet
    pipe.save_pretrained(tmp_path / "nine")
    index = tmp_path / "nine" / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "StableDiffusionInpaintPipeline"))
    assert load_model(tmp_path / "nine", "cpu").unet.config.in_channels == 9


@pytest.mark.parametrize(
    ("more", "photo", "mask", "words"),
    [
        ({}, picture(), mask_of(width=100), "mask: got 100x64, allowed is the size of the start picture, 256x64"),
        ({}, None, mask_of(), "mask: a start picture is missing"),
        ({"extend": Sides(left=256)}, picture(), None, "extend: no place is left for the photo on a canvas of 256x64"),
        ({"mask": "nowhere.png"}, picture(), None, "mask: nowhere.png cannot be read as a picture"),
    ],
)
def test_what_cannot_be_is_told(more, photo, mask, words):
    with pytest.raises(TiledError, match=words):
        generate(tiny_model("sd1"), request_of(**more), init_image=photo, mask=mask)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"left": 12}, "extend.left: got 12, allowed is a multiple of 8"),
        ({"up": 8}, "extend: got"),
        ("left=8", "extend: got"),
    ],
)
def test_sides_are_checked(value, words):
    with pytest.raises(TiledError, match=words):
        request_from_dict({"prompt": "x", "extend": value})


def test_sides_as_json():
    request = request_from_dict({"prompt": "x", "extend": {"left": 64, "top": 8}, "mask": "m.png", "inpaint_from": "fill"})
    assert request.to_dict()["extend"] == {"left": 64, "top": 8}
    assert request_from_dict(json.loads(json.dumps(request.to_dict()))) == request


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inpaint")
    picture(190, 128).save(folder / "photo.png")
    mask_of(60, 130, 190, 128).save(folder / "mask.png")
    return folder


FEW = ["--steps", "2", "--device", "cpu", "--quiet"]


def run(*words):
    return main([str(word) for word in words])


def test_the_command(files, tmp_path):
    out, photo = tmp_path / "a.png", picture(190, 128)
    assert run("inpaint", files / "photo.png", "--mask", files / "mask.png", "a red house", *FEW, "--out", out) == 0
    made = Image.open(out).convert("RGB")
    assert made.size == (190, 128)
    assert (pixels(made)[:, :60] == pixels(photo)[:, :60]).all()
    assert (pixels(made)[:, 130:] == pixels(photo)[:, 130:]).all()
    record = read_png(out)
    assert record.inpaint_from == "noise"
    assert len(record.mask_sha256) == len(record.init_image_sha256) == 64
    assert "Masked content: noise" in Image.open(out).text["parameters"]
    again = tmp_path / "b.png"
    assert run("generate", out, "--device", "cpu", "--quiet", "--out", again) == 0
    assert (pixels(Image.open(again)) == pixels(made)).all()


def test_what_was_inpainted_is_enlarged_as_a_whole(files, tmp_path):
    out = tmp_path / "a.png"
    assert run("inpaint", files / "photo.png", "--mask", files / "mask.png", "a house", *FEW, "--out", out) == 0
    assert run("upscale", out, "--scale", 1.5, *FEW, "--out", tmp_path / "b.png") == 0
    assert Image.open(tmp_path / "b.png").width > 256
    assert not read_png(tmp_path / "b.png").inpaints


def test_another_file_than_the_recorded_one_is_told(files, tmp_path, capsys):
    mask = tmp_path / "mask.png"
    mask.write_bytes((files / "mask.png").read_bytes())
    assert run("inpaint", files / "photo.png", "--mask", mask, "a house", *FEW, "--out", tmp_path / "a.png") == 0
    mask_of(0, 10, 190, 128).save(mask)
    assert run("generate", tmp_path / "a.png", "--device", "cpu", "--quiet", "--out", tmp_path / "b.png") == 2
    assert "is not the picture that was recorded" in capsys.readouterr().err
    words = ["generate", tmp_path / "a.png", "--mask", mask, "--device", "cpu", "--quiet", "--out", tmp_path / "b.png"]
    assert run(*words) == 0


def test_the_command_extends(files, tmp_path):
    out = tmp_path / "a.png"
    assert run("inpaint", files / "photo.png", "--extend", "left=64,top=8", "sky", *FEW, "--out", out) == 0
    made = Image.open(out).convert("RGB")
    assert made.size == (254, 136)
    assert (pixels(made)[8:, 64:] == pixels(picture(190, 128))).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.png", "x"], "nothing to draw: give --mask, --extend, or both"),
        (["none.png", "x", "--mask", "mask.png"], "none.png: there is no such file"),
        (["photo.png", "x", "--mask", "none.png"], "none.png: there is no such file"),
        (["photo.png", "x", "--mask", "small.png"], "mask: got 20x20, allowed is the size of the start picture, 190x128"),
        (["photo.png", "x", "--extend", "left=5"], "left: got 5, allowed is a multiple of 8"),
        (["photo.png", "x", "--extend", "up=8"], "got 'up=8', allowed is left=PX"),
        (["photo.png", "x", "--extend", "left=99999"], "left: got 99999"),
        (["text.png", "x", "--mask", "mask.png"], "this is no picture"),
    ],
)
def test_wrong_input_is_one_line(files, words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(files)
    Image.new("L", (20, 20)).save("small.png")
    (files / "text.png").write_text("no picture")
    assert run("inpaint", *words, *FEW, "--out", tmp_path / "a.png") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


def test_noise_begins_as_the_noised_colours_around(monkeypatch):
    """At the first level a little of them is there; where nothing is around it is noise alone, and as ever."""
    from tiled_diffusion.standalone import sampling
    from tiled_diffusion.standalone.vae import encode

    begun, original = [], sampling._begun
    monkeypatch.setattr(sampling, "_begun", lambda *args: begun.append((original(*args), *args)) or begun[-1][0])
    model, photo = tiny_model("sd1"), Image.new("RGB", (256, 64), (200, 40, 40))
    request = request_of(inpaint_from="noise", seed=5)
    generate(model, request, init_image=photo, mask=mask_of(64, 192))
    generate(model, request, init_image=photo, mask=mask_of())
    latents, scheduler, _, noise, *_ = begun[0]
    target = encode(model, to_pixels(photo), TILES)
    torch.testing.assert_close(latents, scheduler.add_noise(target, noise, scheduler.timesteps[:1]), atol=0.02, rtol=0.02)
    assert not torch.allclose(latents, noise * scheduler.init_noise_sigma, atol=0.02, rtol=0.02)
    latents, scheduler, _, noise, *_ = begun[1]
    assert torch.equal(latents, noise * scheduler.init_noise_sigma)
