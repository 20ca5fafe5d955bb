"""A zoom without a jump: its window, its frames at a level's change, its loop, and the files it is written to."""

import itertools
import math
import sys

import numpy as np
import pytest
from PIL import Image

from tests.recipes.mosaic.common import drawn, photo, settings
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.mosaic.folder import opened_folder
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.recipes.mosaic.video import write_video
from tiled_diffusion.recipes.mosaic.zoom import Zoom, window
from tiled_diffusion.settings.mosaic import Place

SIDE = 144


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoom")
    drawn(path, settings(depth=2))
    return opened_folder(path)


@pytest.fixture(scope="module")
def zoom(folder):
    return Zoom(folder, SIDE)


def psnr(a, b):
    error = np.square(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).mean()
    return 10 * math.log10(255**2 / max(error, 1e-9))


@pytest.mark.parametrize("columns", [2, 4, 64])
def test_the_window_shrinks_evenly_about_one_point(columns):
    place, times = Place(columns - 1, columns // 2), np.linspace(0, 1, 101)
    boxes = [window(place, columns, t) for t in times]
    assert boxes[0] == (0, 0, 1, 1)
    want = (place.x / columns, place.y / columns, (place.x + 1) / columns, (place.y + 1) / columns)
    assert boxes[-1] == pytest.approx(want)
    widths = np.array([b[2] - b[0] for b in boxes])
    assert np.ptp(widths[1:] / widths[:-1]) < 0.005 * columns ** (-1 / 100)
    for axis, at in enumerate(place):
        fixed = at / (columns - 1)
        on_screen = [(fixed - b[axis]) / (b[2] - b[0]) for b in boxes]
        assert np.allclose(on_screen, fixed), "the fixed point stands still"


def test_frame_0_is_the_level_shrunk(folder, zoom):
    assert psnr(zoom.frame(1, 0.0), Reader(folder.pyramid(1)).region((0, 0, 1, 1), (SIDE, SIDE))) > 60


@pytest.mark.parametrize("level", [1, 2])
def test_a_levels_end_is_the_next_ones_beginning(zoom, level):
    following = 2 if level == 1 else 1
    assert psnr(zoom.frame(level, 1.0), zoom.frame(following, 0.0)) > 40


def test_before_the_change_the_tile_shows_and_nothing_jumps(folder, zoom):
    place = folder.entered()[1]
    tile = folder.picture(2).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    window_of_tile = zoom.frame(1, 0.9)
    assert psnr(window_of_tile, Reader(folder.pyramid(1)).region(window(place, 4, 0.9), (SIDE, SIDE))) > 60
    assert psnr(Zoom(folder, SIDE).frame(1, 0.9), tile) < 40, "it is not yet all that is seen"
    times = np.linspace(0.85, 1, 16)
    frames = [np.asarray(zoom.frame(1, t), dtype=float) for t in times]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(frames)]
    assert max(steps) < 6 * np.median(steps)


def test_it_loops(zoom):
    frames = list(zoom.frames(120))
    assert len(frames) == 120
    steps = [np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() for a, b in zip(frames, frames[1:] + frames[:1], strict=False)]
    assert steps[-1] < 2 * np.median(steps), "from the last to the first it is a step as any other"
    assert psnr(zoom.frame(2, 1.0), frames[0]) > 40, "what would follow the last frame is the first"


def test_without_a_loop_it_ends_in_a_tile(tmp_path):
    drawn(tmp_path, settings(enter=(Place(1, 2),)))
    folder = opened_folder(tmp_path)
    tile = Reader(folder.pyramid(1)).region((0.25, 0.5, 0.5, 0.75), (SIDE, SIDE))
    assert psnr(Zoom(folder, SIDE).frame(1, 1.0), tile) > 60


@pytest.mark.parametrize("suffix", [".webm", ".mp4"])
def test_videos_decode_with_all_frames(zoom, suffix, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / f"zoom{suffix}"
    assert write_video(zoom, path, seconds=1.0, fps=10) == 10
    with av.open(str(path)) as video:
        frames = [frame.to_image() for frame in video.decode(video=0)]
    assert len(frames) == 10
    assert frames[0].size == (SIDE, SIDE)
    assert psnr(frames[0], zoom.frame(1, 0.0)) > 20
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_gif_and_a_folder_need_no_library(zoom, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    write_video(zoom, tmp_path / "zoom.gif", seconds=0.5)
    with Image.open(tmp_path / "zoom.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"], gif.info["duration"]) == (10, (SIDE, SIDE), 0, 50)
        assert psnr(gif.convert("RGB"), zoom.frame(1, 0.0)) > 20
    write_video(zoom, tmp_path / "frames", seconds=0.5, fps=8)
    frames = sorted((tmp_path / "frames").iterdir())
    assert [p.name for p in frames] == [f"{k:05d}.png" for k in range(4)]
    assert (np.asarray(Image.open(frames[0])) == np.asarray(zoom.frame(1, 0.0))).all()
    with pytest.raises(TiledError, match="zoom: for a.webm the library PyAV is needed: pip install av"):
        write_video(zoom, tmp_path / "a.webm", seconds=1)
    with pytest.raises(TiledError, match="zoom: got a.avi, allowed are .webm, .mp4, .gif"):
        write_video(zoom, tmp_path / "a.avi", seconds=1)


def test_a_mosaic_that_cannot_be_zoomed_into(tmp_path):
    drawn(tmp_path, settings(), picture=photo(96, 48))
    with pytest.raises(TiledError, match="zoom: got 4x2 tiles, allowed is a square grid"):
        Zoom(opened_folder(tmp_path), SIDE)
    (tmp_path / "entered.json").unlink()
    drawn(tmp_path / "b")
    (tmp_path / "b" / "entered.json").unlink()
    with pytest.raises(TiledError, match="zoom: level 1 is not finished yet"):
        Zoom(opened_folder(tmp_path / "b"), SIDE)
