"""`mosaic` on the command line, with the shipped checkpoint: what it draws, goes on with, makes of it and refuses."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiled_diffusion.recipes.mosaic.folder import opened_folder
from tiled_diffusion.settings.mosaic import Place
from tiled_diffusion.standalone.cli import main

SMALL = ["--steps", "2", "--sampler", "DDIM", "--quiet", "--json"]


def ran(capsys, *words):
    status = main(["mosaic", *map(str, words)])
    out, err = capsys.readouterr()
    return status, (json.loads(out) if out.startswith("{") else out), err


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "m"
    prompts = out.parent / "prompts.json"
    prompts.write_text('{"cells": {"1,1": "a house"}}')
    assert main(["mosaic", "a tree", "--grid", "2", "--depth", "2", "--prompts", str(prompts), "--out", str(out), *SMALL]) == 0
    return out


def test_a_prompt_becomes_a_mosaic(made):
    folder = opened_folder(made)
    request = folder.settings.request
    assert (request.prompt, request.width, request.steps, request.denoising_strength, request.hold) == ("a tree", 128, 2, 0.9, 0.6)
    assert (folder.grid, folder.tile, folder.model) == ((2, 2), 128, "tiny-landscapes")
    assert [len(folder.done(level)) for level in (1, 2)] == [4, 4]
    assert (made / "index.html").is_file()


def test_the_same_line_goes_on(made, capsys):
    for path in made.glob("1_files/8/1_*.png"):
        path.unlink()
    words = ["a tree", "--grid", "2", "--depth", "2", "--prompts", made.parent / "prompts.json", "--out", made, *SMALL]
    status, result, _ = ran(capsys, *words)
    assert (status, result["drawn"]) == (0, 2)


def test_a_folder_goes_on_and_becomes_a_zoom_and_a_tiff(made, capsys, tmp_path):
    zoom, tiff = tmp_path / "z.gif", tmp_path / "t.tif"
    words = ["--zoom", zoom, "--seconds", "0.4", "--zoom-size", "64", "--tiff", tiff, "--quiet", "--json"]
    status, result, _ = ran(capsys, made, *words)
    assert (status, result["drawn"], result["zoom"], result["tiff"]) == (0, 0, str(zoom), str(tiff))
    assert Image.open(zoom).n_frames == 8
    assert tiff.stat().st_size > 1000


def test_status_and_redo(made, capsys):
    status, result, _ = ran(capsys, made, "--status", "--json")
    assert (status, result["done"], result["total"], result["seconds_left"]) == (0, [4, 4], 4, 0)
    entered = opened_folder(made).entered()[1]
    x = 1 - entered.x
    path = opened_folder(made).pyramid(1).tile_path(x, 0)
    before = np.asarray(Image.open(path))
    status, result, _ = ran(capsys, made, "--redo", f"{x},0", "--redo-seed", "5", "--quiet", "--json")
    assert (status, result["drawn"]) == (0, 1)
    assert (np.asarray(Image.open(path)) != before).any()
    assert opened_folder(made).redrawn() == {(1, Place(x, 0)): 5}


def test_a_picture_its_record_and_a_captioner(tmp_path, capsys):
    small = tmp_path / "small.png"
    words = ["a house", "--size", "128x64", "--steps", "1", "--seed", "4", "--out", str(small), "--quiet"]
    assert main(["generate", *words]) == 0
    said = tmp_path / "said.txt"
    captioner = tmp_path / "caption.py"
    captioner.write_text(f"from PIL import Image\nimport sys\nopen({str(said)!r}, 'a').write(str(Image.open(sys.argv[1]).size))\nprint('a boat')")
    command = shlex.join([sys.executable, str(captioner)])
    status, _, _ = ran(capsys, small, "--grid", "4x2", "--tile", "64", "--caption-command", command, "--out", tmp_path / "m", *SMALL)
    assert (status, said.read_text()) == (0, "(384, 384)" * 8)
    folder = opened_folder(tmp_path / "m")
    assert (folder.settings.request.prompt, folder.settings.request.seed, folder.grid) == ("a house", 4, (4, 2))
    status, result, _ = ran(capsys, tmp_path / "m", "--quiet", "--json")
    assert (status, result["drawn"]) == (0, 0)


WRONG = {
    "a grid of 0": (["a", "--grid", "0"], "--grid: got"),
    "a tile that is no multiple": (["a", "--tile", "100"], "--tile: got 100"),
    "a tile the model cannot draw": (["a", "--tile", "72", "--grid", "2"], "tile: got 72, allowed are multiples of 16"),
    "a picture smaller than the grid": (["{photo}", "--prompt", "a", "--grid", "64"], "picture: got 32x32 px"),
    "no prompt for a picture": (["{photo}"], "--prompt: photo.png does not say what it shows"),
    "no picture": (["nothing.png"], "nothing.png: there is no such file"),
    "another mosaic": (["a house", "--grid", "2", "--depth", "2", "--steps", "2", "--sampler", "DDIM", "--out", "{made}"], "prompt: the mosaic in"),
    "foreign files": (["a", "--grid", "2", "--out", "{folder}"], "this folder holds photo.png and no mosaic"),
    "settings for a folder": (["{made}", "--seed", "3"], "goes on as it was begun"),
    "no mosaic": (["{folder}"], "there is no mosaic in this folder"),
    "status of nothing": (["{folder}", "--status"], "--status: "),
    "redo of nothing": (["a", "--redo", "1,1"], "--redo: a is no folder of a mosaic"),
    "redo elsewhere": (["{made}", "--redo", "7,7"], "redo: got 7,7 of level 1"),
    "redo of what": (["{made}", "--redo", "7"], "--redo: got"),
    "a video of a kind": (["a", "--zoom", "a.avi"], "zoom: got a.avi"),
    "a tiff of a kind": (["a", "--tiff", "a.png"], "tiff: got a.png"),
    "a path too deep": (["a", "--grid", "2", "--enter", "5,5"], "enter: got 5,5"),
    "a batch of 0": (["a", "--batch", "0"], "--batch: got 0"),
    "no captioner": (["a", "--grid", "2", "--caption-command", "/nowhere/captioner"], "caption-command: '/nowhere/captioner' cannot be run"),
    "prompts that are none": (["a", "--prompts", "{photo}"], "photo.png"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(name, made, tmp_path, capsys):
    words, message = WRONG[name]
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    places = {"made": made, "folder": tmp_path, "photo": tmp_path / "photo.png"}
    words = [word.format(**places) for word in words]
    words += [] if "--out" in words else ["--out", str(tmp_path / "out")]
    before = {p: p.read_bytes() for p in made.rglob("*") if p.is_file()}
    status, _, err = ran(capsys, *words)
    assert (status, err.count("\n")) == (2, 1), err
    assert message in err
    assert {p: p.read_bytes() for p in made.rglob("*") if p.is_file()} == before


def test_without_pyav_it_says_so_before_it_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    status, _, err = ran(capsys, "a", "--grid", "2", "--zoom", "a.webm", "--out", tmp_path / "m")
    assert (status, "pip install av" in err) == (2, True)
    assert not (tmp_path / "m").exists()


def test_from_python_as_the_guide_says(tmp_path, monkeypatch):
    """The example of docs/mosaic.md, with fewer tiles."""
    guide = (Path(__file__).parents[2] / "docs" / "mosaic.md").read_text(encoding="utf-8")
    code = guide.split("```python\n")[1].split("```")[0]
    assert "Grid(8)" in code
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("Grid(8)", "Grid(2)"), "docs/mosaic.md", "exec"), {})
    folder = opened_folder(tmp_path / "out" / "trees")
    assert len(folder.done(1)) == 4
    assert folder.settings.request.prompt == "a tree on mountains"
