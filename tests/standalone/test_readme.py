"""What the README and CONTRIBUTING show is true: their examples run, their files exist."""

import re
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.markdown import ROOT, blocks
from tests.recipes.plain_host import PlainHost
from tiled_diffusion import Extent, ModelTraits, Planner, Settings
from tiled_diffusion.engine.methods import METHODS, Method
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.settings.request import Request, request_from_dict
from tiled_diffusion.settings.values import parse_json
from tiled_diffusion.standalone.metadata import read_png

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path, monkeypatch):
    (code,) = blocks(README, "python")
    small = code.replace("1536", "256").replace("192", "128").replace("steps=24", "steps=2")
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    assert read_png(tmp_path / "panorama.png").width == 256
    with Image.open(tmp_path / "larger.png") as larger:
        assert larger.size == (512, 256)


def test_the_canvas_files_are_valid():
    (text,) = blocks(README, "json")
    assert len(request_from_dict(parse_json(text, "canvas")).tiling.regions) == 2
    guide = (ROOT / "docs" / "regions.md").read_text(encoding="utf-8")
    shown, kept = blocks(guide, "json")[0], (ROOT / "docs" / "regions.json").read_text(encoding="utf-8")
    assert parse_json(shown, "shown") == parse_json(kept, "kept")
    assert len(request_from_dict(parse_json(kept, "canvas")).tiling.regions) == 4


@pytest.mark.parametrize("name", METHODS)
def test_the_table_of_costs(name):
    row = re.search(rf"^\| `{name}`.*\| ([\d.]+) \|$", README, re.MULTILINE)
    assert row, f"the README has no row for {name}"
    planner = Planner(Extent(128, 512), Settings(method=name), ModelTraits(64, 8))
    work = [planner.plan(step).work_ratio for step in range(512)]  # spot's grids differ: 64 of them say 1.90
    assert float(row[1]) == pytest.approx(sum(work) / len(work), abs=0.02)


def worked_example(title, module):
    """What the Python block under a heading of CONTRIBUTING defines, as if it were that module."""
    section = CONTRIBUTING.split(f"## {title}\n")[1].split("\n## ")[0]
    (code,) = blocks(section, "python")
    scope = {"__name__": module, "__package__": module.rpartition(".")[0]}
    exec(compile(re.sub("^   ", "", code, flags=re.MULTILINE), module, "exec"), scope)
    return scope


def test_the_worked_example_is_a_recipe():
    tries = worked_example("Adding a recipe", "tiled_diffusion.recipes.tries")["tries"]
    request = Request("a tree", width=96, height=72, steps=2, seed=5, batch_size=2)
    row = tries(PlainHost(), request, 3)
    assert row.size == (288, 72)
    for k in range(3):
        [picture] = PlainHost().draw([Task(replace(request, seed=5 + k, batch_size=1))])
        assert row.crop((k * 96, 0, k * 96 + 96, 72)).tobytes() == picture.image.tobytes()


def tree():
    """The folders that CONTRIBUTING names, as paths."""
    lines = CONTRIBUTING.split("## Layout\n\n")[1].split("\n\n")[0].splitlines()
    named, path = [], []
    for indent, name in (m.groups() for line in lines if (m := re.match(r" {4}( *)(\w+)/ +\S", line))):
        path[len(indent) // 2 :] = [name]
        named.append("/".join(path))
    return named


def test_the_layout_is_that_of_the_folders():
    named = tree()
    assert [name for name in named if not (ROOT / name).is_dir()] == []
    files = [path for top in ("tiled_diffusion", "tiled_vae") for path in (ROOT / top).rglob("*.py")]
    assert sorted({path.parent.relative_to(ROOT).as_posix() for path in files} - set(named)) == []
    assert len(named) == len(set(named))


def test_the_worked_example_is_a_method():
    method = worked_example("Adding a method", "tiled_diffusion.engine.methods.triangle")["METHOD"]
    assert isinstance(method, Method)
    tiles = method.axis(100, 32, method.overlap(32), False, 0.0)
    total = torch.zeros(100, dtype=torch.float64)
    for start, weights in zip(tiles.starts, tiles.weights, strict=True):
        total[start : start + tiles.tile] += torch.from_numpy(weights)
    assert torch.allclose(total, torch.ones(100, dtype=torch.float64))
