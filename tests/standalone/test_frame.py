"""Picture frames: found, filled, redrawn and printed, on tiny models and by the command line."""

import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from bench.frame import suits
from tests.recipes.frame.rendered import camera, photo_of_frame
from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.find import find_frame
from tiled_diffusion.recipes.frame.quad import ordered_corners
from tiled_diffusion.recipes.frame.redraw import redrawn
from tiled_diffusion.recipes.frame.steps import make_frame
from tiled_diffusion.settings.frame import (
    Frame,
    Framing,
    Redraw,
    corners_from_text,
    framing_from_dict,
    framing_from_json,
)
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.print_size import Print
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_diffusion.standalone.framing import frame
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.model import load_model

SIZE = (320, 240)
LENS = camera(-18, 8, 2, 260, 2.0, SIZE)
PHOTO, CORNERS = photo_of_frame(0.75, SIZE, LENS, seed=3)
FRACTIONS = tuple((x / SIZE[0], y / SIZE[1]) for x, y in CORNERS.tolist())
REQUEST = Request("a red house", steps=2, sampler="Euler", seed=5, inpaint_from="noise")


def asked(**more):
    framed = {"corners": FRACTIONS, "side_px": 32} | {k: more.pop(k) for k in list(more) if k in Frame.__dataclass_fields__}
    return Framing(Frame("photo.png", **framed), **{"request": REQUEST} | more)


def pixels(image):
    return np.asarray(image)


def host(kind="sd1"):
    return DiffusersHost(tiny_model(kind))


def outside():
    """Pixels of the photo well outside of the frame's inside."""
    from tiled_diffusion.recipes.frame.flat import _alpha

    return _alpha(ordered_corners(CORNERS, SIZE), (0, 0, *SIZE), 0) == 0


def test_eighteen_of_twenty_rendered_frames_are_found():
    rng, good = np.random.default_rng(1), 0
    for seed in range(20):
        size = (640, 480)
        turn, roll = rng.uniform(-25, 25, 2), rng.uniform(-6, 6)
        lens = camera(*turn, roll, 480 * rng.uniform(0.9, 1.4), rng.uniform(1.9, 3), size, rng.uniform(-0.15, 0.15, 2))
        photo, true = photo_of_frame(rng.uniform(0.6, 1.5), size, lens, seed, noise=6)
        seen = find_frame(photo)
        good += seen is not None and np.abs(ordered_corners(seen, size) - true).max() < 2
    assert good >= 18


@pytest.mark.parametrize("kind", ["wall", "noise", "circle"])
def test_where_there_is_no_frame_none_is_found(kind):
    rng = np.random.default_rng(0)
    grey = np.full((240, 320), 128.0)
    if kind == "circle":
        y, x = np.mgrid[:240, :320]
        grey[(y - 120) ** 2 + (x - 160) ** 2 < 80**2] = 30
    photo = Image.fromarray((grey + rng.normal(0, 40 if kind == "noise" else 3, grey.shape)).clip(0, 255).astype(np.uint8))
    assert find_frame(photo) is None
    with pytest.raises(TiledError, match="corners: no frame is seen in the photo; say where its four corners are"):
        make_frame(host(), asked(corners=None), photo, find=find_frame)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_a_picture_is_drawn_and_nothing_else_changes(kind):
    kept = {}
    result = make_frame(host(kind), asked(tries=2, pick=2), PHOTO, on_result=lambda name, image, request: kept.update({name: (image, request)}))
    assert (pixels(result.photo)[outside()] == pixels(PHOTO)[outside()]).all()
    assert (pixels(result.photo)[~outside()] != pixels(PHOTO)[~outside()]).any(axis=1).mean() > 0.9
    assert list(kept) == ["corners", "flat", "tries/5", "tries/6", "tries", "picture", "photo"]
    assert [t.seed for t in result.tries] == [5, 6]
    assert (pixels(result.tries[0].image) != pixels(result.tries[1].image)).any()
    assert (pixels(result.picture) == pixels(result.tries[1].image)).all()
    assert kept["photo"][1].seed == 6
    alone = make_frame(host(kind), asked(request=replace(REQUEST, seed=6)), PHOTO)
    assert (pixels(alone.photo) == pixels(result.photo)).all()
    assert abs(result.layout.inside[0] / result.layout.inside[1] - 0.75) < 0.02
    assert result.shape_told


def test_without_a_prompt_the_frame_is_looked_at_alone(monkeypatch):
    model = tiny_model("sd1")
    monkeypatch.setattr(model.unet, "forward", None)
    result = make_frame(DiffusersHost(model), asked(request=Request("")), PHOTO)
    assert result.photo is result.picture is None
    inside = pixels(result.flat.crop(result.layout.box))
    assert inside[2:-2, 2:-2].min() > 170  # white, to its edges
    assert result.layout.canvas == result.flat.size


def test_a_given_picture_is_framed_lit_and_of_any_mode():
    grey = Image.new("LA", (50, 70), (120, 255))
    dark, lit = (make_frame(host(), asked(light=light, request=Request("")), PHOTO, picture=grey).photo for light in (0, 1))
    deep = ~outside()
    assert (np.median(pixels(dark)[deep], axis=0) == 120).all()
    left, right = (pixels(lit)[100:140, x : x + 6].mean() for x in (115, 195))
    assert left > right + 4  # the photo is brighter on its left
    assert (pixels(lit)[outside()] == pixels(PHOTO)[outside()]).all()


def test_at_strength_0_redrawing_is_the_vaes_round_trip():
    picture = PHOTO.crop((0, 0, 60, 64))
    made, request = redrawn(host(), REQUEST, Redraw("moss", 0.0, pad="edge"), picture)
    assert request.prompt == "moss"
    larger = np.pad(pixels(picture), ((0, 0), (2, 2), (0, 0)), mode="edge")
    expected = host().decode(host().encode([Image.fromarray(larger)]))[0].crop((2, 0, 62, 64))
    assert (pixels(made) == pixels(expected)).all()


@pytest.mark.parametrize("side", [None, 100, 200])
def test_redrawing_keeps_the_shape_at_any_size(side):
    made, request = redrawn(host(), REQUEST, Redraw("moss", 0.5, side_px=side), Image.new("RGB", (75, 100), "red"))
    assert made.size == {None: (75, 100), 100: (75, 100), 200: (150, 200)}[side]
    assert request.width == request.height == {None: 128, 100: 128, 200: 256}[side]


def test_redraw_and_print():
    sheet = Print(30, 40, 60, bleed_mm=2)
    result = make_frame(host(), asked(redraw=Redraw("moss"), print=sheet), PHOTO)
    assert result.print.size == sheet.px == (80, 104)
    assert (pixels(result.redrawn)[:64, :48] != pixels(result.picture.resize((48, 64)))[:64, :48]).any()
    assert any("3 x 4 cm with 2 mm bleed at 60 DPI = 80 x 104 px" in note for note in result.notes)
    assert result.layout.inside[0] / result.layout.inside[1] == pytest.approx(0.75, abs=0.03)
    other = make_frame(host(), asked(print=Print(80, 40, 60)), PHOTO)
    assert other.layout.inside[0] / other.layout.inside[1] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_the_records_say_what_was_drawn_and_nothing_else(strength):
    """A given picture has no record of ours; that of the print is the second prompt's, with what was done for it."""

    def records(**more):
        kept = {}
        make_frame(host(), asked(print=Print(30, 40, 60), **more), PHOTO, on_result=lambda name, _, r: kept.update({name: r}), **given)
        return kept

    given = {"picture": Image.new("RGB", (30, 40), "red")}
    kept = records(print_strength=strength)
    assert kept["picture"] is kept["photo"] is None
    assert (kept["print"] is None) == (strength == 0)
    kept = records(print_strength=strength, redraw=Redraw("moss"))
    assert kept["picture"] is kept["photo"] is None
    assert kept["redrawn"].prompt == kept["print"].prompt == "moss"
    assert kept["print"].denoising_strength == (strength or 0.4)
    given = {}
    kept = records(print_strength=strength, redraw=Redraw("moss"))
    assert [kept[name].prompt for name in ("tries/5", "picture", "photo", "redrawn", "print")] == ["a red house"] * 3 + ["moss"] * 2


def test_what_fails_late_loses_nothing():
    kept = []
    too_large = asked(print=Print(3000, 4000, 72), print_strength=0.2)
    with pytest.raises(TiledError, match=r"print: 8504x11339 px is .* times the picture"):
        make_frame(host(), too_large, PHOTO, on_result=lambda name, image, request: kept.append(name))
    assert kept == ["corners", "flat", "tries/5", "tries", "picture", "photo"]


def test_colours_of_another_profile_come_back_as_they_were(tmp_path):
    """In the photo's profile red and green have changed places: a red picture has to be written as green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"XXXX"), (b"gXYZ", b"rXYZ"), (b"XXXX", b"gXYZ"), (b"\0s\0R\0G\0B", b"\0x\0R\0G\0B")):
        profile = profile.replace(old, new, 1)
    odd = PHOTO.copy()
    odd.info["icc_profile"] = profile
    result = make_frame(host(), asked(request=Request(""), light=0), odd, picture=Image.new("RGB", (40, 40), (255, 0, 0)))
    assert (pixels(result.photo)[outside()] == pixels(PHOTO)[outside()]).all()
    red, green, blue = np.median(pixels(result.photo)[~outside()], axis=0)
    assert green > 240
    assert max(red, blue) < 20
    odd.info["icc_profile"] = b"nonsense"
    with pytest.raises(TiledError, match="photo: its colour profile cannot be used"):
        make_frame(host(), asked(request=Request("")), odd)


@pytest.mark.parametrize(("mode", "made"), [("L", "RGB"), ("CMYK", "RGB"), ("LA", "RGBA"), ("P", "RGB")])
def test_other_modes_are_converted_and_that_is_said(mode, made):
    result = make_frame(host(), asked(request=Request("")), PHOTO.convert(mode), picture=Image.new("RGB", (9, 9)))
    assert result.photo.mode == made
    assert f"photo: converted from {mode} to {made}" in result.notes


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_photos_of_more_bits_are_refused(mode):
    with pytest.raises(TiledError, match="photo: got .*, more than 8 bits a channel; allowed are photos of 8 bits"):
        make_frame(host(), asked(), Image.new(mode, SIZE))


def test_the_json():
    wanted = asked(redraw=Redraw("moss", 0.3), print=Print(300, 400, 240), tries=4, pick=3, shape=0.75)
    data = json.loads(json.dumps(wanted.to_dict()))
    assert framing_from_dict(data) == wanted
    assert data["print"] == {"version": 2, "width_mm": 300, "height_mm": 400, "dpi": 240}
    assert len(data["frame"]["corners"]) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "framing: the field 'frame' is missing"),
        ({"frame": {"photo": ""}}, "framing.frame.photo: got '', allowed is a path"),
        ({"frame": {"photo": "a", "corners": [[0, 0], [1, 0], [1, 2], [0, 1]]}}, "corners: got .*, allowed is \\[\\[x, y\\]"),
        ({"frame": {"photo": "a", "corners": "auto"}}, "corners: got 'auto', allowed is"),
        ({"frame": {"photo": "a"}, "tries": 2, "pick": 3}, "pick: got 3, allowed is a try from 1 to 2"),
        ({"frame": {"photo": "a"}, "redraw": {"prompt": "x"}}, "a prompt or a picture is needed"),
        ({"frame": {"photo": "a"}, "request": {"prompt": "x", "mask": "m.png"}}, "request: mask, extend, controls and batch_size"),
        ({"frame": {"photo": "a", "light": 2}}, "frame.light: got 2, allowed is a number from 0 to 1"),
        ({"frame": {"photo": "a"}, "print": {"width_mm": 300}}, "print: the field 'height_mm' is missing"),
    ],
)
def test_wrong_json_is_named(data, message):
    with pytest.raises(TiledError, match=message):
        framing_from_dict(data)


def test_corners_in_words():
    assert corners_from_text("auto") is None
    assert corners_from_text("1,2,3,4, 5,6,7,8.5") == ((1, 2), (3, 4), (5, 6), (7, 8.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("frame")
    PHOTO.save(where / "photo.png", dpi=(144, 144))
    turned = PHOTO.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(where / "turned.png", exif=exif)
    Image.fromarray(np.full((240, 320), 30000, dtype=np.uint16)).save(where / "deep.png")
    Image.new("RGB", (320, 240), "grey").save(where / "wall.png")
    Image.new("RGB", (60, 80), "red").save(where / "red.png", dpi=(240, 240))
    (where / "text.png").write_text("no picture")
    return where


def run(*words):
    return main([*map(str, words), "--device", "cpu"])


AT = ",".join(f"{n:.2f}" for n in CORNERS.ravel())
FEW = ["--steps", "2", "--side-px", "64", "--quiet"]


def test_the_command(folder, tmp_path, capsys):
    out = tmp_path / "deer"
    words = ["frame", folder / "photo.png", "--corners", "auto", "--prompt", "a red house", "--tries", 2, *FEW[:4]]
    assert run(*words, "--redraw", "moss", "--redraw-strength", 0.5, "--print", "A6", "--dpi", 60, "--format", "tiff", "--json", "--out", out) == 0
    report = json.loads(capsys.readouterr().out)
    names = ["frame.json", "corners.png", "flat.png", "tries/0.png", "tries/1.png", "tries.png", "picture.png", "redrawn.png", "photo.png", "print.tiff"]
    assert report["files"] == [str(out / name) for name in names]
    assert report["seeds"] == [0, 1]
    assert np.abs(np.array(report["corners"]) - CORNERS).max() < 2
    (told,) = (note.removeprefix("corners: found at ") for note in report["notes"] if note.startswith("corners: found at "))
    assert f"to correct the corners, look at corners.png and say --corners {told}" in report["notes"]
    assert not any("--shape" in note for note in report["notes"])
    photo = Image.open(out / "photo.png")
    assert "a red house" in photo.text["parameters"]
    assert round(photo.info["dpi"][0]) == 144
    sheet = Image.open(out / "print.tiff")
    assert sheet.size == (248, 350)
    assert round(sheet.info["dpi"][0]) == 60
    assert "moss" in sheet.tag_v2[270]
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(sheet.info["icc_profile"])))
    assert run("frame", out / "frame.json", "--format", "tiff", "--quiet", "--out", out) == 0
    again = tmp_path / "deer-2"
    for name in ("photo.png", "print.tiff"):
        assert (pixels(Image.open(again / name)) == pixels(Image.open(out / name))).all(), name


def test_a_frame_is_done_again_from_every_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    words = ["frame", "photo.png", "--corners", AT, "--prompt", "a house", "--keep", ".8", "--inversion-steps", 3, *FEW]
    assert run(*words, "--out", tmp_path / "once") == 0
    monkeypatch.chdir(tmp_path / "once")  # where photo.png is the photo with a picture in it
    assert run("frame", "frame.json", "--quiet", "--out", tmp_path / "again") == 0
    for name in ("flat.png", "photo.png"):
        assert (pixels(Image.open(tmp_path / "again" / name)) == pixels(Image.open(name))).all(), name
    again = framing_from_json((tmp_path / "again" / "frame.json").read_text())
    assert (again.request.inversion, again.request.inpaint_from) == (Inversion(freedom=0.2, steps=3), "original")


def test_python_and_the_command_do_the_same(folder, tmp_path):
    out = tmp_path / "red"
    words = ["frame", folder / "photo.png", "--corners", AT, "--picture", folder / "red.png", "--quiet", "--out", out]
    assert run(*words) == 0
    corners = tuple((x / SIZE[0], y / SIZE[1]) for x, y in corners_from_text(AT))
    framing = Framing(Frame(str(folder / "photo.png"), corners=corners), picture=str(folder / "red.png"))
    result = frame(load_model(device="cpu"), framing)
    assert "parameters" not in Image.open(out / "photo.png").text
    assert (pixels(result.photo) == pixels(Image.open(out / "photo.png"))).all()


def test_a_picture_brings_its_own_record_along(folder, tmp_path):
    words = ["frame", folder / "photo.png", "--corners", AT, "--quiet"]
    assert run(*words, "--prompt", "a red house", *FEW[:4], "--out", tmp_path / "first") == 0
    assert run(*words, "--picture", tmp_path / "first" / "picture.png", "--prompt", "another", "--out", tmp_path / "second") == 0
    first, second = (Image.open(tmp_path / name / "photo.png").text for name in ("first", "second"))
    assert second["parameters"] == first["parameters"]


@pytest.mark.parametrize(("command", "flag", "default"), [
    ("frame", "--inpaint-from", "noise; original where a denoising strength is given"),
    ("inpaint", "--inpaint-from", "noise; original where a denoising strength is given"),
    ("generate", "--inpaint-from", "original"),
    ("upscale", "--denoising-strength", "0.35"),
    ("generate", "--denoising-strength", "0.5"),
])  # fmt: skip
def test_the_help_tells_the_defaults_of_the_command(command, flag, default, capsys):
    assert run(command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"default: {default}" in text[text.index(f"{flag} ", text.index("the picture:")):][:400]


def test_the_photo_is_not_overwritten_by_the_result(folder, tmp_path, monkeypatch):
    """Both may be called photo.png."""
    here = tmp_path / "walls"
    here.mkdir()
    PHOTO.save(here / "photo.png")
    before = (here / "photo.png").read_bytes()
    monkeypatch.chdir(here)
    for out, made in ((".", "walls-2"), (here, "walls-3")):
        assert run("frame", "photo.png", "--corners", AT, "--picture", folder / "red.png", "--quiet", "--out", out) == 0
        assert (tmp_path / made / "photo.png").is_file()
    assert [p.name for p in here.iterdir()] == ["photo.png"]
    assert (here / "photo.png").read_bytes() == before


def test_a_turned_photo_is_upright(folder, tmp_path):
    out = tmp_path / "turned"
    assert run("frame", folder / "turned.png", "--corners", AT, "--picture", folder / "red.png", "--quiet", "--out", out) == 0
    made = Image.open(out / "photo.png")
    assert made.size == SIZE
    assert (pixels(made)[outside()] == pixels(PHOTO)[outside()]).all()


@pytest.mark.parametrize("ending", ["png", "jpg", "tiff", "pdf"])
def test_upscale_to_a_print(folder, tmp_path, ending):
    out = tmp_path / f"a.{ending}"
    words = ["upscale", folder / "red.png", "--print", "15x20mm", "--dpi", 240, "--bleed-mm", 1, "--prompt", "x", "--steps", 2]
    assert run(*words, "--quiet", "--out", out) == 0
    if ending == "pdf":
        text = out.read_bytes()
        assert text.startswith(b"%PDF")
        assert b"/MediaBox [ 0 0 48.3 62.4 ]" in text or b"48.3" in text  # 161 and 208 px at 240 DPI, in points
        return
    made = Image.open(out)
    assert made.size == (161, 208)
    assert [round(float(n)) for n in made.info["dpi"]] == [240, 240]
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(made.info["icc_profile"])))
    if ending == "png":
        assert b"pHYs" + (9449).to_bytes(4, "big") * 2 in out.read_bytes()


def test_enlarging_keeps_the_dpi(folder, tmp_path):
    assert run("upscale", folder / "red.png", "--prompt", "x", "--steps", 2, "--quiet", "--out", tmp_path / "b.png") == 0
    assert round(Image.open(tmp_path / "b.png").info["dpi"][0]) == 240


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png"], "none.png: there is no such file"),
        (["text.png"], "photo: text.png cannot be read as a picture"),
        (["deep.png"], "photo: deep.png has 16 bits a channel; allowed are photos of 8 bits"),
        (["wall.png"], "corners: no frame is seen in the photo; say where its four corners are"),
        (["photo.png", "--corners", "1,2,3"], "corners: got '1,2,3', allowed is x,y,x,y,x,y,x,y in image pixels, or auto"),
        (["photo.png", "--corners", "1,1,90,1,90,500,1,90"], "corners: got (90, 500), allowed is within the photo of 320x240 px"),
        (["photo.png", "--corners", "1,1,90,90,90,1,1,90"], "corners: the sides cross"),
        (["photo.png", "--corners", "1,1,12,1,12,12,1,12"], "corners: the shortest side is 11 px long, allowed is at least 16"),
        (["photo.png", "--print", "A9"], "print: got 'A9', allowed is WIDTHxHEIGHT in mm, cm or in"),
        (["photo.png", "--dpi", "240"], "--dpi: without --print it means nothing"),
        (["photo.png", "--redraw-strength", ".3"], "--redraw-strength: without --redraw it means nothing"),
        (["photo.png", "--prompt", "x", "--match", "1.right=1.left"], "unrecognized arguments: --match"),
        (["photo.png", "--prompt", "x", "--caption-command", "cat"], "tile_prompts: got 'captions', which prints, frames and folders do not take"),
        (["photo.png", "--redraw", "x"], "redraw and print: a prompt or a picture is needed"),
        (["photo.png", "--prompt", "x", "--pick", "2"], "pick: got 2, allowed is a try from 1 to 1"),
        (["photo.png", "--picture", "none.png"], "none.png: there is no such file"),
        (["photo.png", "--prompt", "x", "--print", "30x40m"], "print: got '30x40m'"),
        (["photo.png", "--prompt", "x", "--print", "5x5m", "--upscaler", "no.pth"], "print: got '5x5m'"),
        (["photo.png", "--prompt", "x", "--print", "3x3cm", "--upscaler", "no.pth"], "no.pth: there is no such file"),
    ],
)
def test_wrong_input_is_one_line(folder, words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    assert run("frame", *words, "--quiet", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--print", "A4", "--scale", "2"], "--scale: give either --scale or --print, not both"),
        (["--bleed-mm", "3"], "--bleed-mm: without --print it means nothing"),
        (["--print", "A0"], "print: 9933x14043 px is"),
    ],
)
def test_prints_that_cannot_be_are_one_line(folder, words, message, capsys, tmp_path):
    assert run("upscale", folder / "red.png", "--prompt", "x", *words, "--quiet", "--out", tmp_path / "a.png") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


def test_the_guides_commands_are_understood():
    text = (Path(__file__).parents[2] / "docs" / "frame.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    python -m tiled_diffusion ")]
    assert len(lines) == 3
    for line in lines:
        build_parser().parse_args(shlex.split(line)[3:])


def test_the_model_sees_the_room():
    """A house without a word of the sky: at sunset where the room is seen, and seldom where it is not."""
    host = DiffusersHost(load_model(device="cpu"))
    with_room, without = (suits(host, context, count=6)["sunset"] for context in (0.5, 0.0))
    assert with_room > 0.6
    assert without < 0.5
