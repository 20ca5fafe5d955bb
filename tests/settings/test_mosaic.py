"""A mosaic's settings: whatever JSON there is, they are read as they were written or refused in words."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.fields import rows
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.mosaic import TILE_REQUEST, Grid, GridKind, Mosaic, PathKind, Place, mosaic_from_dict
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.sides import Sides

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([r.name for r in rows(Mosaic)] + ["version", "colours", "cells", "x"])


@given(st.dictionaries(NAMES, PLAIN, max_size=4) | PLAIN)
def test_any_json_is_read_or_refused_in_words(data):
    refusal, settings = "", None
    try:
        settings = mosaic_from_dict(data)
    except SettingsError as e:
        refusal = str(e)
    if settings is None:
        assert refusal
        assert "\n" not in refusal
    else:
        assert mosaic_from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@given(st.text(max_size=12))
def test_any_text_is_a_grid_or_none_and_a_path_or_none(text):
    for kind in (GridKind(), PathKind()):
        try:
            value = kind.from_text("name", text)
        except SettingsError:
            continue
        assert kind.fits(value)
        assert kind.from_text("name", kind.to_text(value)) == value


@pytest.mark.parametrize(("text", "want"), [("64", Grid(64)), (" 64X43 ", Grid(64, 43)), ("2x1024", Grid(2, 1024))])
def test_grids(text, want):
    assert GridKind().from_text("grid", text) == want


@pytest.mark.parametrize(("text", "want"), [("auto", ()), ("12,7", (Place(12, 7),)), ("1,2/ 3 , 4", (Place(1, 2), Place(3, 4)))])
def test_paths(text, want):
    assert PathKind().from_text("enter", text) == want


@pytest.mark.parametrize("request_", [
    replace(TILE_REQUEST, batch_size=2), replace(TILE_REQUEST, mask="m.png"), replace(TILE_REQUEST, extend=Sides(left=8)),
])  # fmt: skip
def test_requests_of_other_things_are_refused(request_):
    with pytest.raises(SettingsError, match="are drawn at once"):
        Mosaic(replace(TILE_REQUEST, growth=Growth()))
    with pytest.raises(SettingsError, match="a mosaic takes none of them"):
        Mosaic(request_)


def test_the_measured_defaults():
    settings = Mosaic()
    assert (settings.request.denoising_strength, settings.request.hold) == (0.9, 0.6)
    assert (settings.colour, settings.colour_blocks, settings.grid, settings.loops) == ("match", 1, (64, None), False)
    assert Mosaic(depth=2).loops
    assert Request("a").hold == 0
