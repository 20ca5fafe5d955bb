"""The settings and their JSON."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.values import Region, Settings, settings_from_dict, settings_from_json

regions = st.builds(
    lambda prompt, x, y, w, h, negative, feather, weight: Region(
        prompt, x * 0.9, y * 0.9, max(1e-3, w * (1 - x * 0.9)), max(1e-3, h * (1 - y * 0.9)), negative, feather, weight
    ),
    st.text(), *[st.floats(0, 1)] * 4, st.none() | st.text(), st.floats(0, 1), st.floats(0.01, 100),
)  # fmt: skip
all_settings = st.builds(
    Settings,
    method=st.sampled_from(list(METHODS)),
    tile_width=st.none() | st.integers(8, 512).map(lambda n: n * 8),
    tile_height=st.none() | st.integers(8, 512).map(lambda n: n * 8),
    overlap=st.none() | st.integers(0, 4088),
    tile_batch=st.integers(1, 64),
    wrap_x=st.booleans(),
    wrap_y=st.booleans(),
    size_conditioning=st.sampled_from(["canvas", "tile"]),
    regions=st.lists(regions, max_size=3).map(tuple),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_settings)
def test_round_trip(value):
    assert settings_from_json(json.dumps(value.to_dict())) == value


def test_only_what_differs_from_the_defaults_is_written():
    assert Settings().to_dict() == {"version": 2}
    assert Settings(overlap=64).to_dict() == {"version": 2, "overlap": 64}


BAD = [
    ("[]", "settings: got []"),
    ("{", "settings: this is no valid JSON"),
    ('{"versoin": 1}', "unknown field 'versoin'; known are method"),
    ('{"version": 99}', "written by version 99"),
    ('{"version": "1"}', "settings.version"),
    ('{"method": "multi"}', "settings.method: got 'multi', allowed is one of multidiffusion, mixture"),
    ('{"method": []}', "settings.method"),
    ('{"tile_width": 100}', "settings.tile_width: got 100, allowed is a multiple of 8 from 64 to 4096, or null: fits"),
    ('{"tile_height": 512.5}', "settings.tile_height"),
    ('{"tile_batch": true}', "settings.tile_batch: got True, allowed is a whole number from 1 to 64, or null: takes as many"),
    ('{"overlap": -1}', "settings.overlap"),
    ('{"grid_seed": -1}', "settings.grid_seed"),
    ('{"wrap_x": 1}', "settings.wrap_x: got 1, allowed is true or false"),
    ('{"size_conditioning": "none"}', "settings.size_conditioning"),
    ('{"regions": 3}', "regions: got 3"),
    ('{"regions": [{}]}', "regions[0]: the field 'prompt' is missing"),
    ('{"regions": [{"prompt": "a", "x": NaN}]}', "regions[0].x: got nan"),
    ('{"regions": [{"prompt": "a", "x": 0.5, "w": 0.6}]}', "regions[0].w: got 0.6, allowed is at most 0.5"),
    ('{"regions": [{"prompt": "a", "weight": 0}]}', "regions[0].weight"),
    ('{"regions": [{"prompt": null}]}', "regions[0].prompt: got None, allowed is text"),
    ('{"regions": [' + ",".join(['{"prompt": "a"}'] * 1025) + "]}", "settings.regions: got 1025, allowed is at most 1024"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_wrong_values_are_named(text, message):
    with pytest.raises(SettingsError) as e:
        settings_from_json(text)
    assert message in str(e.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["version", "method", "tile_width_lp", "tile_width", "overlap", "tile_batch", "wrap_x", "regions", "rerolls", "fill", "other"]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(fields, values, max_size=4))
def test_any_json_is_accepted_or_refused_by_name(data):
    error, result = None, None
    try:
        result = settings_from_dict(data)
    except SettingsError as e:
        error = str(e)
    if result is None:
        assert any(name in error for name in data)
    else:
        assert settings_from_dict(result.to_dict()) == result
