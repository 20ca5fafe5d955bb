"""Guidance: one formula, and rows for hosts that compute it themselves."""

import itertools

import pytest
import torch

from tiled_diffusion.engine.geometry import Box
from tiled_diffusion.engine.guidance import Rows, Scale, combine, for_host, guidances, guided
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.settings.values import Region, Settings

SHAPE = (2, 4, 6, 6)


def random(seed):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows_of(count):
    return Rows(random(0), tuple(random(i + 1) for i in range(count)))


def as_a_host_does(rows, host):
    """u + s sum_a w_a (C_a - u), in the host."""
    return rows.unguided + host.cfg * sum(w * (c - rows.unguided) for w, c in zip(host.weights, rows.parts, strict=True))


WEIGHTS = [(1.0,), (1.0, 0.5), (0.25, 0.75), (1.0, 0.3, -0.2)]
HOSTS = [(1.0,), (0.0, 2.0), (1.0, -0.5, 0.3)]


@pytest.mark.parametrize(("own", "host"), list(itertools.product(WEIGHTS, HOSTS)))
@pytest.mark.parametrize("cfg", [(3.0, 3.0), (1.0, 7.5), (6.0, 2.0)])
def test_a_host_that_combines_rows_gets_the_tiles_own_guidance(own, host, cfg):
    rows, scale, theirs = rows_of(len(own)), Scale(own, cfg[0]), Scale(host, cfg[1])
    given = for_host(rows, scale, theirs)
    assert len(given.parts) == len(host)
    torch.testing.assert_close(as_a_host_does(given, theirs), combine(rows, scale))


@pytest.mark.parametrize(("own", "host"), list(itertools.product(WEIGHTS, HOSTS)))
def test_unguided_tiles_and_directions_add_up_to_the_whole(own, host):
    rows, scale, theirs = rows_of(len(own)), Scale(own, 4.0), Scale(host, 5.0)
    alone, direction = (combine(rows, scale, role) for role in ("unguided", "direction"))
    torch.testing.assert_close(alone + direction, combine(rows, scale))
    assert torch.equal(alone, rows.unguided)
    both = [for_host(rows, scale, theirs, role) for role in ("unguided", "direction")]
    total = Rows(both[0].unguided + both[1].unguided, tuple(a + b for a, b in zip(both[0].parts, both[1].parts, strict=True)))
    torch.testing.assert_close(as_a_host_does(total, theirs), combine(rows, scale))
    assert not both[1].unguided.any()


def test_without_a_negative_prompt_the_first_part_takes_its_place():
    rows = Rows(None, (random(1), random(2)))
    expected = random(1) + 0.5 * (random(2) - random(1))
    assert torch.equal(combine(rows, Scale((1.0, 0.5), 7.0)), expected)
    given = for_host(rows, Scale((1.0, 0.5), 7.0), Scale((1.0, 2.0), 3.0))
    assert given.unguided is None
    assert all(torch.equal(part, expected) for part in given.parts)
    assert torch.equal(combine(Rows(None, (random(1),)), Scale((1.0,), 7.0)), random(1))


def test_a_host_whose_prompt_has_no_weight_gets_the_unguided_rows():
    rows = rows_of(1)
    for theirs in (Scale((0.0,), 5.0), Scale((1.0,), 0.0)):
        given = for_host(rows, Scale((1.0,), 3.0), theirs)
        assert torch.equal(as_a_host_does(given, theirs), rows.unguided)


SETTINGS = Settings(regions=(Region("a AND b :0.5", negative_prompt="night"), Region("c", cfg_scale=1.0)))
VALUES = {"main": 1.0, "fog": 0.5, "a": 2.0, "b": 4.0, "night": -1.0, "c": 8.0}
EXPECTED = [0.5 + 3 * 0.5, -1 + 3 * (3 + 0.5 * 5), 8.0]


def test_each_tile_is_guided_as_its_prompt_says():
    """A model whose prediction is a number that only the text decides."""
    by_prompt, asked = guidances("main", "fog", 3.0, SETTINGS), []
    tiles = [Tile(Box(0, 0, 2, 2), torch.ones(2, 2), k) for k in (0, 1, 2)]

    def evaluate(wanted):
        asked.append([row.text for row in wanted])
        return [torch.full_like(row.x, VALUES[row.text]) for row in wanted]

    out = guided(torch.zeros(6, 1, 2, 2), tiles, by_prompt, evaluate)
    assert [float(part.mean()) for part in torch.split(out, 2)] == pytest.approx(EXPECTED)
    assert asked == [["fog", "night", "main", "a", "c", "b"]], "all rows in one call, kind by kind"


def test_a_tile_may_contribute_the_direction_alone():
    by_prompt = guidances("main", "fog", 3.0, Settings())
    tiles = [Tile(Box(0, 0, 2, 2), torch.ones(2, 2), 0, role) for role in ("all", "unguided", "direction")]
    evaluated = guided(
        torch.zeros(3, 1, 2, 2), tiles, by_prompt, lambda rows: [torch.full_like(r.x, VALUES[r.text]) for r in rows]
    )
    assert [float(part.mean()) for part in torch.split(evaluated, 1)] == [2.0, 0.5, 1.5]
