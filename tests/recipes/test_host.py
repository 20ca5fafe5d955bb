"""What the protocol promises, on every host."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.recipes.plain_host import PlainHost
from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Host, Task
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_vae import Interrupted

REQUEST = Request("a tree", width=192, height=96, steps=2, sampler="Euler", seed=7)


def photo(width=192, height=96):
    return Image.effect_mandelbrot((width, height), (-2, -1, 1, 1), 50).convert("RGB")


def pixels(image):
    return np.asarray(image).astype(int)


def sized(host, request=REQUEST):
    """A request that the host can draw in one tile's height."""
    return replace(request, width=4 * host.unit_px, height=-(-64 // host.unit_px) * host.unit_px)


@pytest.mark.parametrize("kind", [PlainHost, DiffusersHost])
def test_a_host_has_what_the_protocol_names_and_calls_it_the_same(kind):
    for name, part in vars(Host).items():
        if name.startswith("_"):
            continue
        own = getattr(kind, name)
        if inspect.isfunction(part):
            promised, given = inspect.signature(part).parameters, inspect.signature(own).parameters
            assert [(p.name, p.kind, p.default) for p in given.values()] == [
                (p.name, p.kind, p.default) for p in promised.values()
            ], name


def test_sizes_and_name():
    for kind, unit, native in (("sd1", 64, 64), ("sdxl", 32, 64)):
        host = DiffusersHost(tiny_model(kind))
        assert (host.name, host.unit_px, host.native_px) == (f"tiny-{kind}", unit, native)


def test_unlike_tasks_come_back_in_order_each_with_its_seeds(host):
    request = sized(host)
    tasks = [
        Task(replace(request, batch_size=2)),
        Task(replace(request, seed=40, prompt="a house"), start=photo(50, 30)),
        Task(replace(request, seed=2, width=2 * request.width)),
    ]
    pictures = host.draw(tasks)
    assert [p.seed for p in pictures] == [7, 8, 40, 2]
    sizes = [(t.request.width, t.request.height) for t in (tasks[0], *tasks)]
    assert [p.image.size for p in pictures] == sizes
    assert {p.image.mode for p in pictures} == {"RGB"}
    assert host.draw([]) == []


def test_a_picture_depends_on_its_task_alone(host):
    request = sized(host)
    tasks = [Task(request), Task(replace(request, seed=40), start=photo()), Task(replace(request, seed=8))]
    alone = [picture for task in tasks for picture in host.draw([task])]
    for order in ([0, 1, 2], [2, 0, 1]):
        for k, picture in zip(order, host.draw([tasks[k] for k in order]), strict=True):
            assert picture.seed == alone[k].seed
            assert (pixels(picture.image) == pixels(alone[k].image)).all()


def test_the_seed_of_a_picture_draws_it_alone(host):
    request = sized(host, replace(REQUEST, batch_size=3))
    pictures = host.draw([Task(request)])
    assert (pixels(pictures[0].image) != pixels(pictures[1].image)).any()
    for picture in pictures:
        [alone] = host.draw([Task(replace(request, seed=picture.seed, batch_size=1))])
        assert abs(pixels(alone.image) - pixels(picture.image)).max() <= 1  # a batch rounds in another order


def test_a_start_stands_in_for_the_file(host, tmp_path):
    photo(80, 60).save(tmp_path / "start.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    request = sized(host, replace(REQUEST, init_image=str(tmp_path / "start.png")))
    [by_file] = host.draw([Task(request)])
    [by_start] = host.draw([Task(replace(request, init_image=str(tmp_path / "other.png")), start=photo(80, 60))])
    assert (pixels(by_file.image) == pixels(by_start.image)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(host, mode):
    request = sized(host, replace(REQUEST, denoising_strength=0.0))
    clear = Image.new(mode, (40, 30), 0)
    clear.info["transparency"] = 0
    white = Image.new("RGB", (40, 30), "white")
    [on_clear, on_white] = host.draw([Task(request, clear), Task(request, white)])
    assert (pixels(on_clear.image) == pixels(on_white.image)).all()
    size = (request.width, request.height)
    assert (pixels(host.upscale(clear, size)) == 255).all()
    assert torch.equal(host.encode([clear.resize(size)]), host.encode([white.resize(size)]))


def test_nothing_drawn_anew_is_the_start_encoded_and_decoded(host):
    request = sized(host, replace(REQUEST, denoising_strength=0.0))
    start = photo(request.width, request.height)
    [drawn] = host.draw([Task(request, start)])
    [decoded] = host.decode(host.encode([start]))
    assert (pixels(drawn.image) == pixels(decoded)).all()


def test_a_ring_is_encoded_and_decoded_as_one(host):
    """As a ring, a picture rolled by whole latent pixels is that picture's latent, rolled."""
    size = (host.unit_px * 4, host.unit_px * 2)
    image = photo(*size)
    for axis, wraps in ((1, {"wrap_x": True}), (0, {"wrap_y": True})):
        by = size[1 - axis] // 2
        rolled = Image.fromarray(np.roll(np.asarray(image), by, axis=axis))
        latent, other = host.encode([image], **wraps), host.encode([rolled], **wraps)
        factor = size[0] // latent.shape[-1]
        torch.testing.assert_close(torch.roll(latent, by // factor, dims=axis + 2), other, atol=1e-4, rtol=1e-4)
        [there], [back] = host.decode(latent, **wraps), host.decode(other, **wraps)
        assert abs(np.roll(pixels(there), by, axis=axis) - pixels(back)).max() <= 1


def test_shapes_of_latents(host):
    size = (host.unit_px * 3, host.unit_px * 2)
    latents = host.encode([photo(*size)] * 2)
    factor = size[0] // latents.shape[-1]
    assert latents.dtype == torch.float32
    assert latents.shape[0] == 2
    assert latents.shape[-2:] == (size[1] // factor, size[0] // factor)
    assert host.unit_px % factor == 0
    assert [image.size for image in host.decode(latents)] == [size] * 2


@pytest.mark.parametrize(
    ("sizes", "named"), [([], "one size"), ([(96, 96), (96, 192)], "one size"), ([(95, 96)], "multiples of")]
)
def test_pictures_that_cannot_be_encoded(host, sizes, named):
    with pytest.raises(TiledError, match=f"encode: .*{named}"):
        host.encode([Image.new("RGB", size) for size in sizes])


def test_the_error_names_the_sizes():
    host = DiffusersHost(tiny_model("sd1"))
    with pytest.raises(TiledError, match="got 64x64, 64x128, allowed are pictures of one size"):
        host.encode([Image.new("RGB", size) for size in ((64, 64), (64, 128), (64, 64))])
    with pytest.raises(TiledError, match="got 100x64 px, allowed are sides in multiples of 8"):
        host.encode([Image.new("RGB", (100, 64))])


@pytest.mark.parametrize("size", [(1, 1), (40, 24), (41, 23), (200, 7)])
def test_upscaling_is_exact(host, size):
    large = host.upscale(photo(40, 24), size)
    assert (large.size, large.mode) == (size, "RGB")
    assert size != (40, 24) or (pixels(large) == pixels(photo(40, 24))).all()


def test_an_upscaler_that_is_not_there(host):
    with pytest.raises(TiledError, match="upscaler: .*magic"):
        host.upscale(photo(), (400, 200), "magic")


class Recorder(Progress):
    """Notes what it is told, and stops where it should."""

    def __init__(self, stop_at=None):
        self.calls, self.stop_at = [], stop_at

    def start(self, steps, tiles):
        self.calls.append(("start", steps))

    def step(self, i):
        self.calls.append(("step", i))
        if i == self.stop_at:
            raise Interrupted

    def finish(self):
        self.calls.append(("finish",))


def test_progress_is_told_of_every_run(host):
    progress = Recorder()
    host.draw([Task(sized(host)), Task(sized(host))], progress)
    assert progress.calls == [("start", 2), ("step", 0), ("step", 1), ("finish",)] * 2


def test_what_progress_raises_ends_the_drawing(host):
    progress = Recorder(stop_at=0)
    with pytest.raises(Interrupted):
        host.draw([Task(sized(host)), Task(sized(host))], progress)
    assert progress.calls == [("start", 2), ("step", 0), ("finish",)]


def test_what_a_model_cannot_draw_is_named():
    host = DiffusersHost(tiny_model("sd1"))
    tiled = Settings(tile_width=128, overlap=128)
    with pytest.raises(TiledError, match="overlap"):
        host.draw([Task(replace(REQUEST, width=512, height=128, tiling=tiled))])
