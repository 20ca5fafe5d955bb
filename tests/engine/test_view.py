"""Views: what is gathered goes back to its place, and a partition covers the canvas once."""

import pytest
import torch

from tests.engine.models import pointwise
from tiled_diffusion.engine.dilated import Dilated, dilated
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.tiles import Plan, Tile
from tiled_diffusion.engine.view import Reference, across_pictures, ring

SIDES, STEPS = range(8, 71), range(1, 7)


def canvas_of(canvas, images=2, channels=3):
    """Every number is its own place."""
    return torch.arange(images * channels * canvas.h * canvas.w, dtype=torch.float64).reshape(images, channels, *canvas)


def ones(view):
    """1, but at pixels that a sub-grid repeats."""
    return view.weights(torch.float64) if isinstance(view, Dilated) else torch.ones(tuple(view.extent), dtype=torch.float64)


def back(views, x):
    """What is gathered by all views, scattered again."""
    total = torch.zeros_like(x)
    for view in views:
        view.scatter_add(total, view.gather(x), ones(view))
    return total


@pytest.mark.parametrize("side", SIDES)
def test_sub_grids_are_a_partition(side):
    canvas = Extent(side, 78 - side)
    x = canvas_of(canvas, 1, 1)
    for step in STEPS:
        views = [dilated(canvas, Extent(y, c), step) for y in range(step) for c in range(step)]
        assert torch.equal(back(views, x), x)
        assert torch.equal(back(views, torch.ones_like(x)), torch.ones_like(x))
        assert sum(int(ones(v).sum()) for v in views) == canvas.h * canvas.w


@pytest.mark.parametrize("side", SIDES)
def test_a_ring_cut_into_boxes_anywhere_is_a_partition(side):
    canvas = Extent(side, 23)
    x = canvas_of(canvas)
    for step in STEPS:
        cuts = [(i * side // step, (i + 1) * side // step) for i in range(step)]
        views = [Box(begin + 5, 11, end - begin, 23) for begin, end in cuts]
        assert torch.equal(back(views, x), x)
        for view in views:
            assert torch.equal(ring(view, canvas).gather(x), view.gather(x))
        assert torch.equal(back([ring(v, canvas) for v in views], x), x)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (7, 20)])
def test_a_reference_reads_one_pixel_of_each_cell_and_writes_to_all(size):
    canvas, cells = Extent(16, 40), Extent(*size)
    x, view = canvas_of(canvas), Reference.of(canvas, cells)
    seen = view.gather(x)
    assert tuple(seen.shape[-2:]) == tuple(cells) == tuple(view.extent)
    total = torch.zeros_like(x)
    view.scatter_add(total, seen, torch.ones(tuple(canvas), dtype=torch.float64))
    for y, c in ((0, 0), (15, 39), (9, 17)):
        assert torch.equal(total[..., y, c], seen[..., y * cells.h // 16, c * cells.w // 40])
    again = Reference.of(canvas, cells).gather(total)
    assert torch.equal(again, seen), "each cell's pixel lies in the cell that it is written to"


def test_a_reference_may_pick_any_pixel_of_a_cell():
    canvas, x = Extent(4, 4), canvas_of(Extent(4, 4), 1, 1)
    rows = torch.tensor([[1, 0], [2, 3]])
    cols = torch.tensor([[0, 3], [1, 2]])
    view = Reference.of(canvas, Extent(2, 2), (rows, cols))
    assert view.gather(x)[0, 0].tolist() == [[4, 3], [9, 14]]
    assert view.box == Box(0, 0, 4, 4)


@pytest.mark.parametrize("begin", [0, 3, 10, 25])
def test_a_window_over_pictures_is_one_of_the_pictures_side_by_side(begin):
    canvas, box = Extent(6, 10), Box(1, begin, 4, 12)
    x = canvas_of(canvas, images=4)
    strip = torch.cat(list(x), dim=-1)[None]
    view = across_pictures(box, canvas)
    assert view.rows_of(4) == 1
    assert torch.equal(view.gather(x), box.gather(strip))
    total, expected = torch.zeros_like(x), torch.zeros_like(strip)
    weight = torch.rand(4, 12, dtype=torch.float64)
    view.scatter_add(total, view.gather(x), weight)
    box.scatter_add(expected, box.gather(strip), weight)
    torch.testing.assert_close(torch.cat(list(total), dim=-1)[None], expected)


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_a_finer_map_is_cut_out_in_blocks(factor):
    canvas = Extent(6, 9)
    fine = canvas_of(Extent(6 * factor, 9 * factor), 1, 1)
    coarse = fine[..., ::factor, ::factor]
    for view in (Box(1, 2, 3, 4), dilated(canvas, Extent(1, 0), 2), ring(Box(4, 7, 4, 4), canvas)):
        crop = view.scaled(factor).gather(fine)
        assert crop.shape[-2:] == (view.extent.h * factor, view.extent.w * factor)
        assert torch.equal(crop[..., ::factor, ::factor], view.gather(coarse))


def test_boxes_are_slices():
    x = canvas_of(Extent(12, 12))
    assert Box(2, 3, 4, 5).gather(x).data_ptr() == x[..., 2:, 3:].data_ptr()


def test_a_plan_of_many_kinds_of_views_is_the_canvas():
    """Halves of the weight by sub-grids, the rest by boxes on a ring: for a model of single pixels all that is plain."""
    canvas = Extent(12, 20)
    x = torch.randn(2, 4, *canvas, generator=torch.Generator().manual_seed(0))
    grids = [dilated(canvas, Extent(y, c), 3) for y in range(3) for c in range(3)]
    boxes = [Box(6 * i + 3, 10 * k + 5, 6, 10) for i in range(2) for k in range(2)]
    tiles = tuple(Tile(view, 0.5 * ones(view).float()) for view in (*grids, *boxes))
    for size in (1, 4):
        fused = fuse(x, Plan(canvas, tiles), pointwise, Batching(size))
        torch.testing.assert_close(fused, pointwise(x, ()), atol=1e-6, rtol=0)


def test_windows_over_pictures_are_fused_with_tiles_of_single_ones():
    canvas = Extent(8, 8)
    x = torch.randn(3, 4, *canvas, generator=torch.Generator().manual_seed(0))
    across = [across_pictures(Box(0, c, 8, 12), canvas) for c in (0, 12)]
    tiles = (*(Tile(v, torch.full((8, 12), 0.25)) for v in across), Tile(Box(0, 0, 8, 8), torch.full((8, 8), 0.75)))
    calls = []

    def evaluate(crops, group):
        calls.append((crops.shape[0], len(group)))
        return pointwise(crops, group)

    fused = fuse(x, Plan(canvas, tiles), evaluate, Batching(4))
    torch.testing.assert_close(fused, pointwise(x, ()), atol=1e-6, rtol=0)
    assert sorted(calls) == [(2, 2), (3, 1)]
