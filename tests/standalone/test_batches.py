"""Unlike requests as one batch: each picture is what it would be alone, but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.standalone.tiny import tiny_model
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.batches import groups
from tiled_diffusion.standalone.host import DiffusersHost

REQUEST = Request("a tree", width=64, height=64, steps=3, cfg_scale=3.0, sampler="DDIM", denoising_strength=0.7, hold=0.8)
PROMPTS = ("a tree", "a house AND snow :0.5", "a boat AND the sea :0.5", "", "snow")


def start(k):
    return Image.effect_mandelbrot((64, 64), (-2 + k / 9, -1, 1, 1), 40).convert("RGB")


def task(k, **values):
    request = replace(REQUEST, prompt=PROMPTS[k % 5], seed=100 * k + 7, negative_prompt="snow" if k % 2 else "", **values)
    return Task(request, start(k))


@pytest.mark.parametrize(("kind", "sampler"), [("sd1", "DDIM"), ("sd1", "Euler a"), ("sd2", "DPM++ 2M"), ("sdxl", "DDIM")])
def test_rows_of_a_batch_are_what_they_are_alone(kind, sampler):
    tasks = [replace(t, request=replace(t.request, sampler=sampler)) for t in map(task, (0, 3, 4, 1, 2, 6, 7))]
    calls = []
    host = DiffusersHost(tiny_model(kind), batch=4)
    unet, original = host.model.unet, host.model.unet.forward
    unet.forward = lambda x, *args, **more: (calls.append(len(x)), original(x, *args, **more))[1]
    try:
        together = host.draw(tasks)
    finally:
        del unet.forward
    assert set(calls) == {3 * 2, 4 * 3}, "three pictures of a part and the negative prompt, four of two parts"
    assert [p.seed for p in together] == [t.request.seed for t in tasks]
    for picture, one in zip(together, tasks, strict=True):
        (alone,) = DiffusersHost(host.model).draw([one])
        difference = np.abs(np.asarray(picture.image).astype(int) - np.asarray(alone.image).astype(int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.02


def test_a_row_does_not_depend_on_the_others_of_its_batch():
    host = DiffusersHost(tiny_model("sd1"), batch=4)
    a = host.draw([task(0), task(3), task(4), task(5)])
    b = host.draw([task(5), task(8), task(0), task(0)])
    assert (np.asarray(a[0].image) == np.asarray(b[2].image)).all()
    assert (np.asarray(a[3].image) == np.asarray(b[0].image)).all()


def test_a_long_prompt_does_not_change_its_neighbours():
    """Texts of one batch are padded to one length, which pictures would show."""
    host = DiffusersHost(tiny_model("sd1"), batch=4)
    long = replace(task(3), request=replace(task(3).request, prompt="a house, " * 60))
    a, b = host.draw([task(0), task(5)]), host.draw([task(0), long, task(5)])
    for alone, beside in ((a[0], b[0]), (a[1], b[2])):
        assert np.abs(np.asarray(alone.image).astype(int) - np.asarray(beside.image).astype(int)).max() <= 1


def test_what_is_one_batch():
    model = tiny_model("sd1")
    alike = [task(0), task(3), task(5)]
    unlike = [
        task(0, steps=4), task(0, cfg_scale=4.0), task(0, denoising_strength=0.5), task(0, width=128), task(0, batch_size=2),
        task(0, controls=(Control("edges", "x.png"),)), task(0, tiling=Settings(regions=(Region("a"),))),
        task(0, tiling=Settings(method="spot")), task(0, inversion=Inversion()), task(0, tiling=Settings(tile_prompts="content")), Task(REQUEST), replace(task(0), mask=start(0)), task(1),
        replace(task(0), request=replace(task(0).request, prompt="a house, " * 60)),
    ]  # fmt: skip
    for other in unlike:
        assert [len(g) for g in groups(model, [alike[0], other, alike[1]], 4)] == [1, 1, 1]
    assert [len(g) for g in groups(model, alike, 4)] == [3]
    assert [len(g) for g in groups(model, alike * 3, 4)] == [4, 4, 1]
    assert [len(g) for g in groups(model, alike, 1)] == [1, 1, 1]


def test_hold_keeps_mean_colours_and_0_changes_nothing():
    model, plain = tiny_model("sd1"), replace(REQUEST, denoising_strength=1.0)
    want = np.asarray(start(2)).astype(float)

    def blocks(**values):
        (picture,) = DiffusersHost(model).draw([Task(replace(plain, **values), start(2))])
        return picture.image, np.asarray(picture.image).astype(float)

    held, free = blocks(hold=1.0)[1], blocks(hold=0.0)[1]
    decoded = np.asarray(DiffusersHost(model).draw([Task(replace(plain, denoising_strength=0.0), start(2))])[0].image)

    def off(image):
        return np.abs((image - decoded).reshape(4, 16, 4, 16, 3).mean((1, 3))).mean()

    assert want.shape == held.shape
    assert off(held) < off(free)
