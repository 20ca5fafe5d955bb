"""The panel's job: JSON, controls, and how they meet."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.panel import (
    PanelJob,
    from_controls,
    merge,
    panel_job_from_json,
    region_document,
    to_controls,
)
from tiled_diffusion.settings.values import Region, Settings

jobs = st.builds(
    PanelJob,
    st.builds(
        Settings, method=st.sampled_from(list(METHODS)), tile_width_lp=st.none() | st.integers(8, 512),
        tile_height_lp=st.none() | st.integers(8, 512), overlap_lp=st.none() | st.integers(0, 511),
        tile_batch=st.none() | st.integers(1, 64), wrap_x=st.booleans(), wrap_y=st.booleans(),
        grid_seed=st.none() | st.integers(0, 2**31), size_conditioning=st.sampled_from(["canvas", "tile"]),
        regions=st.lists(st.builds(Region, st.text(max_size=20)), max_size=2).map(tuple),
    ),
    passes=st.sampled_from(["both", "first", "hires"]), width=st.none() | st.integers(8, 2048).map(lambda n: n * 8),
    height=st.none() | st.integers(8, 2048).map(lambda n: n * 8), upscaler=st.sampled_from(["None", "Lanczos"]),
    upscale_factor=st.floats(1, 8), keep_size=st.booleans(),
)  # fmt: skip


@given(jobs)
def test_json_and_controls_are_ways_there_and_back(job):
    assert panel_job_from_json(json.dumps(job.to_dict())) == job
    assert merge(region_document(job), to_controls(job)) == job
    assert merge(json.dumps(job.to_dict()), {}) == job


def test_json_holds_and_controls_fill():
    controls = to_controls(PanelJob(Settings(method="spot", overlap_lp=4)))
    job = merge({"method": "jittered"}, controls)
    assert (job.tiling.method, job.tiling.overlap_lp) == ("jittered", 4)
    assert merge("", controls) == merge(None, controls) == PanelJob(Settings(method="spot", overlap_lp=4))


WRONG = [
    ([], {}, "settings: got []"),
    ("{", {}, "no valid JSON"),
    ({"tile": 1}, {}, "unknown field 'tile'"),
    ({"width": 100}, {}, "width: got 100"),
    ({"passes": "all"}, {}, "passes"),
    ({"upscale_factor": 9}, {}, "upscale_factor"),
    ({}, {"tile_width_px": "wide"}, "tile_width_lp: got 'wide'"),
    ({}, {"tile_batch": 1.5}, "tile_batch: got 1.5"),
    ({}, {"colour": 1}, "unknown control 'colour'"),
]


@pytest.mark.parametrize(("value", "controls", "text"), WRONG)
def test_wrong_values_are_named(value, controls, text):
    with pytest.raises(SettingsError) as e:
        merge(value, controls)
    assert text in str(e.value)


def test_a_control_that_means_automatic_gives_no_field():
    assert from_controls({"tile_width_px": 0, "overlap_px": -1, "width": 0, "grid_seed": -1, "height": None}) == {}
    assert from_controls({"tile_batch": 0}) == {"tile_batch": None}
