"""Pictures brought to the exact pixels of a print, on every host."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.printing import enlargement, print_notes, printed
from tiled_diffusion.recipes.upscale import upscale
from tiled_diffusion.settings.print_size import Print
from tiled_diffusion.settings.request import Request

SMALL = Print(40, 60, 60)  # 94 x 142 px
REQUEST = Request("a tree", steps=2, sampler="Euler", denoising_strength=0.0)


def picture(width=60, height=90):
    return Image.effect_mandelbrot((width, height), (-2, -1, 1, 1), 50).convert("RGB")


@pytest.mark.parametrize("size", [(60, 90), (91, 31), (7, 400), (300, 300)])
@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize("bleed", [0, 4])
def test_exact_pixels(host, size, fit, bleed):
    sheet = replace(SMALL, fit=fit, bleed_mm=bleed)
    made = printed(host, REQUEST, Image.new("RGB", size, (200, 30, 60)), sheet)
    assert made.size == sheet.px
    red = (np.asarray(made) == (200, 30, 60)).all(axis=2)
    if fit == "cover":
        assert red.all()
    else:
        high, wide = red.any(axis=1).sum(), red.any(axis=0).sum()
        assert max(wide - sheet.trim_px[0], high - sheet.trim_px[1]) in (0, 1)
        assert abs(wide / high / (size[0] / size[1]) - 1) < 1 / min(wide, high) + 0.02
        assert (np.asarray(made)[~red] == 255).all()


def test_the_middle_is_what_stays():
    wide = Image.new("RGB", (300, 60), "blue")
    wide.paste("red", (115, 0, 185, 60))
    made = np.asarray(printed_plain(wide, SMALL))
    assert (made == (255, 0, 0)).all()


def printed_plain(image, sheet):
    from tests.recipes.plain_host import PlainHost

    return printed(PlainHost(), REQUEST, image, sheet)


def test_details_are_drawn_where_that_is_asked_for(host):
    plain = np.asarray(printed(host, REQUEST, picture(), SMALL))
    drawn = np.asarray(printed(host, replace(REQUEST, denoising_strength=0.5, batch_size=3), picture(), SMALL))
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()
    larger = printed(host, replace(REQUEST, denoising_strength=0.5), picture(600, 900), SMALL)
    assert (np.asarray(larger) == np.asarray(printed(host, REQUEST, picture(600, 900), SMALL))).all()


def test_too_much_is_told(host):
    with pytest.raises(TiledError, match=r"print: 94x142 px is 23.5 times the picture of 4x9; allowed is up to 16 times"):
        printed(host, replace(REQUEST, denoising_strength=0.2), picture(4, 9), SMALL)
    assert printed(host, REQUEST, picture(4, 9), SMALL).size == SMALL.px


def test_notes_say_paper_and_pixels_and_warn():
    assert print_notes((60, 90), SMALL) == [
        "print: 4 x 6 cm at 60 DPI = 94 x 142 px, 1.6 times the picture of 60 x 90 px",
    ]
    assert "beyond 8 times it looks soft" in print_notes((10, 15), SMALL)[1]
    assert enlargement((94, 71), replace(SMALL, fit="contain")) == 1


def test_the_dpi_of_the_source_are_kept(host):
    image = picture()
    image.info["dpi"] = (240, 240)
    assert upscale(host, REQUEST, image, 2.0)[0].image.info["dpi"] == (240.0, 240.0)
    for nonsense in ((0, 0), (float("nan"), 1)):
        image.info["dpi"] = nonsense
        assert "dpi" not in upscale(host, REQUEST, image, 2.0)[0].image.info
