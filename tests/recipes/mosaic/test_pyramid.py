"""The Deep Zoom picture: its levels, parts of it at any size, and one TIFF of it."""

import numpy as np
import pytest
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.mosaic.pyramid import Pyramid
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.recipes.mosaic.tiff import write_tiff

SHAPES = [(4, 4, 64), (3, 5, 64), (1, 2, 48), (7, 2, 40)]


def pixels(image):
    return np.asarray(image).astype(int)


def filled(path, columns, rows, tile, jpeg=None, order=1):
    pyramid = Pyramid(path, (columns * tile, rows * tile), tile, jpeg)
    picture = Image.effect_mandelbrot(pyramid.size, (-2, -1, 1, 1), 60).convert("RGB")
    for y in range(rows)[::order]:
        for x in range(columns):
            pyramid.put(x, y, picture.crop((x * tile, y * tile, (x + 1) * tile, (y + 1) * tile)))
    return pyramid, picture


def level_of(pyramid, level):
    out = Image.new("RGB", pyramid.size_of(level))
    columns, rows = pyramid.grid_of(level)
    for y in range(rows):
        for x in range(columns):
            out.paste(Image.open(pyramid.path(level, x, y)), (x * pyramid.tile, y * pyramid.tile))
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [1, -1])
def test_levels_halve_one_another_down_to_one_pixel(shape, order, tmp_path):
    pyramid, picture = filled(tmp_path, *shape, order=order)
    assert pyramid.top == int(np.ceil(np.log2(max(picture.size))))
    assert sorted(int(p.name) for p in tmp_path.iterdir()) == list(range(pyramid.top + 1))
    below = picture
    for level in range(pyramid.top, -1, -1):
        here = level_of(pyramid, level)
        assert len([*(tmp_path / str(level)).iterdir()]) == np.prod(pyramid.grid_of(level))
        if level < pyramid.top:
            assert here.size == pyramid.size_of(level) == tuple(-(-side // 2) for side in below.size)
            assert np.abs(pixels(here) - pixels(below.reduce(2))).max() <= 1
        below = here
    assert below.size == (1, 1)


def test_parents_are_made_as_soon_as_their_four_are_there(tmp_path):
    pyramid = Pyramid(tmp_path, (256, 256), 64)
    for x, y in ((0, 0), (1, 0), (0, 1)):
        pyramid.put(x, y, Image.new("RGB", (64, 64)))
    assert not pyramid.path(pyramid.top - 1, 0, 0).is_file()
    pyramid.put(1, 1, Image.new("RGB", (64, 64)))
    assert pyramid.path(pyramid.top - 1, 0, 0).is_file()


def test_what_is_missing_above_is_made_again(tmp_path):
    pyramid, _ = filled(tmp_path, 4, 4, 64)
    before = {p: p.read_bytes() for p in tmp_path.glob("*/*")}
    for level in (3, 5, 7):
        for path in (tmp_path / str(level)).iterdir():
            path.unlink()
    pyramid.complete()
    assert {p: p.read_bytes() for p in tmp_path.glob("*/*")} == before


@pytest.mark.parametrize(("box", "size"), [
    ((0, 0, 1, 1), (256, 256)), ((0, 0, 1, 1), (100, 100)), ((0.25, 0.5, 0.5, 0.75), (64, 64)),
    ((0.1, 0.2, 0.73, 0.83), (90, 90)), ((0.9, 0.9, 1, 1), (200, 200)), ((0, 0, 1, 1), (7, 7)),
])  # fmt: skip
def test_a_part_at_a_size(box, size, tmp_path):
    pyramid, picture = filled(tmp_path, 4, 4, 64)
    scaled = [v * 256 for v in box]
    want = picture.resize(size, Image.Resampling.BICUBIC, box=scaled, reducing_gap=None)
    part = Reader(pyramid).region(box, size)
    assert part.size == size
    assert np.abs(pixels(part) - pixels(want)).mean() < 4


def test_no_more_is_read_than_is_seen(tmp_path):
    pyramid, _ = filled(tmp_path, 4, 4, 64)
    (tmp_path / str(pyramid.top) / "3_3.png").unlink()
    Reader(pyramid).region((0, 0, 1, 1), (128, 128))
    Reader(pyramid).region((0, 0, 0.5, 0.5), (128, 128))
    with pytest.raises(TiledError, match="3_3.png: this tile is not there yet"):
        Reader(pyramid).region((0.5, 0.5, 1, 1), (128, 128))


@pytest.mark.parametrize("shape", [(4, 4, 64), (3, 5, 48)])
def test_one_tiff_of_all_tiles(shape, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pyramid, picture = filled(tmp_path / "p", *shape)
    write_tiff(pyramid, tmp_path / "all.tif")
    with tifffile.TiffFile(tmp_path / "all.tif") as file:
        assert file.is_bigtiff
        assert (file.asarray() == pixels(picture)).all()
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["all.tif"]


def test_tiffs_that_cannot_be(tmp_path, monkeypatch):
    pyramid, _ = filled(tmp_path / "p", 2, 2, 40)
    with pytest.raises(TiledError, match="multiples of 16 px, and these are of 40"):
        write_tiff(pyramid, tmp_path / "all.tif")
    with pytest.raises(TiledError, match="tiff: got all.png, allowed is a name that ends with .tif"):
        write_tiff(pyramid, tmp_path / "all.png")
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(TiledError, match="pip install tifffile"):
        write_tiff(pyramid, tmp_path / "all.tif")
