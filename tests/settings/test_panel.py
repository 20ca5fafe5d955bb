"""The panel's job: JSON, controls, and how they meet."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.panel import (
    PanelSettings,
    from_controls,
    merge,
    panel_settings_from_json,
    region_document,
    script_arguments,
    to_controls,
)
from tiled_diffusion.settings.values import Region, Settings

jobs = st.builds(
    PanelSettings,
    st.builds(
        Settings, method=st.sampled_from(list(METHODS)), tile_width=st.none() | st.integers(8, 512).map(lambda n: n * 8),
        tile_height=st.none() | st.integers(8, 512).map(lambda n: n * 8), overlap=st.none() | st.integers(0, 4088),
        tile_batch=st.none() | st.integers(1, 64), wrap_x=st.booleans(), wrap_y=st.booleans(),
        grid_seed=st.none() | st.integers(0, 2**31), size_conditioning=st.sampled_from(["canvas", "tile"]),
        regions=st.lists(st.builds(Region, st.text(max_size=20)), max_size=2).map(tuple),
    ),
    passes=st.sampled_from(["both", "first", "hires"]), width=st.none() | st.integers(8, 2048).map(lambda n: n * 8),
    height=st.none() | st.integers(8, 2048).map(lambda n: n * 8), upscaler=st.sampled_from(["None", "Lanczos"]),
    print_size=st.sampled_from([None, "30x40cm", "A4", "8x10in"]), print_dpi=st.integers(30, 2400),
    upscale_factor=st.floats(1, 8), keep_size=st.booleans(), keep_picture=st.booleans(),
    inversion=st.builds(
        Inversion, st.none() | st.integers(1, 1000), st.integers(0, 3), st.floats(0, 1), st.booleans(),
        st.sampled_from(["own", "empty"]),
    ),
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(jobs)
def test_json_and_controls_are_ways_there_and_back(job):
    assert panel_settings_from_json(json.dumps(job.to_dict())) == job
    assert merge(region_document(job), to_controls(job)) == job
    assert merge(json.dumps(job.to_dict()), {}) == job


def test_json_holds_and_controls_fill():
    controls = to_controls(PanelSettings(Settings(method="spot", overlap=32)))
    job = merge({"method": "jittered"}, controls)
    assert (job.tiling.method, job.tiling.overlap) == ("jittered", 32)
    assert merge("", controls) == merge(None, controls) == PanelSettings(Settings(method="spot", overlap=32))


WRONG = [
    ([], {}, "settings: got []"),
    ("{", {}, "no valid JSON"),
    ({"tile": 1}, {}, "unknown field 'tile'"),
    ({"width": 100}, {}, "width: got 100"),
    ({"passes": "all"}, {}, "passes"),
    ({"upscale_factor": 9}, {}, "upscale_factor"),
    ({"print_size": "A9"}, {}, "print_size: got 'A9', allowed is WIDTHxHEIGHT in mm, cm or in"),
    ({"print_dpi": 5}, {}, "print_dpi"),
    ({"inversion_freedom": 2}, {}, "settings.inversion_freedom: got 2, allowed is a number from 0 to 1"),
    ({"inversion_rounds": 4}, {}, "settings.inversion_rounds: got 4"),
    ({"freedom": 0.5}, {}, "unknown field 'freedom'"),
    ({}, {"tile_width": "wide"}, "tile_width: got 'wide'"),
    ({}, {"tile_batch": 1.5}, "tile_batch: got 1.5"),
    ({}, {"colour": 1}, "unknown control 'colour'"),
]


@pytest.mark.parametrize(("value", "controls", "text"), WRONG)
def test_wrong_values_are_named(value, controls, text):
    with pytest.raises(SettingsError) as e:
        merge(value, controls)
    assert text in str(e.value)


def test_a_control_that_means_automatic_is_null():
    values = {"tile_width": 0, "overlap": -1, "width": 0, "grid_seed": -1, "tile_batch": 0, "height": None}
    assert from_controls(PanelSettings, values) == dict.fromkeys(["tile_width", "overlap", "width", "grid_seed", "tile_batch"])
    assert merge("", values) == PanelSettings(Settings(tile_batch=None))


def test_pages_show_labels_and_give_either():
    assert to_controls(PanelSettings(Settings(method="jittered"), passes="hires"))["method"] == "Jittered tiles"
    for said in ("jittered", "Jittered tiles"):
        assert merge("", {"method": said}).tiling.method == "jittered"


OFF, ON, SAID = (False, {}), (True, {}), {"method": "spot"}
ARGUMENTS = [
    ([False, SAID], OFF), ([False, "{"], OFF), ([True], ON), ([True, None], ON), ([True, ""], ON), ([True, SAID], (True, SAID)),
    ([True, '{"method": "spot"}'], (True, SAID)), ([SAID], (True, SAID)), ([SAID, ""], (True, SAID)), ([{}], ON),
    ([SAID, None], (True, SAID)), ([' {"method": "spot"}'], (True, SAID)),
]  # fmt: skip


@pytest.mark.parametrize(("args", "meant"), ARGUMENTS, ids=str)
def test_the_first_arguments_of_a_script(args, meant):
    assert script_arguments(*[*args, ""][:2]) == meant


FIRST, SECOND = "the first argument: got {}, allowed is true, false, or the settings", "settings: got {}, allowed is a JSON object"
WRONG_ARGUMENTS = [
    (["false"], FIRST.format("'false'")), (["true", SAID], FIRST.format("'true'")), ([None], FIRST.format("None")),
    ([3], FIRST.format("3")), ([0], FIRST.format("0")), ([1, SAID], FIRST.format("1")), ([""], FIRST.format("''")),
    ([[SAID]], FIRST.format("[{'method': 'spot'}]")), (["{"], "no valid JSON"), (["a" * 10**6], "aaa..."),
    ([True, 3], SECOND.format("3")), ([True, [SAID]], SECOND.format("[{'method': 'spot'}]")), ([True, True], SECOND.format("True")),
    ([True, "false"], SECOND.format("False")), ([True, "no"], "no valid JSON"), ([SAID, SAID], "the second argument: got {'method'"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "text"), WRONG_ARGUMENTS, ids=lambda v: str(v)[:40])
def test_wrong_first_arguments_are_named(args, text):
    with pytest.raises(SettingsError) as e:
        script_arguments(*[*args, ""][:2])
    assert text in str(e.value)
    assert len(str(e.value)) < 400
