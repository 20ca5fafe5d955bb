"""The demo leaves all its files, and a page that shows exactly them."""

import html
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageChops

from tiled_diffusion.settings.request import request_from_json
from tiled_diffusion.standalone.cli.arguments import read_request
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cli.framing import read_framing
from tiled_diffusion.standalone.cli.parser import PROGRAM, build_parser
from tiled_diffusion.standalone.cli.words import command_line, quoted
from tiled_diffusion.standalone.demo.frame import CORNERS, REDRAW, REQUEST
from tiled_diffusion.standalone.demo.scenes import scenes
from tiled_diffusion.standalone.metadata import read_png

NAMES = {
    "panorama.png", "panorama-plan.png", "ring.png", "ring-rolled.png", "ring-plan.png", "prompts.png",
    "prompts-plan.png", "regions.png", "regions.json", "regions-plan.png", "drawing.png", "guided.png", "guided-plan.png", "upscale-before.png", "upscale.png", "upscale-plan.png", "index.html", "demo-mosaic", "mosaic.png",
    "demo-frame", "frame-wall.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--shrink", "8", "--quiet", "--out", str(out), "--device", "cpu"]) == 0
    return out


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.targets, self.tags = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.targets |= {value for name, value in attrs if name in ("src", "href")}


def test_all_files_are_there(demo):
    assert {p.name for p in demo.iterdir()} == NAMES


def test_the_page_refers_to_these_files_and_nothing_else(demo):
    links = Links()
    links.feed((demo / "index.html").read_text(encoding="utf-8"))
    zoom = "demo-mosaic/zoom.webm" if (demo / "demo-mosaic" / "zoom.webm").is_file() else "demo-mosaic/zoom.gif"
    assert links.targets == (NAMES - {"index.html", "regions.json", "demo-mosaic", "demo-frame"}) | {zoom, "demo-mosaic/index.html", "demo-frame/photo.png"}
    assert all((demo / name).is_file() for name in links.targets)
    assert "script" not in links.tags
    assert "link" not in links.tags


def test_the_page_tells_settings_times_and_commands(demo):
    text = (demo / "index.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<dt>time</dt><dd>[\d.]+ s</dd>", text)) == 8
    assert text.count(PROGRAM + " generate") >= 4
    assert "prefers-color-scheme" in text
    assert "http" not in text


def test_the_command_of_the_mosaic_goes_on_with_it(demo, monkeypatch, capsys):
    monkeypatch.chdir(demo)
    text = html.unescape((demo / "index.html").read_text(encoding="utf-8"))
    words = shlex.split(re.search(rf"<pre>{PROGRAM} (mosaic .*?)</pre>", text)[1])
    assert main([*words, "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["drawn"] == 0


def test_the_frame_is_found_and_the_wall_stays(demo, monkeypatch):
    before, after = (np.asarray(Image.open(demo / name).convert("RGB")) for name in ("frame-wall.png", "demo-frame/photo.png"))
    changed = (before != after).any(axis=2)
    y, x = np.nonzero(changed)
    assert np.abs(np.array([x.min(), y.min(), x.max(), y.max()]) - (*CORNERS.min(axis=0), *CORNERS.max(axis=0))).max() < 4
    monkeypatch.chdir(demo)
    text = html.unescape((demo / "index.html").read_text(encoding="utf-8"))
    words = shlex.split(re.search(rf"<pre>{PROGRAM} (frame .*?)</pre>", text)[1])
    asked = read_framing(build_parser().parse_args(words))
    small = replace(REQUEST, steps=2), replace(REDRAW, side_px=128)
    assert (asked.request, asked.redraw, asked.frame.photo) == (*small, "frame-wall.png")


def test_the_ring_is_rolled_by_half(demo):
    ring, rolled = Image.open(demo / "ring.png"), Image.open(demo / "ring-rolled.png")
    assert ImageChops.offset(ring.convert("RGB"), ring.width // 2, 0).tobytes() == rolled.convert("RGB").tobytes()


def test_the_enlarged_picture_is_four_times_as_large(demo):
    before, after = Image.open(demo / "upscale-before.png"), Image.open(demo / "upscale.png")
    assert after.size == (before.width * 4, before.height * 4)


def test_the_canvas_file_beside_the_regional_picture_is_its_request(demo):
    made = request_from_json((demo / "regions.json").read_text(encoding="utf-8"))
    assert made == read_png(demo / "regions.png")
    assert {r.layer for r in made.tiling.regions} == {"background", "foreground"}
    assert "generate regions.json --out regions.png" in (demo / "index.html").read_text(encoding="utf-8")


FLAGS = [s for s in scenes() if not s.start and s.name != "regions"]


@pytest.mark.parametrize("scene", FLAGS, ids=lambda s: s.name)
def test_the_commands_on_the_page_make_the_same_request(scene, demo, monkeypatch):
    monkeypatch.chdir(demo)
    words = shlex.split(quoted(command_line(scene.request, "x.png")))
    assert words[:3] == PROGRAM.split()
    assert read_request(build_parser().parse_args(words[3:])) == scene.request


def test_the_panorama_has_the_promised_size():
    assert [(s.request.width, s.request.height) for s in scenes()[:2]] == [(1536, 192)] * 2
