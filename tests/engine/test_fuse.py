"""One denoiser call on the canvas."""

import logging

import numpy as np
import pytest
import torch

from tests.engine.models import ConvNet, Counter, Global, pointwise
from tiled_diffusion.engine import methods
from tiled_diffusion.engine.fuse import Batching, fitted_batch, fuse
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Plan, Tile
from tiled_diffusion.errors import OutOfMemoryError
from tiled_diffusion.settings.values import Region, Settings

SMALL = ModelTraits(native=16, multiple=2)
METHODS = [name for name, method in methods.METHODS.items() if not method.structure]
"""Those whose tiles are all there is to a prediction."""
CANVASES = [(24, 96), (16, 64), (37, 53), (64, 16), (16, 17), (128, 24)]


def latent(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def plan_of(canvas, step=0, **settings):
    return Planner(Extent(*canvas), Settings(**settings), SMALL, seed=3).plan(step)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("wrap", [(False, False), (True, False), (False, True), (True, True)])
def test_weights_sum_to_one_and_a_pointwise_denoiser_does_not_see_tiles(method, canvas, wrap):
    regions = (Region("a", 0.1, 0, 0.4, 1), Region("b", 0.3, 0.2, 0.7, 0.5))
    for step in (0, 1, 7):
        for kwargs in ({}, {"regions": regions}):
            plan = plan_of(canvas, step, method=method, wrap_x=wrap[0], wrap_y=wrap[1], **kwargs)
            x = latent((2, 4, *canvas))
            ones = fuse(torch.zeros_like(x), plan, lambda t, jobs: t + 1, Batching(3))
            torch.testing.assert_close(ones, torch.ones_like(x), atol=1e-6, rtol=0)
            torch.testing.assert_close(fuse(x, plan, pointwise, Batching(3)), pointwise(x, ()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_tile_is_the_untiled_result_bit_for_bit(method, dtype):
    plan = plan_of((20, 22), method=method)
    x, model = latent((2, 4, 20, 22), dtype=torch.float32).to(dtype), Global()
    assert plan.is_whole
    assert torch.equal(fuse(x, plan, lambda t, jobs: model(t), Batching(4)), model(x))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("images", [1, 3])
def test_batch_size_does_not_matter(method, images):
    plan, model = plan_of((24, 96), 2, method=method, wrap_x=True), Global()
    x = latent((images, 4, 24, 96))
    results = [fuse(x, plan, lambda t, jobs: model(t), Batching(n)) for n in (1, 2, 3, 64)]
    for r in results[1:]:
        torch.testing.assert_close(r, results[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_blending_eps_x0_and_ddim_step_agree(method):
    plan, model = plan_of((24, 96), method=method), Global()
    x, abar, abar_prev = latent((1, 4, 24, 96)), 0.3, 0.5

    def x0_of(e, x):
        return (x - (1 - abar) ** 0.5 * e) / abar**0.5

    def step_of(e, x):
        return abar_prev**0.5 * x0_of(e, x) + (1 - abar_prev) ** 0.5 * e

    eps = fuse(x, plan, lambda t, jobs: model(t), Batching(4))
    x0 = fuse(x, plan, lambda t, jobs: x0_of(model(t), t), Batching(4))
    after = fuse(x, plan, lambda t, jobs: step_of(model(t), t), Batching(4))
    torch.testing.assert_close(x0_of(eps, x), x0, atol=2e-6, rtol=0)
    torch.testing.assert_close(step_of(eps, x), after, atol=2e-6, rtol=0)


def test_a_ring_has_no_beginning():
    model = ConvNet()
    x = latent((1, 4, 16, 96))

    def run(x, **settings):
        plan = plan_of((16, 96), method="mixture", tile_width=192, tile_height=128, overlap=64, **settings)
        return fuse(x, plan, lambda t, jobs: model(t), Batching(4))

    turn = 16  # one stride: 96 / ceil(96 / (24 - 8))
    on_ring = (run(torch.roll(x, turn, -1), wrap_x=True) - torch.roll(run(x, wrap_x=True), turn, -1)).abs().max()
    on_flat = (run(torch.roll(x, turn, -1)) - torch.roll(run(x), turn, -1)).abs().max()
    assert on_ring < 1e-6
    assert on_flat > 1e-3


def test_a_position_seen_by_the_model_is_the_position_on_the_canvas():
    """Index images: rolling, cropping and folding put every prediction back to where its input came from."""
    index = torch.arange(48 * 40, dtype=torch.float64).reshape(1, 1, 48, 40)
    for method in METHODS:
        for step in range(4):
            plan = plan_of((48, 40), step, method=method, wrap_x=True, wrap_y=True)
            torch.testing.assert_close(fuse(index, plan, lambda t, jobs: t, Batching(5)), index, atol=1e-3, rtol=0)


def test_rows_are_blended_with_themselves():
    plan = plan_of((24, 96))

    def row_number(t, jobs):
        rows = torch.arange(t.shape[0]) % 3
        return rows.double()[:, None, None, None].expand_as(t)

    out = fuse(latent((3, 4, 24, 96)), plan, row_number, Batching(2))
    for k in range(3):
        torch.testing.assert_close(out[k], torch.full_like(out[k], k), atol=1e-6, rtol=0)


def test_guidance_per_region_is_applied_before_the_weights():
    regions = (Region("a", 0, 0, 0.5, 1), Region("b", 0.5, 0, 0.5, 1))
    plan = plan_of((24, 96), regions=regions)
    fields = torch.tensor([9.0, 2.0, 5.0], dtype=torch.float64)

    def constant(t, jobs):
        images = t.shape[0] // len(jobs)
        return torch.stack([fields[j.prompt] for j in jobs]).repeat_interleave(images)[:, None, None, None].expand_as(t)

    out = fuse(latent((1, 4, 24, 96)), plan, constant, Batching(3))
    expected = torch.zeros(24, 96, dtype=torch.float64)
    for tile in plan.tiles:
        tile.view.scatter_add(expected, fields[tile.prompt], tile.weight)
    torch.testing.assert_close(out[0, 0], expected, atol=1e-6, rtol=0)
    assert out[0, 0, :, 0].allclose(fields[1])
    assert out[0, 0, :, -1].allclose(fields[2])


def test_result_has_the_inputs_dtype_and_the_models_channels():
    plan = plan_of((24, 96))
    x = latent((1, 9, 24, 96), dtype=torch.float32).half()
    out = fuse(x, plan, lambda t, jobs: t[:, :4], Batching(4))
    assert out.dtype == torch.float16
    assert out.shape == (1, 4, 24, 96)


def test_out_of_memory_halves_the_batch_and_says_so_once(caplog):
    plan, model = plan_of((24, 192), tile_width=128, tile_height=128), Global()
    x, sizes = latent((1, 4, 24, 192)), []

    def greedy(t, jobs):
        if len(jobs) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        sizes.append(len(jobs))
        return model(t)

    batching = Batching(16)
    with caplog.at_level(logging.WARNING):
        out = fuse(x, plan, greedy, batching)
    torch.testing.assert_close(out, fuse(x, plan, lambda t, jobs: model(t), Batching(1)), atol=1e-12, rtol=0)
    assert batching.size == 2
    assert sum(sizes) == len(plan.tiles)
    assert len(caplog.records) == 1
    assert "going on with 8 tile(s) at a time" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_no_memory_for_one_tile_is_an_error_with_its_size(error):
    def never(t, jobs):
        raise error

    with pytest.raises(OutOfMemoryError, match="a single tile of 16 x 16 latent pixels"):
        fuse(latent((1, 4, 24, 96)), plan_of((24, 96), tile_width=128, tile_height=128), never, Batching(4))


def test_other_errors_pass():
    def broken(t, jobs):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        fuse(latent((1, 4, 24, 96)), plan_of((24, 96)), broken, Batching(4))


def test_progress_and_stopping_between_batches():
    plan, done = plan_of((24, 192)), []

    class StopError(Exception):
        pass

    def on_batch(n):
        done.append(n)
        if n >= 4:
            raise StopError

    counter = Counter(pointwise)
    with pytest.raises(StopError):
        fuse(latent((1, 4, 24, 192)), plan, counter, Batching(2, on_batch))
    assert done[-1] >= 4 > done[-2]
    assert counter.calls == len(done)


def test_evaluations_are_what_the_plan_says():
    plan, counter = plan_of((24, 192)), Counter(pointwise)
    fuse(latent((2, 4, 24, 192)), plan, counter, Batching(4))
    assert counter.rows == 2 * len(plan.tiles)
    assert sorted(j.box for j in counter.tiles) == sorted(j.box for j in plan.tiles)
    assert plan.work_ratio == pytest.approx(sum(j.box.h * j.box.w for j in plan.tiles) / (24 * 192))


def test_batches_hold_equal_shapes_and_are_balanced():
    jobs = (*(Tile(Box(0, i, 8, 8), torch.ones(8, 8)) for i in range(9)), Tile(Box(0, 0, 4, 8), torch.ones(4, 8)))
    batches = list(Plan(Extent(8, 17), jobs).batches(4))
    assert [len(b) for b in batches] == [3, 3, 3, 1]
    assert all(len({j.box.extent for j in b}) == 1 for b in batches)


def test_the_global_generator_is_not_touched():
    torch.manual_seed(1)
    np.random.seed(1)
    before, before_np = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    for method in METHODS:
        fuse(torch.zeros(1, 4, 24, 96), plan_of((24, 96), 5, method=method), pointwise, Batching(4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert (before_np == np.random.get_state()[1]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 3])
def test_spread_batches_are_added_up_bit_for_bit_as_at_one_place(method, size):
    model, x = Global(), latent((2, 4, 24, 96), dtype=torch.float32)
    plan = plan_of((24, 96), 2, method=method, wrap_x=True, regions=(Region("a", 0.1, 0, 0.4, 1),))
    told = []

    def spread(batches, idle):
        idle()
        for crops, tiles in batches:
            assert 1 <= len(tiles) <= size
            yield model(crops)

    def nowhere(crops, tiles):
        raise AssertionError("evaluated here")

    spread_out = fuse(x, plan, nowhere, Batching(size, told.append), spread)
    assert torch.equal(spread_out, fuse(x, plan, lambda crops, tiles: model(crops), Batching(size)))
    assert told[0] == 0
    assert told[-1] == len(plan.tiles)


def test_the_untiled_call_is_never_spread():
    plan, x = plan_of((16, 16)), latent((1, 4, 16, 16))
    assert torch.equal(fuse(x, plan, pointwise, Batching(1), lambda batches, idle: iter(())), pointwise(x, ()))


def test_no_place_is_left_without_a_batch():
    planner = Planner(Extent(64, 64), Settings(), SMALL, seed=3)
    tiles = len(planner.plan().tiles)
    assert fitted_batch(4, planner, 1) == 4
    for places in (2, 3, 5, tiles, 2 * tiles):
        size = fitted_batch(tiles, planner, places)
        assert len(list(planner.plan().batches(size))) >= min(places, tiles) - 1
        assert size == max(1, -(-tiles // places))
        assert fitted_batch(1, planner, places) == 1
