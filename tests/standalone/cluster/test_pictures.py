"""Whole pictures at workers: batches, tries, tiles of mosaics, and the files that they name."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.standalone.cluster.places import places
from tests.standalone.cluster.test_tiles import PHOTO, TILES, WIDE, control  # noqa: F401 a fixture
from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Task, draw_each
from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.match import MatchKind
from tiled_diffusion.settings.mosaic import Grid, Mosaic
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region
from tiled_diffusion.standalone.cluster.pictures import DrawJob, apart, pays_apart
from tiled_diffusion.standalone.host import DiffusersHost

SMALL = Request("a tree", width=64, height=64, steps=2, cfg_scale=3.0, sampler="DDIM", seed=9)


def host(count=2, **more):
    model = tiny_model("sd1")
    return DiffusersHost(model, runner=places(model, count, home=object()) if count else None, **more)


def arrays(pictures):
    return [np.asarray(picture.image) for picture in pictures]


def same(first, second):
    return [p.seed for p in first] == [p.seed for p in second] and all(map(np.array_equal, arrays(first), arrays(second)))


def kinds(drawn_at):
    """The names of what workers were sent."""
    sent = [data for seat in drawn_at.runner.seats for data in seat.worker.sent]
    return {"pictures" if b"DrawJob" in data else "tiles" for data in sent}


def test_tasks_come_back_in_their_order_and_as_they_are_here():
    tasks = [Task(replace(SMALL, seed=s, width=64 + 64 * (s % 2))) for s in range(5)]
    there = host()
    assert same(there.draw(tasks), host(0).draw(tasks))
    assert kinds(there) == {"pictures"}


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M SDE"])
@pytest.mark.parametrize("tiling", [TILES, replace(TILES, method="jittered"), replace(TILES, regions=(Region("a boat", w=0.6, seed=4),))])
def test_pictures_of_a_batch_are_what_they_are_together_but_for_rounding(sampler, tiling):
    request = replace(WIDE, sampler=sampler, tiling=tiling, batch_size=3)
    there = host(3)
    apart_, together = there.draw([Task(request)]), host(0).draw([Task(request)])
    assert kinds(there) == {"pictures"}
    assert [p.seed for p in apart_] == [p.seed for p in together]
    for a, b in zip(arrays(apart_), arrays(together), strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_what_belongs_together_stays_together():
    bound = replace(WIDE, batch_size=2, match=MatchKind().from_text("match", "1.right=2.left"))
    assert apart(Task(bound)) == [Task(bound)]
    assert len(apart(Task(replace(WIDE, batch_size=2)))) == 2


def test_one_large_picture_goes_tile_by_tile_and_many_go_whole():
    model = tiny_model("sd1")
    large, small = Task(WIDE), Task(SMALL)
    assert not pays_apart(model, [[large]], 2)
    assert not pays_apart(model, [[large]] * 2, 7)  # seven tiles are done at once
    assert pays_apart(model, [[small]] * 2, 7)  # of one tile each
    assert pays_apart(model, [[large]] * 4, 2)
    there = host()
    assert same(there.draw([large]), host(0).draw([large]))
    assert kinds(there) == {"tiles"}


def test_start_pictures_masks_regions_and_hints_are_sent(control, tmp_path, monkeypatch):  # noqa: F811
    """The worker stands in another folder, and the files are gone by then."""
    monkeypatch.chdir(tmp_path)
    mask = Image.new("L", PHOTO.size)
    mask.paste(255, (64, 0, 200, 64))
    PHOTO.save("photo.png")
    mask.save("mask.png")
    region, control = Region("", picture="photo.png", w=0.3), replace(control, model="net")
    request = replace(
        WIDE, init_image="photo.png", mask="mask.png", inpaint_from="noise", controls=(control,),
        tiling=replace(TILES, regions=(region,)),
    )  # fmt: skip
    tasks = [Task(request), Task(replace(request, seed=6))]
    here = host(0).draw(tasks)
    jobs = [DrawJob.of([task], 1, None) for task in tasks]
    for name in ("photo.png", "mask.png", control.image):
        (tmp_path / name).unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    runner = places(tiny_model("sd1"), home=object())
    there = [picture for _, (picture,) in sorted(runner.submit(jobs), key=lambda numbered: numbered[0])]
    assert all(map(np.array_equal, arrays(there), arrays(here)))


def test_a_missing_file_is_named_before_anything_is_sent():
    with pytest.raises(TiledError, match="init_image: no.png cannot be read"):
        host().draw([Task(replace(SMALL, init_image="no.png")), Task(SMALL)])


def test_a_wrong_request_is_told_as_here():
    wrong = replace(SMALL, width=72, tiling=replace(TILES, tile_width=128))
    with pytest.raises(TiledError, match="width: got 72"):
        host().draw([Task(wrong), Task(wrong)])


class Recorder(Progress):
    def __init__(self):
        self.told = []

    def start(self, steps, tiles):
        self.told.append(("start", steps))

    def step(self, i):
        self.told.append(("step", i))

    def finish(self):
        self.told.append(("finish",))


def test_progress_counts_pictures():
    told = Recorder()
    host().draw([Task(replace(SMALL, seed=s)) for s in range(3)], told)
    assert told.told == [("start", 3), ("step", 0), ("step", 1), ("step", 2), ("finish",)]
    told = Recorder()
    list(host().draw_each(([Task(SMALL)] for _ in range(2)), told))
    assert told.told == [("start", 1), ("step", 0), ("finish",)] * 2


def test_each_is_given_with_its_number_on_hosts_of_both_kinds():
    batches = [[Task(replace(SMALL, seed=s))] for s in range(4)]
    there = dict(draw_each(host(), iter(batches)))
    assert same([p for k in range(4) for p in there[k]], host(0).draw([task for batch in batches for task in batch]))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_mosaic_is_the_same_bit_for_bit(batch, tmp_path):
    settings = Mosaic(replace(SMALL, denoising_strength=0.6), grid=Grid(3, 2), tile=64)
    first, tiles = Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 40).convert("RGB"), {}
    for name, count in (("here", 0), ("there", 2)):
        at = host(count, batch=batch)
        drawn = list(mosaic(at, settings, tmp_path / name, first, How(batch)))
        assert sorted(tile.done for tile in drawn) == [1, 2, 3, 4, 5, 6]
        tiles[name] = {tile.place: np.asarray(tile.image) for tile in drawn}
    assert kinds(at) == {"pictures"}
    assert all(seat.worker.sent for seat in at.runner.seats)
    assert tiles["here"].keys() == tiles["there"].keys()
    assert all(np.array_equal(tiles["here"][place], tiles["there"][place]) for place in tiles["here"])

