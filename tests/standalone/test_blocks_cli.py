"""`upscale` in blocks on the command line, with the shipped checkpoint: folder, going on, status, TIFF, and refusals."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.recipes.blocks.common import digests
from tiled_diffusion.recipes.blocks.folder import opened_folder
from tiled_diffusion.standalone.cli import main

ROOT = Path(__file__).parents[2]
SMALL = ["--prompt", "mountains", "--scale", "3", "--block", "304", "--steps", "3", "--sampler", "DDIM"]


def ran(capsys, *words):
    status = main(["upscale", *map(str, words)])
    out, err = capsys.readouterr()
    return status, (json.loads(out) if out.startswith("{") else out), err


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.effect_mandelbrot((176, 80), (-2, -1, 1, 1), 60).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def made(photo):
    out = photo.parent / "made"
    assert main(["upscale", str(photo), *SMALL, "--out", str(out), "--quiet"]) == 0
    return out


def test_killed_and_run_again_it_is_the_same_picture(photo, made, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "tiled_diffusion", "upscale", str(photo), *SMALL, "--out", str(out), "--quiet"]
    process = subprocess.Popen(words, cwd=ROOT)
    while process.poll() is None and not [*out.glob("blocks/*.png")]:
        time.sleep(0.01)
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    assert process.wait() != 0
    assert len([*out.glob("blocks/*.png")]) < opened_folder(out).layout.count
    assert main(words[3:]) == 0
    assert digests(out) == digests(made)


def test_a_folder_tells_how_far_it_is_and_becomes_a_tiff(made, tmp_path, capsys):
    folder = opened_folder(made)
    assert (folder.pyramid.size, folder.layout.count, folder.settings.request.denoising_strength) == ((528, 240), 3, 0.35)
    status, result, _ = ran(capsys, made, "--status", "--json")
    assert (status, result["done"], result["total"], result["seconds_left"]) == (0, 3, 3, 0)
    status, result, _ = ran(capsys, made, "--tiff", tmp_path / "all.tif", "--quiet", "--json")
    assert (status, result["drawn"], result["page"]) == (0, 0, str(made / "index.html"))
    assert (tmp_path / "all.tif").stat().st_size > 1000


def test_what_the_record_has_and_blocks_do_not_know_is_left_out_and_said(tmp_path, capsys):
    small = tmp_path / "small.png"
    words = ["a house", "--column", "a house", "--column", "a tree", "--size", "128x64", "--steps", "1", "--quiet"]
    assert main(["generate", *words[1:], "--out", str(small)]) == 0
    out = tmp_path / "out"
    status, _, err = ran(capsys, small, "--scale", "1.5", "--block", "128", "--steps", "3", "--out", out)
    assert status == 0
    assert "regions: left out: the picture's record has it" in err
    assert "sampler: DPM++ 2M: Euler a draws new noise" in err
    request = opened_folder(out).settings.request
    assert (request.sampler, request.tiling.regions, request.prompt) == ("DPM++ 2M", (), "a house | a tree")


WRONG = {
    "a file": (["{photo}", "--block", "304", "--out", "{folder}/x.png"], "--out: a picture of 352x160 px is kept in a folder, got x.png"),
    "a file of what is large": (["{photo}", "--scale", "3", "--block", "304", "--out", "{folder}/x.png"], "a picture of 528x240 px is kept in a folder"),
    "a scale too large": (["{photo}", "--scale", "90", "--sampler", "DDIM"], "scale: got 90.0, allowed is a number from 1 to 64"),
    "a sampler of new noise": (["{photo}", "--block", "304", "--sampler", "Euler a"], "sampler: got 'Euler a', which draws new noise"),
    "regions": (["{photo}", "--block", "304", "--column", "a"], "regions: a picture that is enlarged in blocks cannot have it"),
    "flags of blocks alone": (["{photo}", "--jpeg", "90"], "--jpeg: it is for pictures in blocks, and 352x160 px are drawn at once"),
    "a tiff at once": (["{photo}", "--tiff", "a.tif"], "--tiff: it is for pictures in blocks"),
    "blocks of a print": (["{photo}", "--print", "A6", "--block", "304"], "--block: it is for pictures in blocks, and a print is drawn at once"),
    "another job": (["{photo}", *SMALL, "--seed", "4", "--out", "{made}"], "seed: the enlarged picture in"),
    "settings for a folder": (["{made}", "--seed", "3"], "goes on as it was begun"),
    "a scale for a folder": (["{made}", "--scale", "3"], "goes on as it was begun"),
    "an upscaler for a folder": (["{made}", "--upscaler", "x.pth"], "goes on as it was begun"),
    "no such folder": (["{folder}"], "there is no picture in this folder"),
    "status of a picture": (["{photo}", "--status"], "--status: {photo} is no folder of an enlarged picture"),
    "foreign files": (["{photo}", "--block", "304", "--out", "{foreign}"], "this folder holds empty and no enlarged picture"),
    "a block below a tile": (["{photo}", "--block", "64"], "block: got 64, allowed is the side of a tile, 128 px, or more"),
    "a block that is none": (["{photo}", "--block", "0"], "--block: got 0"),
    "a tiff of a kind": (["{photo}", "--block", "304", "--tiff", "a.png"], "tiff: got a.png"),
    "no picture": (["nothing.png", "--block", "304"], "nothing.png: there is no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(name, photo, made, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, message = WRONG[name]
    (tmp_path / "empty").mkdir()
    places = {"photo": photo, "made": made, "folder": tmp_path / "empty", "foreign": tmp_path}
    before = digests(made)
    status, _, err = ran(capsys, *(word.format(**places) for word in words), "--quiet")
    assert (status, err.count("\n")) == (2, 1), err
    assert message.format(**places) in err
    assert digests(made) == before


def test_the_help_tells_the_strength_that_is_taken(capsys):
    assert main(["upscale", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "drawn anew (0 to 1; default: 0.35)" in text
    assert main(["generate", "--help"]) == 0
    assert "drawn anew (0 to 1; default: 0.5)" in " ".join(capsys.readouterr().out.split())




def test_from_python_as_the_guide_says(photo, tmp_path, monkeypatch, capsys):
    """The example of docs/blocks.md, enlarged less."""
    code = (ROOT / "docs" / "blocks.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert ", picture, 8)" in code
    monkeypatch.chdir(tmp_path)
    Image.open(photo).save("photo.jpg")
    exec(compile(code.replace(", picture, 8)", ", picture, 1)"), "docs/blocks.md", "exec"), {})
    assert opened_folder(tmp_path / "out" / "mountains").pyramid.size == (176, 80)
    assert capsys.readouterr().out == "(0, 0) 1 of 1\n"
