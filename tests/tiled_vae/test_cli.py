"""The command line on files, with the shipped VAE."""

import os
import re
import stat

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiled_vae.models import noise
from tiled_vae import Interrupted, cli


@pytest.fixture
def files(tmp_path):
    """A picture, a latent, and files that are neither."""
    pixels = (noise(72, 104, 3).clamp(-1, 1) * 60 + 128).byte().numpy()
    Image.fromarray(pixels).save(tmp_path / "in.png")
    save_file({"latent": noise(1, 4, 9, 13).float()}, tmp_path / "in.safetensors")
    save_file({"other": noise(1, 4, 9, 13).float()}, tmp_path / "other.safetensors")
    save_file({"latent": noise(1, 3, 9, 13).float()}, tmp_path / "three.safetensors")
    save_file({"latent": torch.ones(1, 4, 9, 13, dtype=torch.int64)}, tmp_path / "whole.safetensors")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.safetensors").write_text("no tensors")
    return tmp_path


def run(folder, *words):
    return cli.main([str(folder / w) if "." in w else w for w in words])


def test_encode_gives_the_latent_of_the_untiled_pass(files):
    assert run(files, "encode", "in.png", "tiled.safetensors", "--mode", "exact", "--tile", "8") == 0
    assert run(files, "encode", "in.png", "whole.safetensors", "--mode", "untiled") == 0
    tiled, whole = (load_file(files / f"{n}.safetensors")["latent"] for n in ("tiled", "whole"))
    assert tiled.shape == (1, 4, 9, 13)
    assert (tiled - whole).abs().max() < 2e-4 * (whole.max() - whole.min())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_the_latent(files):
    before = os.umask(0o022)
    try:
        assert run(files, "encode", "in.png", "latent.safetensors") == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((files / "latent.safetensors").stat().st_mode) == 0o644


def test_decode_gives_the_picture_of_the_untiled_pass(files, capsys):
    assert (
        run(files, "decode", "in.safetensors", "tiled.png", "--mode", "exact", "--tile", "8", "--offload", "host") == 0
    )
    assert "exact" in capsys.readouterr().out
    assert run(files, "decode", "in.safetensors", "whole.png", "--mode", "untiled") == 0
    tiled, whole = (np.asarray(Image.open(files / f"{n}.png")).astype(int) for n in ("tiled", "whole"))
    assert tiled.shape == (72, 104, 3)
    assert abs(tiled - whole).max() <= 1


@pytest.mark.parametrize(("mode", "least"), [("exact", 90), ("fast", 20), ("untiled", 300)])
def test_compare_says_how_far_it_is(files, capsys, mode, least):
    assert run(files, "roundtrip", "in.png", "out.png", "--mode", mode, "--tile", "8", "--compare") == 0
    found = re.search(r"PSNR (\S+) dB, max difference (\S+) of a range of (\S+)", capsys.readouterr().out)
    assert float(found[1]) > least
    assert float(found[2]) <= float(found[3])
    assert Image.open(files / "out.png").size == (104, 72)


def test_a_ring_has_no_border(files):
    assert run(files, "decode", "in.safetensors", "ring.png", "--mode", "exact", "--wrap", "x", "--tile", "8") == 0
    assert run(files, "decode", "in.safetensors", "flat.png", "--mode", "exact", "--tile", "8") == 0
    ring, flat = (np.asarray(Image.open(files / f"{n}.png")).astype(int) for n in ("ring", "flat"))
    assert abs(ring - flat)[:, [0, -1]].max() > 3
    save_file({"latent": load_file(files / "in.safetensors")["latent"].roll(5, -1)}, files / "turned.safetensors")
    assert (
        run(files, "decode", "turned.safetensors", "turned.png", "--mode", "exact", "--wrap", "x", "--tile", "8") == 0
    )
    assert abs(np.asarray(Image.open(files / "turned.png")).astype(int) - np.roll(ring, 40, 1)).max() <= 1


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("encode", "missing.png", "o.safetensors"), "missing.png"),
        (("encode", "text.png", "o.safetensors"), "cannot identify"),
        (("decode", "missing.safetensors", "o.png"), "missing.safetensors"),
        (("decode", "text.safetensors", "o.png"), "not a safetensors file"),
        (("decode", "other.safetensors", "o.png"), "holds other; a tensor named 'latent'"),
        (("decode", "three.safetensors", "o.png"), "4 channels"),
        (("roundtrip", "in.png", "o.png", "--tile", "3"), "encoder_tile_px is 24; it may be 0 .* 64 or more"),
        (("roundtrip", "in.png", "o.png", "--wrap", "x", "--compare"), "without --wrap"),
        (("roundtrip", "in.png", "o.png", "--wrap", "x", "--mode", "untiled"), "wrap_x and wrap_y need mode"),
        (("roundtrip", "in.png", "o.nothing"), "unknown file extension"),
        (("roundtrip", "in.png", "no/o.png"), "No such file"),
        (("roundtrip", "in.png", "o.png", "--vae", "no.folder"), "no config.json there"),
    ],
)
def test_wrong_input_is_named_and_ends_with_2(files, capsys, words, match):
    assert run(files, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith("tiled_vae: ")
    assert said.count("\n") == 1
    assert re.search(match, said)


def test_whole_numbers_are_taken_as_a_latent_of_floats(files):
    assert run(files, "decode", "whole.safetensors", "o.png") == 0


@pytest.mark.parametrize("words", [("paint", "in.png", "o.png"), ("encode", "in.png", "o.png", "--mode", "slow"), ()])
def test_wrong_words_are_refused_by_the_parser(files, words):
    with pytest.raises(SystemExit, match="2"):
        run(files, *words)


@pytest.mark.parametrize(
    "error", [Interrupted(), KeyboardInterrupt(), RuntimeError("the device\nis gone"), ImportError("no diffusers")]
)
def test_what_fails_on_the_way_ends_with_1(files, capsys, monkeypatch, error):
    def failing(*args):
        raise error

    monkeypatch.setattr(cli, "_apply", failing)
    assert run(files, "roundtrip", "in.png", "o.png") == 1
    assert capsys.readouterr().err.count("\n") == 1
