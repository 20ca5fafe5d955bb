"""ControlNets of SD 3 and Flux: one tile is diffusers' own pipeline, and each tile sees its own part of the hint."""

import copy
import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    FluxControlNetModel,
    FluxControlNetPipeline,
    SD3ControlNetModel,
    StableDiffusion3ControlNetPipeline,
)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from PIL import Image, ImageChops

from tests.standalone.tiny import flow_model, flow_pipeline, pipeline, tiny_model
from tiled_diffusion.engine.noise import canvas_noise
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.control import ControlNets, load_controlnet, load_controls
from tiled_diffusion.standalone.denoiser import Denoiser
from tiled_diffusion.standalone.flow_control import with_hint
from tiled_diffusion.standalone.model import model_from_pipeline
from tiled_diffusion.standalone.sampling import denoise, generate, make_planner, sample_latents

TILES = Settings(tile_width=128, tile_height=128, overlap=48, tile_batch=2)
ONE = Request("a red house, snow", "rain", 128, 128, steps=4, cfg_scale=3.0, sampler="Euler", seed=5)
WIDE = replace(ONE, width=256, steps=2, tiling=TILES)
SD3 = {
    "sample_size": 16, "patch_size": 2, "in_channels": 4, "num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 4,
    "joint_attention_dim": 64, "caption_projection_dim": 32, "pooled_projection_dim": 64, "out_channels": 4,
    "pos_embed_max_size": 24,
}  # fmt: skip
FLUX = {
    "patch_size": 1, "in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16,
    "num_attention_heads": 2, "joint_attention_dim": 32, "pooled_projection_dim": 32, "axes_dims_rope": (4, 4, 8),
}  # fmt: skip
NETS = {
    "sd3": ("sd3", SD3),
    "sd3, pooled text": ("sd3", {**SD3, "force_zeros_for_pooled_projection": False}),
    "sd3.5 large": ("sd3", {**SD3, "force_zeros_for_pooled_projection": False, "joint_attention_dim": None,
                            "use_pos_embed": False, "pos_embed_type": None}),
    "flux": ("flux", FLUX),
    "flux, told the scale": ("flux", {**FLUX, "guidance_embeds": True}),
    "flux, double blocks alone": ("flux", {**FLUX, "num_single_layers": 0}),
    "flux, single blocks alone": ("flux", {**FLUX, "num_layers": 0}),
    "flux, own encoder": ("flux", {**FLUX, "patch_size": 2, "conditioning_embedding_channels": 4}),
    "schnell": ("schnell", FLUX),
    "schnell, told the scale": ("schnell", {**FLUX, "guidance_embeds": True}),
}  # fmt: skip
"""By name: the model, and the configuration of a ControlNet for it."""
NOTHING = ControlNets(())
TILED = ("sd3", "sd3.5 large", "flux", "flux, own encoder")


@lru_cache
def net_of(name, seed=1, **more):
    """A ControlNet of random weights that does something."""
    kind, config = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = (SD3ControlNetModel if kind == "sd3" else FluxControlNetModel)(**{**config, **more})
        for part, p in net.named_parameters():
            if not p.any():
                torch.nn.init.normal_(p, std=8.0 if part.startswith("input_hint_block") else 0.1)
    return net.eval().requires_grad_(False)


def picture(width=128, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (4, width // 32, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, 128), Image.Resampling.BICUBIC)


def pixels(image):
    return torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 255


def controlled(name, *controls, tiling=TILES, hints=None, nets=None):
    """The ControlNets of a run, each with a net and a hint of its own, or all with the same."""
    model = flow_model(NETS[name][0])
    nets = nets or [net_of(name)] * len(controls)
    hints = hints or [picture(256)] * len(controls)
    given = zip(nets, hints, controls, strict=True)
    return ControlNets(tuple(with_hint(model, net, pixels(hint), control, tiling) for net, hint, control in given))


def plain(**values):
    return Control("net", "hint.png", **values)


def latents(name, request, controls=NOTHING, **more):
    return sample_latents(flow_model(NETS[name][0]), request, controls=controls, **more)


def own(pipe, nets, request, hints, **more):
    """By diffusers' own pipeline; the VAE says the mean of a hint, and sees it once: twice in a batch rounds otherwise."""
    sd3 = isinstance(nets[0], SD3ControlNetModel)
    cls = StableDiffusion3ControlNetPipeline if sd3 else FluxControlNetPipeline
    nets = [copy.deepcopy(net) for net in nets]  # the pipeline gives some of them places
    pipe = cls(**pipe.components, controlnet=nets if len(nets) > 1 else nets[0])
    pipe.set_progress_bar_config(disable=True)
    noise = canvas_noise((4, request.height // 8, request.width // 8), [request.seed])
    encode = pipe.vae.encode

    def once(x):
        return AutoencoderKLOutput(DiagonalGaussianDistribution(encode(x[:1]).latent_dist.parameters.expand(len(x), -1, -1, -1)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
        patch.setattr(pipe.vae, "encode", once)
        out = pipe(
            request.prompt, control_image=hints if len(hints) > 1 else hints[0], height=request.height,
            width=request.width, num_inference_steps=request.steps, guidance_scale=request.cfg_scale, output_type="latent",
            latents=noise if sd3 else pipe._pack_latents(noise, 1, 4, *noise.shape[2:]), **more,
            **({"negative_prompt": request.negative_prompt} if sd3 else {}),
        ).images  # fmt: skip
    return out if sd3 else pipe._unpack_latents(out, request.height, request.width, 8)


@pytest.mark.parametrize("name", NETS)
def test_one_tile_is_the_pipeline_of_diffusers(name, tmp_path):
    """Bit for bit; weight, start and end mean what they mean there. Weights in a file lie otherwise, which rounds otherwise."""
    model, image = flow_model(NETS[name][0]), picture()
    control = plain(weight=0.7, start=0.25, end=0.75)
    theirs = own(
        flow_pipeline(NETS[name][0]), [net_of(name)], ONE, [image],
        controlnet_conditioning_scale=0.7, control_guidance_start=0.25, control_guidance_end=0.75,
    )  # fmt: skip
    ours, other = (latents(name, ONE, controlled(name, control, hints=[hint])) for hint in (image, picture(seed=1)))
    assert torch.equal(ours, theirs)
    for unlike in (other, latents(name, ONE)):
        assert not torch.allclose(ours, unlike, atol=1e-3)
    image.save(tmp_path / "hint.png")
    files = {"model": str(saved(net_of(name), tmp_path / "net")), "image": str(tmp_path / "hint.png")}
    close(sample_latents(model, replace(ONE, controls=(replace(control, **files),))), theirs, 2e-6)


@pytest.mark.parametrize("name", ["sd3", "flux", "flux, own encoder"])
def test_several_are_the_pipeline_of_diffusers(name):
    nets, hints = [net_of(name, 1), net_of(name, 2)], [picture(), picture(seed=1)]
    controls = controlled(name, plain(weight=0.7), plain(weight=0.4), hints=hints, nets=nets)
    theirs = own(flow_pipeline(NETS[name][0]), nets, ONE, hints, controlnet_conditioning_scale=[0.7, 0.4])
    assert torch.equal(latents(name, ONE, controls), theirs)


DEEP = {"sd3": {"num_layers": 7}, "flux": {"num_layers": 5, "num_single_layers": 3}}
SHALLOW = {"sd3": {"num_layers": 3}, "flux": {"num_layers": 2, "num_single_layers": 2}}


@lru_cache
def deep_pipeline(kind):
    parts = dict(flow_pipeline(kind).components)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = {**parts["transformer"].config, **DEEP[kind]}
        parts["transformer"] = type(parts["transformer"]).from_config(config).eval()
    return type(flow_pipeline(kind))(**parts)


@pytest.mark.parametrize("name", ["sd3", "flux", "flux, own encoder"])
def test_one_of_fewer_blocks_acts_on_all_blocks_of_the_model(name):
    kind = NETS[name][0]
    model = model_from_pipeline(deep_pipeline(kind), "deep", torch.device("cpu"), torch.float32)
    net = net_of(name, 4, **SHALLOW[kind])
    nets = ControlNets((with_hint(model, net, pixels(picture()), plain(), Settings()),))
    ours = sample_latents(model, ONE, controls=nets)
    assert torch.equal(ours, own(deep_pipeline(kind), [net], ONE, [picture()]))
    other = with_hint(model, net_of(name), pixels(picture(seed=1)), plain(weight=0.5), Settings())
    both = sample_latents(model, ONE, controls=ControlNets((*nets.nets, other)))  # of unlike numbers of blocks
    assert torch.isfinite(both).all()
    assert not torch.allclose(both, ours, atol=1e-3)


@pytest.mark.parametrize("name", TILED)
def test_without_weight_it_does_nothing(name):
    free = latents(name, WIDE)
    assert torch.equal(latents(name, WIDE, controlled(name, plain(weight=0.0))), free)
    late = controlled(name, plain(start=0.9), tiling=TILES)
    assert torch.equal(latents(name, WIDE, late), free)
    assert not torch.allclose(latents(name, WIDE, controlled(name, plain())), free, atol=1e-3)


def close(a, b, bound=2e-5):
    torch.testing.assert_close(a, b, atol=bound * float(b.abs().max()), rtol=0)


@pytest.mark.parametrize("name", TILED)
def test_halves_add_up(name):
    whole, halves = (controlled(name, *nets) for nets in ((plain(),), (plain(weight=0.5),) * 2))
    close(latents(name, WIDE, halves), latents(name, WIDE, whole))


def seen_by(monkeypatch, name, request):
    """Of every model call: the tiles of its rows, and the hints that the ControlNet saw; and the ControlNet."""
    nets, tiles, hints = controlled(name, plain(), tiling=request.tiling), [], []
    net, evaluate = copy.copy(nets.nets[0].net), Denoiser.evaluate
    forward = net.forward

    def noted(*args, controlnet_cond, **more):
        hints.append(controlnet_cond)
        return forward(*args, controlnet_cond=controlnet_cond, **more)

    def told(self, wanted, t, guide):
        tiles.append([(row.tile, i) for row in wanted for i in range(wanted[0].x.shape[0])])
        return evaluate(self, wanted, t, guide)

    monkeypatch.setattr(net, "forward", noted)
    monkeypatch.setattr(Denoiser, "evaluate", told)
    nets = ControlNets((replace(nets.nets[0], net=net),))
    latents(name, request, nets)
    return tiles, hints, nets.nets[0]


HALVES = (Region("a tree", w=0.5, feather=0, controlnet=False), Region("a boat", x=0.5, w=0.5, feather=0))
SMALL = Region("a tree", 0.3, 0.2, 0.1, 0.6, layer="foreground")
TILINGS = {
    "tiles": TILES,
    "a tile a call": replace(TILES, tile_batch=1),
    "ring": replace(TILES, wrap_x=True),
    "regions": replace(TILES, regions=HALVES, tile_batch=4),
    "foreground": replace(TILES, regions=(SMALL,)),
}


@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize("tiling", TILINGS)
def test_each_tile_sees_its_crop(monkeypatch, name, tiling):
    request = replace(WIDE, steps=1, batch_size=2 if tiling == "tiles" else 1, tiling=TILINGS[tiling])
    regions = request.tiling.regions
    calls, hints, net = seen_by(monkeypatch, name, request)
    on = [[t for t, _ in rows if not t.prompt or regions[t.prompt - 1].controlnet] for rows in calls]
    on = [rows for rows in on if rows]
    assert len(on) == len(hints) > 0
    assert any(tile.box.x + tile.box.w > 32 for rows in on for tile in rows) == (tiling == "ring")
    for rows, seen in zip(on, hints, strict=True):
        crops = torch.cat([tile.view.scaled(net.factor).gather(net.hint) for tile in rows])
        packed = flow_pipeline("flux")._pack_latents
        tokens = name.startswith("flux") and net.factor == 1
        assert torch.equal(seen, packed(crops, *crops.shape) if tokens else crops)


@pytest.mark.parametrize("name", TILED)
def test_what_lies_beside_a_tile_does_not_change_it(name):
    request = replace(WIDE, steps=1)
    (net,) = controlled(name, plain()).nets
    tiles = make_planner(flow_model(NETS[name][0]), request).plan().tiles
    first = next(tile.box for tile in tiles if tile.box.x == 0)
    other = net.hint.clone()
    other[..., first.w * net.factor :] += 1
    a, b = (latents(name, request, ControlNets((replace(net, hint=hint),))) for hint in (net.hint, other))
    alone = min(tile.box.x for tile in tiles if tile.box.x)  # where no other tile lies
    assert torch.equal(a[..., :alone], b[..., :alone])
    assert not torch.allclose(a[..., first.w :], b[..., first.w :], atol=1e-3)


@pytest.mark.parametrize("name", TILED)
def test_a_rolled_hint_rolls_a_ring(name):
    """With the noise, and by a whole step of the grid; the VAE sees the hint as a ring, too."""
    model, request = flow_model(NETS[name][0]), replace(WIDE, tiling=replace(TILES, wrap_x=True))
    starts = sorted({tile.box.x for tile in make_planner(model, request).plan().tiles})
    step, hint, noise = starts[1] - starts[0], picture(256), canvas_noise((4, 16, 32), [3])
    a, b = (
        denoise(model, request, n, None, Progress(), controlled(name, plain(), tiling=request.tiling, hints=[h]))
        for n, h in ((noise, hint), (noise.roll(step, dims=-1), ImageChops.offset(hint, 8 * step, 0)))
    )
    torch.testing.assert_close(a.roll(step, dims=-1), b, atol=1e-4, rtol=1e-4)
    unrolled = denoise(model, request, noise.roll(step, dims=-1), None, Progress(), controlled(name, plain()))
    assert not torch.allclose(unrolled, b, atol=1e-3)


@pytest.mark.parametrize("name", TILED)
def test_regions_do_without(name):
    free = tuple(replace(half, controlnet=False) for half in HALVES)
    guided = tuple(replace(half, controlnet=True) for half in HALVES)
    request, nets = replace(WIDE, steps=1), controlled(name, plain())
    mixed, off, on = (
        latents(name, replace(request, tiling=replace(TILES, regions=regions)), nets) for regions in (HALVES, free, guided)
    )
    close(mixed[..., :16], off[..., :16])
    close(mixed[..., 16:], on[..., 16:])
    assert not torch.allclose(off, on, atol=1e-3)
    assert torch.equal(off, latents(name, replace(request, tiling=replace(TILES, regions=free))))


JOBS = {
    "start picture": {"denoising_strength": 0.6},
    "kept": {"denoising_strength": 0.6, "inversion": Inversion(steps=3)},
    "second order": {"sampler": "Heun"},
    "moving grid": {"tiling": replace(TILES, method="jittered")},
    "dilated": {"tiling": replace(TILES, dilated=True), "steps": 3},
}


@pytest.mark.parametrize("name", ["sd3", "flux"])
@pytest.mark.parametrize("job", JOBS)
def test_it_goes_with(name, job):
    request = replace(WIDE, **{"steps": 4, **JOBS[job]})
    image = picture(256, seed=2) if request.denoising_strength < 1 else None
    guided, free = (latents(name, request, nets, init_image=image) for nets in (controlled(name, plain()), NOTHING))
    assert torch.isfinite(guided).all()
    assert not torch.allclose(guided, free, atol=1e-3)


def test_elastic_sees_it_too():
    request = replace(WIDE, tiling=Settings(method="elastic", elastic_rounds=1))
    guided, free = (latents("sd3", request, nets) for nets in (controlled("sd3", plain()), NOTHING))
    assert torch.isfinite(guided).all()
    assert not torch.allclose(guided, free, atol=1e-3)


def saved(net, folder, **config):
    """The ControlNet's folder, with fields of its config.json changed."""
    net.save_pretrained(folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **config}), "utf-8")
    return folder


def unet_net():
    return ControlNetModel.from_unet(pipeline("sd1").unet, load_weights_from_unet=False)


WRONG = {
    "sd3 for flux": ("flux", lambda: net_of("sd3"), {}, r"for SD 3.x \(SD3ControlNetModel\), tiny-flux is .* another kind, Flux"),
    "flux for sd3": ("sd3", lambda: net_of("flux"), {}, r"for Flux \(FluxControlNetModel\), tiny-sd3 is .* another kind, SD 3.x"),
    "sd1 for sd3": ("sd3", unet_net, {}, r"for SD 1.x, 2.x and XL \(ControlNetModel\), tiny-sd3 is"),
    "sd3 for sd1": ("sd1", lambda: net_of("sd3"), {}, r"for SD 3.x \(SD3ControlNetModel\), tiny-sd1 is .* SD 1.x, 2.x and XL"),
    "another class": ("sd3", lambda: net_of("sd3"), {"_class_name": "SanaControlNetModel"},
                      "it holds a SanaControlNetModel; supported is SD3ControlNetModel"),
    "union": ("flux", lambda: net_of("flux", num_mode=10), {}, "is a union ControlNet, .* which of 10 kinds"),
    "inpainting": ("sd3", lambda: net_of("sd3", extra_conditioning_channels=1), {}, "for inpainting, which sees 1 channels"),
    "inpainting, flux": ("flux", lambda: net_of("flux"), {"extra_condition_channels": 4}, "for inpainting, which sees 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_named(case, tmp_path):
    kind, net, config, message = WRONG[case]
    model = tiny_model(kind) if kind == "sd1" else flow_model(kind)
    with pytest.raises(TiledError, match=f"model: .*net.*{message}"):
        load_controlnet(saved(net(), tmp_path / "net", **config), model)


@pytest.mark.parametrize(
    ("name", "field", "size"),
    [("sd3", "width", 64), ("sd3", "joint_attention_dim", 128), ("flux", "pooled_projection_dim", 64), ("flux", "width", 64)],
)
def test_one_of_another_size_is_refused(name, field, size, tmp_path):
    config = {**NETS[name][1], **({"num_attention_heads": 64 // NETS[name][1]["attention_head_dim"]} if field == "width" else {field: size})}
    if name == "sd3":
        config["caption_projection_dim"] = config["num_attention_heads"] * config["attention_head_dim"]
    type(net_of(name))(**config).save_pretrained(tmp_path / "net")
    with pytest.raises(TiledError, match=f"another kind of model than tiny-{name}: its {field} is {size}, the model's is"):
        load_controlnet(tmp_path / "net", flow_model(name))


def test_single_files_and_the_shipped_one_are_refused(tmp_path):
    file = saved(net_of("sd3"), tmp_path / "net") / "diffusion_pytorch_model.safetensors"
    with pytest.raises(TiledError, match="safetensors is no folder; ControlNets for sd3 models are diffusers folders"):
        load_controlnet(file, flow_model("sd3"))
    with pytest.raises(TiledError, match="for SD 1.x, 2.x and XL .*, tiny-flux is a model of another kind, Flux"):
        load_controlnet("edges", flow_model("flux"))


def test_the_number_of_the_wrong_one_is_told(tmp_path):
    picture().save(tmp_path / "hint.png")
    wrong = Control(str(saved(net_of("flux"), tmp_path / "net")), str(tmp_path / "hint.png"))
    with pytest.raises(TiledError, match="control 1: model: .* is a ControlNet for Flux"):
        load_controls(flow_model("sd3"), replace(WIDE, controls=(wrong,)))


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_from_the_command_line(name, tmp_path, capsys):
    flow_pipeline(name).save_pretrained(tmp_path / "model")
    saved(net_of(name), tmp_path / "net")
    picture(256).save(tmp_path / "hint.png")
    words = ["generate", "a house", "--model", str(tmp_path / "model"), "--size", "256x128", "--tile", "128", "--steps", "2",
             "--overlap", "48", "--seed", "5", "--quiet", "--device", "cpu"]  # fmt: skip
    control = ["--control", f"{tmp_path / 'net'}:{tmp_path / 'hint.png'}:0.8"]
    files = [tmp_path / "free.png", tmp_path / "guided.png"]
    for more, file in zip(([], control), files, strict=True):
        assert main([*words, *more, "--out", str(file)]) == 0, capsys.readouterr().err
    free, guided = (np.asarray(Image.open(file)) for file in files)
    request = replace(ONE, prompt="a house", negative_prompt="", width=256, steps=2, tiling=TILES, cfg_scale=7.0)
    assert free.shape == guided.shape == (128, 256, 3)
    assert not np.array_equal(free, guided)
    assert "ControlNet 0" in Image.open(files[1]).text["parameters"]
    assert len(generate(flow_model(name), request, controls=controlled(name, plain()))) == 1
