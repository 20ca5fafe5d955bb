"""Prompts of tiles: who gets which, by place and by content."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiled_diffusion.engine.content import MOST_PHRASES, Content, content_of, place, small_canvas
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides.tile_prompts import TilePrompts, captioned, first_number, of_list
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.phrases import phrases
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.tile_texts import TileText
from tiled_diffusion.settings.values import Region, Settings

MODEL = ModelTraits(16, 2)
WIDE, SQUARE = Extent(28, 40), Extent(40, 40)
GRID = {"tile_width": 128, "tile_height": 128, "overlap": 32}


def planner(canvas=WIDE, **more):
    return Planner(canvas, Settings(**{**GRID, **more}), MODEL)


def listed(*texts, **more):
    return planner(tile_prompts="list", tile_texts=texts, **more)


def numbered(guide, plan):
    return [(tile.box, tile.prompt) for tile in guide.plan(plan).tiles]


def texts_of(p, mains=("main",)):
    guide = TilePrompts(first_number(p.settings), list(mains), of_list(p, list(mains)))
    plan = guide.plan(p.plan())
    names = {0: tuple(mains)} | dict(enumerate(guide.texts, start=guide.first))
    return {(tile.box.y, tile.box.x): names[tile.prompt] for tile in plan.tiles}


def test_a_list_by_row_and_column():
    texts = texts_of(listed(TileText("upper left", 1, 1), TileText("lower right", 2, 3)))
    assert texts == {
        (0, 0): ("upper left",), (0, 12): ("main",), (0, 24): ("main",),
        (12, 0): ("main",), (12, 12): ("main",), (12, 24): ("lower right",),
    }  # fmt: skip


def test_a_list_by_boxes_takes_the_box_that_fits_best():
    texts = texts_of(listed(TileText("all"), TileText("right", x=0.6, w=0.4), TileText("corner", w=0.05, h=0.05, x=0.9)))
    assert {text for (_, x), text in texts.items() if x == 24} == {("right",)}
    assert {text for (_, x), text in texts.items() if x == 0} == {("all",)}


@pytest.mark.parametrize(("join", "text"), [("replace", "own"), ("append", "main, own"), ("prepend", "own, main")])
def test_the_whole_prompt_may_join(join, text):
    assert set(texts_of(listed(TileText("own"), tile_prompts_join=join)).values()) == {(text,)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile_texts": (TileText("a", 3, 1),)}, "row 3, column 1, but the grid has 2 rows and 3 columns"),
        ({"tile_texts": (TileText("a", 1, 1),), "method": "jittered"}, "the tiles of jittered move"),
    ],
)
def test_a_list_that_does_not_fit_the_grid(settings, message):
    with pytest.raises(TiledError, match=message):
        texts_of(planner(tile_prompts="list", **settings))


def test_boxes_go_around_a_ring():
    p = Planner(Extent(16, 48), Settings(**GRID, wrap_x=True, tile_prompts="list",
                tile_texts=(TileText("left end", w=0.1),), tile_prompts_share=0.5), MODEL)  # fmt: skip
    texts = {x: text for (_, x), text in texts_of(p).items()}
    past_the_end = [x for x in texts if x + 16 > 50]
    assert past_the_end
    assert all(texts[x] == ("left end",) for x in [0, *past_the_end])
    assert texts[24] == ("main",)


def test_regions_keep_their_own_prompts_and_numbers():
    p = listed(TileText("tile"), regions=(Region("region", 0, 0, 0.5, 1),))
    guide = TilePrompts(first_number(p.settings), ["main"], of_list(p, ["main"]))
    assert {number for _, number in numbered(guide, p.plan())} == {1, 2}
    assert guide.texts == [("tile",)]


def test_a_picture_in_one_piece_has_the_main_prompt():
    p = planner(canvas=Extent(16, 16))
    guide = TilePrompts(1, ["main"], lambda view, image: "other")
    assert guide.plan(p.plan()) is p.plan()


def test_each_picture_of_a_batch_has_its_own_text_and_equal_ones_share_a_number():
    guide = TilePrompts(5, ["a", "b"], lambda view, image: "ab"[image] + (" below" if view.box.y else ""))
    assert {(box.y > 0, number) for box, number in numbered(guide, planner().plan())} == {(False, 0), (True, 5)}
    assert guide.texts == [("a below", "b below")]


def test_captions_become_a_list_that_gives_every_tile_its_own():
    asked = []

    def caption(box):
        asked.append(box)
        return f" tile {box.y},{box.x} "

    p = planner(tile_prompts="captions", method="multidiffusion", overlap=96)
    boxes = [tile.box for tile in p.plan().tiles]
    said = captioned(p, caption)
    assert asked == boxes
    assert texts_of(Planner(p.canvas, said, MODEL)) == {(b.y, b.x): (f"tile {b.y},{b.x}",) for b in boxes}


def content(*masks, prompt="a tower on grass, blue sky"):
    return Content(phrases(prompt), torch.stack(masks))


def mask(box, canvas=SQUARE):
    out = torch.zeros(canvas, dtype=torch.bool)
    out[box.y : box.y + box.h, box.x : box.x + box.w] = True
    return out


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (Box(0, 0, 16, 16), "blue sky"),
        (Box(24, 24, 16, 16), "grass"),
        (Box(12, 4, 16, 16), "a tower on grass, blue sky"),
        (Box(12, 22, 16, 16), "grass, blue sky"),
    ],
)
def test_a_tile_has_the_phrases_that_it_holds_enough_of(box, text):
    c = content(mask(Box(15, 10, 8, 4)), mask(Box(20, 0, 20, 40)), mask(Box(0, 0, 20, 40)))
    assert c.text(box, 0.3) == text


def test_a_phrase_without_a_place_is_everywhere_and_some_phrase_always_stays():
    c = content(mask(Box(0, 0, 4, 4)), mask(Box(0, 0, 0, 0)), mask(Box(0, 0, 4, 4)))
    assert c.text(Box(20, 20, 16, 16), 0.5) == "grass"
    c = content(mask(Box(0, 0, 4, 4)), mask(Box(0, 36, 4, 4)), mask(Box(36, 0, 4, 4)))
    assert c.text(Box(20, 20, 16, 16), 0.5) in ("a tower", "grass", "blue sky")


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32))
def test_the_fullest_window_is_counted_right(h, w, seed):
    places = torch.rand((1, 20, 20), generator=torch.Generator().manual_seed(seed)) > 0.7
    most = Content(phrases("a"), places)._most(Extent(h, w))
    tried = max(int(places[0, y : y + h, x : x + w].sum()) for y in range(21 - h) for x in range(21 - w))
    assert int(most[0]) == tried


def test_a_phrase_is_where_the_prediction_changes_without_it():
    def predict(text):
        out = torch.zeros(4, 4, 16, 16)
        out[:, :, 2:8, 3:7] += "tower" in text
        out[:, :, 9:, :] += 2.0 * ("grass" in text)
        return out + 0.01 * torch.rand(out.shape, generator=torch.Generator().manual_seed(len(text)))

    c = content_of("a tower on grass, AND mist", predict, Extent(64, 64))
    assert c.places[0, 16:28, 16:24].all()
    assert not c.places[0, 40:].any()
    assert c.places[1, 44:].all()
    assert not c.places[1, :24].any()


def test_long_prompts_cost_a_bounded_number_of_predictions():
    asked = []

    def predict(text):
        asked.append(text)
        return torch.zeros(1, 4, 8, 8)

    c = content_of(", ".join(f"word{k}" for k in range(100)), predict, Extent(8, 8))
    assert len(asked) == MOST_PHRASES + 1
    assert len(c.prompt) == c.places.shape[0] == 100
    asked.clear()
    assert content_of("a house", predict, Extent(8, 8)).text(Box(0, 0, 4, 4), 1.0) == "a house"
    assert not asked


def test_the_same_everywhere_is_nowhere():
    assert not place(torch.ones(8, 8)).any()


@pytest.mark.parametrize(
    ("canvas", "small"),
    [(Extent(64, 64), Extent(16, 16)), (Extent(16, 64), Extent(8, 32)), (Extent(10, 10), Extent(10, 10)),
     (Extent(4, 400), Extent(2, 160))],
)  # fmt: skip
def test_a_picture_is_looked_at_in_its_own_shape(canvas, small):
    assert small_canvas(canvas, MODEL) == small
