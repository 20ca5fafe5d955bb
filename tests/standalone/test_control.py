"""ControlNets: each tile is guided by its own part of the hint, as diffusers guides the whole picture."""

from dataclasses import replace

import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
)
from PIL import Image

from tests.standalone.tiny import pipeline, tiny_model
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides.control import acts_at, fitted_hint, hint_crops
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import SAMPLERS, Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.control import SHIPPED, ControlNet, ControlNets, load_controlnet, load_controls
from tiled_diffusion.standalone.control_hints import hint_of, open_hint
from tiled_diffusion.standalone.demo.drawing import drawing
from tiled_diffusion.standalone.denoiser import Denoiser
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.samplers import make_scheduler
from tiled_diffusion.standalone.sampling import generate, make_planner, sample_latents, start_noise

KINDS = ("sd1", "sd2", "sdxl")
WIDE = {"width": 256, "height": 64, "steps": 2, "cfg_scale": 3.0, "seed": 5}
CANVAS = Extent(8, 32)
TILES = {"tile_width": 64, "tile_height": 64, "overlap": 32}


def coordinates(canvas=CANVAS):
    """A hint whose pixels are their own places: [1, 3, 8 H, 8 W]."""
    y, x = torch.meshgrid(torch.arange(canvas.h * 8.0), torch.arange(canvas.w * 8.0), indexing="ij")
    return torch.stack([y, x, torch.ones_like(x)])[None]


def trained(kind):
    """A ControlNet of random weights that does something."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = ControlNetModel.from_unet(pipeline(kind).unet, load_weights_from_unet=False)
        for p in net.parameters():
            if not p.any():
                torch.nn.init.normal_(p, std=0.1)
    return net.eval()


class CropEcho:
    """Notes what it sees, and adds nothing."""

    def __init__(self, kind="sd1"):
        self.net, self.calls = trained(kind), []

    def __call__(self, x, t, text, hint, weight, **more):
        self.calls.append((x, text, hint, more["added_cond_kwargs"]))
        down, mid = self.net(x, t, text, hint, 0.0, **more)
        return [d * 0 for d in down], mid * 0


def box_of(hint, canvas=CANVAS):
    """The box that a crop of `coordinates` was cut from."""
    assert (hint[2] == 1).all()
    y, x = int(hint[0, 0, 0]), int(hint[1, 0, 0])
    box = Box(y // 8, x // 8, hint.shape[1] // 8, hint.shape[2] // 8)
    assert torch.equal(hint, box.scaled(8).gather(coordinates(canvas))[0])
    return box


def seen_boxes(monkeypatch, request, echo):
    """(Latents, boxes) of every U-Net call, as planned; fills `echo.calls` with what the ControlNet saw."""
    planned, original = [], Denoiser.evaluate

    def evaluate(self, wanted, t, guide):
        planned.append([(row.x, row.tile) for row in wanted])
        return original(self, wanted, t, guide)

    monkeypatch.setattr(Denoiser, "evaluate", evaluate)
    nets = ControlNets((ControlNet(echo, coordinates()),))
    sample_latents(tiny_model("sd1"), request, controls=nets)
    return planned


def check_crops(planned, calls, images, regions=()):
    """Every row's hint is the crop of its own tile, and rows of regions without ControlNets are not seen."""
    on = [[(v, t) for v, t in rows if not t.prompt or regions[t.prompt - 1].controlnet] for rows in planned]
    on = [rows for rows in on if rows]
    assert len(on) == len(calls)
    for rows, (x, _, hints, _) in zip(on, calls, strict=True):
        expected = [(view[i], tile.box) for view, tile in rows for i in range(images)]
        assert len(expected) == len(x) == len(hints)
        for (view, box), crop, hint in zip(expected, x, hints, strict=True):
            assert torch.equal(view, crop)
            found = box_of(hint)
            assert (found.y, found.x, found.h, found.w) == (box.y % CANVAS.h, box.x % CANVAS.w, box.h, box.w)


@pytest.mark.parametrize("tile_batch", [1, 2, 3, 4])
@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("cfg_scale", [1.0, 3.0])
@pytest.mark.parametrize("wrap_x", [False, True])
def test_each_tile_sees_its_crop(monkeypatch, tile_batch, images, cfg_scale, wrap_x):
    tiling = Settings(**TILES, tile_batch=tile_batch, wrap_x=wrap_x)
    request = Request("a house", **{**WIDE, "cfg_scale": cfg_scale}, batch_size=images, tiling=tiling)
    echo = CropEcho()
    planned = seen_boxes(monkeypatch, request, echo)
    check_crops(planned, echo.calls, images)
    assert wrap_x == any(box.x + box.w > CANVAS.w for rows in planned for box in (tile.box for _, tile in rows))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_with_every_sampler(monkeypatch, sampler):
    echo = CropEcho()
    request = Request("a", **WIDE, sampler=sampler, batch_size=2, tiling=Settings(**TILES, tile_batch=3))
    check_crops(seen_boxes(monkeypatch, request, echo), echo.calls, 2)


@pytest.mark.parametrize("off", [(), (1,), (0, 1)])
def test_regions_see_their_crops_or_nothing(monkeypatch, off):
    regions = tuple(
        Region("a tree AND a house", 0.5 * i, 0, 0.5, 1, feather=0, controlnet=i not in off) for i in range(2)
    )
    request = Request("a", **WIDE, batch_size=2, tiling=Settings(**TILES, tile_batch=4, regions=regions))
    echo = CropEcho()
    check_crops(seen_boxes(monkeypatch, request, echo), echo.calls, 2, regions)
    assert bool(echo.calls) == (len(off) < 2)


def test_the_picture_follows_in_the_places_that_are_on():
    model, net = tiny_model("sd1"), ControlNet(trained("sd1"), torch.rand(1, 3, 64, 256))
    halves = tuple(Region("a", 0.5 * i, 0, 0.5, 1, feather=0, controlnet=i == 0) for i in range(2))
    request = Request("a", **{**WIDE, "steps": 1}, sampler="Euler", tiling=Settings(**TILES, regions=halves))
    mixed, free = (sample_latents(model, request, controls=ControlNets(nets)) for nets in ((net,), ()))
    on = tuple(replace(r, controlnet=True) for r in halves)
    guided = sample_latents(
        model, replace(request, tiling=replace(request.tiling, regions=on)), controls=ControlNets((net,))
    )
    close(mixed[..., :16], guided[..., :16])
    close(mixed[..., 16:], free[..., 16:])
    assert not torch.allclose(guided, free)


def close(a, b):
    torch.testing.assert_close(a, b, atol=2e-5 * float(b.abs().max()), rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", ["DDIM", "Euler", "UniPC"])
def test_one_tile_is_diffusers_own_result(kind, sampler):
    """Prompt, negative, weight, start and end mean what they mean there."""
    model, net = tiny_model(kind), trained(kind)
    hint = torch.rand(1, 3, 64, 64)
    request = Request("a house", "snow", width=64, height=64, steps=4, cfg_scale=3.0, sampler=sampler)
    assert make_planner(model, request).plan().is_whole
    ours = sample_latents(model, request, controls=ControlNets((ControlNet(net, hint, 0.7, 0.25, 0.75),)))

    cls = StableDiffusionXLControlNetPipeline if kind == "sdxl" else StableDiffusionControlNetPipeline
    pipe = cls(**pipeline(kind).components, controlnet=net)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = make_scheduler(sampler, model.scheduler_config)
    encoded = Denoiser.of(model, request).encoded
    positive, negative = encoded["a house"], encoded["snow"]
    pooled = {}
    if kind == "sdxl":
        pooled = {"pooled_prompt_embeds": positive.pooled[None], "negative_pooled_prompt_embeds": negative.pooled[None]}
    theirs = pipe(
        image=hint, prompt_embeds=positive.text[None], negative_prompt_embeds=negative.text[None], **pooled,
        latents=start_noise(model, request), width=64, height=64, num_inference_steps=4, guidance_scale=3.0,
        controlnet_conditioning_scale=0.7, control_guidance_start=0.25, control_guidance_end=0.75, output_type="latent",
    ).images  # fmt: skip
    close(ours, theirs)
    assert not torch.allclose(ours, sample_latents(model, request))


@pytest.mark.parametrize("kind", KINDS)
def test_two_add_up(kind):
    model, net = tiny_model(kind), trained(kind)
    hint = torch.rand(1, 3, 64, 256)
    request = Request("a", **WIDE, tiling=Settings(**TILES))
    one, two, half = (
        sample_latents(model, request, controls=ControlNets(nets))
        for nets in (
            (ControlNet(net, hint, 1.0),),
            (ControlNet(net, hint, 0.5), ControlNet(net, hint, 0.5)),
            (ControlNet(net, hint, 0.5),),
        )
    )
    close(two, one)
    assert not torch.allclose(half, one)


def test_a_guided_panorama_of_one_hint_is_the_same_however_it_is_batched():
    model, net = tiny_model("sd1"), ControlNet(trained("sd1"), torch.rand(1, 3, 64, 256))
    request = Request("a", **WIDE, batch_size=2, tiling=Settings(**TILES, tile_batch=1))
    base = sample_latents(model, request, controls=ControlNets((net,)))
    for size in (2, 5):
        other = replace(request, tiling=replace(request.tiling, tile_batch=size))
        close(sample_latents(model, other, controls=ControlNets((net,))), base)


def test_steps_outside_of_start_and_end_are_not_guided():
    echo = CropEcho()
    request = Request("a", **{**WIDE, "steps": 10, "width": 64}, sampler="Euler")
    net = ControlNet(echo, coordinates(Extent(8, 8)), start=0.2, end=0.5)
    sample_latents(tiny_model("sd1"), request, controls=ControlNets((net,)))
    assert len(echo.calls) == 3
    assert [acts_at(0.2, 0.5, v) for v in (0.1, 0.2, 0.4, 0.5)] == [False, True, True, False]


def test_sdxl_is_told_the_same_sizes_as_the_unet(monkeypatch):
    model, echo, told = tiny_model("sdxl"), CropEcho("sdxl"), []
    original = model.unet.forward

    def forward(x, *args, added_cond_kwargs, **kwargs):
        told.append(added_cond_kwargs)
        return original(x, *args, added_cond_kwargs=added_cond_kwargs, **kwargs)

    monkeypatch.setattr(model.unet, "forward", forward)
    regions = (Region("a tree", 0, 0, 0.5, 1, feather=0, controlnet=False), Region("b", 0.5, 0, 0.5, 1, feather=0))
    request = Request("a", **WIDE, tiling=Settings(**TILES, size_conditioning="tile", regions=regions))
    sample_latents(model, request, controls=ControlNets((ControlNet(echo, coordinates()),)))
    for _, _, hints, added in echo.calls:
        for hint, ids in zip(hints, added["time_ids"], strict=True):
            box = box_of(hint)
            assert [int(v) for v in ids[2:4]] == [8 * box.y, 8 * box.x]
    assert told


class TestHints:
    """Hints on the canvas."""

    def test_one_that_fits_is_left_alone(self):
        hint = coordinates()
        assert fitted_hint(hint, CANVAS, 8) is hint

    @pytest.mark.parametrize("size", [(16, 64), (200, 300), (65, 257)])
    def test_others_are_resized_once_on_the_canvas(self, size):
        hint = torch.rand(1, 3, *size)
        fitted = fitted_hint(hint, CANVAS, 8)
        assert fitted.shape == (1, 3, 64, 256)
        assert 0 <= fitted.min() <= fitted.max() <= 1
        assert fitted.mean() == pytest.approx(float(hint.mean()), abs=0.02)

    def test_crops_on_a_ring_begin_again(self):
        crop = hint_crops(coordinates(), [Box(4, 28, 8, 8)], [0], 8)[0]
        assert crop[0, :, 0].tolist() == [*range(32, 64), *range(32)]
        assert crop[1, 0].tolist() == [*range(224, 256), *range(32)]

    def test_each_picture_has_its_own(self):
        hints = torch.cat([coordinates(), coordinates() + 1000])
        crops = hint_crops(hints, [Box(0, 8, 8, 8)] * 3, [0, 1, 2], 8)
        assert crops[:, 1, 0, 0].tolist() == [64, 1064, 64]

    def test_preprocessing(self):
        photo = Image.new("RGB", (256, 64), "navy")
        photo.paste("yellow", (100, 0, 256, 64))
        edges = hint_of(photo, CANVAS, "canny")
        assert edges.shape == (1, 3, 64, 256)
        assert set(edges.unique().tolist()) == {0.0, 1.0}
        assert set(edges[0, 0].nonzero()[:, 1].tolist()) <= {99, 100}
        drawing = Image.new("L", (256, 64), "white")
        drawing.paste("black", (100, 0, 102, 64))
        lines = hint_of(drawing, CANVAS, "invert")
        assert lines[0, 0].sum(0).nonzero().flatten().tolist() == [100, 101]
        assert hint_of(Image.new("RGBA", (3, 3)), CANVAS).max() == 0
        assert hint_of(Image.new("RGBA", (3, 3)), CANVAS, "invert").max() == 0

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16", "CMYK"])
    def test_any_mode(self, mode):
        assert hint_of(Image.new(mode, (33, 77)), CANVAS).shape == (1, 3, 64, 256)


class TestLoading:
    """From this machine alone."""

    @pytest.fixture
    def folder(self, tmp_path):
        def make(kind):
            trained(kind).save_pretrained(tmp_path / kind)
            return tmp_path / kind

        return make

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_folder_and_its_single_file_are_the_same(self, folder, kind):
        model, path = tiny_model(kind), folder(kind)
        file = path / "diffusion_pytorch_model.safetensors"
        nets = [load_controlnet(p, model) for p in (path, file)]
        for a, b in zip(*(n.parameters() for n in nets), strict=True):
            assert torch.equal(a, b)
            assert not a.requires_grad

    def test_one_for_another_model_is_refused(self, folder):
        with pytest.raises(TiledError, match="for another kind of model than tiny-sd1: its block_out_channels is"):
            load_controlnet(folder("sdxl"), tiny_model("sd1"))
        with pytest.raises(TiledError, match="its cross_attention_dim is 1024, the model's is 32"):
            load_controlnet(folder("sd2"), tiny_model("sd1"))

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda d: d / "nothing", "there is no file or folder .*nothing"),
            (lambda d: d, "cannot be loaded as a ControlNet for tiny-sd1 .it has no config.json"),
            (lambda d: _written(d / "a.safetensors"), "a.safetensors cannot be loaded as a ControlNet"),
            (lambda d: _written(d / "config.json").parent, "cannot be loaded as a ControlNet"),
        ],
    )
    def test_what_is_no_controlnet_is_named(self, tmp_path, make, message):
        with pytest.raises(TiledError, match=message):
            load_controlnet(make(tmp_path), tiny_model("sd1"))

    def test_another_class_is_named(self, tmp_path):
        (tmp_path / "config.json").write_text('{"_class_name": "ControlNetUnionModel"}')
        with pytest.raises(TiledError, match="it holds a ControlNetUnionModel; supported is ControlNetModel"):
            load_controlnet(tmp_path, tiny_model("sd1"))

    def test_the_number_of_the_wrong_one_is_told(self, folder, tmp_path):
        Image.new("L", (8, 8)).save(tmp_path / "hint.png")
        good = Control(str(folder("sd1")), str(tmp_path / "hint.png"))
        request = Request("a", **WIDE, controls=(good, replace(good, image=str(tmp_path / "no.png"))))
        with pytest.raises(TiledError, match=r"control 2: image: .*no.png cannot be read as a picture"):
            generate(tiny_model("sd1"), request)
        loaded = load_controls(tiny_model("sd1"), replace(request, controls=(replace(good, weight=0.5, end=0.5),)))
        net = loaded.nets[0]
        assert (net.weight, net.start, net.end, net.hint.shape) == (0.5, 0, 0.5, (1, 3, 64, 256))


def _written(path):
    path.write_text("nonsense")
    return path


class TestShipped:
    """The ControlNet that comes with the small model."""

    def test_it_is_small_and_for_this_model_alone(self):
        assert sum(p.stat().st_size for p in SHIPPED["edges"].iterdir()) <= 4_000_000
        assert load_controlnet("edges", load_model(device="cpu")).config.conditioning_channels == 3
        with pytest.raises(TiledError, match="for another kind of model than tiny-sdxl"):
            load_controlnet("edges", tiny_model("sdxl"))
        with pytest.raises(TiledError, match="no file or folder nothing; by name there is edges"):
            load_controlnet("nothing", tiny_model("sd1"))

    def test_a_picture_of_many_tiles_follows_the_lines(self, tmp_path):
        drawing().crop((0, 64, 512, 256)).save(tmp_path / "drawing.png")
        model = load_model(device="cpu")
        tiling = Settings(tile_width=128, tile_height=128, overlap=64)
        free = Request(
            "a house, a tree on grass, mountains, blue sky",
            width=512,
            height=192,
            steps=10,
            cfg_scale=4.0,
            seed=1,
            tiling=tiling,
        )
        guided = replace(free, controls=(Control("edges", str(tmp_path / "drawing.png")),))
        lines = hint_of(open_hint(str(tmp_path / "drawing.png")), Extent(24, 64))[0, 0] > 0.5
        found = []
        for request in (guided, free):
            edges = hint_of(generate(model, request)[0], Extent(24, 64), "canny")[:, :1]
            near = torch.nn.functional.max_pool2d(edges, 5, 1, 2)[0, 0] > 0.5
            found.append(float((near & lines).sum() / lines.sum()))
        assert found[0] > 0.7
        assert found[0] > 2 * found[1]
