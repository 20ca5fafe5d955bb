"""The script Frame: drawn by the host's own job on the flattened frame, which is afterwards as it was."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
from modules import images, processing, shared
from PIL import Image

from tests.recipes.frame.rendered import camera, photo_of_frame
from tests.webui.host_model import Job
from tiled_diffusion.webui.frame import FrameScript
from tiled_diffusion.webui.hosts.failure import JobError

SIZE = (320, 240)
PHOTO, CORNERS = photo_of_frame(0.75, SIZE, camera(-18, 8, 2, 260, 2.0, SIZE), seed=3)
FRACTIONS = json.dumps((CORNERS / SIZE).tolist())


@dataclass
class Inpainting(Job):
    """The stand-in's job: it fills the mask with a colour for each seed, and leaves the rest as it is."""

    width: int = 64
    height: int = 64
    prompt: object = "a tree"
    seed: object = 7
    batch_size: int = 2
    denoising_strength: float = 0.6
    image_mask: object = None
    inpaint_full_res: bool = True
    inpainting_mask_invert: int = 1
    inpainting_fill: int = 1
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    resize_mode: int = 2
    do_not_save_grid: bool = False
    do_not_save_samples: bool = False
    override_settings: dict = field(default_factory=lambda: {"a": 1})
    outpath_samples: str = ""
    grid: bool = False
    larger: int = 1
    asked: dict = field(default_factory=dict)


def process(p):
    names = ("inpaint_full_res", "inpainting_mask_invert", "inpainting_fill", "mask_blur_x", "denoising_strength", "width", "height")
    p.asked = {name: getattr(p, name) for name in names} | {"override": dict(p.override_settings)}
    (start,), p.all_seeds = p.init_images, [p.seed + k for k in range(p.batch_size)]
    made = []
    for seed in p.all_seeds:
        image = start.copy()
        image.paste((seed * 10, 0, 0), mask=p.image_mask)
        made.append(image.resize((start.width * p.larger, start.height * p.larger), Image.Resampling.NEAREST))
    first = int(p.grid)
    texts = [f"record {k}" for k in range(len(made))]
    made, texts = ([made[0]] * first + made), ["grid"] * first + texts
    processed = processing.Processed(p, made, index_of_first_image=first, infotexts=texts)
    processed.all_seeds = p.all_seeds
    return processed


@pytest.fixture
def saved(monkeypatch):
    """Pictures that were saved, with their seeds and records."""
    every = []
    monkeypatch.setattr(processing, "process_images", process)
    monkeypatch.setattr(images, "save_image", lambda image, *given, info, p: every.append((image, given[2], info)), raising=False)
    for name, value in (("enable_pnginfo", True), ("samples_save", True), ("samples_format", "png")):
        monkeypatch.setattr(shared.opts, name, value, raising=False)
    return every


def drawn(p, corners=FRACTIONS, begin="noise", shape=0, context=0.5, light=0, feather=0):
    return FrameScript().run(p, corners, begin, shape, context, light, feather)


def job(**values):
    return Inpainting(**{"init_images": [PHOTO], **values})


def pixels(image):
    return np.asarray(image)


@pytest.mark.parametrize("more", [{}, {"grid": True}, {"larger": 2}])
def test_each_photo_has_its_picture_and_the_job_is_as_before(saved, more):
    p = job(**more)
    before = {k: v for k, v in vars(p).items() if k not in ("asked", "all_seeds", "extra_generation_params", "comments", "infotexts", "script")}
    processed = drawn(p)
    first, second, picture, _ = processed.images
    for photo, red in ((first, 70), (second, 80)):
        changed = (pixels(photo) != pixels(PHOTO)).any(axis=2)
        assert abs(changed.mean() * SIZE[0] * SIZE[1] / area(CORNERS) - 1) < 0.02
        assert abs(pixels(photo)[changed][:, 0].astype(int) - red).max(initial=0) < 170
        assert (np.median(pixels(photo)[changed], axis=0) == (red, 0, 0)).all()
    assert (pixels(picture) == (70, 0, 0)).all()
    assert abs(picture.width * picture.height / (64 * more.get("larger", 1)) ** 2 - 1) < 0.05
    assert processed.infotexts == ["record 0", "record 1"] * 2
    assert [(seed, text) for _, seed, text in saved] == [(7, "record 0"), (8, "record 1")] * 2
    assert saved[0][0].info["parameters"] == "record 0"
    assert {k: v for k, v in vars(p).items() if k in before} == before


def area(corners):
    x, y = corners.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_what_the_host_is_asked(saved):
    p = job()
    drawn(p)
    assert p.asked["width"] % 8 == p.asked["height"] % 8 == 0
    assert abs(p.asked["width"] * p.asked["height"] / 128**2 - 1) < 0.2
    hard = {"inpaint_full_res": False, "inpainting_mask_invert": 0, "mask_blur_x": 0}
    assert hard.items() <= p.asked.items()
    assert (p.asked["inpainting_fill"], p.asked["denoising_strength"]) == (3, 1.0)
    assert p.asked["override"].items() >= {"a": 1, "return_mask": False}.items()
    drawn(p, begin="original")
    assert (p.asked["inpainting_fill"], p.asked["denoising_strength"]) == (1, 0.6)
    numbers = p.extra_generation_params["Frame"]
    assert numbers.endswith(" from original")
    assert np.abs(np.array(numbers.split(" ")[0].split(","), dtype=float).reshape(4, 2) - CORNERS).max() < 0.06


def test_pixels_in_words_are_the_same_corners(saved):
    words = ",".join(f"{n:.6f}" for n in CORNERS.ravel())
    assert (pixels(drawn(job(), words).images[0]) == pixels(drawn(job()).images[0])).all()


@pytest.mark.parametrize("words", ["", "auto"])
def test_a_frame_that_was_looked_for_is_told(saved, words):
    p = job()
    drawn(p, words)
    assert any("the frame was found at" in comment for comment in p.comments)


def test_a_guessed_shape_is_told(saved):
    p = job()
    drawn(p, "50,40,250,40,250,200,50,200")
    assert any("by a guess of the lens: say its shape" in comment for comment in p.comments)
    p = job()
    drawn(p, "50,40,250,40,250,200,50,200", shape=1.5)
    assert not p.comments


def test_no_files_where_none_are_wanted(saved):
    drawn(job(do_not_save_samples=True))
    assert saved == []


WRONG = {
    "a mask": ({"image_mask": Image.new("L", SIZE)}, {}, "needs one photo, and no mask"),
    "no picture": ({"init_images": []}, {}, "needs one photo"),
    "16 bits": ({"init_images": [Image.new("I;16", SIZE)]}, {}, "more than 8 bits a channel"),
    "crossing corners": ({}, {"corners": "10,10,200,200,200,10,10,200"}, "corners: the sides cross"),
    "no corners": ({}, {"corners": "[1, 2]"}, "corners: got"),
    "no frame": ({"init_images": [Image.new("RGB", SIZE, "grey")]}, {"corners": ""}, "no frame is seen"),
    "another beginning": ({}, {"begin": "fill"}, "begin: got 'fill', allowed is one of original, noise"),
    "too much room": ({}, {"context": 3}, "context: got 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn_is_told(name, saved):
    values, words, message = WRONG[name]
    p = job(**values)
    with pytest.raises(JobError, match=message) as told:
        drawn(p, **words)
    assert told.value.status_code == 422
    assert p.asked == {}


def test_it_is_a_script_of_img2img():
    script = FrameScript()
    assert (script.title(), script.show(True), script.show(False)) == ("Frame", True, False)
