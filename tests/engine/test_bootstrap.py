"""Bootstrapping: which regions are sketched, where a sketch's object is, and what a picture is drawn to."""

import pytest
import torch

from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides import Moment
from tiled_diffusion.engine.guides.bootstrap import (
    Sketcher,
    bootstrap_pulls,
    differences,
    fullest,
    sketched,
    wants_bootstrap,
)
from tiled_diffusion.engine.masks import region_mask
from tiled_diffusion.engine.model import Level, ModelTraits, cleaned
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.settings.masks import Mask
from tiled_diffusion.settings.values import Region, Settings

CANVAS, NATIVE = Extent(16, 48), 16
LEVELS = [Level.of_alphas_cumprod(torch.tensor([n])) for n in (0.01, 0.07, 0.3, 0.9)]
TILE = Tile(Box(0, 0, 16, 16), torch.ones(16, 16), 1)
SMALL = {"x": 0.5, "y": 0.25, "w": 0.125, "h": 0.5, "layer": "foreground", "feather": 0.0}
"""8 x 6 latent pixels at (4, 24)."""


def planner(*regions, **settings):
    return Planner(CANVAS, Settings(regions=regions, **settings), ModelTraits(native=NATIVE, multiple=4))


def noise(batch=1, extent=CANVAS):
    return torch.randn((batch, 4, *extent), generator=torch.Generator().manual_seed(3))


class Painter:
    """Prompt k paints k x 10 into a box of each picture, on a ground of 1 that every prompt knows."""

    def __init__(self, *boxes):
        self.boxes, self.asked = boxes, []

    def clean(self, tile, x, number, guidance):
        self.asked.append((tile.prompt, number, guidance, tuple(x.shape)))
        out = torch.ones_like(x)
        for image, box in enumerate(self.boxes):
            box.gather(out)[image] += 10.0 * tile.prompt
        return out

    def sketcher(self):
        return Sketcher(LEVELS, self.clean)


def test_a_sketch_is_what_ddims_steps_lead_to():
    """Against the same steps in alphas, with a model whose answer depends on what it sees."""

    def clean(tile, x, number, guidance):
        assert guidance
        return torch.tanh(x) + 0.1 * number

    start = noise(2, Extent(16, 16))
    x = LEVELS[0].noised(torch.zeros_like(start), start)
    later = [*LEVELS[1:], Level(torch.ones(1), torch.zeros(1))]
    for number, (level, after) in enumerate(zip(LEVELS, later, strict=True)):
        said = clean(None, x, number, True)
        x = float(after.alpha) * said + float(after.sigma / level.sigma) * (x - float(level.alpha) * said)
    torch.testing.assert_close(sketched(TILE, start, Sketcher(LEVELS, clean)), x)


@pytest.mark.parametrize("box", [Box(2, 3, 6, 5), Box(0, 0, 4, 4), Box(12, 10, 4, 6), Box(5, 5, 6, 6)])
def test_an_object_is_found_where_it_is(box):
    painter = Painter(box)
    (difference,) = differences(TILE, torch.ones(1, 4, 16, 16), painter.sketcher())
    assert (difference > 0).sum() == box.h * box.w
    assert (box.gather(difference) > 0).all()
    window, _ = fullest(difference, torch.ones(8, 8))
    assert window.y <= box.y
    assert window.x <= box.x
    assert box.y + box.h <= window.y + 8
    assert box.x + box.w <= window.x + 8
    assert {asked[:3] for asked in painter.asked} == {(1, 1, False), (0, 1, False)}  # under 3.6 times as much noise


def test_of_two_objects_the_larger_one_is_taken_whole():
    difference = torch.zeros(16, 16)
    difference[2:5, 1:4], difference[8:14, 9:15] = 1.0, 1.0
    assert fullest(difference, torch.ones(8, 8))[0] == Box(7, 8, 8, 8)


def test_a_shape_counts_by_its_own_pixels():
    difference = torch.zeros(8, 16)
    difference[0:2, 2:4], difference[6:8, 10:12] = 1.0, 1.0
    upper, lower = torch.zeros(8, 8), torch.zeros(8, 8)
    upper[:4], lower[4:] = 1, 1
    assert fullest(difference, upper)[0].x < 3
    assert fullest(difference, lower)[0].x > 5


@pytest.mark.parametrize("layer", ["foreground", "background"])
def test_each_picture_is_drawn_to_its_own_object(layer):
    region = Region("r", **{**SMALL, "layer": layer}, bootstrap=0.5)
    boxes = Box(1, 2, 6, 4), Box(9, 11, 6, 4)
    (pull,) = bootstrap_pulls(planner(region), noise(2), Painter(*boxes).sketcher())
    held = pull.strength(0.0)[0, 0]
    assert held.sum() == 8 * 6
    assert (held[4:12, 24:30] == 1).all()
    for image in range(2):
        shown = pull.target[image, 0, 4:12, 24:30]
        assert (shown > 5).sum() == 6 * 4, "the whole object lies in the box"
        assert (pull.target[image] * (1 - held)).abs().max() == 0


def test_of_two_sketches_the_one_counts_that_holds_the_object():
    """The second begins with the negative of the first one's noise."""
    region = Region("r", **SMALL, bootstrap=0.5)
    start = noise(2)
    seen = planner(region).plan().tiles[-1].view.gather(start)
    box, asked = Box(3, 5, 6, 4), []

    def clean(tile, x, number, guidance):
        asked.append(x)
        out = torch.full_like(x, 2.0 if len(asked) > 8 else 1.0)
        for image in range(2):
            object_here = (len(asked) > 8) == bool(image)
            box.gather(out)[image] += 10.0 * tile.prompt * object_here
        return out

    (pull,) = bootstrap_pulls(planner(region), start, Sketcher(LEVELS, clean))
    torch.testing.assert_close(asked[0], LEVELS[0].noised(torch.zeros_like(seen), seen))
    torch.testing.assert_close(asked[8], -asked[0])
    first, second = pull.target[:, 0, 4:12, 24:30]
    assert (first > 5).sum() == (second > 5).sum() == 6 * 4
    assert first.min() == 1
    assert second.min() == 2


@pytest.mark.parametrize("kind", ["eps", "v", "x0", "flow"])
def test_the_sketch_holds_as_long_as_it_is_said_and_then_nothing(kind):
    region = Region("r", **SMALL, bootstrap=0.5)
    (pull,) = bootstrap_pulls(planner(region), noise(), Painter(Box(1, 2, 6, 4)).sketcher())
    level = LEVELS[1] if kind != "flow" else Level.of_flow(torch.tensor([0.6]))
    x, prediction = noise(), noise() * 0.3
    pull.begin_step(Moment(0, 0.49, level, kind))
    out = pull.after(prediction, x)
    inside = (..., slice(4, 12), slice(24, 30))
    torch.testing.assert_close(cleaned(out, x, level, kind)[inside], pull.target[inside], atol=1e-4, rtol=1e-4)
    outside = torch.ones(CANVAS, dtype=torch.bool)
    outside[4:12, 24:30] = False
    assert torch.equal(out[..., outside], prediction[..., outside])
    pull.begin_step(Moment(1, 0.5, level, kind))
    assert pull.after(prediction, x) is prediction
    assert pull.start(x, noise(), level) is x
    assert torch.equal(pull.finish(x), x)


def test_soft_edges_and_shapes_hold_shorter():
    shape = Mask(polygons=(((0.5, 0), (1, 1), (0, 1)),))
    region = Region("r", **{**SMALL, "feather": 0.4}, mask=shape, bootstrap=0.5)
    (pull,) = bootstrap_pulls(planner(region), noise(), Painter(Box(1, 2, 6, 4)).sketcher())
    soft = Region("r", **{**SMALL, "layer": "background", "feather": 0.4}, mask=shape)
    times = 0.5 * torch.from_numpy(region_mask(soft, CANVAS, area=Box(4, 24, 8, 6))).float()
    assert len(times.unique()) > 8
    for progress in (0.0, 0.1, 0.3, 0.49):
        strength = pull.strength(progress)[0, 0]
        assert torch.equal(strength[4:12, 24:30] == 1, times > progress)
        assert strength.sum() == strength[4:12, 24:30].sum()


@pytest.mark.parametrize(
    ("region", "count"),
    [
        ({}, 1),
        ({"layer": "background"}, 1),
        ({"y": 0.0, "h": 1.0}, 1),
        ({"bootstrap": 0.0}, 0),
        ({"enabled": False}, 0),
        ({"prompt": "", "picture": "a.png"}, 0),
        ({"step_from": 0.3}, 0),
        ({"y": 0.0, "h": 1.0, "x": 0.0, "w": 1 / 3}, 0),
        ({"y": 0.0, "h": 1.0, "x": 0.0, "w": 1.0}, 0),
    ],
)
def test_regions_are_sketched_that_are_less_than_their_one_tile_and_act_from_the_start(region, count):
    ours = Region(**{"prompt": "r", **SMALL, "bootstrap": 0.5, **region})
    painter = Painter(Box(1, 2, 6, 4))
    assert len(bootstrap_pulls(planner(ours), noise(), painter.sketcher())) == count
    assert bool(painter.asked) == bool(count)
    assert wants_bootstrap(planner(ours).settings) == (ours.draws and ours.bootstrap > 0)


def test_a_box_over_the_edge_of_a_ring_is_drawn_to_on_both_sides():
    region = Region("r", **{**SMALL, "x": 0.9375, "w": 0.125}, bootstrap=0.5)
    (pull,) = bootstrap_pulls(planner(region, wrap_x=True), noise(), Painter(Box(1, 2, 6, 4)).sketcher())
    columns = pull.strength(0.0)[0, 0].any(0).nonzero().flatten().tolist()
    assert columns == [0, 1, 2, 45, 46, 47]
    whole = torch.cat([pull.target[0, 0, :, 45:], pull.target[0, 0, :, :3]], dim=1)
    assert (whole > 5).sum() == 6 * 4
