"""What is asked of ControlNets: as text, as JSON, in the record of a picture and on the command line."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.control import Control, control_from_text
from tiled_diffusion.settings.request import Request, request_from_dict, request_from_json
from tiled_diffusion.standalone.cli.arguments import read_request, read_upscale_request
from tiled_diffusion.standalone.cli.flags import UsageError
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_diffusion.standalone.cli.words import command_line
from tiled_diffusion.standalone.metadata import parameters_text, read_png, save_png

TEXTS = [
    ("edges:a.png", Control("edges", "a.png")),
    ("edges:a.png:0.8", Control("edges", "a.png", 0.8)),
    ("m/x.safetensors:/h/a b.png:1:0.1", Control("m/x.safetensors", "/h/a b.png", 1, 0.1)),
    ("edges:a.png:1.5:0:0.75", Control("edges", "a.png", 1.5, 0, 0.75)),
    (r"C:\nets\canny:D:\hints\a.png:0.5", Control(r"C:\nets\canny", r"D:\hints\a.png", 0.5)),
    (r"edges:c:\a.png", Control("edges", r"c:\a.png")),
    ("C:/nets/canny:D:/a.png:0.5:0:1", Control("C:/nets/canny", "D:/a.png", 0.5)),
    (r"\\host\nets\canny:a.png", Control(r"\\host\nets\canny", "a.png")),
]


@pytest.mark.parametrize(("text", "control"), TEXTS)
def test_texts(text, control):
    assert control_from_text(text) == control
    assert control_from_text(control.to_text()) == control


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("edges", r"got 'edges', allowed is MODEL:IMAGE\[:weight"),
        (r"C:\nets\canny", r"allowed is MODEL:IMAGE"),
        ("a:b:1:0:1:2", "allowed is MODEL:IMAGE"),
        (":a.png", "model: got '', allowed is a path"),
        ("edges:", "image: got '', allowed is a path"),
        ("edges:a.png:strong", "weight: got 'strong', allowed is a number"),
        ("edges:a.png:nan", "weight: got nan, allowed is a number from 0 to 10"),
        ("edges:a.png:11", "weight: got 11.0, allowed is a number from 0 to 10"),
        ("edges:a.png:1:-1", "start: got -1.0, allowed is a number from 0 to 1"),
        ("edges:a.png:1:0:2", "end: got 2.0, allowed is a number from 0 to 1"),
        ("edges:a.png:1:0.5:0.5", "start: got 0.5, allowed is less than end, 0.5"),
    ],
)
def test_wrong_texts_are_named(text, message):
    with pytest.raises(SettingsError, match=message):
        control_from_text(text)


def test_json():
    request = Request("a", controls=(Control("edges", "a.png", 0.5, preprocess="canny"), Control("m", "b.png")))
    data = request.to_dict()
    assert data["controls"] == [
        {"model": "edges", "image": "a.png", "weight": 0.5, "preprocess": "canny"},
        {"model": "m", "image": "b.png"},
    ]
    assert request_from_json(json.dumps(data)) == request


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ("edges", r"canvas.controls: got 'edges', allowed is a list"),
        ([{"model": "edges"}], r"controls\[0\]: the field 'image' is missing"),
        ([{"model": "edges", "image": "a", "wight": 1}], r"controls\[0\]: unknown field 'wight'; known are model"),
        ([{"model": "e", "image": "a"}, {"model": "e", "image": "a", "weight": "x"}], r"controls\[1\].weight: got 'x'"),
        (
            [{"model": "edges", "image": "a", "preprocess": "depth"}],
            r"controls\[0\].preprocess: got 'depth', allowed is one of none",
        ),
        ([{"model": "edges", "image": "a"}] * 17, "controls: got 17, allowed is at most 16 controls"),
    ],
)
def test_wrong_json_is_named(controls, message):
    with pytest.raises(SettingsError, match=message):
        request_from_dict({"prompt": "a", "controls": controls})


def test_controls_of_another_type_are_named():
    with pytest.raises(SettingsError, match=r"controls: got \('edges:a.png',\), allowed are Control values"):
        Request("a", controls=("edges:a.png",))


def test_the_record_in_a_picture(tmp_path):
    request = Request("a", controls=(Control("nets/canny.safetensors", "h.png", 0.5, 0.1, 0.9, "canny"),))
    save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", request, request.seed, tiny_model("sd1"))
    assert read_png(tmp_path / "a.png") == request
    told = 'ControlNet 0: "Module: canny, Model: canny, Weight: 0.5, Guidance Start: 0.1, Guidance End: 0.9"'
    assert told in parameters_text(request, "m")


def parsed(*words):
    return read_request(build_parser().parse_args(["generate", *words]))


@pytest.fixture
def hint(tmp_path):
    path = tmp_path / "hint.png"
    Image.new("L", (16, 8)).save(path)
    return str(path)


def test_flags(hint):
    two = parsed("a", "--control", f"edges:{hint}:0.5", "--control", f"net:{hint}", "--preprocess", "canny")
    assert two.controls == (Control("edges", hint, 0.5, preprocess="canny"), Control("net", hint, preprocess="canny"))
    each = parsed(
        "a", "--control", f"net:{hint}", "--control", f"net:{hint}", "--preprocess", "canny", "--preprocess", "none"
    )
    assert [c.preprocess for c in each.controls] == ["canny", "none"]
    assert parsed("a").controls == ()


def test_the_command_line_makes_the_same_request(hint):
    request = Request("a", controls=(Control("edges", hint, 0.5, 0, 0.5), Control("net", hint, preprocess="invert")))
    words = command_line(request, "a.png")
    assert words[:3] == ["python", "-m", "tiled_diffusion"]
    assert parsed(*words[4:]) == request


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--control", "edges"], "argument --control: got 'edges', allowed is MODEL:IMAGE"),
        (["--preprocess", "canny"], "--preprocess: given 1 times for 0 --control"),
        (["--control", "net:HINT"] * 3 + ["--preprocess", "canny"] * 2, "--preprocess: given 2 times for 3 --control"),
        (["--control", "net:HINT", "--preprocess", "depth"], "argument --preprocess: invalid choice: 'depth'"),
    ],
)
def test_wrong_flags_are_named(hint, words, message):
    with pytest.raises(UsageError, match=message):
        parsed("a", *(w.replace("HINT", hint) for w in words))


def test_hints_beside_the_file_that_names_them_are_found(hint, tmp_path):
    canvas = tmp_path / "canvas.json"
    request = Request("a", controls=(Control("edges", "hint.png"), Control("edges", "elsewhere.png")))
    canvas.write_text(json.dumps(request.to_dict()))
    found = parsed(str(canvas))
    assert [c.image for c in found.controls] == [hint, "elsewhere.png"]
    assert replace(found, controls=request.controls) == request


def test_hints_beside_a_picture_that_is_enlarged_are_found(hint, tmp_path):
    request = Request("a", width=64, height=64, controls=(Control("edges", "hint.png"),))
    save_png(Image.new("RGB", (64, 64)), tmp_path / "a.png", request, request.seed, tiny_model("sd1"))
    found = read_upscale_request(build_parser().parse_args(["upscale", str(tmp_path / "a.png")]))
    assert [c.image for c in found.controls] == [hint]
