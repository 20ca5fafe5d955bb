"""Which tiles are drawn, from what, with which seeds, and what their colours become."""

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.recipes.mosaic.common import REQUEST, TILE, Host, digests, drawn, photo, settings
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.mosaic.cells import Cells, block_colours, coloured, enlarged_cell
from tiled_diffusion.recipes.mosaic.draw import tile_seed
from tiled_diffusion.recipes.mosaic.folder import opened_folder
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.settings.mosaic import Grid, Mosaic, MosaicPrompts, Place


def pixels(image):
    return np.asarray(image).astype(int)


def whole(path, level=1):
    """A level put together from its tiles' files."""
    pyramid = opened_folder(path).pyramid(level)
    out = Image.new("RGB", pyramid.size)
    columns, rows = pyramid.grid
    for y in range(rows):
        for x in range(columns):
            out.paste(Image.open(pyramid.tile_path(x, y)), (x * TILE, y * TILE))
    return out


def test_every_cell_is_drawn_once_and_kept_to_the_bit(tmp_path):
    host = Host()
    tiles = drawn(tmp_path, host=host)
    assert [t.place for t in tiles] == [Place(x, y) for y in range(4) for x in range(4)]
    assert [t.done for t in tiles] == list(range(1, 17))
    assert {t.total for t in tiles} == {16}
    assert host.calls == [3, 3, 3, 3, 3, 3], "the last batch is filled up"
    assert whole(tmp_path).size == (4 * TILE, 4 * TILE)
    for tile in tiles:
        kept = Image.open(opened_folder(tmp_path).pyramid(1).tile_path(*tile.place))
        assert (pixels(kept) == pixels(tile.image)).all()


@pytest.mark.parametrize(("grid", "size", "cells"), [(4, (96, 48), (4, 2)), (4, (40, 96), (2, 4)), (6, (100, 67), (6, 4))])
def test_the_grid_follows_the_pictures_shape(grid, size, cells, tmp_path):
    tiles = drawn(tmp_path, settings(grid), picture=photo(*size))
    assert opened_folder(tmp_path).grid == cells
    assert len(tiles) == cells[0] * cells[1]


def test_at_strength_0_it_is_the_enlarged_picture_encoded_and_decoded(tmp_path):
    host, picture = Host(), photo()
    drawn(tmp_path, settings(request=replace(REQUEST, denoising_strength=0.0), colour="none"), host=host)
    for y in range(4):
        for x in range(4):
            cell = enlarged_cell(picture, Cells(4, 4), x, y, TILE)
            (want,) = host.decode(host.encode([cell]))
            assert (pixels(Image.open(opened_folder(tmp_path).pyramid(1).tile_path(x, y))) == pixels(want)).all()


def test_cells_are_parts_of_the_picture_enlarged_in_one_piece():
    picture, large = photo(), photo().resize((8 * TILE, 8 * TILE), Image.Resampling.BICUBIC)
    for y in range(8):
        for x in range(8):
            part = large.crop((x * TILE, y * TILE, (x + 1) * TILE, (y + 1) * TILE))
            assert np.abs(pixels(enlarged_cell(picture, Cells(8, 8), x, y, TILE)) - pixels(part)).max() <= 1


def test_what_a_tile_is_depends_on_its_place_alone(tmp_path):
    """Batches of other sizes, tiles that are there already, another order: the same files."""
    drawn(tmp_path / "a", batch=1)
    drawn(tmp_path / "b", batch=16)
    want = digests(tmp_path / "a")
    assert digests(tmp_path / "b") == want
    lost = random.Random(0).sample([name for name in want if name != "0.png"], 20)
    for name in lost:
        (tmp_path / "b" / name).unlink()
    tiles = drawn(tmp_path / "b", batch=2)
    assert 0 < len(tiles) <= 16
    assert digests(tmp_path / "b") == want


def test_seeds_are_of_seed_level_and_place():
    seeds = {tile_seed(s, level, Place(x, y)) for s in (0, 1) for level in (1, 2) for x in range(16) for y in range(16)}
    assert len(seeds) == 2 * 2 * 16 * 16
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert tile_seed(7, 1, Place(2, 3)) == 3739451831


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_exact_colours_are_those_of_the_blocks(blocks):
    picture = photo().point(lambda v: 60 + v // 3)
    tile = Image.effect_noise((TILE, TILE), 30).convert("RGB")
    wanted = block_colours(picture, Cells(4, 4), blocks)[:blocks, :blocks]
    out = coloured(tile, settings(colour="exact", colour_blocks=blocks), wanted)
    assert np.abs(block_colours(out, Cells(1, 1), blocks) - wanted).max() < 0.5


def test_matched_colours_have_the_places_mean_where_nothing_is_clipped():
    rng = np.random.default_rng(0)
    for _ in range(20):
        tile = Image.fromarray(rng.integers(80, 170, (TILE, TILE, 3), dtype=np.uint8))
        wanted = rng.uniform(80, 170, (1, 1, 3)).astype(np.float32)
        out = pixels(coloured(tile, settings(), wanted))
        assert np.abs(out.mean((0, 1)) - wanted[0, 0]).max() < 0.5
        assert len({*(out - pixels(tile))[..., 0].ravel()}) <= 2, "one shift for all, but for rounding"


def test_clipped_colours_come_close():
    tile = Image.fromarray(np.tile(np.array([0, 255], np.uint8)[:, None, None], (TILE // 2, TILE, 3)))
    out = coloured(tile, settings(), np.full((1, 1, 3), 200, np.float32))
    assert np.abs(pixels(out).mean() - 200) < 10


def test_depth_draws_one_mosaic_for_each_level_and_closes_the_loop(tmp_path):
    host = Host()
    asked = settings(depth=3)
    tiles = drawn(tmp_path, asked, host=host, batch=4)
    assert len(tiles) == 3 * 16
    folder = opened_folder(tmp_path)
    entered = folder.entered()
    assert set(entered) == {1, 2, 3}
    for level in (2, 3):
        want = Image.open(folder.pyramid(level - 1).tile_path(*entered[level - 1]))
        assert (pixels(folder.picture(level)) == pixels(want)).all()
    last = [t for t in host.tasks if t.request.denoising_strength == asked.loop_strength]
    seed = tile_seed(7, 3, entered[3])
    assert {t.request.seed for t in last} == {seed}
    small = photo().resize((TILE, TILE), Image.Resampling.LANCZOS)
    assert (pixels(last[0].start) == pixels(small)).all()


@pytest.mark.parametrize(("depth", "loop", "closes"), [(1, None, False), (1, True, True), (2, None, True), (2, False, False)])
def test_when_the_loop_closes(depth, loop, closes, tmp_path):
    host, asked = Host(), settings(2, depth=depth, loop=loop)
    drawn(tmp_path, asked, host=host, batch=1)
    assert sum(t.request.denoising_strength == asked.loop_strength for t in host.tasks) == closes


@pytest.mark.parametrize(("enter", "path"), [
    ((Place(1, 2),), [(1, 2)] * 3), ((Place(1, 2), Place(0, 3)), [(1, 2), (0, 3), (0, 3)]),
])  # fmt: skip
def test_the_path_may_be_said(enter, path, tmp_path):
    drawn(tmp_path, settings(depth=3, enter=enter))
    assert [opened_folder(tmp_path).entered()[n] for n in (1, 2, 3)] == path


def test_by_itself_it_enters_the_tile_most_like_the_first_picture(tmp_path):
    """All tiles are noise but one, which is the first picture in other colours."""

    class OneLike(Host):
        def draw(self, tasks, progress=None):
            pictures = super().draw(tasks, progress)
            at = {task.request.seed: k for k, task in enumerate(tasks)}.get(tile_seed(7, 1, Place(3, 1)))
            if at is not None:
                like = photo().resize((TILE, TILE)).point(lambda v: v // 2 + 60)
                pictures[at] = replace(pictures[at], image=like)
            return pictures

    drawn(tmp_path, settings(loop=False), host=OneLike())
    assert opened_folder(tmp_path).entered() == {1: Place(3, 1)}


def test_the_first_picture_is_drawn_from_the_prompt(tmp_path):
    host = Host()
    drawn(tmp_path, host=host, picture=None)
    assert host.calls[0] == 1
    assert (host.tasks[0].start, host.tasks[0].request.seed, host.tasks[0].request.hold) == (None, 7, 0)
    assert Image.open(tmp_path / "0.png").size == (96, 96)


def test_tiles_have_their_prompts_and_batches_are_of_one_kind(tmp_path):
    """A prompt of two parts is no row of a batch of prompts of one."""
    cells = ((1, Place(0, 0), "a house AND snow"), (1, Place(2, 1), "a boat"))
    host = Host()
    drawn(tmp_path, settings(prompts=MosaicPrompts(cells=cells)), host=host, batch=4)
    by_seed = {t.request.seed: t.request.prompt for t in host.tasks}
    assert by_seed[tile_seed(7, 1, Place(0, 0))] == "a house AND snow"
    assert by_seed[tile_seed(7, 1, Place(2, 1))] == "a boat"
    assert sorted(by_seed.values()).count("a tree") == 14
    start = 0
    for size in host.calls:
        assert len({"AND" in t.request.prompt for t in host.tasks[start : start + size]}) == 1
        start += size


@pytest.mark.parametrize(("asked", "picture", "message"), [
    (settings(8), photo(6, 6), "picture: got 6x6 px, which is smaller than the grid of 8x8"),
    (settings(tile=64), photo(), "tile: got 64, allowed are multiples of 24: 48 or 72"),
    (settings(depth=2), photo(96, 64), "depth: the picture has 96x64 px and the grid 4x3 tiles"),
    (settings(loop=True), photo(96, 64), "loop: the picture has 96x64 px"),
    (settings(enter=(Place(4, 0),)), photo(), "enter: got 4,0, but the grid has 4x4 tiles"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_told_before_anything_is_written(asked, picture, message, tmp_path):
    with pytest.raises(TiledError, match=message):
        drawn(tmp_path / "new", asked, picture=picture)
    assert not (tmp_path / "new" / "mosaic.json").exists()
    drawn(tmp_path / "new")


def test_the_overview_fills_up(tmp_path):
    first, *_, last = drawn(tmp_path, batch=1)
    assert first.overview is last.overview
    small = Reader(opened_folder(tmp_path).pyramid(1)).region((0, 0, 1, 1), last.overview.size)
    assert np.abs(pixels(small) - pixels(last.overview)).mean() < 3
    assert Image.open(tmp_path / "1.jpg").size == last.overview.size


def test_jpeg_tiles(tmp_path):
    tiles = drawn(tmp_path, settings(jpeg=92))
    path = opened_folder(tmp_path).pyramid(1).tile_path(0, 0)
    assert path.suffix == ".jpg"
    assert Image.open(path).format == "JPEG"
    assert np.abs(pixels(Image.open(path)) - pixels(tiles[0].image)).mean() < 5


def test_settings_have_a_json_form():
    from tiled_diffusion.settings.mosaic import mosaic_from_dict

    cells = ((1, Place(0, 0), "a house"), (2, Place(3, 1), "a boat"))
    asked = Mosaic(
        REQUEST, grid=Grid(5, 4), tile=72, colour="exact", colour_blocks=2, depth=2, enter=(Place(1, 2),), loop=False, jpeg=80,
        prompts=MosaicPrompts((("skyblue", "clouds"),), cells),
    )  # fmt: skip
    assert mosaic_from_dict(asked.to_dict()) == asked
