"""The studio's frames: each run in a folder of its own, with what it says of itself, stopped, and its table of prints."""

import json
import threading

import numpy as np
import pytest
from PIL import Image

from tests.recipes.frame.rendered import camera, photo_of_frame
from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.frame import Frame, Framing, framing_from_json
from tiled_diffusion.settings.print_size import Print
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.studio.frames import Frames, Made, print_table
from tiled_diffusion.standalone.studio.studio import Studio
from tiled_vae import Interrupted

SIZE = (320, 240)
PHOTO, CORNERS = photo_of_frame(0.75, SIZE, camera(-18, 8, 2, 260, 2.0, SIZE), seed=3)
FRACTIONS = tuple((x / SIZE[0], y / SIZE[1]) for x, y in CORNERS.tolist())
REQUEST = Request("a red house", steps=2, sampler="Euler", seed=5, inpaint_from="noise")


@pytest.fixture
def frames(tmp_path):
    PHOTO.save(tmp_path / "wall.png")
    return Frames(Studio(tiny_model("sd1"), tmp_path / "studio"))


def asked(frames, **more):
    photo = str(frames.studio.kept(frames.studio.folder.parent / "wall.png", "photos"))
    return Framing(Frame(photo, FRACTIONS, side_px=32), **{"request": REQUEST, **more})


def done(run):
    *said, made = run
    assert isinstance(made, Made)
    return said, made


def test_tries_then_a_pick_then_a_print_each_in_its_folder(frames):
    said, made = done(frames.make(asked(frames, tries=2)))
    assert any(line.startswith("Step 2 of 2") for line in said)
    assert "6.png is made" in said
    assert [path.name for path in made.tries] == ["5.png", "6.png"]
    assert made.file("photo").parent == frames.folder / "frame"
    _, picked = done(frames.make(asked(frames, picture=str(made.tries[1]))))
    assert picked.file("photo").parent == frames.folder / "frame-2"
    assert (np.asarray(Image.open(picked.file("picture"))) == np.asarray(Image.open(made.tries[1]))).all()
    assert Image.open(picked.file("photo")).text["parameters"] == Image.open(made.tries[1]).text["parameters"]
    _, printed = done(frames.make(asked(frames, picture=str(made.tries[1]), print=Print(30, 40, 60)), ".jpg"))
    assert Image.open(printed.file("print")).size == (71, 94)
    again = framing_from_json((frames.folder / "frame-3" / "frame.json").read_text(encoding="utf-8"))
    assert again.frame.photo.startswith(str(frames.studio.folder / "photos"))
    assert json.loads((frames.folder / "frame" / "frame.json").read_text(encoding="utf-8"))["tries"] == 2


def test_stopped_keeps_what_is_finished_and_the_next_one_draws(frames):
    run = frames.make(asked(frames, tries=3))
    with pytest.raises(Interrupted):
        for line in run:
            if line == "5.png is made":
                frames.studio.cancel()
    assert sorted(path.name for path in (frames.folder / "frame" / "tries").iterdir())[0] == "5.png"
    assert not (frames.folder / "frame" / "photo.png").exists()
    assert done(frames.make(asked(frames)))[1].file("photo")


def test_a_reader_who_goes_away_stops_the_run(frames):
    run = frames.make(asked(frames, tries=64))
    next(run), next(run)
    run.close()
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(work)")]
    assert not (frames.folder / "frame" / "photo.png").exists()


def test_errors_reach_the_reader(frames):
    with pytest.raises(TiledError, match="context: got 2, and so far around the frame the photo shows no wall"):
        steep = ((0.1, 0.1), (0.9, 0.4), (0.9, 0.6), (0.1, 0.9))
        list(frames.make(Framing(Frame(asked(frames).frame.photo, steep, context=2))))
    assert done(frames.make(asked(frames)))[1].file("photo")


def test_the_table_of_prints_warns_beyond_8_times():
    table = print_table((600, 800), 240)
    assert "| 30x40cm | 2835 x 3780 | 4.7 x |  |" in table
    assert "soft" not in table
    small = print_table((200, 100), 300)
    assert "| A4 | 3508 x 2480 | 24.8 x | **soft** |" in small
    assert small.endswith("Beyond 8 times a print looks soft: draw the picture larger, or take fewer DPI.")
    assert "allowed is at most 32768 px a side" in print_table((200, 100), 2400)
    with pytest.raises(TiledError, match="dpi: got 5"):
        print_table((200, 100), 5)
