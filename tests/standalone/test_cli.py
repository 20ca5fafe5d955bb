"""The command line: what each command leaves behind, and how it fails."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.errors import OutOfMemoryError
from tiled_diffusion.recipes.mosaic.folder import opened_folder
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.match import MatchKind
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.cli import commands as cli
from tiled_diffusion.standalone.cli.arguments import columns, open_picture, read_request
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_diffusion.standalone.cli.words import command_line, quoted
from tiled_diffusion.standalone.control_hints import open_hint
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.images import open_image
from tiled_diffusion.standalone.inspection import LiveBytes, canvas_bytes, unet_activations
from tiled_diffusion.standalone.metadata import read_png, save_png
from tiled_diffusion.standalone.model import load_model

SMALL = ["--size", "192x128", "--steps", "2", "--device", "cpu", "--quiet"]


def run(*words):
    return main([str(w) for w in words])


def parsed(*words):
    return read_request(build_parser().parse_args(["generate", *words]))


def pixels(path):
    return Image.open(path).convert("RGB").tobytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "a.png"
    assert run("generate", "a red house on grass", *SMALL, "--tile", 128, "--seed", 5, "--out", out) == 0
    return out


def test_generate_writes_the_picture(made):
    assert Image.open(made).size == (192, 128)
    assert read_png(made).seed == 5


def test_a_png_makes_the_same_picture_again(made, tmp_path):
    assert run("generate", made, "--device", "cpu", "--quiet", "--out", tmp_path / "b.png") == 0
    assert pixels(made) == pixels(tmp_path / "b.png")


def test_flags_override_the_png(made, tmp_path):
    assert run("generate", made, "--device", "cpu", "--quiet", "--seed", 6, "--out", tmp_path / "b.png") == 0
    assert pixels(made) != pixels(tmp_path / "b.png")
    assert read_png(tmp_path / "b.png").seed == 6


def test_a_canvas_file_with_regions(tmp_path, capsys):
    canvas = {
        "prompt": "grass, blue sky", "width": 256, "height": 128, "steps": 1, "batch_size": 2,
        "tiling": {"method": "jittered", "wrap_x": True, "regions": [{"prompt": "a tower on grass", "w": 0.5}]},
    }  # fmt: skip
    (tmp_path / "canvas.json").write_text(json.dumps(canvas), encoding="utf-8")
    assert (
        run("generate", tmp_path / "canvas.json", "--device", "cpu", "--json", "--quiet", "--out", tmp_path / "o") == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert result["seeds"] == [0, 1]
    assert [Path(f).name for f in result["files"]] == ["00001-0.png", "00002-1.png"]
    assert all(Image.open(f).size == (256, 128) for f in result["files"])
    assert result["seconds"] > 0
    assert result["plan"]["method"] == "jittered"


def test_numbered_files_are_never_replaced(tmp_path):
    for _ in range(2):
        assert run("generate", "snow", *SMALL, "--steps", 1, "--out", tmp_path) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00001-0.png", "00002-0.png"]


def test_upscale_takes_prompt_and_sampler_from_the_record(made, tmp_path, capsys):
    out = tmp_path / "big.png"
    assert run("upscale", made, "--scale", 2, "--steps", 2, "--device", "cpu", "--json", "--quiet", "--out", out) == 0
    assert Image.open(out).size == (384, 256)
    assert json.loads(capsys.readouterr().out)["plan"]["canvas"] == [384, 256]
    assert read_png(out).prompt == "a red house on grass"
    assert run("generate", out, "--device", "cpu", "--quiet", "--out", tmp_path / "again.png") == 0
    assert pixels(out) == pixels(tmp_path / "again.png")


GROWN = Request("snow", "", 128, 128, 1, inversion=Inversion(), growth=Growth(stages=2), hold=0.5)
MATCHED = Request("snow", "", 128, 128, 1, batch_size=2, match=MatchKind().from_text("match", "1.right=2.left"))


@pytest.mark.parametrize("before", [GROWN, MATCHED], ids=["grown", "matched"])
def test_what_is_made_of_a_picture_takes_nothing_of_how_that_was_made(before, tmp_path):
    picture, out = tmp_path / "small.png", tmp_path / "big.png"
    save_png(Image.new("RGB", (128, 128), "green"), picture, before, 0, DiffusersHost(load_model(device="cpu")))
    assert run("upscale", picture, "--quiet", "--device", "cpu", "--out", out) == 0
    after = read_png(out)
    assert (after.prompt, after.hold, after.batch_size) == ("snow", before.hold, 1)
    assert (after.growth, after.match, after.inversion) == (None, None, None)
    assert run("generate", out, "--device", "cpu", "--quiet", "--out", tmp_path / "again.png") == 0
    assert pixels(out) == pixels(tmp_path / "again.png")
    words = ["mosaic", picture, "--grid", 2, "--steps", 1, "--quiet", "--device", "cpu", "--out", tmp_path / "mosaic"]
    assert run(*words) == 0
    made = opened_folder(tmp_path / "mosaic").settings.request
    assert (made.prompt, made.growth, made.match, made.inversion) == ("snow", None, None, None)


def test_img2img_takes_the_size_of_its_picture(made, tmp_path):
    out = tmp_path / "again.png"
    words = ["--init-image", made, "--steps", 2, "--denoising-strength", 0.5, "--device", "cpu", "--quiet"]
    assert run("generate", "snow", *words, "--out", out) == 0
    assert Image.open(out).size == (192, 128)


def test_inspect_draws_and_counts(tmp_path, capsys):
    out = tmp_path / "plan.png"
    words = ["--size", "1536x192", "--method", "mixture", "--batch-size", 3, "--device", "cpu", "--json", "--out", out]
    assert run("inspect", "snow", *words) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert Image.open(out).width > 1500
    assert plan["canvas"] == [1536, 192]
    assert plan["rows"][0] == plan["tiles"][0] * 2 * 3
    assert plan["batches"][0] == -(-plan["tiles"][0] // 4)
    assert plan["work"][0] > 1
    memory = plan["memory"]
    assert memory["total"] == memory["weights"] + memory["activations"] + memory["canvas"]


def test_inspect_speaks_plainly(tmp_path, capsys):
    assert run("inspect", "snow", "--size", "768x192", "--cfg-scale", 1, "--out", tmp_path / "p.png") == 0
    out = capsys.readouterr().out
    for word in ("canvas     768 x 192 px", "tiles", "batches", "rows", "work", "memory", "p.png"):
        assert word in out


def test_export_checkpoint(tmp_path, capsys):
    assert run("export-checkpoint", tmp_path / "webui", "--json") == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {".safetensors", ".yaml"} <= {Path(f).suffix for f in files}
    assert all(Path(f).is_file() for f in files)


def test_the_memory_estimate_is_that_of_a_real_call():
    unet = load_model(None, device="cpu", dtype="fp32").unet
    counter = LiveBytes()
    with torch.no_grad(), counter:
        unet(torch.randn(4, 4, 16, 24), torch.zeros(4), encoder_hidden_states=torch.randn(4, 77, 128))
    assert unet_activations(unet, 4, Extent(16, 24)) == pytest.approx(counter.peak, rel=0.1)
    assert canvas_bytes(Extent(10, 20), images=2) == 3 * 4 * 2 * 4 * 10 * 20


# From words to a request


def test_columns_are_equal_regions():
    request = parsed("--column", "a", "--column", "b", "--size", "1024x256")
    assert request.tiling.regions == (Region("a", x=0, w=0.5), Region("b", x=0.5, w=0.5)) == columns(["a", "b"])
    assert (request.width, request.height) == (1024, 256)


def test_tiles_are_given_in_image_pixels():
    tiling = parsed("x", "--tile", "192x128", "--overlap", "48", "--wrap-x", "--method", "jittered").tiling
    assert tiling == Settings(method="jittered", tile_width=192, tile_height=128, overlap=48, wrap_x=True)


def test_a_flag_can_switch_a_ring_off(tmp_path):
    file = tmp_path / "c.json"
    file.write_text('{"prompt": "x", "tiling": {"wrap_x": true, "wrap_y": true}}', encoding="utf-8")
    tiling = parsed(str(file), "--no-wrap-x").tiling
    assert (tiling.wrap_x, tiling.wrap_y) == (False, True)


def test_a_start_picture_lies_beside_its_canvas_file(tmp_path):
    file = tmp_path / "c.json"
    file.write_text('{"prompt": "x", "init_image": "start.png"}', encoding="utf-8")
    assert parsed(str(file)).init_image == "start.png"
    Image.new("RGB", (64, 64)).save(tmp_path / "start.png")
    assert parsed(str(file)).init_image == str(tmp_path / "start.png")


@pytest.mark.parametrize(
    "request_",
    [
        Request("a (red:1.2) house, grass"),
        Request("", negative_prompt="snow", width=640, height=64, steps=3, cfg_scale=7.5, sampler="DPM++ 2M Karras"),
        Request("x", seed=9, batch_size=2, tiling=Settings(method="spot", tile_batch=1, wrap_x=True, wrap_y=True)),
        Request("x", tiling=Settings(tile_width=192, tile_height=128, overlap=0)),
        Request("a | b", tiling=Settings(regions=columns(["a", "b"]))),
        Request("main", tiling=Settings(regions=columns(["a", "b", "c"]))),
        Request("x", growth=Growth()),
        Request("x", growth=Growth(stages=3, stage_strength=0.4, keep_colours=True)),
    ],
)
def test_a_request_survives_the_command_line(request_):
    words = command_line(request_, "x.png")
    assert parsed(*words[4:]) == request_


def test_quotes():
    assert quoted(["a", "b c", "", "(x)"]) == 'a "b c" "" "(x)"'


# Failing


WRONG_INPUT = [
    ([], "COMMAND"),
    (["paint"], "paint"),
    (["generate"], "nothing to draw"),
    (["generate", "x", "--prompt", "y"], "--prompt"),
    (["generate", "x", "--nonsense", "1"], "--nonsense"),
    (["generate", "missing.json"], "missing.json"),
    (["generate", "missing.png"], "missing.png"),
    (["generate", "broken.json"], "broken.json"),
    (["generate", "latin.json"], "latin.json"),
    (["generate", "unknown.json"], "hieght"),
    (["generate", "region.json"], "regions[0]"),
    (["generate", "newer.json"], "version 99"),
    (["generate", "nan.json"], "cfg_scale"),
    (["generate", "list.json"], "canvas"),
    (["generate", "plain.png"], "plain.png"),
    (["generate", "text.png"], "text.png"),
    (["generate", "x", "--size", "big"], "--size"),
    (["generate", "x", "--size", "100x100"], "width"),
    (["generate", "x", "--size", "128x128", "--width", "64"], "--size"),
    (["generate", "x", "--height", "99999999"], "height"),
    (["generate", "x", "--width", "1.5"], "--width"),
    (["generate", "x", "--tile", "100"], "--tile"),
    (["generate", "x", "--size", "512x128", "--tile", "128", "--overlap", "128"], "overlap"),
    (["generate", "x", "--overlap", "-8"], "--overlap"),
    (["generate", "x", "--cfg-scale", "nan"], "argument --cfg-scale"),
    (["generate", "x", "--cfg-scale", "inf"], "argument --cfg-scale"),
    (["generate", "x", "--denoising-strength", "2"], "argument --denoising-strength"),
    (["generate", "x", "--steps", "0"], "steps"),
    (["generate", "x", "--seed", "-1"], "seed"),
    (["generate", "x", "--sampler", "Eulr"], "sampler"),
    (["generate", "x", "--method", "magic"], "method"),
    (["generate", "x", "--tile-batch", "0"], "argument --tile-batch"),
    (["generate", "x", "--init-image", "missing.jpg"], "missing.jpg"),
    (["generate", "x", "--init-image", "text.png"], "text.png"),
    (["generate", "x", "--model", "missing.safetensors"], "missing.safetensors"),
    (["generate", "x", "--model", "broken.json"], "broken.json"),
    (["generate", "x", "--model", "other"], "other"),
    (["generate", "x", "--device", "toaster"], "toaster"),
    (["generate", "x", "--dtype", "fp3"], "fp3"),
    (["generate", "x", "--out", "a.jpg"], "a.jpg"),
    (["generate", "x", "--out", "text.png/sub"], "text.png"),
    (["upscale"], "IMAGE"),
    (["upscale", "missing.png"], "missing.png"),
    (["upscale", "text.png"], "text.png"),
    (["upscale", "broken.png"], "broken.png: this is no picture"),
    (["generate", "a", "--init-image", "broken.png"], "broken.png: this is no picture"),
    (["generate", "a", "--control", "edges:broken.png"], "image: broken.png cannot be read as a picture"),
    (["upscale", "plain.png", "--scale", "nan"], "scale"),
    (["upscale", "plain.png", "--scale", "0"], "scale"),
    (["upscale", "plain.png", "--scale", "1e9"], "scale"),
    (["upscale", "plain.png", "--upscaler", "missing.pth"], "missing.pth"),
    (["inspect", "x", "--size", "0x0"], "width"),
    (["studio", "--port", "99999"], "--port: got 99999, allowed is a number from 0 to 65535"),
    (["studio", "--host", "192.0.2.1"], "192.0.2.1:7870"),
    (["export-checkpoint"], "DIR"),
    (["export-checkpoint", "text.png"], "text.png"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    files = {
        "broken.json": '{"prompt": ', "unknown.json": '{"prompt": "x", "hieght": 64}', "list.json": "[1]",
        "region.json": '{"prompt": "x", "tiling": {"regions": [{"prompt": "y", "x": 2}]}}',
        "newer.json": '{"version": 99, "prompt": "x"}', "nan.json": '{"prompt": "x", "cfg_scale": NaN}',
        "text.png": "this is no picture", "other/model_index.json": '{"_class_name": "FluxPipeline"}',
    }  # fmt: skip
    (tmp_path / "other").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "latin.json").write_bytes('{"prompt": "größer"}'.encode("latin-1"))
    Image.new("RGB", (64, 64)).save(tmp_path / "plain.png")
    Image.effect_noise((512, 512), 90).save(tmp_path / "broken.png")
    before, start, rest, *more = (tmp_path / "broken.png").read_bytes().split(b"IDAT")  # two chunks of pixels
    (tmp_path / "broken.png").write_bytes(b"IDAT".join([before, start]) + b"\1DAT" + b"IDAT".join([rest, *more]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "named"), WRONG_INPUT, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_input_is_one_line_that_names_it(words, named, folder, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    assert named in lines[0]
    assert captured.out == ""


def test_a_port_that_is_taken_is_told(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("studio", "--port", port) == 2
    captured = capsys.readouterr()
    assert f"error: the studio cannot be at 127.0.0.1:{port}" in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (OutOfMemoryError("out of memory with a single tile"), 1, "single tile"),
        (RuntimeError("two\nlines"), 1, "RuntimeError: two lines"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures(raised, status, said, monkeypatch, capsys):
    def fail(args):
        raise raised

    monkeypatch.setitem(cli.COMMANDS, "demo", fail)
    assert main(["demo"]) == status
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_photos_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.new("RGB", (96, 64)).save(tmp_path / "photo.jpg", exif=exif)
    for opened in (open_picture, open_image, open_hint):
        assert opened(str(tmp_path / "photo.jpg")).size == (64, 96)


def test_debug_shows_the_way_to_the_error(folder, capsys):
    assert main(["generate", "missing.json", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["generate"], ["upscale"], ["inpaint"], ["inspect"], ["demo"], ["studio"], ["export-checkpoint"]])
def test_help_teaches_by_example(command, capsys):
    assert main([*command, "--help"]) == 0
    assert "python -m tiled_diffusion " + (command[0] if command else "demo") in capsys.readouterr().out


def module(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "tiled_diffusion", *words], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_as_a_program():
    done = module("--help")
    assert done.returncode == 0
    assert "export-checkpoint" in done.stdout


def test_as_a_program_that_fails(tmp_path):
    failed = module("generate", "missing.json", cwd=tmp_path)
    assert failed.returncode == 2
    assert failed.stderr.splitlines() == ["error: missing.json: there is no such file"]
