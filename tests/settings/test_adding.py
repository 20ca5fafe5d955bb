"""CONTRIBUTING's worked examples hold: one entry makes a setting, a file and a choice make a method, everywhere."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tiled_diffusion.settings import generate

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SEEN = """
import json
from contextlib import contextmanager

import gradio as gr

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings import generate
from tiled_diffusion.settings.panel import PanelSettings, merge, to_controls
from tiled_diffusion.settings.plot import plot_axes
from tiled_diffusion.settings.values import Settings, settings_from_dict
from tiled_diffusion.standalone.cli.arguments import read_request
from tiled_diffusion.standalone.cli.words import command_line
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_diffusion.ui.panel import PanelHost, build_panel

@contextmanager
def accordion(label, elem_id):
    yield gr.Checkbox(False, label=label, elem_id=elem_id)

def refused(data):
    try:
        settings_from_dict(data)
    except TiledError as e:
        return str(e)

generate.main()
with gr.Blocks():
    slider = build_panel("txt2img", PanelHost(accordion)).controls["sharpness"]
request = read_request(build_parser().parse_args(["generate", "x", "--sharpness", "0.5", "--method", "triangle"]))
axis = next(a for a in plot_axes(PanelSettings) if a.field == "sharpness")
print(json.dumps({
    "json": Settings(sharpness=0.5).to_dict(),
    "read": settings_from_dict({"sharpness": 0.5}).sharpness,
    "refused": [refused({"sharpness": 2}), refused({"version": 1, "sharpness": 0})],
    "panel": [slider.label, slider.info, slider.elem_id, slider.minimum, slider.maximum, slider.step, slider.value],
    "controls": [merge("", {"sharpness": 0.25}).tiling.sharpness, to_controls(PanelSettings())["sharpness"]],
    "flag": request.tiling.sharpness,
    "words": command_line(request, "a.png"),
    "axis": [axis.label, axis.read("0.75")],
    "method": [METHODS["triangle"].overlap(64), request.tiling.method, merge("", {"method": "Triangle"}).tiling.method],
}))
"""


def section(title):
    return CONTRIBUTING.split(f"## {title}\n")[1].split("\n## ")[0]


def unindented(code, by):
    return re.sub(rf"^ {{{by}}}", "", code, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A copy of what the tables are made of, with the entry, the choice and the file; and what its program shows."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("tiled_diffusion", "tiled_vae", "javascript", "docs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("*.safetensors", "*.png", "__pycache__"))
    (entry,) = re.findall(r"```python\n(.*?)   ```", section("Adding a setting"), re.DOTALL)
    (method,) = re.findall(r"```python\n(.*?)   ```", section("Adding a method"), re.DOTALL)
    (choice,) = re.findall(r"^ {7}(Choice\(.*\),)$", section("Adding a method"), re.MULTILINE)
    (root / "tiled_diffusion/engine/methods/triangle.py").write_text(unindented(method, 3), encoding="utf-8")
    values = root / "tiled_diffusion/settings/values.py"
    text = values.read_text(encoding="utf-8")
    text = text.replace("METHODS = Choices((\n", f"METHODS = Choices((\n    {choice}\n", 1)
    block = "\n".join("    " + line for line in unindented(entry, 3).splitlines())
    text = text.replace("    regions: tuple[Region", f"{block}\n    regions: tuple[Region", 1)
    values.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", SEEN], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout.splitlines()[-1])


def test_one_entry_is_a_setting_everywhere(planted):
    root, seen = planted
    assert seen["json"] == {"version": 2, "sharpness": 0.5}
    assert seen["read"] == seen["flag"] == 0.5
    assert seen["refused"] == [
        "settings.sharpness: got 2, allowed is a number from 0 to 1",
        "settings: the field 'sharpness' is not in version 1, which this document is of; known are "
        + seen["refused"][1].rpartition("known are ")[2],
    ]
    assert seen["panel"] == ["Sharpness", "How much tiles are sharpened.", "td_txt2img_sharpness", 0, 1, 0.05, 0]
    assert seen["controls"] == [0.25, 0]
    assert " ".join(seen["words"]).endswith("--method triangle --sharpness 0.5 --out a.png")
    assert seen["axis"] == ["Sharpness", 0.75]
    assert "| `sharpness` | 0 to 1 | 0 | How much tiles are sharpened. |" in (root / "docs/webui.md").read_text(encoding="utf-8")
    assert '"sharpness"' in (root / "javascript/fields.js").read_text(encoding="utf-8")


def test_a_file_and_a_choice_are_a_method(planted):
    root, seen = planted
    assert seen["method"] == [16, "triangle", "triangle"]
    assert "*Triangle*: Weights each tile by a triangle." in (root / "docs/webui.md").read_text(encoding="utf-8")


def test_what_is_generated_is_current():
    assert generate.stale(ROOT) == [], "run `make tables`"


def test_what_is_stale_is_seen(tmp_path):
    """The check above can fail."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "javascript").mkdir()
    page = tmp_path / "docs" / "a.md"
    page.write_text("<!-- table: axes -->\nold\n<!-- end -->\n", encoding="utf-8")
    assert generate.stale(tmp_path) == [tmp_path / "javascript" / "fields.js", page]
    for path, text in generate.generated(tmp_path).items():
        path.write_text(text, encoding="utf-8")
    assert generate.stale(tmp_path) == []
    assert page.read_text(encoding="utf-8").startswith("<!-- table: axes -->\nMethod, Tile width (px),")


def test_the_script_is_plain_and_short():
    text = (ROOT / "javascript" / "fields.js").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 120
    table = json.loads(re.sub(r",(\s*[\]}])", r"\1", text.split("tiledDiffusion.table = ")[1].rstrip(";\n")))
    assert table["document"]["regions"] == {**table["document"]["regions"], "most": 1024, "editor": 64}
    assert table["region"]["feather"]["default"] == 0.2
    assert table["controls"][0] == "method"
    assert len(table["region"]) == 25
