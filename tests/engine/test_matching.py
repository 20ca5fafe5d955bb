"""Pictures whose edges fit: weights, what windows read, and what lies beside an edge when it is decoded."""

import pytest
import torch

from tests.engine.models import ConvNet, pointwise
from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.matching import BESIDE, MatchedPlanner, check_matching, groups, with_neighbours
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.settings.match import Edge, Join, MatchKind
from tiled_diffusion.settings.request import Request, request_from_dict
from tiled_diffusion.settings.values import Region, Settings

SMALL = ModelTraits(native=16, multiple=2)
EVERY = [
    "1.right=2.left",
    "1.right=2.left,1.right=3.left,2.right=1.left",
    "1.right=1.left,1.bottom=1.top",
    "1.bottom=2.top,2.right=3.left,3.bottom=1.top,3.right=3.left",
]


def joins_of(text):
    return MatchKind().from_text("match", text)


def planner_of(canvas, text, **settings):
    return MatchedPlanner(Planner(Extent(*canvas), Settings(**settings), SMALL, 3), joins_of(text), 3)


def latents(canvas, images=3):
    return torch.randn(images, 4, *canvas, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("canvas", [(16, 16), (24, 40), (38, 18)])
@pytest.mark.parametrize("method", ["mixture", "jittered", "spot"])
def test_weights_sum_to_one_everywhere(text, canvas, method):
    for step in (0, 5):
        plan, x = planner_of(canvas, text, method=method).plan(step), latents(canvas)
        ones = fuse(torch.zeros_like(x), plan, lambda t, tiles: t + 1, Batching(4))
        torch.testing.assert_close(ones, torch.ones_like(x), atol=1e-5, rtol=0)
        torch.testing.assert_close(fuse(x, plan, pointwise, Batching(4)), pointwise(x, ()), atol=1e-4, rtol=0)


def test_edges_that_meet_know_one_another_and_others_do_not():
    x, net = latents((16, 16)), ConvNet()
    plan = planner_of((16, 16), "1.right=2.left").plan()
    before = fuse(x, plan, lambda t, tiles: net(t), Batching(4))
    changed = x.clone()
    changed[1, :, :, 0] += 1  # the left edge of the second picture
    difference = (fuse(changed, plan, lambda t, tiles: net(t), Batching(4)) - before).abs().amax(dim=1)
    assert difference[0, :, -1].min() > 1e-4
    assert difference[0, :, :4].max() == 0
    assert difference[2].max() == 0


def test_two_pictures_joined_on_both_sides_are_a_ring():
    """What the network says of one long ring it says of its two halves, near their edges."""
    x, net = latents((16, 32), 2), ConvNet()
    text = "1.right=2.left,2.right=1.left"
    plan = MatchedPlanner(Planner(Extent(16, 32), Settings(), SMALL, 3), joins_of(text), 2).plan()
    ours = fuse(x, plan, lambda t, tiles: net(t), Batching(4))
    ring = torch.cat([x[0], x[1]], dim=-1)[None]
    exact = net(torch.cat([ring[..., -8:], ring, ring[..., :8]], dim=-1))[..., 8:-8]
    torch.testing.assert_close(ours[0, ..., -2:], exact[0, ..., 30:32], atol=2e-4, rtol=0)
    torch.testing.assert_close(ours[1, ..., :2], exact[0, ..., 32:34], atol=2e-4, rtol=0)


@pytest.mark.parametrize(("text", "counts"), [("1.right=2.left", 1), ("1.right=2.left,1.right=3.left", 2), (EVERY[1], 3)])
def test_windows_read_both_pictures_in_one_row(text, counts):
    plan = planner_of((16, 16), text).plan()
    across = [tile for tile in plan.tiles if len(tile.view.images.unique()) > 1]
    assert len(across) == counts
    assert all(tile.view.extent == (16, 16) for tile in across)
    x = latents((16, 16))
    seen = across[0].view.gather(x)
    assert torch.equal(seen, torch.cat([x[0, ..., 8:], x[1, ..., :8]], dim=-1)[None])


def test_edges_of_one_group_have_one_band():
    planner = planner_of((16, 16), "1.right=2.left,1.right=3.left,3.right=2.left")
    x = latents((16, 16))
    tied = planner.tied(x)
    assert torch.equal(tied[2, ..., -2:], x[0, ..., -2:])
    assert torch.equal(tied[2, ..., :2], x[1, ..., :2])
    changed = (tied != x).any(dim=1)
    assert changed[:2].sum() == 0
    assert changed[2].sum() == 16 * 4
    assert groups(planner.joins) == [((Edge(1, "right"), Edge(3, "right")), (Edge(2, "left"), Edge(3, "left")))]


def test_what_meets_an_edge_is_decoded_with_it():
    x = latents((20, 30))
    around = with_neighbours(x, joins_of("1.right=2.left,1.right=3.left,2.bottom=2.top"))
    m = BESIDE
    assert torch.equal(around[..., m:-m, m:-m], x)
    assert torch.equal(around[0, :, m:-m, -m:], x[1, ..., :m])
    assert torch.equal(around[2, :, m:-m, :m], x[0, ..., -m:])
    assert torch.equal(around[1, :, m:-m, :m], x[0, ..., -m:])
    assert torch.equal(around[1, :, :m, m:-m], x[1, :, -m:])
    assert torch.equal(around[0, :, m:-m, :m], x[0, ..., :1].expand(-1, -1, m))


def test_a_picture_smaller_than_what_is_decoded_with_it_is_seen_whole():
    x, m = latents((8, 6), 2), BESIDE
    around = with_neighbours(x, joins_of("1.right=2.left,1.bottom=2.top"))
    assert torch.equal(around[..., m:-m, m:-m], x)
    assert torch.equal(around[0, :, m:-m, m + 6 : m + 12], x[1])
    assert torch.equal(around[0, :, m + 8 : m + 16, m:-m], x[1])
    assert torch.equal(around[1, :, m:-m, m - 6 : m], x[0])
    assert torch.equal(around[0, :, m:-m, m + 12 :], x[0, ..., -1:].expand(-1, -1, m - 6))


def test_pairs_are_read_and_written():
    joins = joins_of("2.left=1.right, 1.bottom=3.top")
    assert joins == (Join(Edge(1, "right"), Edge(2, "left")), Join(Edge(1, "bottom"), Edge(3, "top")))
    request = Request("a", batch_size=3, match=joins)
    assert request.to_dict()["match"] == "1.right=2.left,1.bottom=3.top"
    assert request_from_dict(request.to_dict()) == request


@pytest.mark.parametrize("text", ["", "1.right", "1.right=2.right", "1.right=2.top", "0.right=1.left", "1.right=2.left,2.left=1.right", "a.right=1.left"])  # fmt: skip
def test_wrong_pairs_are_named(text):
    with pytest.raises(SettingsError, match=r"match: got .*, allowed is 1.right=2.left,..."):
        joins_of(text)


def test_a_picture_too_many_is_named():
    with pytest.raises(SettingsError, match="match: got the picture 3, allowed is at most 2, the batch size"):
        Request("a", batch_size=2, match=joins_of("1.right=3.left"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": (Region("a", w=0.5),)}, "match: pictures that fit together have one prompt"),
        ({"wrap_x": True}, "match: got seamless axes too"),
        ({"method": "elastic"}, "match: elastic draws each picture by itself"),
    ],
)
def test_what_does_not_go_together_is_named(settings, message):
    with pytest.raises(TiledError, match=message):
        check_matching(Settings(**settings))
