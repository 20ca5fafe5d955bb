"""What every method promises, as one table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

TABLE = [  # name, whether the grid moves, the most work that the defaults may cost on 4096 x 1024 px
    ("multidiffusion", False, 2.6),
    ("mixture", False, 2.3),
    ("spot", True, 2.6),
    ("jittered", True, 1.35),
    ("elastic", True, 4.4),
]


def test_the_table_is_complete():
    assert [row[0] for row in TABLE] == list(METHODS)


@pytest.mark.parametrize(("name", "moves", "work"), TABLE)
def test_defaults(name, moves, work):
    assert METHODS[name].moves is moves
    planner = Planner(Extent(128, 512), Settings(method=name))
    assert max(planner.plan(step).work_ratio for step in range(20)) <= work


def total_weight(tiles, length):
    total = np.zeros(length)
    for start, w in zip(tiles.starts, tiles.weights, strict=True):
        np.add.at(total, (start + np.arange(tiles.tile)) % length, w)
    return total


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=300, deadline=None)
@given(
    length=st.integers(8, 4096),
    tile=st.integers(8, 512),
    overlap=st.integers(0, 511),
    ring=st.booleans(),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_weights_sum_to_one(name, length, tile, overlap, ring, draw):
    try:
        tiles = METHODS[name].axis(length, tile, overlap, ring, draw)
    except TiledError:
        assert tile < length
        assert overlap >= tile or (name == "jittered" and overlap > tile // 2)
        return
    np.testing.assert_allclose(total_weight(tiles, length), 1, atol=1e-9)
    assert (tiles.weights >= 0).all()
    assert tiles.tile == min(tile, length)
    assert all(0 <= s < length for s in tiles.starts)
    if not ring:
        assert all(s + tiles.tile <= length for s in tiles.starts)
        if tile >= length:
            assert len(tiles.starts) == 1


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.moves and not m.structure])
@pytest.mark.parametrize("ring", [False, True])
def test_moving_grids_visit_many_places_in_step_with_the_draw(name, ring):
    layouts = [METHODS[name].axis(512, 80, METHODS[name].overlap(80), ring, d / 40) for d in range(40)]
    assert len({(tiles.starts, tiles.weights.tobytes()) for tiles in layouts}) >= 10


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.99])
def test_spot_gives_each_pixel_to_one_tile(ring, draw):
    tiles = METHODS["spot"].axis(500, 64, 0, ring, draw)
    assert set(np.unique(tiles.weights)) == {0.0, 1.0}


def test_spot_without_shift_is_plain_disjoint_tiling():
    tiles = METHODS["spot"].axis(256, 64, 0, False, 0.0)
    assert tiles.starts == (0, 64, 128, 192)
    assert (tiles.weights == 1).all()


def test_spot_rolled_by_the_shift_is_the_unshifted_grid():
    at_rest, moved = (METHODS["spot"].axis(256, 64, 0, True, d) for d in (0.0, 37 / 256))
    assert [(s - 37) % 256 for s in moved.starts] == list(at_rest.starts)


def test_draws_are_uniform_and_axes_independent():
    from tiled_diffusion.engine.noise import uniform_draw

    y, x = (np.array([uniform_draw(5, "grid", step, axis) for step in range(2000)]) for axis in (0, 1))
    for d in (y, x):
        counts = np.histogram(d, bins=10, range=(0, 1))[0]
        assert ((counts - 200) ** 2 / 200).sum() < 27.9, "chi square, 9 degrees of freedom, p = 0.001"
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.08
    assert uniform_draw(5, "grid", 3, 1) == uniform_draw(5, "grid", 3, 1)
    assert uniform_draw(6, "grid", 3, 1) != uniform_draw(5, "grid", 3, 1)


def test_jittered_refuses_an_overlap_above_half_the_tile():
    with pytest.raises(TiledError, match="got 40 latent px, and for a tile of 64 latent px the largest one that fits is 32"):
        METHODS["jittered"].axis(512, 64, 40, False, 0.5)
