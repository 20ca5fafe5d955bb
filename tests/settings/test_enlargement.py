"""Settings of pictures enlarged in blocks: whatever JSON there is, they are read as they were written or refused in words."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.settings.test_mosaic import PLAIN
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.enlargement import NOISY, Enlargement, enlargement_from_dict, refusals
from tiled_diffusion.settings.fields import rows
from tiled_diffusion.settings.request import SAMPLERS, Request
from tiled_diffusion.settings.values import Settings

REQUEST = Request("a tree", sampler="DDIM")
WHOLE = Enlargement(REQUEST, 16384, 8192, "0" * 64, block=1024, jpeg=90)
NAMES = st.sampled_from([r.name for r in rows(Enlargement)] + ["version", "x"])


@settings(deadline=None)
@given(st.dictionaries(NAMES, PLAIN, max_size=4), st.booleans())
def test_any_json_is_read_or_refused_in_words(data, over_a_whole_one):
    refusal, value = "", None
    try:
        value = enlargement_from_dict({**WHOLE.to_dict(), **data} if over_a_whole_one else data)
    except SettingsError as e:
        refusal = str(e)
    if value is None:
        assert refusal
        assert "\n" not in refusal
    else:
        assert enlargement_from_dict(json.loads(json.dumps(value.to_dict()))) == value


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_that_blocks_share_the_noise_of(sampler):
    request = replace(REQUEST, sampler=sampler)
    if sampler in NOISY:
        with pytest.raises(SettingsError, match="^sampler: got .*, which draws new noise at every step"):
            replace(WHOLE, request=request)
    else:
        assert replace(WHOLE, request=request).request.sampler == sampler


@pytest.mark.parametrize("method", METHODS)
def test_methods_whose_tiles_stand_still(method):
    request = replace(REQUEST, tiling=Settings(method=method))
    if METHODS[method].moves:
        with pytest.raises(SettingsError, match="^method: a picture that is enlarged in blocks cannot have it"):
            replace(WHOLE, request=request)
    else:
        assert replace(WHOLE, request=request).request.tiling.method == method


def test_a_plain_request_has_nothing_that_is_refused():
    assert not any(refusals(REQUEST).values())
    assert {name for name, there in refusals(replace(REQUEST, batch_size=2)).items() if there} == {"batch_size"}
