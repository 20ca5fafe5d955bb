"""Prompts of tiles in the standalone program: by list, by content, by a captioner."""

import json
import shlex
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tests.standalone.tiny import tiny_model
from tiled_diffusion.engine.geometry import Box
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.captioner import command_captioner, command_words, cut
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.tile_texts import TileText
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.images import to_pixels
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import load_model
from tiled_diffusion.standalone.sampling import sample_latents
from tiled_diffusion.standalone.tile_prompts import content_of_latent
from tiled_diffusion.standalone.vae import encode

TILES = Settings(tile_width=64, tile_height=64, overlap=32, tile_batch=1)
WIDE = Request("a red house, snow", "", 192, 64, steps=3, cfg_scale=3.0, sampler="Euler", seed=5)


def drawn(kind="sd1", **tiling):
    start = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 192, 3), dtype=np.uint8))
    return sample_latents(tiny_model(kind), replace(WIDE, tiling=replace(TILES, **tiling)), init_image=start)


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_a_list_acts_in_its_tiles_alone(kind):
    plain = drawn(kind)
    texts = (TileText("a green tree, night", 1, 1),)
    listed = drawn(kind, tile_prompts="list", tile_texts=texts)
    assert torch.equal(listed[..., 8:], plain[..., 8:])
    assert not torch.equal(listed[..., :4], plain[..., :4])
    same = drawn(kind, tile_prompts="list", tile_texts=(TileText(WIDE.prompt),))
    assert torch.equal(same, plain)


@pytest.mark.parametrize("method", ["mixture", "jittered"])
@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_by_content_every_kind_of_model_draws(kind, method):
    out = drawn(kind, tile_prompts="content", tile_prompts_share=1.0, method=method, overlap=None)
    assert torch.isfinite(out).all()
    assert torch.equal(out, drawn(kind, tile_prompts="content", tile_prompts_share=1.0, method=method, overlap=None))
    assert torch.equal(drawn(kind, tile_prompts="content", tile_prompts_share=0.0), drawn(kind))


def test_the_shipped_model_finds_what_a_drawing_shows():
    """A red box on grass under a blue sky, which covers the left third of a wide picture."""
    picture = Image.new("RGB", (256, 128), (120, 180, 250))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 75, 256, 128), fill=(70, 160, 60))
    draw.polygon(((30, 60), (55, 35), (80, 60)), fill=(140, 30, 30))
    draw.rectangle((35, 60, 75, 95), fill=(200, 40, 40))
    model = load_model(device="cpu")
    content = content_of_latent(model, "a red house on grass, blue sky", encode(model, to_pixels(picture), Settings()))
    house = content.places[0].float()
    assert house[:, :12].sum() > 0.8 * house.sum() > 0
    assert content.text(Box(0, 0, 16, 16), 0.3).startswith("a red house")
    assert "house" not in content.text(Box(0, 16, 16, 16), 0.3)


@pytest.mark.parametrize("source", ["content", "captions"])
def test_noise_has_no_content(source):
    request = replace(WIDE, tiling=replace(TILES, tile_prompts=source))
    with pytest.raises(TiledError, match=f"tile_prompts: got '{source}'"):
        sample_latents(tiny_model("sd1"), request)


def captioner(folder, code):
    (folder / "caption.py").write_text(code, encoding="utf-8")
    return f'"{sys.executable}" "{(folder / "caption.py").as_posix()}"'


BRIGHT = """
import sys
from PIL import Image
grey = Image.open(sys.argv[1]).convert("L").resize((1, 1)).getpixel((0, 0))
print("a white house,\\n" if grey > 127 else "night")
"""


def test_captions_go_to_the_record_as_a_list(tmp_path, capsys):
    picture = Image.new("RGB", (96, 64), "white")
    picture.paste("black", (0, 0, 48, 64))
    picture.save(tmp_path / "start.png")
    command = captioner(tmp_path, BRIGHT)
    words = ["upscale", str(tmp_path / "start.png"), "--prompt", "a scene", "--steps", "2", "--tile", "128",
             "--overlap", "16", "--out", str(tmp_path / "out.png"), "--json"]  # fmt: skip
    assert main([*words, "--caption-command", command]) == 0, capsys.readouterr().err
    capsys.readouterr()
    tiling = read_png(tmp_path / "out.png").tiling
    assert [(t.prompt, round(t.x, 2)) for t in tiling.tile_texts] == [("night", 0.0), ("a white house,", 0.33)]
    words[-2] = str(tmp_path / "again.png")
    (tmp_path / "list.json").write_text(json.dumps([t.__dict__ for t in tiling.tile_texts]), encoding="utf-8")
    assert main([*words, "--tile-texts", str(tmp_path / "list.json")]) == 0, capsys.readouterr().err
    a, b = (np.asarray(Image.open(tmp_path / name)) for name in ("out.png", "again.png"))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('no model here')", "ended with status 1: no model here"),
        ("import sys; sys.stderr.buffer.write(b'caf\\xe9'); sys.exit(3)", "ended with status 3: caf\ufffd"),
        ("", None),
    ],
)
def test_a_captioner_that_fails_is_named(code, message, tmp_path):
    caption = command_captioner(captioner(tmp_path, code))
    if message is None:
        assert caption(Image.new("RGB", (8, 8))) == ""
        return
    with pytest.raises(TiledError, match=message):
        caption(Image.new("RGB", (8, 8)))


def test_what_is_no_utf_8_is_replaced(tmp_path):
    caption = command_captioner(captioner(tmp_path, "import sys; sys.stdout.buffer.write(b'a caf\\xe9')"))
    assert caption(Image.new("RGB", (8, 8))) == "a caf\ufffd"


@pytest.mark.parametrize(
    ("command", "windows", "words"),
    [
        (r"C:\captions\caption.exe --top 3", True, [r"C:\captions\caption.exe", "--top", "3"]),
        (r'"C:\Program Files\python.exe" \\server\new\caption.py', True, [r"C:\Program Files\python.exe", r"\\server\new\caption.py"]),
        (r'"C:\captions\" x', True, ["C:\\captions\\", "x"]),
        (r"/opt/my\ captions/run 'a \ b' #1", False, ["/opt/my captions/run", r"a \ b", "#1"]),
        ("", False, []),
    ],
)
def test_words_of_a_command(command, windows, words):
    assert command_words(command, windows=windows) == words
    if not windows:
        assert shlex.split(command) == words


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "it is empty"),
        ("/nowhere/captioner", "cannot be run"),
        ('python "caption.py', 'caption-command: python "caption.py cannot be read: no closing quotation'),
    ],
)
def test_a_captioner_that_is_not_there(command, message):
    with pytest.raises(TiledError, match=message):
        command_captioner(command)(Image.new("RGB", (8, 8)))


def test_a_tile_past_the_end_of_a_ring_shows_the_beginning():
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(1, 64).repeat(8, 0)).convert("RGB")
    seen = np.asarray(cut(picture, Box(4, 48, 8, 32)))[0, :, 0]
    np.testing.assert_array_equal(seen, [*range(48, 64), *range(16)])


def test_what_each_tile_will_be_drawn_with_is_told_before(tmp_path, capsys):
    """A red box on grass in the left third; the prompt's house is in no tile of the right half."""
    picture = Image.new("RGB", (256, 128), (120, 180, 250))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 75, 256, 128), fill=(70, 160, 60))
    draw.polygon(((30, 60), (55, 35), (80, 60)), fill=(140, 30, 30))
    draw.rectangle((35, 60, 75, 95), fill=(200, 40, 40))
    picture.save(tmp_path / "start.png")
    words = ["inspect", "a red house on grass, blue sky", "--size", "256x128", "--tile", "128", "--overlap", "0",
             "--device", "cpu", "--out", str(tmp_path), "--json"]  # fmt: skip
    (tmp_path / "list.csv").write_text("row,column,prompt\n1,2,a boat\n", encoding="utf-8")
    told = []
    for more in (
        ["--init-image", str(tmp_path / "start.png"), "--tile-prompts", "content"],
        ["--tile-texts", str(tmp_path / "list.csv")], ["--tile-prompts", "content"], [],
    ):  # fmt: skip
        assert main([*words, *more]) == 0, capsys.readouterr().err
        told.append(json.loads(capsys.readouterr().out).get("prompts"))
    left, right = told[0]
    assert "house" in left
    assert "house" not in right
    assert told[1:] == [["a red house on grass, blue sky", "a boat"], None, None]
