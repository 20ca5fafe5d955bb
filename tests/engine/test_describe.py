"""Counting: exact, and without making a tile."""

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tiled_diffusion.engine import grid as grid_module
from tiled_diffusion.engine.describe import batch_count, describe, work_ratio
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import MAX_TILES, Planner
from tiled_diffusion.engine.windows import AxisTiles
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.tile_texts import TileText
from tiled_diffusion.settings.values import Region, Settings, settings_from_dict

SD1 = ModelTraits(64, 8)
REGION = st.fixed_dictionaries(
    {
        "prompt": st.just("a"), "x": st.sampled_from([0.0, 0.25, 0.6]), "w": st.sampled_from([0.05, 0.3, 0.4]),
        "y": st.sampled_from([0.0, 0.3]), "h": st.sampled_from([0.2, 0.7]), "feather": st.sampled_from([0, 0.2, 1.0]),
        "layer": st.sampled_from(["background", "foreground"]),
    }
)  # fmt: skip


@given(
    st.sampled_from(["mixture", "multidiffusion", "spot", "jittered"]),
    st.lists(REGION, max_size=3),
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(st.sampled_from([24, 64, 100]), st.sampled_from([64, 130, 200])),
    st.integers(0, 3),
)
@examples(max_examples=60, deadline=None)
def test_what_is_counted_is_what_is_made(method, regions, rings, canvas, step):
    settings = settings_from_dict(
        {"version": 1, "method": method, "tile_width_lp": 32, "tile_height_lp": 24, "overlap_lp": 4,
         "wrap_x": rings[0], "wrap_y": rings[1], "regions": regions}
    )  # fmt: skip
    planner = Planner(Extent(*canvas), settings, SD1, seed=7)
    plan, grids = planner.plan(step), planner.grids(step)
    assert sum(grid.count for grid in grids) == len(plan.tiles)
    assert [box for grid in grids for box in grid.boxes()] == [tile.box for tile in plan.tiles]
    assert [grid.prompt for grid in grids for _ in grid.boxes()] == [tile.prompt for tile in plan.tiles]
    assert work_ratio(grids, planner.canvas) == pytest.approx(plan.work_ratio)
    for size in (1, 3, 8):
        assert batch_count(grids, size) == len(list(plan.batches(size)))


FINE = {"version": 1, "tile_width_lp": 8, "tile_height_lp": 8, "overlap_lp": 7}


def test_a_canvas_in_millions_of_tiles_is_refused_by_their_number():
    with pytest.raises(TiledError, match=rf"into 4165681 tiles, allowed are at most {MAX_TILES}: take larger tiles"):
        describe(settings_from_dict(FINE), 16384, 16384, SD1)
    with pytest.raises(TiledError, match="4165681 tiles"):
        Planner(Extent(2048, 2048), settings_from_dict(FINE), SD1).plan()
    regions = [{"prompt": "a", "w": 0.5}]
    with pytest.raises(TiledError, match="tiles, allowed"):
        describe(settings_from_dict({**FINE, "regions": regions}), 16384, 16384, SD1)


def test_no_weight_is_made_to_count(monkeypatch):
    """Thousands of tiles are counted by their places alone."""

    def no_weights(self):
        raise AssertionError("weights were made")

    monkeypatch.setattr(AxisTiles, "weights", property(no_weights))
    monkeypatch.setattr(grid_module, "Tile", None)
    for method in ("mixture", "multidiffusion", "spot", "jittered"):
        settings = settings_from_dict({"version": 1, "method": method, "tile_width_lp": 32, "tile_height_lp": 32, "overlap_lp": 12})
        told = describe(settings, 16384, 16384, SD1)
        assert 4000 < told.tiles <= MAX_TILES
        assert len(told.boxes) == 4000
        assert dataclasses.asdict(told)["rows"] == 2 * told.tiles


@pytest.mark.parametrize("reference", ["area", "pad"])
def test_small_pictures_are_counted_and_told(reference):
    settings = settings_from_dict({"method": "elastic", "elastic_rounds": 3, "elastic_reference": reference})
    planner = Planner(Extent(128, 192), settings, SD1, seed=7)
    plan, grids = planner.plan(2), planner.grids(2)
    assert sum(grid.count for grid in grids) == len(plan.tiles)
    assert work_ratio(grids, planner.canvas) == pytest.approx(plan.work_ratio)
    assert batch_count(grids, 5) == len(list(plan.batches(5)))
    told = describe(settings, 1536, 1024, SD1)
    width, height = (640, 448) if reference == "area" else (512, 512)
    assert told.line().startswith(f"24 tiles of 512 x 512 px and 4 small pictures of {width} x {height} px in ")
    assert told.rows == 24 + 4 * 2
    assert len(told.boxes) == 24


def test_what_a_list_says_of_each_tile_is_told():
    texts = (TileText("a boat", 1, 2), TileText("a tree", x=0.6, w=0.4))
    region = Region("a moon", w=0.1)
    settings = Settings(tile_width=128, tile_height=128, overlap=0, tile_prompts="list", tile_texts=texts, regions=(region,))
    boxes = describe(settings, 512, 128, ModelTraits(16, 8)).to_dict()["boxes"]
    assert [(b["prompt"], b["words"]) for b in boxes if not b["prompt"]] == [(0, ""), (0, "a boat"), (0, "a tree"), (0, "a tree")]
    assert {b["words"] for b in boxes if b["prompt"]} == {""}
    assert all("words" not in b for b in describe(replace(settings, tile_prompts="same"), 512, 128, ModelTraits(16, 8)).to_dict()["boxes"])


@pytest.mark.parametrize(
    ("method", "width", "told"),
    [("mixture", 512, "row"), ("jittered", 512, "row"), ("mixture", 128, "")],
)
def test_a_list_that_does_not_fit_is_told_and_stops_nothing(method, width, told):
    """A job of one piece is drawn without the list, and what it cost is told afterwards all the same."""
    settings = Settings(method, tile_width=128, tile_height=128, overlap=0, tile_prompts="list", tile_texts=(TileText("a", 9, 9),))
    answer = describe(settings, width, 128, ModelTraits(16, 8))
    assert answer.words == ()
    assert [told in problem for problem in answer.problems] == ([True] if told else [])


@pytest.mark.parametrize(
    ("regions", "told"),
    [
        ([], None),
        ([{"w": 0.18, "h": 0.5}], "region 1 is small"),
        ([{"w": 0.5}, {"w": 0.18, "h": 0.5}, {"w": 0.1, "h": 0.1}], "regions 2, 3 are small"),
        ([{"w": 0.1, "h": 0.1}] * 10, "regions 1, 2, 3, 4, 5, 6, 7, 8, ... are small"),
        ([{"w": 0.1}], None),
        ([{"w": 0.18, "h": 0.5, "bootstrap": 0.5}], None),
        ([{"w": 0.18, "h": 0.5, "enabled": False}], None),
        ([{"w": 0.18, "h": 0.5, "prompt": "", "picture": "a.png"}], None),
    ],
)
def test_small_regions_are_named(regions, told):
    """Of a native side of 128 px, 0.6 are 76 px: on 384 x 128 a width of 0.2 is more."""
    every = tuple(Region(**{"prompt": "a", "layer": "foreground", **region}) for region in regions)
    problems = describe(Settings(regions=every), 384, 128, ModelTraits(16, 8)).problems
    assert [p.split(" for this model")[0] for p in problems] == ([] if told is None else [told])
