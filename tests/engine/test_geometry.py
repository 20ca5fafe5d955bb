"""Where tiles lie along an axis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.geometry import Box, flat_starts, ring_starts
from tiled_diffusion.errors import TiledError

EXAMPLES = [  # length, tile, overlap, starts
    (256, 96, 48, (0, 40, 80, 120, 160)),
    (256, 96, 8, (0, 80, 160)),
    (160, 96, 48, (0, 32, 64)),
    (97, 96, 48, (0, 1)),
    (130, 64, 0, (0, 33, 66)),
    (96, 96, 48, (0,)),
    (48, 96, 48, (0,)),
    (8, 512, 511, (0,)),
]


@pytest.mark.parametrize(("length", "tile", "overlap", "starts"), EXAMPLES)
def test_examples(length, tile, overlap, starts):
    assert flat_starts(length, tile, overlap) == starts


@settings(max_examples=500, deadline=None)
@given(st.integers(8, 4096), st.integers(8, 512), st.integers(0, 511))
def test_flat_axis(length, tile, overlap):
    if tile < length and overlap >= tile:
        with pytest.raises(TiledError, match=f"got {overlap} latent px, .* a tile of {tile} latent px the largest one that fits is {tile - 1} latent px"):
            flat_starts(length, tile, overlap)
        return
    starts = flat_starts(length, tile, overlap)
    if tile >= length:
        assert starts == (0,)
        return
    steps = np.diff(starts)
    assert starts[0] == 0
    assert starts[-1] == length - tile
    assert steps.max() <= tile - overlap
    assert steps.max() - steps.min() <= 1
    assert (len(starts) - 1) * (tile - overlap) + overlap < length, "one tile fewer would do"


def test_every_small_axis():
    for length in range(1, 301, 7):
        for tile in range(16, 257, 16):
            for overlap in range(0, tile, 9):
                starts = flat_starts(length, tile, overlap)
                assert starts[-1] + tile >= length
                expected = 1 if tile >= length else -(-(length - overlap) // (tile - overlap))
                assert len(starts) == expected


@settings(max_examples=500, deadline=None)
@given(st.integers(8, 4096), st.integers(8, 512), st.integers(0, 511))
def test_ring(length, tile, overlap):
    if tile < length and overlap >= tile:
        with pytest.raises(TiledError):
            ring_starts(length, tile, overlap)
        return
    starts = ring_starts(length, tile, overlap)
    steps = np.diff([*starts, starts[0] + length])
    assert len(starts) >= 2
    assert steps.sum() == length
    assert steps.max() <= max(tile - overlap, -(-length // 2))
    if tile < length:
        assert steps.max() <= tile - overlap


@pytest.mark.parametrize("bad", [(0, 8, 0), (8, 0, 0), (64, 32, -1), (64, 32, 32), (64, 32, 33)])
def test_senseless_numbers_are_refused(bad):
    for starts in (flat_starts, ring_starts):
        with pytest.raises(TiledError, match=r"got"):
            starts(*bad)


def test_box():
    box = Box(1, 2, 3, 4)
    assert box.moved(10, 20) == Box(11, 22, 3, 4)
    assert box.scaled(8) == Box(8, 16, 24, 32)
    assert box.extent == (3, 4)
