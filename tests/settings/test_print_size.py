"""Prints: the arithmetic of paper and pixels, and sizes in words."""

import pytest

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.print_size import PaperKind, Print, paper_size


@pytest.mark.parametrize(
    ("text", "dpi", "bleed", "px"),
    [
        ("30x40cm", 240, 0, (2835, 3780)), ("300x400mm", 240, 0, (2835, 3780)), ("A4", 300, 0, (2480, 3508)),
        ("A4", 300, 3, (2551, 3579)), ("8x10in", 300, 0, (2400, 3000)), ("a3", 300, 0, (3508, 4961)),
        ("10,5 x 14.8 cm", 254, 0, (1050, 1480)), ("1x1cm", 30, 0, (12, 12)),
    ],
)  # fmt: skip
def test_pixels(text, dpi, bleed, px):
    width, height = paper_size(text)
    sheet = Print(width, height, dpi, bleed)
    assert sheet.px == px
    assert f"at {dpi:g} DPI = {px[0]} x {px[1]} px" in sheet.to_text()


def test_a_paper_that_is_named_lies_as_it_is_wanted():
    assert paper_size("A5") == (148, 210)
    assert paper_size("A5", wide=True) == (210, 148)
    assert paper_size("15x10cm") == paper_size("15x10cm", wide=True) == (150, 100)


@pytest.mark.parametrize("text", ["", "A9", "30x40", "30cm", "x40cm", "30x40x50cm", "-3x4cm", "30x40px", "1e3x4cm", "A4 A4", f"{'9' * 400}x1in"])
def test_no_sizes(text):
    with pytest.raises(SettingsError, match="print: got .*, allowed is WIDTHxHEIGHT in mm, cm or in, such as 30x40cm, or a paper"):
        paper_size(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10x5000mm", None), ("500x1 cm", None), ("A0", None),
        ("9.9x100mm", "print_size: got '9.9x100mm', allowed is 10 to 5000 mm a side"),
        ("30x500,1cm", "print_size: got '30x500,1cm', allowed is 10 to 5000 mm a side"),
        ("0x0cm", "print_size: got '0x0cm', allowed is 10 to 5000 mm a side"),
        ("A7", "print_size: got 'A7', allowed is WIDTHxHEIGHT in mm, cm or in"),
        (7, "print_size: got 7, allowed is WIDTHxHEIGHT in mm, cm or in"),
    ],
)  # fmt: skip
def test_sizes_in_settings_are_those_of_prints(text, message):
    kind = PaperKind()
    if message is None:
        kind.check("print_size", text)
        Print(*paper_size(text), dpi=30)
        return
    with pytest.raises(SettingsError) as error:
        kind.check("print_size", text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((9, 400), "width_mm: got 9, allowed is a number from 10 to 5000"),
        ((300, 5001), "height_mm: got 5001, allowed"),
        ((300, float("nan")), "height_mm: got nan, allowed"),
        ((300, 400, 5), "dpi: got 5, allowed is a number from 30 to 2400"),
        ((300, 400, 300, 60), "bleed_mm: got 60, allowed"),
        ((300, 400, 300, 0, "stretch"), "fit: got 'stretch', allowed is one of cover, contain"),
        ((5000, 400, 300), "print: got '59055x4724 px', allowed is at most 32768 px a side: take fewer DPI"),
    ],
)
def test_prints_that_make_no_sense(values, message):
    with pytest.raises(SettingsError, match=message):
        Print(*values)
