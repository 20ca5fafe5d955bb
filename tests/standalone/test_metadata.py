"""The record in a PNG."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.standalone.tiny import tiny_model
from tiled_diffusion import __version__
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.settings.request import SAMPLERS, Request, request_from_dict, request_from_json
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.metadata import parameters_text, read_png, save_png
from tiled_diffusion.standalone.sampling import sample_latents

prompts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
requests = st.builds(
    Request,
    prompt=prompts | st.sampled_from(['a "red", house: 1', "日本の家\nNegative prompt: x", "a AND b <lora:x:1>\\"]),
    negative_prompt=prompts,
    width=st.integers(8, 4096).map(lambda v: v * 8),
    steps=st.integers(1, 1000),
    cfg_scale=st.floats(1, 50),
    sampler=st.sampled_from(SAMPLERS),
    seed=st.integers(0, 2**62),
    tiling=st.builds(
        Settings, wrap_x=st.booleans(), regions=st.lists(st.builds(Region, prompts), max_size=2).map(tuple)
    ),
)


@settings(max_examples=60, deadline=None)
@given(requests)
def test_round_trip(tmp_path_factory, request_):
    path = tmp_path_factory.mktemp("png") / "a.png"
    save_png(Image.new("RGB", (8, 8)), path, request_, request_.seed + 2, tiny_model("sd1"), seconds=1.5)
    assert read_png(path) == replace(request_, seed=request_.seed + 2, batch_size=1)


def test_the_parameters_are_what_other_programs_read():
    request = Request(
        "a house", "snow", 256, 64, 20, 4.5, "DDIM", 7, tiling=Settings(overlap=64, regions=(Region('b "c", d'),))
    )
    lines = parameters_text(request, "my, model").split("\n")
    assert lines[:2] == ["a house", "Negative prompt: snow"]
    assert lines[2].startswith(
        'Steps: 20, Sampler: DDIM, CFG scale: 4.5, Seed: 7, Size: 256x64, Model: "my, model", Tiled Diffusion: "'
    )
    value, end = json.JSONDecoder().raw_decode(lines[2], lines[2].index("Tiled Diffusion: ") + len("Tiled Diffusion: "))
    assert json.loads(value) == request.tiling.to_dict()
    assert lines[2][end:] == f", Tiled Diffusion version: {__version__}"


@pytest.mark.parametrize("method", METHODS)
def test_the_record_of_a_later_image_of_a_batch_makes_it_again(method, tmp_path):
    model = tiny_model("sd1")
    request = Request("a", width=256, height=64, steps=2, seed=3, batch_size=2, tiling=Settings(method=method))
    latents = sample_latents(model, request)
    save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", request, 4, model)
    again = sample_latents(model, read_png(tmp_path / "a.png"))
    torch.testing.assert_close(again, latents[1:], atol=2e-5 * float(again.abs().max()), rtol=0)


def test_what_holds_no_record(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    for name, message in (("a.png", "holds no record"), ("b.png", "cannot be read"), ("c.png", "cannot be read")):
        with pytest.raises(TiledError, match=message):
            read_png(tmp_path / name)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*Request.__dataclass_fields__, "version", "other"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, values, max_size=4))
def test_any_json_is_accepted_or_refused_by_name(data):
    error = None
    try:
        request = request_from_dict({"prompt": "a", **data})
    except SettingsError as e:
        error = str(e)
    if error is None:
        assert request_from_json(json.dumps(request.to_dict())) == request
    else:
        assert any(name in error for name in data)
