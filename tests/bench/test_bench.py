"""The instruments themselves: what they count is there, and what they must see they see."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from bench.__main__ import rows
from bench.layouts import seam
from bench.memory import peak_bytes
from bench.positions import off
from bench.small import KINDS, SIDE, WIDTH, Try, share_inside


def test_live_bytes_are_exact():
    def run():
        a = torch.zeros(1000)  # 4000
        b = a + 1  # 8000
        del a
        c = b.double()  # 4000 + 8000
        return c.view(10, 100)[:5]

    assert peak_bytes(run) == 12000


def test_views_and_inplace_results_count_once():
    def run():
        a = torch.zeros(256)
        a.view(16, 16).t().add_(1)
        a[3:].mul_(2)

    assert peak_bytes(run) == 1024


def test_rows_have_dotted_names():
    assert rows({"a": {"b": 1.0, "c": {"d": 2}}}) == [("a.b", 1.0), ("a.c.d", 2)]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("step", "least", "most"), [(0.0, 1, 1), (0.004, 2, 9), (0.05, 6, 99)])
def test_the_seam_figure_sees_a_faint_step_on_a_plain_sky(axis, step, least, most):
    """A step of 0.004 is half a level of 255."""
    from bench.quality import Sums

    rng = np.random.default_rng(0)
    ramp = np.linspace(-0.5, 0.5, 192)[:, None, None]
    image = np.broadcast_to(ramp, (192, 192, 3)) + rng.normal(0, 0.001, (192, 192, 3))
    image[:, 40:60] = rng.random((192, 20, 3))  # something that is not smooth
    line = [slice(None)] * 2
    line[axis] = slice(80, None)
    streaked = image.copy()
    streaked[tuple(line)] += step
    sums = Sums()
    sums.add(streaked, image, (Counter([10]), Counter()) if axis == 0 else (Counter(), Counter([10])))
    assert sums.count >= 8
    assert least <= sums.raw <= most
    assert 1 <= sums.ratio <= sums.raw


def test_meeting_points_of_two_tiles():
    from bench.quality import meeting_points
    from tiled_diffusion.engine.methods import METHODS

    assert meeting_points(METHODS["multidiffusion"].axis(32, 20, 8, False, 0), 32) == {12, 20}
    assert meeting_points(METHODS["mixture"].axis(32, 20, 8, False, 0), 32) == {12, 16, 20}
    assert meeting_points(METHODS["spot"].axis(32, 16, 0, False, 0), 32) == {16}


def houses(*colours):
    """A rendering of houses in these colours, side by side."""
    from training.detector import render, scene_of

    scene = scene_of(5, "day", "snow", [("house", colour) for colour in colours])
    for k, thing in enumerate(scene["objects"]):
        thing.update(x=128 * (k + 0.5) / len(colours), y=104, scale=0.7)
    return render(scene).resize((256, 256))


def test_duplicates_and_foreign_things_are_seen():
    from bench.elastic import judged
    from training import detector

    prompt = detector.Prompt("a red house on snow, blue sky", "house", "red", "snow", "day")
    tools = (detector.centroids(), detector.templates())
    pictures = [houses("red"), houses("red", "red"), houses("red", "purple"), houses("purple", "red", "purple")]
    one, two, beside, between = (judged(detector, tools, picture, prompt) for picture in pictures)
    assert [seen[1] for seen in (one, two, beside)] == [False, True, False]
    assert one[2] == two[2] == 0 < beside[2] < between[2]


def test_the_seam_between_pictures_is_seen():
    from bench.match import SIDE, ratio, seam

    rng = np.random.default_rng(0)
    sky = np.linspace(60, 190, SIDE)[:, None, None]
    plain = [np.broadcast_to(sky, (SIDE, SIDE, 3)) + rng.normal(0, 0.1, (SIDE, SIDE, 3)) for _ in range(3)]
    assert ratio([seam(plain)]) == pytest.approx(1, abs=0.2)
    assert ratio([seam([plain[0], plain[1] + 0.5, plain[2]])]) > 2, "half a level of 255"
    outlined = [picture.copy() for picture in plain]
    for picture in outlined:
        picture[:64, :8] = 255  # a thing whose outline lies where pictures meet is no seam
    assert ratio([seam(outlined)]) == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(
    ("box", "least", "most"),
    [((90, 30, 60, 60), 1, 1), ((112, 30, 60, 60), 0.4, 0.7), ((200, 30, 60, 60), 0, 0), ((102, 52, 16, 16), 1, 1)],
)
def test_a_thing_counts_as_far_as_it_lies_in_its_box(box, least, most):
    """It is 20 px wide and high at (100, 50); a box that is 2 px short of it holds it too."""
    picture = Image.new("RGB", (WIDTH, SIDE), (130, 190, 235))
    picture.paste((214, 48, 49), (100, 50, 120, 70))
    kind = KINDS[0]
    assert kind.colour == "red"
    assert least <= share_inside(picture, Try(kind, box, False, 0)) <= most


def test_a_border_between_columns_is_a_seam():
    def picture(step):
        columns = np.repeat([[100, 100 + step, 100]], 32, axis=1)[0]
        noise = np.random.default_rng(0).integers(0, 3, (16, 96))
        return Image.fromarray((columns + noise).astype(np.uint8)).convert("RGB")

    assert 0.5 < seam([picture(0)], 32) < 2
    assert seam([picture(60)], 32) > 20


def test_positions_of_the_canvas_bring_tiles_nearer_to_the_untiled_model():
    own, told = (off("sd3", "mixture", positions, 0) for positions in ("tile", "canvas"))
    assert 0 < told < own / 4
