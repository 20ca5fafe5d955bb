"""Which prompt each cell has."""

from dataclasses import replace

import pytest
from PIL import Image

from tests.recipes.mosaic.common import REQUEST, settings
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.mosaic.cells import Cells
from tiled_diffusion.recipes.mosaic.prompts import tile_requests
from tiled_diffusion.settings.mosaic import MosaicPrompts, Place, prompts_from_json
from tiled_diffusion.settings.values import Region, Settings

LEFT, TOP = {"w": 0.5}, {"h": 0.5}
GREY = Image.new("RGB", (64, 64), "grey")


def table(asked, picture=GREY, level=1, grid=4, caption=None):
    requests = tile_requests(asked, level, picture, Cells(grid, grid), caption)
    return [" ".join(requests[Place(x, y)].prompt for x in range(grid)) for y in range(grid)]


def with_regions(*regions, **more):
    return settings(request=replace(REQUEST, prompt="m", tiling=Settings(regions=regions)), **more)


REGIONS = {
    "the left half": ((Region("a", **LEFT),), ["a a m m"] * 4),
    "less than half of a cell": ((Region("a", w=0.6),), ["a a m m"] * 4),
    "more than half of a cell": ((Region("a", w=0.65),), ["a a a m"] * 4),
    "a foreground above": ((Region("a"), Region("b", layer="foreground", **TOP)), ["b b b b"] * 2 + ["a a a a"] * 2),
    "the order of the list counts not for a foreground": (
        (Region("b", layer="foreground", **TOP), Region("a")), ["b b b b"] * 2 + ["a a a a"] * 2),
    "one that is off": ((Region("a", enabled=False),), ["m m m m"] * 4),
    "a picture alone": ((Region("", picture="x.png"),), ["m m m m"] * 4),
    "joined": ((Region("a", join="append", w=0.25),), ["m, a m m m"] * 4),
}  # fmt: skip


@pytest.mark.parametrize("name", REGIONS)
def test_by_regions(name):
    regions, want = REGIONS[name]
    assert table(with_regions(*regions)) == want


def test_regions_count_on_the_first_level_alone():
    assert table(with_regions(Region("a", **LEFT)), level=2) == ["m m m m"] * 4


def test_a_region_brings_its_negative_prompt_and_scale():
    requests = tile_requests(with_regions(Region("a", negative_prompt="n", cfg_scale=3.0)), 1, GREY, Cells(2, 2))
    request = requests[Place(0, 0)]
    assert (request.negative_prompt, request.cfg_scale, request.tiling.regions) == ("n", 3.0, ())


def test_by_colours():
    picture = Image.new("RGB", (64, 64), "skyblue")
    picture.paste("forestgreen", (0, 32, 64, 64))
    picture.paste((250, 10, 10), (48, 48, 64, 64))
    colours = (("skyblue", "clouds"), ("#208020", "a leaf"), ("red", "a rose"))
    want = ["clouds clouds clouds clouds"] * 2 + ["a leaf a leaf a leaf a leaf", "a leaf a leaf a leaf a rose"]
    assert table(settings(prompts=MosaicPrompts(colours)), picture) == want


def test_what_counts_before_what():
    """The tile's own, a caption, its colour's, its region's."""
    cells = ((1, Place(0, 0), "own"), (2, Place(1, 0), "deep"))
    regions = with_regions(Region("a"), prompts=MosaicPrompts((("grey", "colour"),), cells))
    assert table(regions, grid=2) == ["own colour", "colour colour"]
    assert table(regions, grid=2, level=2) == ["colour deep", "colour colour"]
    sizes = []
    caption = lambda image: sizes.append(image.size) or "seen"  # noqa: E731
    assert table(regions, grid=2, caption=caption) == ["own seen", "seen seen"]
    assert sizes == [(384, 384)] * 3


@pytest.mark.parametrize(("text", "message"), [
    ("[]", "prompts: got"), ('{"cell": {}}', "prompts: got"), ('{"colours": {"sky": "a"}}', "prompts.colours: got 'sky'"),
    ('{"cells": {"1": "a"}}', "prompts.cells: got '1'"), ('{"cells": {"0:1,1": "a"}}', "prompts.cells: got '0:1,1'"),
    ('{"cells": {"1,1": 3}}', "prompts.cells: got"), ("{", "no valid JSON"),
])  # fmt: skip
def test_prompts_that_cannot_be_read(text, message):
    with pytest.raises(TiledError) as told:
        prompts_from_json(text, "prompts")
    assert message.replace("'", '"') in str(told.value).replace("'", '"')
