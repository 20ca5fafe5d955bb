"""Pictures as regions: kept as long as they say, in any file there is, with every sampler, and never from elsewhere."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from bench.pictures import Case
from tests.standalone.tiny import tiny_model
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Guides, Moment
from tiled_diffusion.engine.guides.pictures import picture_pulls
from tiled_diffusion.engine.guides.pull import Pull, hold
from tiled_diffusion.engine.model import Level
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.pictures import fitted_into
from tiled_diffusion.settings.request import Request, request_from_dict
from tiled_diffusion.settings.values import Region, region_from_text, settings_from_dict
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.images import to_pixels
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.pictures import region_pulls
from tiled_diffusion.standalone.samplers import SAMPLERS
from tiled_diffusion.standalone.sampling import generate, sample_latents, start_noise
from tiled_diffusion.standalone.vae import encode

WIDE = {"width": 256, "height": 64, "steps": 4, "cfg_scale": 3.0, "seed": 5}
TILES = settings_from_dict({"version": 1, "tile_width_lp": 8, "tile_height_lp": 8, "overlap_lp": 4, "tile_batch": 1})


def picture(width=256, height=64, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def url(image, kind="PNG"):
    data = io.BytesIO()
    image.save(data, format=kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def region(prompt="", image=None, **more):
    return Region(prompt=prompt, **{"picture": url(image or picture()), "feather": 0.0, **more})


def request_of(*regions, sampler="Euler", **more):
    return Request("a red house", "snow", **{**WIDE, **more}, sampler=sampler, tiling=replace(TILES, regions=regions))


def drawn(request, kind="sd1"):
    model = tiny_model(kind)
    return sample_latents(model, request, pulls=region_pulls(model, request))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_keep_or_mask_nothing_changes(sampler):
    plain = drawn(request_of(sampler=sampler))
    nothing = {"picture": url(Image.new("L", (8, 8), 0)).partition(",")[2]}
    for own in (region(keep=0.0), replace(region(), enabled=False), region(mask=_mask(nothing)), region(image=_clear())):
        assert torch.equal(drawn(request_of(own, sampler=sampler)), plain)


def _mask(document):
    return settings_from_dict({"regions": [{"prompt": "", "mask": document}]}).regions[0].mask


def _clear():
    return Image.new("RGBA", (30, 20), (255, 0, 0, 0))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_what_is_kept_to_the_end_is_the_picture(kind, sampler):
    model = tiny_model(kind)
    for cfg_scale in (1.0, 6.0):
        request = request_of(region(keep=1.0), sampler=sampler, cfg_scale=cfg_scale, batch_size=2)
        (pull,) = region_pulls(model, request)
        out = drawn(request, kind)
        torch.testing.assert_close(out, pull.target.expand_as(out), atol=1e-5, rtol=0)
        around = np.pad(np.asarray(picture()), ((64, 64), (64, 64), (0, 0)), mode="edge")
        whole = encode(model, to_pixels(Image.fromarray(around)), TILES)[..., 8:-8, 8:-8]
        torch.testing.assert_close(pull.target, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pinned_tiles_are_not_evaluated(sampler, monkeypatch):
    model = tiny_model("sd1")
    calls, original = [], model.unet.forward
    monkeypatch.setattr(model.unet, "forward", lambda x, *a, **k: (calls.append(1), original(x, *a, **k))[1])
    free = drawn(request_of(sampler=sampler))
    every = len(calls)
    calls.clear()
    kept = drawn(request_of(region(w=0.5, keep=1.0), sampler=sampler))
    assert len(calls) < 0.65 * every
    assert not torch.equal(kept, free)
    calls.clear()
    monkeypatch.setattr(model.unet, "forward", None)
    drawn(request_of(region(keep=1.0), sampler=sampler))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_grey_mask_is_as_several_pictures(sampler):
    """Grey says for how much of `keep` a pixel is kept."""
    grey = np.full((8, 32), 255, dtype=np.uint8)
    grey[:, :16] = 85
    data = url(Image.fromarray(grey)).partition(",")[2]
    one = region(keep=0.9, mask=_mask({"picture": data}))
    left = region(keep=0.3, mask=_mask({"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}))
    right = region(keep=0.9, mask=_mask({"polygons": [[[0.5, 0], [1, 0], [1, 1], [0.5, 1]]]}))
    request = request_of(one, sampler=sampler, steps=8)
    assert torch.equal(drawn(request), drawn(request_of(left, right, sampler=sampler, steps=8)))


def test_the_formula():
    """A box is as long the picture's as it says; D + m (T - D)."""
    pulls = region_pulls(tiny_model("sd1"), request_of(region(x=0.25, w=0.5, keep=0.5)))
    inside = torch.zeros(1, 1, 8, 32)
    inside[..., 8:24] = 1
    for progress, expected in [(0.0, inside), (0.49, inside), (0.5, 0 * inside), (0.99, 0 * inside)]:
        assert torch.equal(pulls[0].strength(progress), expected)


def test_soft_edges_are_let_go_earlier():
    (pull,) = region_pulls(tiny_model("sd1"), request_of(region(x=0.25, w=0.5, feather=1.0, keep=0.8)))
    sizes = [float(pull.strength(p).sum()) for p in (0.0, 0.4, 0.6, 0.79, 0.8)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 8 * 16
    assert sizes[1] > sizes[2] > sizes[4] == 0


def test_a_picture_with_a_prompt_is_a_region_too():
    alone, both = request_of(region(w=0.5, keep=0.5)), request_of(region("a tree", w=0.5, keep=0.5))
    assert [r.draws for r in (*alone.tiling.regions, *both.tiling.regions)] == [False, True]
    assert not torch.equal(drawn(alone), drawn(both))
    free = drawn(request_of(Region(prompt="a tree", w=0.5, feather=0)))
    assert torch.equal(drawn(request_of(region("a tree", w=0.5, keep=0.0))), free)


def test_a_later_one_lies_above_and_so_does_a_later_foreground():
    first, second = region(keep=1.0), region(image=picture(seed=4), x=0.5, w=0.5, keep=1.0)
    model = tiny_model("sd1")
    out = drawn(request_of(first, second))
    pulls = region_pulls(model, request_of(first, second))
    torch.testing.assert_close(out[..., :16], pulls[0].target[..., :16])
    torch.testing.assert_close(out[..., 16:], pulls[1].target[..., 16:])
    above = Region(prompt="a tree", x=0.25, w=0.25, feather=0, layer="foreground")
    out = drawn(request_of(first, above))
    torch.testing.assert_close(out[..., 16:], pulls[0].target[..., 16:])
    assert not torch.allclose(out[..., 8:16], pulls[0].target[..., 8:16])
    below = drawn(request_of(above, first))
    torch.testing.assert_close(below, pulls[0].target)


@pytest.mark.parametrize("more", [{"method": "jittered"}, {"wrap_x": True}, {"wrap_x": True, "wrap_y": True}])
def test_methods_and_rings(more):
    own = region(x=0.25, w=0.5, keep=1.0)
    request = request_of(own)
    request = replace(request, tiling=replace(request.tiling, **more))
    (pull,) = region_pulls(tiny_model("sd1"), request)
    out = drawn(request)
    torch.testing.assert_close(out[..., 8:24], pull.target[..., 8:24])
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("more", [{}, {"mask": True}, {"prompt": "a tree", "seed": 4}])
def test_a_box_may_go_on_at_the_other_edge_of_a_ring(more):
    """As the same box in the middle of a canvas that is turned by half."""
    more = dict(more)
    shape = _mask({"polygons": [[[0, 0], [1, 0], [0.5, 1]]]}) if more.pop("mask", False) else None
    own = region(**{"w": 0.5, "keep": 1.0, "mask": shape, **more})
    ring = replace(TILES, wrap_x=True)
    wrapped, whole = (replace(request_of(), tiling=replace(ring, regions=(replace(own, x=x),))) for x in (0.75, 0.25))
    (a,), (b,) = (region_pulls(tiny_model("sd1"), request) for request in (wrapped, whole))
    assert torch.equal(a.target.roll(16, -1), b.target)
    assert torch.equal(a.strength(0.0).roll(16, -1), b.strength(0.0))
    out = drawn(wrapped)
    held = a.strength(1.0) >= 1
    assert torch.equal(torch.where(held, out, 0.0), torch.where(held, a.target, 0.0))
    noises = [start_noise(tiny_model("sd1"), request) for request in (wrapped, whole)]
    if own.seed is not None:
        assert torch.equal(noises[0].roll(16, -1)[..., 8:24], noises[1][..., 8:24])


def test_a_box_that_goes_on_is_refused_on_a_flat_canvas():
    own = region(x=0.75, w=0.5)
    for more, words in (({}, "regions\\[0\\].w: got 0.5, allowed is at most 0.25"), ({"wrap_y": True}, "wrap_x")):
        with pytest.raises(TiledError, match=words):
            replace(TILES, regions=(own,), **more)
    with pytest.raises(TiledError, match=r"regions\[0\].h: got 0.5"):
        replace(TILES, regions=(region(y=0.75, h=0.5),), wrap_x=True)


@pytest.mark.parametrize("layer", ["background", "foreground"])
@pytest.mark.parametrize("compose", [0.0, 0.6])
def test_text_regions_go_on_too(layer, compose):
    """Whose tiles are those of the box in the middle, and whose weights sum to 1."""
    own = Region("a tree", x=0.75, w=0.5, feather=0.3, layer=layer)
    settings = replace(TILES, wrap_x=True, compose=compose, regions=(own,))
    planner = Planner(Extent(8, 32), settings, tiny_model("sd1").traits, 0)
    for progress in (0.0, 0.9):
        plan = planner.plan(0, progress)
        total, share = torch.zeros(1, 1, 8, 32), torch.zeros(1, 1, 8, 32)
        for tile in plan.tiles:
            tile.view.scatter_add(total, torch.ones(1, 1, *tile.weight.shape), tile.weight)
            if tile.prompt:
                tile.view.scatter_add(share, torch.ones(1, 1, *tile.weight.shape), tile.weight)
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)
        assert share[..., 3, [26, 30, 0, 4]].min() > 0.9
        assert share[..., 3, 12:20].max() == 0


def test_with_a_start_picture_and_a_mask_the_mask_wins():
    photo, model = picture(seed=9), tiny_model("sd1")
    mask = Image.new("L", (256, 64), 0)
    mask.paste(255, (128, 0, 256, 64))
    out = generate(model, request_of(region(keep=1.0)), init_image=photo, mask=mask)[0]
    assert (np.asarray(out)[:, :128] == np.asarray(photo)[:, :128]).all()
    assert (np.asarray(out)[:, 160:] != np.asarray(photo)[:, 160:]).mean() > 0.5


def test_fit_and_flip():
    image = Image.new("RGB", (20, 10), "red")
    image.paste("blue", (0, 0, 10, 10))

    def seen(image, **more):
        (pull,) = region_pulls(tiny_model("sd1"), request_of(region(image=image, w=0.25, **more)))
        return float((pull.mask[..., :8] > 0).float().mean()), pull.target[..., :8]

    covered, contained, stretched = (seen(image, fit=fit) for fit in ("cover", "contain", "stretch"))
    assert (covered[0], contained[0], stretched[0]) == (1, 0.5, 1)
    assert not torch.allclose(covered[1], stretched[1])
    assert not torch.allclose(seen(image, flip=True)[1], covered[1])
    assert torch.equal(seen(ImageOps.mirror(image), flip=True)[1], covered[1])


def test_fitting_keeps_the_shape():
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (10, 0, 30, 20))
    pixels, inside = fitted_into(image, 64, 64, "cover", flip=False)
    assert (np.abs(pixels[:, 8:-8].astype(int) - (0, 0, 255)) < 40).all()
    assert (inside == 255).all()
    pixels, inside = fitted_into(image, 64, 64, "contain", flip=False)
    assert (inside[16:48] == 255).all()
    assert (inside[:16] == 0).all()
    assert (inside[48:] == 0).all()
    assert (pixels[0, 32] == (0, 0, 255)).all(), "edges are repeated"


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "I", "F"])
def test_files_of_every_mode(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grey = picture(40, 20).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert("RGB").convert(mode) if mode in ("CMYK", "P") else grey.convert(mode)
    image.save(tmp_path / "a.tiff")
    (pull,) = region_pulls(tiny_model("sd1"), request_of(replace(region(), picture="a.tiff")))
    if mode not in ("1", "P"):
        (expected,) = region_pulls(tiny_model("sd1"), request_of(region(image=grey)))
        torch.testing.assert_close(pull.target, expected.target, atol=0.05, rtol=0.05)


def test_a_turned_photo_stands_upright(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = picture(60, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    (turned,) = region_pulls(tiny_model("sd1"), request_of(replace(region(), picture="turned.png")))
    (upright,) = region_pulls(tiny_model("sd1"), request_of(region(image=image)))
    torch.testing.assert_close(turned.target, upright.target, atol=1e-4, rtol=1e-4)


def test_sixty_four_pictures_and_ones_of_a_pixel():
    regions = [region(image=picture(1, 1, seed=k), x=k / 64, w=1 / 64, keep=1.0) for k in range(63)]
    regions.append(region(image=picture(3000, 1), x=0.999, y=0.999, w=0.001, h=0.001, keep=1.0))
    request = request_of(*regions, width=512)
    assert len(region_pulls(tiny_model("sd1"), request)) == 64
    assert torch.isfinite(drawn(request)).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"w": 0.0}, "w: got 0"),
        ({"keep": 2.0}, "keep: got 2"),
        ({"fit": "tile"}, "fit: got 'tile', allowed is one of cover, contain, stretch"),
        ({"picture": ""}, "picture: got ''"),
        ({"picture": "data:text/html;base64,AAAA"}, "picture: got data:text/html"),
        ({"picture": "data:image/png;base64," + "A" * 1500000}, "picture: got 1125000 bytes, allowed are at most 1048576"),
    ],
)
def test_wrong_fields(more, words):
    with pytest.raises(TiledError, match=words):
        region(**more)


def test_all_data_together_is_bounded():
    big = "data:image/png;base64," + "A" * 1390000
    with pytest.raises(TiledError, match="at most 8 MiB together"):
        request_of(*[replace(region(), picture=big)] * 9)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "inner/../../secret.png", "link/secret.png"])
def test_files_outside_of_the_folders_are_refused(name, tmp_path):
    folder = tmp_path / "open"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "private").mkdir()
    picture().save(tmp_path / "secret.png")
    picture().save(tmp_path / "private" / "secret.png")
    (folder / "link").symlink_to(tmp_path / "private")
    with pytest.raises(TiledError, match=r"regions\[0\].picture: got .*, allowed are files within"):
        region_pulls(tiny_model("sd1"), request_of(replace(region(), picture=name)), [folder])
    with pytest.raises(TiledError, match="allowed are files within none: send a data URL"):
        region_pulls(tiny_model("sd1"), request_of(replace(region(), picture="secret.png")), [])


def test_missing_files_and_what_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, words in [("none.png", "cannot be read"), ("text.png", "cannot be read as a picture")]:
        with pytest.raises(TiledError, match=rf"regions\[0\].picture: {name} {words}"):
            region_pulls(tiny_model("sd1"), request_of(replace(region(), picture=name)), [tmp_path])


def test_text_form():
    made = region_from_text(r"C:\a\photo.png:x=.3,w=.3,keep=.8,feather=.2,fit=contain,prompt=a tree, big,flip=on")
    assert made == Region(
        "a tree, big", picture=r"C:\a\photo.png", x=0.3, w=0.3, keep=0.8, feather=0.2, fit="contain", flip=True
    )
    assert region_from_text("photo.png") == Region("", picture="photo.png")
    assert region_from_text("photo.png:x=.75").w == 0.25
    with pytest.raises(TiledError, match="size: unknown field, known are"):
        region_from_text("photo.png:size=3")
    with pytest.raises(TiledError, match="keep: got 'x'"):
        region_from_text("photo.png:keep=x")


def test_a_mask_in_a_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 700), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    half = Image.new("LA", (64, 16), (255, 0))
    half.paste((128, 255), (0, 0, 32, 16))
    half.save(tmp_path / "half.png")
    made = region_from_text(f"photo.png:keep=.8,mask={tmp_path / 'half.png'},feather=0")
    assert made.keep == 0.8
    np.testing.assert_allclose(made.mask.drawn(1, 2), [[128 / 255, 0]], atol=0.01)
    assert region_from_text(f"photo.png:mask={tmp_path / 'noise.png'}").mask.drawn(4, 4).mean() == pytest.approx(0.5, abs=0.05)
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "none.png"):
        with pytest.raises(TiledError, match="mask: .* cannot be read as a picture"):
            region_from_text(f"photo.png:mask={tmp_path / name}")


MANY = {
    "soft": {}, "a ring": {"wrap_x": True}, "moving": {"method": "jittered", "overlap": None},
    "composed": {"compose": 0.6},
}  # fmt: skip


@pytest.mark.parametrize("more", MANY.values(), ids=MANY)
def test_at_every_moment_and_pixel_all_weights_sum_to_one(more):
    """Of tiles, of regions' edges, and of pictures above one another: a model that says 1 gives 1, its targets being 1."""
    grey = np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (8, 1))
    pictures = (
        region(w=0.6, keep=0.9, feather=0.5),
        region("a tree", x=0.4, w=0.5, keep=0.7, mask=_mask({"picture": url(Image.fromarray(grey)).partition(",")[2]})),
        Region("a house", x=0.2, w=0.3, layer="foreground"),
        region(x=0.7, w=0.3, keep=1.0),
    )
    settings = replace(TILES, regions=pictures, **more)
    planner = Planner(Extent(8, 32), settings, tiny_model("sd1").traits, 0)
    request = replace(request_of(), tiling=settings)
    ones = [Pull(torch.ones_like(p.target), p.mask, p.schedule) for p in region_pulls(tiny_model("sd1"), request)]
    guide, evaluated = Guides(tuple(ones)), []
    for step in range(20):
        guide.begin_step(Moment(step, step / 20, Level.of_sigma(torch.ones(1)), "x0"))
        plan = guide.plan(planner.plan(step, step / 20))
        evaluated.append(len(plan.tiles))
        said = fuse(torch.zeros(1, 4, 8, 32), plan, lambda crops, tiles: torch.ones_like(crops), Batching(4))
        torch.testing.assert_close(guide.after(said, said), torch.ones(1, 4, 8, 32), atol=1e-5, rtol=0)
    assert min(evaluated) < max(evaluated), "tiles that pictures hold are not evaluated"


def test_no_seam_at_the_edges_of_a_kept_picture():
    """Differences of neighbouring columns at its edges / elsewhere; a picture that is pasted at the end shows."""
    from bench.pictures import BASE, SIDE, kept, ours, seam
    from training.dataset import make_sample

    drawing, *_ = make_sample(90_000_011, SIDE, SIDE)
    request = replace(BASE, prompt="a forest, night sky", steps=12, seed=3)
    case = Case(drawing, None, replace(request, tiling=replace(request.tiling, regions=())))
    soft = kept(case, 0.5)
    (own,) = soft.tiling.regions
    picture = ours(load_model(device="cpu"), replace(soft, tiling=replace(soft.tiling, regions=(replace(own, feather=0.2),))))
    pasted = picture.copy()
    pasted[:, SIDE : 2 * SIDE] = np.asarray(drawing)
    ratios = [float(edge / elsewhere) for edge, elsewhere in map(seam, (picture, pasted))]
    assert ratios[0] < 1.3
    assert ratios[1] > 2


FEW = ["--size", "256x128", "--steps", "2", "--device", "cpu", "--quiet"]


def run(*words):
    return main([str(word) for word in words])


def test_the_command_line_and_its_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(90, 128).save("photo.png")
    words = ["generate", "grass", *FEW, "--image", "photo.png:x=.3,w=.4,keep=1,feather=0", "--out", "a.png"]
    assert run(*words) == 0
    (kept,) = read_png("a.png").tiling.regions
    assert (kept.picture, len(kept.picture_sha256)) == ("photo.png", 64)
    assert run("generate", "a.png", "--device", "cpu", "--quiet", "--out", "b.png") == 0
    assert Image.open("a.png").tobytes() == Image.open("b.png").tobytes()
    monkeypatch.chdir(tmp_path.parent)
    assert run("generate", tmp_path / "a.png", "--device", "cpu", "--quiet", "--out", tmp_path / "c.png") == 0
    assert Image.open(tmp_path / "a.png").tobytes() == Image.open(tmp_path / "c.png").tobytes()


def test_data_is_recorded_by_its_digest_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    request = {"prompt": "grass", "width": 256, "height": 128, "steps": 2}
    own = {"prompt": "", "x": 0.5, "w": 0.5, "picture": url(picture())}
    Path("canvas.json").write_text(json.dumps({**request, "tiling": {"regions": [own]}}))
    assert run("generate", "canvas.json", "--device", "cpu", "--quiet", "--out", "a.png") == 0
    record = Image.open("a.png").text
    assert "base64" not in record["tiled_diffusion"]
    assert "base64" not in record["parameters"]
    assert read_png("a.png").tiling.regions[0].picture.startswith("sha256:")
    assert run("generate", "a.png", "--device", "cpu", "--quiet", "--out", "b.png") == 2
    assert "regions[0].picture: the record names this picture by its digest alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("none.png:x=.3", "none.png: there is no such file"),
        ("photo.png:x=2", "x: got 2.0"),
        ("photo.png:side=2", "side: unknown field"),
    ],
)
def test_wrong_input_is_one_line(image, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture().save("photo.png")
    assert run("generate", "grass", *FEW, "--image", image, "--out", "a.png") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


def test_json_of_a_region():
    data = {"prompt": "x", "tiling": {"regions": [{"prompt": "", "picture": "a.png", "keep": 0.5, "fit": "contain"}]}}
    request = request_from_dict(data)
    assert request_from_dict(request.to_dict()) == request
    with pytest.raises(TiledError, match="'picture' is not in version 1"):
        request_from_dict({"version": 1, **data})


def test_the_engine_alone():
    """Pulls come from any host's reader and encoder."""
    settings = replace(TILES, regions=(Region("", picture="x", w=0.5, keep=1.0, feather=0),))
    pulls = picture_pulls(
        settings, Extent(8, 16), 8,
        lambda number, size: (np.full((*size, 3), 255, dtype=np.uint8), np.full(size, 255, dtype=np.uint8)),
        lambda pixels: pixels[:, :1, ::8, ::8].expand(-1, 4, -1, -1),
    )  # fmt: skip
    assert isinstance(pulls[0], Pull)
    expected = torch.zeros(1, 4, 8, 16)
    expected[..., :8] = 1
    assert torch.equal(pulls[0].target, expected)
    assert torch.equal(pulls[0].strength(1.0), (expected[:, :1] > 0).float())
    assert hold(1.0)(1.0) == 1.0
