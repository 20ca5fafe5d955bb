"""Pictures enlarged in blocks: the same as in one piece where blocks agree, to the bit however often they were cut off."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.recipes.blocks.common import REQUEST, SCALE, TILING, digests, drawn, job
from tests.recipes.mosaic.common import Host, photo
from tests.standalone.tiny import tiny_model
from tiled_diffusion.engine.noise import placed_noise
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.blocks.draw import enlargement
from tiled_diffusion.recipes.blocks.folder import opened_folder
from tiled_diffusion.recipes.blocks.layout import Area
from tiled_diffusion.recipes.blocks.start import enlarged_part
from tiled_diffusion.recipes.blocks.status import status
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.recipes.mosaic import files
from tiled_diffusion.recipes.mosaic.files import DiskFullError, locked
from tiled_diffusion.recipes.mosaic.tiff import write_tiff
from tiled_diffusion.settings.enlargement import NOISY
from tiled_diffusion.settings.request import SAMPLERS
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.samplers import make_scheduler, set_steps, step_options

PROCESSES = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")


def pixels(image):
    return np.asarray(image).astype(int)


def whole(path):
    pyramid = opened_folder(path).pyramid
    out = Image.new("RGB", pyramid.size)
    columns, rows = pyramid.grid
    for x, y in ((x, y) for y in range(rows) for x in range(columns)):
        out.paste(Image.open(pyramid.tile_path(x, y)), pyramid.box(x, y)[:2])
    return out


def in_one_piece(host, settings, picture):
    size = (settings.width, settings.height)
    request = replace(settings.request, width=size[0], height=size[1])
    return host.draw([Task(request, picture.resize(size, Image.Resampling.LANCZOS), origin=(0, 0))])[0].image


def test_it_is_the_picture_that_would_be_drawn_in_one_piece(tmp_path):
    """The plain host sees no tiles: each pixel goes by its own place alone."""
    settings = job()
    blocks = drawn(tmp_path, settings)
    assert [b.done for b in blocks] == list(range(1, len(blocks) + 1)) == list(range(1, blocks[0].total + 1))
    assert len(blocks) > 8
    assert np.abs(pixels(whole(tmp_path)) - pixels(in_one_piece(Host(), settings, photo()))).max() <= 1
    assert not [*(tmp_path / "blocks").iterdir()], "their pixels are in the picture"
    assert opened_folder(tmp_path).pyramid.path(0, 0, 0).is_file()


def test_blocks_of_a_real_model_agree_in_the_middle_of_what_they_share():
    host = DiffusersHost(tiny_model("sd1"))
    request = replace(REQUEST, sampler="DPM++ 2M", tiling=Settings(tile_width=64, tile_height=64, overlap=32))
    settings = enlargement(host, request, photo(64, 24), 8, block=256, block_overlap=128)
    boxes = [Area(0, 0, 256, 192), Area(128, 0, 384, 192)]
    start = photo(64, 24).resize((512, 192))
    a, b = (
        pixels(host.draw([Task(
            replace(settings.request, width=256, height=192), start.crop(box), origin=box[:2])])[0].image)
        for box in boxes
    )  # fmt: skip
    apart = np.abs(a[:, 128:] - b[:, :128]).mean((0, 2))
    other = pixels(host.draw([Task(
        replace(settings.request, width=256, height=192), start.crop(boxes[1]), origin=(0, 0))])[0].image)  # fmt: skip
    assert apart[48:80].mean() < apart[[0, 1, 2, 3, -4, -3, -2, -1]].mean()
    assert apart[48:80].mean() < np.abs(a[:, 128:] - other[:, :128]).mean() / 4, "with other noise they would not"


@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 61), (70, 128), (63, 1)])
def test_noise_by_place_is_a_part_of_all_of_it(top, left):
    all_of_it = placed_noise((4, 160, 200), 5, 0, 0)
    part = placed_noise((4, 70, 60), 5, top, left)
    assert (part == all_of_it[:, top : top + 70, left : left + 60]).all()
    assert abs(all_of_it.mean()) < 0.02
    assert abs(all_of_it.std() - 1) < 0.02
    assert (placed_noise((4, 70, 60), 6, top, left) != part).any()


@pytest.mark.parametrize("upscaler", ["lanczos", "nearest"])
@pytest.mark.parametrize("area", [Area(0, 0, 64, 64), Area(100, 40, 300, 200), Area(500, 300, 576, 432)])
def test_a_part_of_the_enlarged_picture(upscaler, area):
    source, size = photo(96, 72), (576, 432)
    part = enlarged_part(Host(), source, size, area, upscaler)
    want = Host().upscale(source, size, upscaler).crop(area)
    assert part.size == want.size
    assert np.abs(pixels(part) - pixels(want)).max() <= 1


class LoggingHost(Host):
    """Writes down, before each block, where it is and what is there."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def draw(self, tasks, progress=None):
        there = [p.name for p in self.path.glob("blocks/*.png")]
        with (self.path.parent / "log").open("a") as log:
            log.write(json.dumps([tasks[0].origin, there]) + "\n")
        return super().draw(tasks, progress)


def work(path):
    drawn(path, host=LoggingHost(path))


def killed_at(path, count):
    """A process that draws, killed without a warning as soon as so many files have been written."""
    process = PROCESSES.Process(target=work, args=(path,))
    process.start()
    while process.is_alive() and len([*path.glob("1_files/*/*"), *path.glob("blocks/*.png")]) < count:
        time.sleep(0.001)
    if process.is_alive():
        os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.join()
    return process.exitcode


def test_killed_at_random_moments_it_goes_on_to_the_same_end(tmp_path):
    drawn(tmp_path / "whole")
    want = digests(tmp_path / "whole")
    path, rng = tmp_path / "killed", random.Random(3)
    kills = sum(killed_at(path, count) != 0 for count in sorted(rng.sample(range(1, len(want) - 4), 5)))
    assert kills == 5
    for name in [*path.glob("1_files/*/*.png"), *path.glob("blocks/*.png")]:
        with Image.open(name) as image:
            image.load()  # whole, or not there
    drawn(path, host=LoggingHost(path))
    assert digests(path) == want
    assert not [*path.rglob("*.part")]
    layout = opened_folder(path).layout
    name_of = {layout.area(x, y)[:2]: f"{x}_{y}.png" for x, y in layout.places()}
    for line in (tmp_path / "log").read_text().splitlines():
        origin, there = json.loads(line)
        assert name_of[tuple(origin)] not in there, "a finished block was drawn again"


def test_a_stop_a_full_disk_and_an_error_leave_what_was_finished(tmp_path, monkeypatch):
    for error in (KeyboardInterrupt, TiledError("broken")):
        with pytest.raises(error if isinstance(error, type) else type(error)):
            drawn(tmp_path, host=Host(2, error))
    original, left = os.fsync, [14]

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        original(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(DiskFullError, match="the disk is full. All that is finished is kept"):
        drawn(tmp_path)
    monkeypatch.undo()
    now = status(opened_folder(tmp_path))
    assert 4 <= now.done < now.total
    assert now.lines()[0] == f"{now.done} of {now.total} blocks"
    assert (now.seconds_left > 0, now.bytes_used > 0, now.bytes_needed > 0) == (True, True, True)
    assert len(drawn(tmp_path)) == now.total - now.done
    drawn(tmp_path / "b")
    assert digests(tmp_path / "b") == {k: v for k, v in digests(tmp_path).items() if not k.startswith("b/")}
    after = status(opened_folder(tmp_path))
    assert (after.done, after.seconds_left, after.bytes_needed) == (after.total, 0, 0)
    host = Host()
    assert (drawn(tmp_path, host=host), host.calls) == ([], [])


def test_no_more_than_two_rows_of_blocks_are_on_disk_and_a_few_in_memory(tmp_path, monkeypatch):
    """A tall picture: what is kept besides the picture does not grow with it."""
    from tiled_diffusion.recipes.blocks import draw

    most, peak = 0, 0

    class Counted(draw._Work):
        def _tile(self, area):
            nonlocal peak
            tile = super()._tile(area)
            peak = max(peak, self._block.cache_info().currsize)
            return tile

    monkeypatch.setattr(draw, "_Work", Counted)
    picture = photo(60, 400)
    settings = job(picture, scale=5)
    for block in draw.enlarge_in_blocks(Host(), settings, tmp_path, picture):
        most = max(most, len([*tmp_path.glob("blocks/*.png")]))
        assert block.image.width <= 264 + 48
    columns, rows = len(opened_folder(tmp_path).layout.columns.starts), len(opened_folder(tmp_path).layout.rows.starts)
    assert rows > 8
    assert most <= 4 * columns, "a tile of 512 px is as high as three rows of these small blocks"
    assert 0 < peak <= draw.IN_MEMORY


CHANGES = {
    "prompt": {"request": replace(REQUEST, prompt="a house")},
    "overlap": {"request": replace(REQUEST, tiling=replace(TILING, overlap=32))},
    "width": {"scale": 8},
    "upscaler": {"upscaler": "nearest"},
    "block": {"block": 312},
    "block_overlap": {"block_overlap": 72},
    "jpeg": {"jpeg": 90},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("blocks") / "m"
    drawn(path)
    return path


@pytest.mark.parametrize("field", CHANGES)
def test_another_job_is_refused_by_the_fields_name(field, made):
    before = digests(made)
    with pytest.raises(TiledError, match=rf"^{field}: the enlarged picture in .* has .*, and this is .*: take another"):
        drawn(made, job(**CHANGES[field]))
    assert digests(made) == before


def test_another_picture_another_model_and_another_program_are_refused(made):
    turned = photo().rotate(90)
    with pytest.raises(TiledError, match="^picture_sha256: the enlarged picture in"):
        drawn(made, job(turned), picture=turned)
    with pytest.raises(TiledError, match="^picture_sha256: the settings are of another picture"):
        drawn(made, picture=turned)
    host = Host()
    host.name = "another"
    with pytest.raises(TiledError, match='^model: .* has "plain", and this is "another"'):
        drawn(made, host=host)
    with locked(made), pytest.raises(TiledError, match=f"process {os.getpid()} works in this folder"):
        drawn(made)


class NetworkHost(Host):
    """Its upscaler is whatever file is named."""

    def upscale(self, image, size, upscaler="lanczos"):
        return super().upscale(image, size, "lanczos")


def test_an_upscalers_file_that_has_changed_is_refused_where_blocks_are_missing(tmp_path):
    network, path = tmp_path / "4x.pth", tmp_path / "m"
    network.write_bytes(b"one")
    settings = job(upscaler=str(network))
    assert settings.upscaler_sha256 == hashlib.sha256(b"one").hexdigest()
    with pytest.raises(KeyboardInterrupt):
        drawn(path, settings, host=NetworkHost(2))
    before = digests(path)
    for change in (lambda: network.write_bytes(b"two"), network.unlink):
        change()
        with pytest.raises(TiledError, match=r"^upscaler_sha256: the picture was begun with a file .*4x.pth of the SHA-256"):
            drawn(path, opened_folder(path).settings, host=NetworkHost())
        with pytest.raises(TiledError, match=r"^upscaler_sha256: the enlarged picture in .* has .*, and this is"):
            drawn(path, job(upscaler=str(network)), host=NetworkHost())
        assert digests(path) == before
    network.write_bytes(b"one")
    assert drawn(path, opened_folder(path).settings, host=NetworkHost())
    network.unlink()
    assert drawn(path, opened_folder(path).settings, host=NetworkHost()) == [], "all is there, and nobody needs it"


def test_tiles_and_blocks_know_each_other(made):
    folder = opened_folder(made)
    columns, rows = folder.pyramid.grid
    tiles = [(x, y) for y in range(rows) for x in range(columns)]
    for place in folder.layout.places():
        assert folder.tiles_of(place) == [tile for tile in tiles if place in folder.blocks_of(tile)]


def test_foreign_files_are_named_and_left(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(TiledError, match="holds letter.txt and no enlarged picture"):
        drawn(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
    path = tmp_path / "m"
    with pytest.raises(KeyboardInterrupt):
        drawn(path, host=Host(2))
    (path / "blocks" / "1_1.png").write_bytes(b"mine")
    with pytest.raises(TiledError, match="1_1.png: this is no picture that can be read"):
        drawn(path)
    assert (path / "blocks" / "1_1.png").read_bytes() == b"mine"


def test_too_little_room_is_told_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("U", (), {"free": 1000})())
    host = Host()
    with pytest.raises(TiledError, match=r"about 0.0\d GB are needed, and 0.00 GB are free"):
        drawn(tmp_path, host=host)
    assert host.calls == []


REFUSED = {
    "regions": replace(REQUEST, tiling=replace(TILING, regions=(Region("a house"),))),
    "wrap_x": replace(REQUEST, tiling=replace(TILING, wrap_x=True)),
    "method": replace(REQUEST, tiling=replace(TILING, method="elastic")),
    "batch_size": replace(REQUEST, batch_size=2),
    "mask": replace(REQUEST, mask="m.png"),
    "sampler": replace(REQUEST, sampler="Euler a"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_the_whole_picture_is_refused(name):
    with pytest.raises(TiledError, match=f"^{name}: "):
        job(request=REFUSED[name])


@pytest.mark.parametrize("scale", [0.5, 65, float("nan"), None])
def test_wrong_scales(scale):
    with pytest.raises(TiledError, match="^scale: got .*, allowed is a number from 1 to 64"):
        job(scale=scale)


def test_one_tiff_with_the_pictures_dpi(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    picture = photo()
    picture.info["dpi"] = (300, 300)
    path = tmp_path / "m"
    drawn(path, picture=picture)
    folder = opened_folder(path)
    assert folder.dpi() == pytest.approx((300, 300), abs=0.1)
    write_tiff(folder.pyramid, tmp_path / "all.tif", folder.dpi())
    with tifffile.TiffFile(tmp_path / "all.tif") as file:
        assert file.is_bigtiff
        assert (file.asarray() == pixels(whole(path))).all()
        across = file.pages[0].tags["XResolution"].value
    assert across[0] / across[1] == pytest.approx(300, abs=0.1)
    assert folder.pyramid.size == (96 * SCALE // 24 * 24, 96 * SCALE // 24 * 24)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_which_samplers_draw_new_noise(sampler):
    """Two runs of a scheduler from the same latent, with generators of their own."""
    ends = []
    for seed in (1, 2):
        scheduler = make_scheduler(sampler, tiny_model("sd1").scheduler_config)
        set_steps(scheduler, 4)
        latents = torch.ones(1, 4, 8, 8)
        options = step_options(scheduler, [torch.Generator().manual_seed(seed)])
        for t in scheduler.timesteps:
            latents = scheduler.step(latents * 0.1, t, latents, **options).prev_sample
        ends.append(latents)
    assert torch.equal(*ends) == (sampler not in NOISY)
