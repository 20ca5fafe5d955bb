"""Blocks along an axis: they cover it, begin where tiles do, share enough, and their weights sum to 1."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiled_diffusion.engine.geometry import flat_starts
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.blocks.layout import Area, Layout, axis

steps = st.integers(1, 12)


def possible(tile, lap, block, share):
    """In units of 8 px: a block holds a tile, and what it shares is at most half of it and leaves a step."""
    block = tile * 7 if block is None else block
    if block < tile:
        return False
    whole = next(n for n in range(tile, 1000) if n >= block and (n - tile) % (tile - lap) == 0)
    return share is None or share <= min(whole / 2, whole - (tile - lap))


@settings(max_examples=300, deadline=None)
@given(length=st.integers(8, 900), tile=steps, lap=steps, block=st.none() | st.integers(8, 60), share=st.none() | steps)
def test_blocks_along_an_axis(length, tile, lap, block, share):
    lap = min(lap, tile) - 1
    given_blocks = (block and block * 8, share and share * 8)
    if not possible(tile, lap, block, share):
        with pytest.raises(TiledError, match="^block(_overlap)?: got"):
            axis(length * 8, tile * 8, lap * 8, *given_blocks)
        return
    blocks = axis(length * 8, tile * 8, lap * 8, *given_blocks)
    spans = [blocks.span(i) for i in range(len(blocks.starts))]
    assert (spans[0][0], spans[-1][1]) == (0, length * 8)
    assert all(start % blocks.stride == 0 for start, _ in spans)
    assert all(stop - start == blocks.block for start, stop in spans[:-1])
    assert spans[-1][1] - spans[-1][0] < blocks.block + blocks.stride
    assert all(a[1] - b[0] >= blocks.overlap for a, b in pairwise(spans))
    assert (blocks.block - tile * 8) % blocks.stride == 0, "whole tiles"
    weights = np.stack([blocks.weights(i, 0, length * 8) for i in range(len(spans))])
    assert weights.min() >= 0
    assert np.allclose(weights.sum(0), 1, atol=1e-5)
    for (start, stop), own in zip(spans, weights, strict=True):
        assert not own[:start].any()
        assert not own[stop:].any()
        assert own.any()


def test_an_area_knows_its_blocks():
    layout = Layout(axis(1000, 72, 24, 264, None), axis(300, 72, 24, 264, None))
    area = Area(200, 100, 500, 300)
    total = np.zeros((200, 300))
    for x, y, weights in layout.over(area):
        block = layout.area(x, y)
        assert block.left < area.right
        assert area.left < block.right
        assert block.top < area.bottom
        total += weights
    assert np.allclose(total, 1, atol=1e-5)
    assert layout.places_over(area) == [(x, y) for x, y, _ in layout.over(area)]
    assert layout.count == len(list(layout.places()))


@given(length=st.integers(33, 900), start=st.integers(0, 899), size=st.integers(1, 100))
def test_a_block_that_counts_in_a_span_is_missed_by_nobody(length, start, size):
    blocks, stop = axis(length * 8, 72, 24, 264, None), min(length, start + size) * 8
    start = min(start, length - 1) * 8
    counting = dict(blocks.counting(start, stop))
    for i in range(len(blocks.starts)):
        weights = blocks.weights(i, start, stop)
        assert (i in counting) == bool(weights.any())
        assert i not in counting or np.array_equal(counting[i], weights)


def tiles_along(blocks, i):
    start, stop = blocks.span(i)
    return [start + 8 * at for at in flat_starts((stop - start) // 8, 9, 3)]


@pytest.mark.parametrize(("length", "same"), [(1464, True), (1488, False)])
def test_blocks_are_cut_into_the_same_tiles_but_the_last_one(length, same):
    blocks = axis(length, 72, 24, 264, None)
    last = len(blocks.starts) - 1
    assert last > 2
    for i in range(last):
        both = [at for at in tiles_along(blocks, i) if at >= blocks.starts[i + 1]]
        beside = [at for at in tiles_along(blocks, i + 1) if at + 72 <= blocks.span(i)[1]]
        assert len(both) > 1
        assert (both == beside) == (same or i + 1 < last)


@pytest.mark.parametrize(("block", "overlap", "message"), [
    (64, None, "block: got 64, allowed is the side of a tile, 72 px, or more"),
    (264, 200, "block_overlap: got 200, allowed with blocks of 264 px is at most 132"),
    (72, 32, "block_overlap: got 32, allowed with blocks of 72 px is at most 24"),
])  # fmt: skip
def test_blocks_that_cannot_be(block, overlap, message):
    with pytest.raises(TiledError, match=message):
        axis(1000, 72, 24, block, overlap)
