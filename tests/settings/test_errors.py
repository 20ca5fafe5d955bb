"""Errors quote a little of what they got, whatever it is, and nothing that can be read from JSON breaks a reader."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import control_from_text
from tiled_diffusion.settings.document import parse_json
from tiled_diffusion.settings.foreign import document_of, settings_of_record, upgrade
from tiled_diffusion.settings.grid_file import is_grid, request_from_grid
from tiled_diffusion.settings.panel import (
    PanelSettings,
    from_controls,
    merge,
    panel_settings_from_dict,
    script_arguments,
)
from tiled_diffusion.settings.presets import Presets, checked_name
from tiled_diffusion.settings.quoting import MOST, quoted
from tiled_diffusion.settings.request import request_from_dict
from tiled_diffusion.settings.vae import vae_settings_from
from tiled_diffusion.settings.values import settings_from_dict

LONG = "x" * 240_000
MOST_WORDS = 900
"""Characters of an error: what it quotes, the path of the field, and what it may be (the names of all fields at most)."""


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "'a'"), (1.5, "1.5"), ([1, "b"], "[1, 'b']"), ({"a": None}, "{'a': None}"), (10**40, str(10**40)),
     (10**5000, "a number of more than 90 digits")],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_short_values_are_quoted_as_they_are(value, text):
    assert quoted(value) == text


@given(st.recursive(st.text(max_size=300) | st.floats() | st.none(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_at_most_a_hundred_characters(value):
    assert len(quoted(value)) <= MOST == 100
    assert len(quoted([value] * 100)) <= MOST


READERS = {
    "settings": settings_from_dict,
    "panel": panel_settings_from_dict,
    "canvas": lambda v: request_from_dict({"prompt": "a", **v} if isinstance(v, dict) else v),
    "tiling": lambda v: request_from_dict({"prompt": "a", "tiling": v}),
    "vae": vae_settings_from,
    "controls": lambda v: merge("", v if isinstance(v, dict) else {"method": v}),
    "arguments": lambda v: merge(script_arguments(v, "")[1], {}),
    "second argument": lambda v: merge(script_arguments(True, v)[1], {}),
    "file": document_of,
    "record": lambda v: settings_of_record(v if isinstance(v, dict) else {"Method": v}),
    "grid": lambda v: request_from_grid({"prompt": [["a"]], **v} if isinstance(v, dict) else {"prompt": [["a"]], "gc": v}),
    "control": lambda v: control_from_text(v if isinstance(v, str) else str(v)),
}  # fmt: skip
HUGE = [
    LONG, {LONG: 1}, [LONG], {"method": LONG}, {"tile_width": [LONG] * 9}, {"regions": LONG}, {"regions": [LONG]},
    {"regions": [{"prompt": "a", LONG: 1}]}, {"regions": [{"prompt": LONG}]}, {"regions": [{"prompt": "a", "join": LONG}]},
    {"regions": [{"prompt": "a", "mask": LONG}]}, {"regions": [{"prompt": "a", "mask": {"polygons": LONG}}]},
    {"regions": [{"prompt": "a", "mask": {"picture": LONG}}]}, {"regions": [{"prompt": "a", "mask": {"picture": "QUFB" * 9000}}]},
    {"regions": [{"prompt": "a", "mask": {"polygons": [[LONG] * 9]}}]}, {"version": LONG}, {"version": 10**50}, {"seed": LONG},
    {"bbox_controls": [{"enable": True, "x": LONG, "y": 0, "w": 1, "h": 1}]}, {"Method": LONG}, {"Region control": LONG},
    {"Method": "MultiDiffusion", "Region control": {"Region 1": {"x": LONG, "y": 0, "w": 1, "h": 1}}}, {"upscaler": 3, LONG: 2},
    {"controls": LONG}, {"controls": [{"model": LONG}]}, {"sampler": LONG}, {"prompt": [[LONG, 1]]}, {"scheduler": LONG},
]  # fmt: skip


def refusal(read, value):
    """The error's text, or None where the value is accepted; anything but a TiledError is a bug."""
    try:
        read(value)
    except TiledError as e:
        return str(e)
    return None


@pytest.mark.parametrize("name", READERS)
def test_errors_are_short(name):
    told = [refusal(READERS[name], value) for value in HUGE]
    assert sum(text is not None for text in told) >= len(HUGE) // 2
    for text in filter(None, told):
        assert len(text) < MOST_WORDS
        assert "x" * (MOST + 1) not in text


def test_errors_of_names_are_short(tmp_path):
    for act in (checked_name, Presets(tmp_path).read, lambda n: Presets(tmp_path).rename("a", n)):
        for name in (LONG, [LONG], "\n" * 9999, "".join(map(chr, range(32))) * 2):
            text = refusal(act, name)
            assert text
            assert len(text) < MOST_WORDS
    assert len(refusal(lambda v: from_controls(PanelSettings, v), {LONG: 1})) < MOST_WORDS


def nested(depth, shape):
    left, right = {"list": ("[", "]"), "object": ('{"a":', "}"), "regions": ('{"regions":[', "]}")}[shape]
    return left * depth + ("1" if shape == "object" else "") + right * depth


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("shape", ["list", "object", "regions"])
def test_nested_documents_are_refused_or_read(name, shape):
    refused = 0
    for depth in (1, 3, 50, 300, 900, *range(930, 1000, 3), 5000, 100_000):
        text = nested(depth, shape)
        told = refusal(lambda t: parse_json(t, "settings"), text)
        if told is not None:
            assert "nested too deeply" in told
            refused += 1
            continue
        data = json.loads(text)
        for place in (data, {"method": data}, {"regions": data}, {"regions": [{"prompt": "a", "mask": {"polygons": data}}]}):
            refusal(READERS[name], place)
    assert refused


@pytest.mark.parametrize("depth", [2, 900, 5000, 100_000])
def test_nested_texts_are_refused(depth):
    for shape in ("list", "object"):
        for name in ("vae", "arguments", "second argument"):
            assert refusal(READERS[name], nested(depth, shape))
        upgrade(f"x\nSteps: 1, Tiled Diffusion: {nested(depth, 'object')}", {})
        is_grid(nested(depth, shape))


def test_texts_that_no_parser_takes():
    for text in ("{", "[1,", "nan", "1" * 5000, "\ud800", '{"a": 1}x', json.dumps({"a": LONG})[:-1]):
        assert len(refusal(lambda t: parse_json(t, "settings"), text)) < MOST_WORDS
    assert "no valid JSON" in refusal(lambda t: parse_json(t, "request"), b"\xff\xfe{")


@pytest.mark.parametrize(
    ("mask", "text"),
    [({"polygons": []}, "mask.polygons: got [], at least one polygon is missing"), ({}, "mask: got {}, allowed is"),
     ({"polygons": [], "picture": ""}, "mask: got"), ({"polygons": [[]]}, "mask.polygons[0]: got 0 points, allowed are 3 or more")],
)  # fmt: skip
def test_what_a_mask_lacks_is_told(mask, text):
    assert text in refusal(settings_from_dict, {"regions": [{"prompt": "a", "mask": mask}]})
