"""SD 3 and Flux: one tile is diffusers' own pipeline, bit for bit; tiles, regions, rings, pictures and samplers work as with U-Nets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.tiny import flow_model, flow_pipeline
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.noise import canvas_noise
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.tile_texts import TileText
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.flow import dynamic_shift, packed, places, unpacked
from tiled_diffusion.standalone.inspection import inspect_plan
from tiled_diffusion.standalone.inversion import ladder
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.samplers import _FLOWS, make_flow_schedule, set_steps
from tiled_diffusion.standalone.sampling import generate, make_planner, sample_latents

KINDS = ("sd3", "flux", "schnell")
TILES = Settings(tile_width=128, tile_height=128, overlap=48, tile_batch=2)
ONE = Request("a red house, snow", "rain", 128, 128, steps=3, cfg_scale=3.0, sampler="Euler", seed=5)
WIDE = replace(ONE, width=256, tiling=TILES)


def latents(kind, request, **more):
    return sample_latents(flow_model(kind), request, **more)


def own(kind, request):
    """By the pipeline of diffusers."""
    pipe, noise = flow_pipeline(kind), canvas_noise((4, request.height // 8, request.width // 8), [request.seed])
    pipe.set_progress_bar_config(disable=True)
    more = {"height": request.height, "width": request.width, "num_inference_steps": request.steps,
            "guidance_scale": request.cfg_scale, "output_type": "latent"}  # fmt: skip
    if kind == "sd3":
        return pipe(request.prompt, negative_prompt=request.negative_prompt, latents=noise, **more).images
    tokens = pipe(request.prompt, latents=pipe._pack_latents(noise, 1, 4, *noise.shape[2:]), **more).images
    return pipe._unpack_latents(tokens, request.height, request.width, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_one_tile_is_the_pipeline_of_diffusers(kind):
    assert torch.equal(latents(kind, ONE), own(kind, ONE))


def test_without_guidance_sd3_is_asked_for_its_prompt_alone():
    plain = replace(ONE, cfg_scale=1.0)
    assert torch.equal(latents("sd3", plain), own("sd3", plain))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", sorted(_FLOWS))
def test_tiles_with_every_sampler(kind, sampler):
    request = replace(WIDE, sampler=sampler)
    out = latents(kind, request)
    assert out.shape == (1, 4, 16, 32)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out, latents(kind, replace(request, tiling=replace(TILES, tile_batch=1))), atol=1e-4, rtol=1e-4)
    assert not torch.equal(out, latents(kind, replace(request, prompt="a tree")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_region_over_everything_is_its_prompt(kind):
    whole = Region("a tree", feather=0.0)
    out = latents(kind, replace(WIDE, tiling=replace(TILES, regions=(whole,), compose=0.0)))
    torch.testing.assert_close(out, latents(kind, replace(WIDE, prompt="a tree")), atol=1e-5, rtol=1e-5)


def test_flux_is_told_a_regions_own_scale():
    whole = Region("a tree", feather=0.0, cfg_scale=7.0)
    out = latents("flux", replace(WIDE, tiling=replace(TILES, regions=(whole,), compose=0.0)))
    torch.testing.assert_close(out, latents("flux", replace(WIDE, prompt="a tree", cfg_scale=7.0)), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(out, latents("flux", replace(WIDE, prompt="a tree")))


@pytest.mark.parametrize("kind", KINDS)
def test_rings_close(kind):
    """A roll of the noise by a whole step of the grid rolls the picture."""
    from tiled_diffusion.recipes.progress import Progress
    from tiled_diffusion.standalone.sampling import denoise

    request = replace(WIDE, tiling=replace(TILES, wrap_x=True))
    starts = sorted({tile.box.x for tile in make_planner(flow_model(kind), request).plan().tiles})
    step = starts[1] - starts[0]
    noise = canvas_noise((4, 16, 32), [3])
    a, b = (denoise(flow_model(kind), request, n, None, Progress()) for n in (noise, noise.roll(step, dims=-1)))
    torch.testing.assert_close(a.roll(step, dims=-1), b, atol=1e-4, rtol=1e-4)


def picture(width=256):
    small = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, 128), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M"])
def test_start_pictures(kind, sampler):
    request = replace(WIDE, sampler=sampler, steps=4)
    nothing = generate(flow_model(kind), replace(request, denoising_strength=0.0), init_image=picture())[0]
    half = generate(flow_model(kind), replace(request, denoising_strength=0.5), init_image=picture())[0]
    assert np.asarray(nothing).shape == np.asarray(half).shape == (128, 256, 3)
    assert not np.array_equal(np.asarray(nothing), np.asarray(half))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", ["Euler", "UniPC"])
def test_inpainting_keeps_what_is_not_masked(kind, sampler):
    mask = Image.new("L", (256, 128), 0)
    mask.paste(255, (0, 0, 96, 128))
    request = replace(WIDE, sampler=sampler, mask="given", mask_feather=0, inpaint_from="noise", init_image="given")
    out = np.asarray(generate(flow_model(kind), request, init_image=picture(), mask=mask)[0])
    np.testing.assert_array_equal(out[:, 96:], np.asarray(picture())[:, 96:])
    assert not np.array_equal(out[:, :96], np.asarray(picture())[:, :96])


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM++ 2M", "UniPC"])
def test_a_picture_is_kept_in_any_number_of_steps(sampler):
    scheduler = make_flow_schedule(sampler, {"shift": 3.0}, Extent(16, 32), linear=False)
    set_steps(scheduler, 8)
    own, more = ladder(scheduler, 2, None), ladder(scheduler, 2, 20)
    assert len(more) == 20
    for rung in (*own, *more):
        assert float(rung.level.alpha + rung.level.sigma) == pytest.approx(1, abs=1e-6)
        assert float(rung.level.sigma) == pytest.approx(rung.time / 1000, abs=2e-3)
    assert more[-1].time == own[-1].time
    request = replace(WIDE, sampler=sampler, steps=4, denoising_strength=0.5, inversion=Inversion(steps=6))
    assert np.asarray(generate(flow_model("sd3"), request, init_image=picture())[0]).shape == (128, 256, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["list", "content"])
def test_prompts_of_tiles(kind, source):
    tiling = replace(TILES, tile_prompts=source, tile_texts=(TileText("a tree", 1, 1),), tile_prompts_share=0.9)
    request = replace(WIDE, tiling=tiling, denoising_strength=0.7)
    out = latents(kind, request, init_image=picture())
    assert torch.isfinite(out).all()
    assert out.shape == (1, 4, 16, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": "Euler a"}, "sampler: got 'Euler a', allowed for this model is one of Euler, Heun"),
        ({"width": 120, "tiling": Settings()}, "width: got 120, but one tile covers it and the model needs multiples of 16"),
    ],
)
def test_what_it_cannot_do_is_named(change, message):
    with pytest.raises(TiledError, match=message):
        latents("sd3", replace(WIDE, **change))


def test_weights_of_words_are_said_to_be_left_out(caplog):
    weighted = latents("sd3", replace(ONE, prompt="a (red:1.4) house, snow"))
    assert torch.equal(weighted, latents("sd3", ONE))
    assert "weights of words such as (red:1.2) are left out" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_loaded_and_drawn_from_the_command_line(kind, tmp_path, capsys):
    flow_pipeline(kind).save_pretrained(tmp_path / "model")
    model = load_model(tmp_path / "model", device="cpu")
    assert model.kind == kind.replace("schnell", "flux")
    assert (model.traits.prediction, model.traits.channels, model.unit_px) == ("flow", 4, 16)
    words = ["generate", "a house", "--model", str(tmp_path / "model"), "--size", "256x128", "--tile", "128", "--steps", "2",
             "--overlap", "48", "--out", str(tmp_path / "a.png"), "--quiet"]  # fmt: skip
    assert main([*words, "--sampler", "Euler a"]) == 2
    assert "allowed for this model" in capsys.readouterr().err
    assert main(words) == 0, capsys.readouterr().err
    assert Image.open(tmp_path / "a.png").size == (256, 128)
    assert inspect_plan(make_planner(model, WIDE), WIDE, model.unet).lines()


def test_tokens_and_their_places():
    x = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6).float()
    pipe = flow_pipeline("flux")
    assert torch.equal(packed(x), pipe._pack_latents(x, 2, 3, 4, 6))
    assert torch.equal(unpacked(packed(x), Extent(4, 6)), x)
    assert torch.equal(places(Extent(4, 6)), pipe._prepare_latent_image_ids(1, 2, 3, "cpu", torch.float32))


def test_the_shift_goes_by_what_the_model_sees():
    config = {"use_dynamic_shifting": True}
    assert dynamic_shift(config, Extent(32, 32)) == pytest.approx(0.5)
    assert dynamic_shift(config, Extent(128, 128)) == pytest.approx(1.15)
    assert dynamic_shift({}, Extent(32, 32)) is None
