"""Faithful ... creative: what a number or a name sets, and what flags set again."""

from dataclasses import replace

import pytest
from PIL import Image

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.creativity import (
    QUICK,
    QUICK_STEPS,
    RUNGS,
    STYLES,
    creativity_from_text,
    rung,
    with_creativity,
)
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.metadata import read_png

BEFORE = Request("a house", steps=20, controls=(Control("edges", "a.png", 0.5),), tiling=Settings(overlap=64))


def after(text):
    return with_creativity(BEFORE, creativity_from_text(text))


@pytest.mark.parametrize("style", STYLES)
def test_a_name_is_its_number(style):
    named, numbered = after(style), after(str(STYLES[style]))
    if style == QUICK:
        assert (named.steps, named.tiling.method, named.tiling.overlap) == (QUICK_STEPS, "jittered", None)
        named = replace(named, steps=BEFORE.steps, tiling=BEFORE.tiling)
    assert named == numbered


def test_nothing_else_is_set():
    assert replace(after("0.3"), denoising_strength=BEFORE.denoising_strength, inversion=None, controls=BEFORE.controls) == BEFORE


@pytest.mark.parametrize("place", range(len(RUNGS)))
def test_a_rung_is_met(place):
    assert rung(RUNGS[place].creativity) == RUNGS[place]


@pytest.mark.parametrize("name", ["denoising_strength", "freedom"])
def test_more_is_never_less(name):
    values = [getattr(rung(k / 20), name) for k in range(21)]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_controlnets_are_loosened_and_not_replaced():
    (control,) = after("creative").controls
    assert control == replace(BEFORE.controls[0], weight=0.5 * RUNGS[-1].control)
    assert after("faithful").controls == BEFORE.controls


@pytest.mark.parametrize("text", ["2", "-0.1", "nan", "bold", ""])
def test_others_are_refused(text):
    with pytest.raises(SettingsError, match="creativity: got .* allowed is 0 to 1, or one of faithful, balanced, creative, quick"):
        creativity_from_text(text)


@pytest.mark.parametrize(
    ("words", "strength", "freedom"),
    [
        (["faithful"], RUNGS[0].denoising_strength, RUNGS[0].freedom),
        (["faithful", "--denoising-strength", "0.5"], 0.5, RUNGS[0].freedom),
        (["0.5", "--keep", "0.9"], RUNGS[1].denoising_strength, 0.1),
    ],
)
def test_the_record_says_what_was_drawn(words, strength, freedom, tmp_path):
    picture, out = tmp_path / "small.png", tmp_path / "large.png"
    Image.new("RGB", (64, 64), "green").save(picture)
    asked = ["upscale", str(picture), "--prompt", "grass", "--steps", "4", "--quiet", "--device", "cpu", "--out", str(out)]
    assert main([*asked, "--creativity", *words]) == 0
    drawn = read_png(out)
    assert drawn.denoising_strength == strength
    assert drawn.inversion is not None
    assert drawn.inversion.freedom == pytest.approx(freedom)
