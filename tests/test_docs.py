"""What the pages say is there: links and anchors resolve, commands are understood and run, examples are valid."""

import json
import re
import shlex
import shutil
import sys

import pytest
from PIL import Image

from tests.markdown import ROOT, anchors, blocks, commands, links
from tiled_diffusion.settings.document import parse_json
from tiled_diffusion.settings.request import request_from_dict
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_vae.cli import main as vae_main

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "training/README.md"))]
PICTURES = {"small.png": (48, 32), "picture.png": (64, 48), "photo.png": (128, 128), "mask.png": (128, 128), "in.png": (64, 64),
            "photo.jpg": (48, 32), "out/house/tries/6.png": (64, 48)}  # fmt: skip
"""Files that the pages name and that a reader has."""
MADE = ("out/00001-0.png", "out/forest.png")
"""And those that an earlier command has made."""
TILES = 'x,y,w,h,prompt\n0,0,.5,1,"a red house on grass, blue sky"\n.5,0,.5,1,"a tree on grass, blue sky"\n'
CAPTION = "print('a tree')\n"
CHEAPER = {"--steps": "1", "--grid": "2", "--tries": "1", "--dpi": "30", "--redraw-side-px": "128"}
BESIDES = {"frame": ("--side-px", "128"), "mosaic": ("--seconds", "0.2", "--zoom-size", "64")}
HEAVY = ("mosaic", "frame", "--progressive", "elastic", "--print", "--match", "--keep", "content")
"""Words of commands that take more than a second or two: `make test` runs them, plain pytest does not."""
NOT_RUN = ("studio", "demo", "cluster", "--workers", "path/to/", "--status", "--redo")
"""It serves a page for ever; tests of their own run them; the reader's own files; what goes on with an earlier command's
folder."""
GOES_ON = ("upscale", "out/mountains")


def ids(values):
    return [" ".join(map(str, v)) if isinstance(v, (tuple, list)) else v for v in values]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    missing = []
    for link in links(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            missing.append(link)
    assert missing == []


def test_every_page_is_in_the_site():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    assert sorted(re.findall(r": (\S+\.md)$", nav, re.MULTILINE)) == [page.name for page in DOCS]


ALL = [words for page in PAGES for words in commands(page.read_text(encoding="utf-8"))]
OURS = list(dict.fromkeys(tuple(words[1:]) for words in ALL if words[0] == "tiled_diffusion" and "--help" not in words))


def test_there_are_commands():
    assert len(OURS) > 40
    assert ("demo",) in OURS


@pytest.mark.parametrize("words", OURS, ids=ids(OURS))
def test_commands_are_understood(words):
    assert build_parser().parse_args([*words]).command == words[0]


def test_benches_and_targets_are_there():
    from bench.__main__ import SECTIONS

    benches = [words for words in ALL if words[0].startswith("bench")]
    assert len(benches) > 5
    for name, *words in benches:
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file() or (ROOT / name / "__main__.py").is_file(), name
        assert "--only" not in words or words[-1] in SECTIONS, words
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)[` ]|^    make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE) for name in name if name}  # fmt: skip
    assert {"demo", "docs", "release"} <= named
    assert named - targets == set()


def is_heavy(words):
    return any(word in HEAVY for word in words)


def cheap(words):
    """The same command with fewer steps, smaller sizes and fewer pictures."""
    out, part = [*words, *BESIDES.get(words[0], ())], 2 if is_heavy(words) else 4
    out += ["--block", "304"] if "--tiff" in words else []  # the reader's picture is large enough without
    for i, word in enumerate(words[:-1]):
        if word == "--size":
            out[i + 1] = "x".join(str(max(min(int(side), 128), int(side) // part // 64 * 64)) for side in words[i + 1].split("x"))
        elif word in CHEAPER:
            out[i + 1] = CHEAPER[word]
    out += [] if "--steps" in out or words[0] == "export-checkpoint" else ["--steps", "1"]
    return [word.replace("python caption.py", f"{shlex.quote(sys.executable)} caption.py") for word in out]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with what a reader of the pages has."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.md", "mosaic*", "editor*"))
    for name, size in PICTURES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "green" if name != "mask.png" else "white").save(path)
    (tmp_path / "tiles.csv").write_text(TILES, encoding="utf-8")
    (tmp_path / "caption.py").write_text(CAPTION, encoding="utf-8")
    small = {**json.loads((ROOT / "docs" / "regions.json").read_text(encoding="utf-8")), "width": 256, "height": 64}
    for name in ("docs/regions.json", "canvas.json"):
        (tmp_path / name).write_text(json.dumps(small), encoding="utf-8")
    return tmp_path


def case(words):
    return pytest.param(words, marks=pytest.mark.slow if is_heavy(words) else (), id=" ".join(words))


RUN = [words for words in OURS if words != GOES_ON and not any(mark in word for word in words for mark in NOT_RUN)]


@pytest.mark.parametrize("words", [case(words) for words in RUN])
def test_commands_run(words, reader, capsys):
    if words[0] == "frame":
        shutil.copy(reader / "docs" / "frame-photo.jpg", reader / "photo.jpg")
    if len(words) > 1 and words[1] in MADE:
        assert main(["generate", "grass", "--size", "64x64", "--steps", "1", "--quiet", "--out", words[1]]) == 0
    out = ["--out", str(reader / "made")] if words[0] != "export-checkpoint" and "--out" not in words else []
    assert main([*cheap(words), *out, "--quiet"]) == 0, capsys.readouterr().err


def test_the_vae_command_runs(reader, capsys):
    (words,) = {tuple(words[1:]) for words in ALL if words[0] == "tiled_vae"}
    assert vae_main(list(words)) == 0, capsys.readouterr().err
    with Image.open("out.png") as picture:
        assert picture.size == PICTURES["in.png"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_examples_are_valid(page):
    text = page.read_text(encoding="utf-8")
    for code in blocks(text, "json"):
        data = parse_json(code, page.name)
        assert "prompt" not in data or request_from_dict(data)
    for code in blocks(text, "python"):
        compile(re.sub("^   ", "", code, flags=re.MULTILINE) if code.startswith("   ") else code, page.name, "exec")
