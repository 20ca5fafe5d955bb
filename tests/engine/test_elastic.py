"""ElasticDiffusion: which pixels are read, what is written where, and how the small picture pulls."""

import pytest
import torch

from tests.engine.models import ConvNet
from tiled_diffusion.engine.composition import Part
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guidance import Guidance, guided
from tiled_diffusion.engine.guides import Guides, Moment
from tiled_diffusion.engine.guides.control import hint_crops
from tiled_diffusion.engine.guides.pull import Pull, hold
from tiled_diffusion.engine.guides.structure import StructurePull, pull_strength, schedule_time, step_share
from tiled_diffusion.engine.methods.elastic import METHOD, axis
from tiled_diffusion.engine.model import Level, ModelTraits, cleaned, predicted
from tiled_diffusion.engine.noise import keyed_generator
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.structure import check_structure, picked, reference_extent
from tiled_diffusion.engine.tiles import told_size
from tiled_diffusion.engine.view import Reference
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Region, Settings

SMALL = ModelTraits(native=16, multiple=2)
PRODUCT = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)


def planner_of(canvas, seed=3, **settings):
    return Planner(Extent(*canvas), Settings(method="elastic", **settings), SMALL, seed)


def latent(canvas, images=1, seed=0):
    return torch.randn((images, 4, *canvas), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows_of(models):
    """Evaluates rows by the model of their text."""
    return lambda wanted: [models[row.text](row.x) for row in wanted]


def elastic(x, plan, models, scale=3.0, pull=None, local=None):
    """One denoiser call of a prompt "c" against "u"."""
    how, guide = Guidance((Part("c", 1.0),), "u", scale, local), pull or Guides()

    def evaluate(crops, tiles):
        return guided(crops, tiles, [how], rows_of(models), guide.small)

    return guide.after(fuse(x, guide.plan(plan), evaluate, Batching(3)), x)


LINEAR = {"u": lambda x: 0.3 * x, "c": lambda x: -0.5 * x}
NET = {"u": ConvNet(seed=1), "c": ConvNet(seed=2)}


@pytest.mark.parametrize("canvas", [(16, 16), (12, 16), (16, 10)])
def test_a_canvas_of_the_models_size_is_the_plain_call(canvas):
    plan, x = planner_of(canvas, elastic_rounds=0, elastic_pull=0.0).plan(), latent(canvas)
    assert plan.is_whole
    expected = guided(x, plan.tiles, [Guidance((Part("c", 1.0),), "u", 3.0)], rows_of(NET))
    assert torch.equal(elastic(x, plan, NET), expected)


@pytest.mark.parametrize("native", [16, 64])
@pytest.mark.parametrize("ring", [False, True])
def test_cores_are_a_partition_and_inputs_have_the_models_size(native, ring):
    for length in range(1, 201):
        tiles = axis(length, native, METHOD.overlap(native), ring, 0.5)
        assert set(tiles.weights.flatten().tolist()) <= {0.0, 1.0}
        drawn = sorted(
            (start + k) % length
            for start, w in zip(tiles.starts, tiles.weights, strict=True)
            for k in range(tiles.tile)
            if w[k] > 0
        )
        if not ring or length >= native:
            assert drawn == list(range(length))
        assert tiles.tile == min(native, length)


def test_the_model_sees_the_native_size_alone():
    seen = set()

    def recording(x):
        seen.add(tuple(x.shape[-2:]))
        return x

    for canvas in ((32, 32), (48, 40), (64, 20), (37, 51)):
        elastic(latent(canvas), planner_of(canvas).plan(), {"u": recording, "c": recording})
        areas = {h * w for h, w in seen if (h, w) != (16, 16)}
        assert all(abs(area - 256) <= 2 * 16 + 2 * 26 for area in areas), seen
        seen.clear()


@pytest.mark.parametrize(
    ("canvas", "kind", "size"),
    [
        ((32, 32), "area", (16, 16)),
        ((64, 64), "area", (16, 16)),
        ((16, 64), "area", (8, 32)),
        ((40, 26), "area", (20, 12)),
        ((20, 4), "area", (20, 4)),
        ((16, 64), "pad", (4, 16)),
        ((64, 48), "pad", (16, 12)),
    ],
)
def test_the_small_picture_has_the_canvass_shape(canvas, kind, size):
    assert reference_extent(Extent(*canvas), SMALL, kind) == size


@pytest.mark.parametrize("canvas", [(32, 32), (48, 48), (37, 51)])
def test_no_pixel_is_read_twice_before_all_of_its_cell_are(canvas, monkeypatch):
    monkeypatch.setattr("tiled_diffusion.engine.structure.RENEWED", 1.0)
    cells = Extent(16, 16)
    most = -(-canvas[0] // 16) * -(-canvas[1] // 16)
    picks = picked(Extent(*canvas), cells, 4 * most, keyed_generator(1, "test"))
    times = torch.zeros(canvas)
    for rows, cols in picks:
        assert torch.equal(rows * 16 // canvas[0], torch.arange(16)[:, None].expand(16, 16))
        assert torch.equal(cols * 16 // canvas[1], torch.arange(16)[None].expand(16, 16))
        times[rows, cols] += 1
        cell = torch.stack([torch.arange(canvas[0])[:, None] * 16 // canvas[0] * 16 + torch.arange(canvas[1]) * 16 // canvas[1]])
        for k in range(256):
            own = times[cell[0] == k]
            assert own.max() - own.min() <= 1
    assert (times > 0).all()


def test_picks_are_the_seeds_and_the_steps():
    def of(seed, step):
        return [t.view.rows for t in planner_of((32, 32), seed).plan(step).tiles if t.role == "direction"]

    assert all(torch.equal(a, b) for a, b in zip(of(1, 4), of(1, 4), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(of(1, 4), of(1, 5), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(of(1, 4), of(2, 4), strict=True))


@pytest.mark.parametrize("canvas", [(32, 32), (32, 64), (37, 51)])
@pytest.mark.parametrize("ring", [False, True])
def test_of_single_pixels_by_hand(canvas, ring):
    """D = a x + g up(down((b - a) x))."""
    plan, x = planner_of(canvas, elastic_rounds=0, wrap_x=ring).plan(5), latent(canvas, 2)
    (small,) = [t for t in plan.tiles if t.role == "direction"]
    down = small.view.gather(x)
    by_cell = {}
    h, w = small.view.extent
    offset = small.view.offset
    expected = 0.3 * x
    for y in range(canvas[0]):
        for c in range(canvas[1]):
            i, j = (y - offset.h) % canvas[0] * h // canvas[0], (c - offset.w) % canvas[1] * w // canvas[1]
            by_cell.setdefault((i, j), []).append((y, c))
            expected[..., y, c] += 3.0 * (-0.5 - 0.3) * down[..., i, j]
    for (i, j), pixels in by_cell.items():
        assert (int(small.view.rows.expand(h, w)[i, j]), int(small.view.cols.expand(h, w)[i, j])) in pixels
    torch.testing.assert_close(elastic(x, plan, LINEAR), expected, atol=1e-6, rtol=0)


def test_where_every_pixel_is_read_it_is_plain_guidance(monkeypatch):
    monkeypatch.setattr("tiled_diffusion.engine.structure.RENEWED", 1.0)
    for canvas in ((32, 32), (32, 48)):
        x = latent(canvas)
        plain = 0.3 * x + 3.0 * (-0.5 - 0.3) * x
        assert (elastic(x, planner_of(canvas, elastic_rounds=0).plan(), LINEAR) - plain).abs().max() > 0.5
        torch.testing.assert_close(elastic(x, planner_of(canvas, elastic_rounds=8).plan(), LINEAR), plain, atol=1e-6, rtol=0)


def test_a_local_prompt_is_what_tiles_are_evaluated_with():
    x, plan = latent((32, 32)), planner_of((32, 32), elastic_rounds=0).plan()
    models = {**LINEAR, "grass": lambda x: 0.1 * x}
    difference = elastic(x, plan, models, local="grass") - elastic(x, plan, models)
    torch.testing.assert_close(difference, -0.2 * x, atol=1e-6, rtol=0)


def test_every_part_of_the_canvas_depends_on_all_of_it():
    """Of plain tiles only those change that see the corner; and of these a step changes nothing beyond."""
    x = latent((48, 48))
    other = x.clone()
    other[..., 0, 0] += 3
    mean = {"u": NET["u"], "c": lambda x: NET["c"](x) + x.mean(dim=(-2, -1), keepdim=True)}
    for method, far in (("elastic", True), ("mixture", False)):
        plan = Planner(Extent(48, 48), Settings(method=method), SMALL, 1).plan()
        change = (elastic(other, plan, mean) - elastic(x, plan, mean)).abs()[..., 24:, 24:]
        assert bool(change.max() > 1e-3) is far


def level_at(time):
    return Level.of_alphas_cumprod(PRODUCT[time].reshape(1))


def test_a_flow_that_begins_with_noise_alone_stands_at_the_beginning():
    beginning = Level.of_flow(torch.ones(1))
    assert schedule_time(beginning) == 999
    assert 0 < pull_strength(beginning, 0.06, 1) <= 1


@pytest.mark.parametrize("time", [999, 979, 900, 800, 500, 300])
def test_the_pull_is_the_gradient_step_of_the_published_loss(time):
    """DDIM's next latent, moved against the gradient of rho N / 2 mean((T - x0)^2), is that of the moved clean latent."""
    assert schedule_time(level_at(time)) == pytest.approx(time, abs=0.01)
    generator = torch.Generator().manual_seed(0)
    x, eps, target = (torch.randn(1, 4, 8, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    alpha, sigma = level_at(time)
    after = PRODUCT[time - 20]
    clean = ((x - sigma * eps) / alpha).requires_grad_()
    rho = 0.002
    (rho * clean.numel() / 2 * ((target - clean) ** 2).mean()).backward()
    plain = after.sqrt() * clean + (1 - after).sqrt() * eps
    published = (plain - clean.grad).detach()
    moved = clean.detach() + rho / step_share(time) * (target - clean.detach())
    ours = after.sqrt() * moved + (1 - after).sqrt() * (x - alpha * moved) / sigma
    torch.testing.assert_close(ours, published, atol=1e-6, rtol=0)


def total_pull(steps):
    """Sum of what all steps of DDIM move the latent by."""
    times = [999 - i * 1000 // steps for i in range(steps)]
    total = 0.0
    for now, then in zip(times, [*times[1:], 0], strict=True):
        a, b = PRODUCT[now], PRODUCT[then]
        strength = pull_strength(level_at(now), Settings().elastic_pull, Settings().elastic_decay)
        total += float(b.sqrt() - ((1 - b) * a / (1 - a)).sqrt()) * strength
    return total


def test_more_steps_pull_no_more():
    assert total_pull(25) == pytest.approx(total_pull(50), rel=0.05)
    assert total_pull(100) == pytest.approx(total_pull(50), rel=0.05)


def test_the_pull_is_at_most_all_and_gone_in_the_end():
    strengths = [pull_strength(level_at(t), 0.06, 1) for t in range(999, -1, -1)]
    assert strengths[0] == 1
    assert max(strengths) <= 1
    assert set(strengths[-190:]) == {0.0}
    assert pull_strength(level_at(999), 0.0, 10) == 0


def pulled(x, plan, time, pull, kind="eps", models=NET):
    guide = StructurePull(pull, 10)
    guide.begin_step(Moment(0, 0.0, level_at(time), kind))
    return elastic(x, plan, models, pull=guide)


def test_no_pull_is_as_without():
    x, plan = latent((32, 32)), planner_of((32, 32)).plan()
    assert torch.equal(pulled(x, plan, 999, 0.0), elastic(x, plan, NET))
    assert torch.equal(pulled(x, plan, 100, 0.06), elastic(x, plan, NET))


def test_a_full_pull_is_the_small_picture_enlarged_and_asks_for_it_alone():
    x, plan = latent((32, 32)), planner_of((32, 32)).plan()
    calls = []

    def counted(x):
        calls.append(x.shape[0])
        return NET["u"](x)

    out = cleaned(pulled(x, plan, 999, 0.06, models={"u": counted, "c": counted}), x, level_at(999), "eps")
    assert calls == [1, 1]
    small = Reference.of(Extent(32, 32), Extent(16, 16)).gather(x)
    clean = cleaned(NET["u"](small), small, level_at(999), "eps")
    torch.testing.assert_close(out, clean.repeat_interleave(2, -1).repeat_interleave(2, -2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["v", "x0"])
@pytest.mark.parametrize("time", [960, 800])
def test_what_the_model_predicts_does_not_matter(kind, time):
    x, plan, level = latent((32, 32)), planner_of((32, 32)).plan(2), level_at(time)

    def wrapped(net):
        return lambda x: predicted(cleaned(net(x), x, level, "eps"), x, level, kind)

    other = pulled(x, plan, time, 0.004, kind, {name: wrapped(net) for name, net in NET.items()})
    expected = predicted(cleaned(pulled(x, plan, time, 0.004), x, level, "eps"), x, level, kind)
    # the small picture is read from a latent of its own, where predictions of another kind add up to the same
    torch.testing.assert_close(
        cleaned(other, x, level, kind) if time == 960 else other, cleaned(expected, x, level, kind) if time == 960 else expected,
        atol=1e-4, rtol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["eps", "v", "x0", "flow"])
def test_cleaned_is_the_inverse_of_predicted(kind):
    x, clean = latent((4, 4)), latent((4, 4), seed=1)
    level = Level.of_flow(torch.tensor([0.7])) if kind == "flow" else level_at(600)
    torch.testing.assert_close(cleaned(predicted(clean, x, level, kind), x, level, kind), clean)


def test_a_hint_is_shrunk_for_the_small_picture():
    view = Reference.of(Extent(4, 4), Extent(2, 2))
    hint = torch.arange(64.0).reshape(1, 1, 8, 8)
    expected = torch.nn.functional.avg_pool2d(hint, 2)
    assert torch.equal(hint_crops(hint, [view], [0], 2), expected)
    turned = Reference(view.rows, view.cols, None, Extent(4, 4), Extent(0, 1))
    assert torch.equal(hint_crops(hint, [turned], [0], 2), torch.nn.functional.avg_pool2d(hint.roll(-2, -1), 2))


def test_sdxl_is_told_that_a_small_picture_is_one_of_its_size():
    plan = planner_of((32, 64)).plan()
    told = {tile.role: told_size(tile, plan.canvas, 8, each=False) for tile in plan.tiles}
    assert told == {"unguided": None, "direction": (88, 176, 0, 0, 88, 176)} or told["direction"][2:4] == (0, 0)
    box = plan.tiles[1].box
    assert told_size(plan.tiles[1], plan.canvas, 8, each=True) == (256, 512, box.y * 8, box.x * 8, 128, 128)


def test_what_is_held_to_a_picture_takes_no_small_one_away():
    plan = planner_of((32, 32)).plan()
    guide = Pull(torch.zeros(1, 4, 32, 32), torch.ones(1, 1, 32, 32), hold(1.0))
    guide.begin_step(Moment(0, 0.0))
    assert [tile.role for tile in guide.plan(plan).tiles] == ["direction"] * 5


@pytest.mark.parametrize(
    ("settings", "scale", "message"),
    [
        (Settings(method="elastic"), 1, "cfg_scale: got 1, but elastic draws by what the prompt changes: take a CFG scale above 1"),
        (Settings(method="elastic", regions=(Region("a"),)), 5, "regions: elastic draws one prompt: take another method"),
    ],
)
def test_what_it_cannot_draw_is_named(settings, scale, message):
    with pytest.raises(TiledError, match=message):
        check_structure(settings, scale)
