"""A folder that is whole at every moment: killed, full, shared, of another mosaic."""

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import pytest
from PIL import Image

from tests.recipes.mosaic.common import REQUEST, Host, digests, drawn, photo, settings
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.mosaic import files
from tiled_diffusion.recipes.mosaic.draw import tile_seed
from tiled_diffusion.recipes.mosaic.files import DiskFullError, locked
from tiled_diffusion.recipes.mosaic.folder import opened_folder
from tiled_diffusion.recipes.mosaic.status import status
from tiled_diffusion.settings.mosaic import Grid, MosaicPrompts, Place

DEEP = settings(depth=2)
PROCESSES = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")


class LoggingHost(Host):
    """Writes down, before each batch, which seeds it draws and which tiles are whole by then."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def draw(self, tasks, progress=None):
        there = [p.relative_to(self.path).as_posix() for p in self.path.glob("*_files/*/*") if p.suffix == ".png"]
        with (self.path.parent / "log").open("a") as log:
            log.write(json.dumps([[t.request.seed for t in tasks], there]) + "\n")
        return super().draw(tasks, progress)


def work(path):
    drawn(path, DEEP, host=LoggingHost(path))


def killed_at(path, count):
    """A process that draws, killed without a warning as soon as so many files are there."""
    process = PROCESSES.Process(target=work, args=(path,))
    process.start()
    while process.is_alive() and len([*path.glob("*_files/*/*")]) < count:
        time.sleep(0.001)
    if process.is_alive():
        os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.join()
    return process.exitcode


def test_killed_at_random_moments_it_goes_on_to_the_same_end(tmp_path):
    drawn(tmp_path / "whole", DEEP)
    want = digests(tmp_path / "whole")
    path, rng = tmp_path / "killed", random.Random(3)
    kills = 0
    for count in sorted(rng.sample(range(1, len(want) - 8), 5)):
        kills += killed_at(path, count) != 0
        for name in path.glob("*_files/*/*.png"):
            with Image.open(name) as image:
                image.load()  # whole, or not there
    assert kills == 5
    drawn(path, DEEP, host=LoggingHost(path))
    assert digests(path) == want
    assert not [*path.rglob("*.part")]
    top = opened_folder(path).pyramid(1).top
    seed_of = {
        tile_seed(REQUEST.seed, level, Place(x, y)): f"{level}_files/{top}/{x}_{y}.png"
        for level in (1, 2)
        for x in range(4)
        for y in range(4)
    }
    for line in (tmp_path / "log").read_text().splitlines():
        seeds, there = json.loads(line)
        again = {seed_of[s] for s in seeds} & set(there)
        assert not again, "a finished tile was drawn again"


def test_an_error_and_a_stop_leave_what_was_finished(tmp_path):
    for error, stop in ((KeyboardInterrupt, 5), (TiledError("broken"), 3)):
        with pytest.raises(error if isinstance(error, type) else type(error)):
            drawn(tmp_path, host=Host(stop, error))
    there = len(opened_folder(tmp_path).done(1))
    assert there == 6
    host = Host()
    assert len(drawn(tmp_path, host=host)) == 16 - there
    drawn(tmp_path / "b")
    assert digests(tmp_path) == digests(tmp_path / "b")


def test_a_finished_mosaic_draws_nothing(tmp_path):
    drawn(tmp_path)
    host = Host()
    assert drawn(tmp_path, host=host) == []
    assert host.calls == []


CHANGES = {
    "prompt": settings(request=replace(REQUEST, prompt="a house")),
    "seed": settings(request=replace(REQUEST, seed=8)),
    "denoising_strength": settings(request=replace(REQUEST, denoising_strength=0.7)),
    "hold": settings(request=replace(REQUEST, hold=0.1)),
    "method": settings(request=replace(REQUEST, tiling=replace(REQUEST.tiling, method="spot"))),
    "grid": settings(5),
    "tile": settings(tile=96),
    "colour": settings(colour="none"),
    "depth": settings(depth=2),
    "jpeg": settings(jpeg=90),
    "prompts": settings(prompts=MosaicPrompts((("red", "a house"),))),
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_mosaic_is_refused_by_the_fields_name(field, tmp_path):
    drawn(tmp_path)
    before = digests(tmp_path)
    with pytest.raises(TiledError, match=rf"^{field}: the mosaic in .* has .*, and this is .*: take another folder"):
        drawn(tmp_path, CHANGES[field])
    assert digests(tmp_path) == before


def test_another_picture_and_another_model_are_refused(tmp_path):
    drawn(tmp_path)
    with pytest.raises(TiledError, match="^picture_sha256: "):
        drawn(tmp_path, picture=photo().rotate(90))
    host = Host()
    host.name = "another"
    with pytest.raises(TiledError, match='^model: .* has "plain", and this is "another"'):
        drawn(tmp_path, host=host)
    drawn(tmp_path, settings(picture="elsewhere.png"))  # the same pixels under another name


def test_what_changes_nothing_may_change(tmp_path):
    drawn(tmp_path)
    assert drawn(tmp_path, settings(request=replace(REQUEST, tiling=replace(REQUEST.tiling, tile_batch=1)))) == []


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(TiledError, match="holds letter.txt and no mosaic"):
        drawn(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TiledError, match="file: this folder cannot be made"):
        drawn(tmp_path / "file")


@pytest.mark.parametrize(("data", "message"), [(b"no picture", "no picture that can be read"), (None, "got 5x5 px, allowed is 72x72")])
def test_a_foreign_tile_is_named_and_left(data, message, tmp_path):
    drawn(tmp_path)
    path = opened_folder(tmp_path).pyramid(1).tile_path(1, 1)
    if data is None:
        Image.new("RGB", (5, 5)).save(path)
    else:
        path.write_bytes(data)
    before = path.read_bytes()
    with pytest.raises(TiledError, match=message) as told:
        drawn(tmp_path)
    assert str(path) in str(told.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model": "plain", "mosaic": {"grid": 0}}', '{"model": "plain", "mosaic": {"x": 1}}'])
def test_a_broken_manifest_is_named(text, tmp_path):
    (tmp_path / "mosaic.json").write_text(text)
    with pytest.raises(TiledError, match="mosaic.json"):
        drawn(tmp_path)


def test_a_manifest_changed_by_hand_is_told(tmp_path):
    drawn(tmp_path)
    path = tmp_path / "mosaic.json"
    path.write_text(path.read_text().replace("a tree", "a house"))
    with pytest.raises(TiledError, match=r"mosaic.json: this is not what was written: its digest"):
        drawn(tmp_path, settings(request=replace(REQUEST, prompt="a house")))


def test_two_programs_do_not_work_in_one_folder(tmp_path):
    drawn(tmp_path)
    with locked(tmp_path), pytest.raises(TiledError, match=f"process {os.getpid()} works in this folder"):
        drawn(tmp_path)
    drawn(tmp_path)


def test_a_full_disk_is_named_and_the_work_goes_on_when_there_is_room(tmp_path, monkeypatch):
    """The ninth tile's bytes do not fit any more."""
    original, left = os.fsync, [40]

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        original(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(DiskFullError, match="the disk is full. All that is finished is kept"):
        drawn(tmp_path)
    monkeypatch.undo()
    done = len(opened_folder(tmp_path).done(1))
    assert 0 < done < 16
    assert not [*tmp_path.rglob("*.part")]
    assert len(drawn(tmp_path)) == 16 - done
    drawn(tmp_path / "b")
    assert digests(tmp_path) == digests(tmp_path / "b")


def test_too_little_room_is_told_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("U", (), {"free": 1000})())
    host = Host()
    with pytest.raises(TiledError, match=r"about 0.00 GB are needed, and 0.00 GB are free"):
        drawn(tmp_path, host=host)
    assert host.calls == []


def test_what_is_to_come_is_said(tmp_path):
    said = []
    drawn(tmp_path, say=said.append)
    assert said == [f"16 of 16 tiles of 72 px are to be drawn, about 0.00 GB on disk, into {tmp_path}"]


def test_one_tile_drawn_anew(tmp_path):
    drawn(tmp_path)
    before, folder = digests(tmp_path), opened_folder(tmp_path)
    folder.redraw(1, Place(2, 1), 99)
    host = Host()
    assert [t.place for t in drawn(tmp_path, host=host)] == [Place(2, 1)]
    assert {t.request.seed for t in host.tasks} == {99}
    after = digests(tmp_path)
    pyramid = folder.pyramid(1)
    above = {pyramid.path(n, 2 >> (pyramid.top - n), 1 >> (pyramid.top - n)) for n in range(pyramid.top + 1)}
    changed = {tmp_path / name for name in after if after[name] != before[name]}
    assert pyramid.tile_path(2, 1) in changed
    assert changed <= above
    pyramid.tile_path(2, 1).unlink()
    drawn(tmp_path)
    assert digests(tmp_path) == after, "the tile keeps its own seed"


@pytest.mark.parametrize(("level", "place", "message"), [
    (1, None, "is entered"), (3, Place(0, 0), "allowed is level 1 to 2"), (1, Place(4, 0), "x below 4"),
])  # fmt: skip
def test_what_may_not_be_drawn_anew(level, place, message, tmp_path):
    drawn(tmp_path, DEEP)
    before, folder = digests(tmp_path), opened_folder(tmp_path)
    with pytest.raises(TiledError, match=message):
        folder.redraw(level, place or folder.entered()[1], 5)
    assert digests(tmp_path) == before


def test_status(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        drawn(tmp_path, DEEP, host=Host(20))
    now = status(opened_folder(tmp_path))
    assert (now.done, now.total) == ((16, 3), 16) or sum(now.done) == len([*tmp_path.glob("*_files/9/*")])
    assert now.seconds_left > 0
    assert now.bytes_used > 0
    assert now.lines()[0].startswith("level 1: 16 of 16")
    drawn(tmp_path, DEEP)
    assert status(opened_folder(tmp_path)).seconds_left == 0


def test_grids_that_there_are_not():
    for text in ("0", "1", "64x0", "x", "1025", "-4", "4x4x4"):
        with pytest.raises(TiledError, match="^grid: got"):
            from tiled_diffusion.settings.mosaic import GridKind

            GridKind().from_text("grid", text)
    with pytest.raises(TiledError, match="^grid"):
        settings(Grid(0)[0])
