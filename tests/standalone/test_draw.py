"""The drawn plan shows every tile, at every size of canvas."""

import pytest
from PIL import Image

from tiled_diffusion import Extent, ModelTraits, Planner, Region, Settings
from tiled_diffusion.standalone.draw import COLOURS, LEAST_HEIGHT, MARGIN, draw_plan

SMALL = ModelTraits(16, 2)


def plan(height, width, **settings):
    return Planner(Extent(height, width), Settings(**settings), SMALL).plan()


def colours(image):
    return {colour for _, colour in image.getcolors(maxcolors=1 << 24)}


@pytest.mark.parametrize(
    ("height", "width", "settings"),
    [
        (24, 192, {}),
        (24, 192, {"wrap_x": True}),
        (192, 24, {"wrap_y": True, "method": "jittered"}),
        (64, 96, {"method": "multidiffusion"}),
        (64, 64, {"wrap_x": True, "wrap_y": True, "method": "spot"}),
        (24, 96, {"regions": (Region("a", w=0.5), Region("b", x=0.5, w=0.5))}),
        (512, 512, {}),
    ],
)
def test_every_tile_has_its_colour(height, width, settings):
    p = plan(height, width, **settings)
    used = {COLOURS[i % len(COLOURS)] for i in range(len(p.tiles))}
    assert used <= colours(draw_plan(p, settings.get("regions", ())))


@pytest.mark.parametrize(
    ("height", "width", "drawn"),
    [
        (24, 192, (1600, 200)),
        (192, 24, (480, 1600)),
        (64, 64, (1600, 1600)),
        (8, 512, (3200, 50)),
        (16, 16, (1600, 1600)),
    ],
)
def test_sizes(height, width, drawn):
    image = draw_plan(plan(height, width))
    assert image.size == (drawn[0] + 2 * MARGIN, drawn[1] + 2 * MARGIN)
    assert drawn[0] == 3200 or min(drawn) >= LEAST_HEIGHT


def test_overlaps_are_darker():
    image = draw_plan(plan(24, 32, method="mixture", tile_width=192, overlap=128))  # tiles at 0 and 8 of 32
    middle = MARGIN + 300
    single = image.getpixel((MARGIN + 4 * 50 - 20, middle))
    double = image.getpixel((MARGIN + 12 * 50 - 20, middle))
    assert sum(double) < sum(single)


def test_heading_and_picture_are_shown():
    p = plan(24, 96)
    bare = draw_plan(p)
    headed = draw_plan(p, lines=["one line", "another line " * 40])
    assert headed.height > bare.height + 3 * 24 - 1
    assert colours(draw_plan(p, picture=Image.new("RGB", (768, 192), (0, 255, 0)))) - colours(bare)


def test_long_prompts_do_not_break_it():
    regions = (Region("word " * 300, w=0.01), Region("x", x=0.5, w=0.5))
    assert draw_plan(plan(24, 192, regions=regions), regions).size[0] == 1600 + 2 * MARGIN
