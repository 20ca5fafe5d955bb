"""The size of a print on paper: millimetres, dots per inch, bleed, and the pixels that they make."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from tiled_diffusion.errors import SettingsError

from .fields import check_fields, entry
from .kinds import Choice, Choices, Number, Text, wrong

MM_PER_INCH = Fraction(254, 10)
MOST_PX = 32768
PAPERS = {
    "A0": (841, 1189), "A1": (594, 841), "A2": (420, 594), "A3": (297, 420), "A4": (210, 297), "A5": (148, 210),
    "A6": (105, 148),
}  # fmt: skip
"""Width and height in millimetres, ISO 216."""
UNITS = {"mm": Fraction(1), "cm": Fraction(10), "in": MM_PER_INCH}
FORM = f"WIDTHxHEIGHT in mm, cm or in, such as 30x40cm, or a paper, {', '.join(PAPERS)}"
PRINT_FITS = Choices((
    Choice("cover", "cover", "Fills the paper, and what reaches beyond it is cut off."),
    Choice("contain", "contain", "All of the picture lies on the paper, with a white border where it is too narrow."),
))  # fmt: skip
SIDE_MM = Number(10, 5000)
_SIZE = re.compile(r"(\d{1,9}(?:[.,]\d+)?)\s*[x\u00d7]\s*(\d{1,9}(?:[.,]\d+)?)\s*(mm|cm|in)")


@dataclass(frozen=True)
class PaperKind(Text):
    """The size of a print in words; see paper_size."""

    needed: str = FORM

    def check(self, name: str, value: object) -> None:
        """Also that it says a size that a print may have."""
        super().check(name, value)
        try:
            sides = paper_size(str(value))
        except SettingsError:
            raise wrong(name, value, self.allowed) from None
        if not all(map(SIDE_MM.fits, sides)):
            raise wrong(name, value, f"{SIDE_MM.values('mm')} a side")


@dataclass(frozen=True)
class Print:
    """A sheet of paper and how a picture lies on it."""

    # fmt: off
    width_mm: float = field(metadata=entry(SIDE_MM, "Width", "Width of the print.", "mm", since=2))
    height_mm: float = field(metadata=entry(SIDE_MM, "Height", "Height of the print.", "mm", since=2))
    dpi: float = field(default=300.0, metadata=entry(
        Number(30, 2400), "DPI", "Pixels per inch of paper.", since=2, flag="N"))
    bleed_mm: float = field(default=0.0, metadata=entry(
        Number(0, 50), "Bleed", "What the print is larger by on each side, to be cut off at the shop.", "mm", since=2,
        flag="MM"))
    fit: str = field(default="cover", metadata=entry(
        PRINT_FITS, "Fit", "What becomes of a picture of another shape.", since=2, flag="NAME"))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        if max(self.px) > MOST_PX:
            raise wrong("print", f"{self.px[0]}x{self.px[1]} px", f"at most {MOST_PX} px a side: take fewer DPI")
        if min(self.trim_px) < 1:
            raise wrong("print", f"{self.trim_px[0]}x{self.trim_px[1]} px", "at least 1 px a side")

    @property
    def px(self) -> tuple[int, int]:
        """Width and height of the file, with its bleed."""
        return self._pixels(self.bleed_mm)

    @property
    def trim_px(self) -> tuple[int, int]:
        """Width and height of what stays when the bleed is cut off."""
        return self._pixels(0)

    @property
    def shape(self) -> float:
        """Width by height, without the bleed."""
        return self.width_mm / self.height_mm

    def _pixels(self, bleed_mm: float) -> tuple[int, int]:
        width, height = (
            round((Fraction(str(mm)) + 2 * Fraction(str(bleed_mm))) / MM_PER_INCH * Fraction(str(self.dpi)))
            for mm in (self.width_mm, self.height_mm)
        )
        return width, height

    def to_text(self) -> str:
        """Paper and pixels side by side."""
        bleed = f" with {self.bleed_mm:g} mm bleed" if self.bleed_mm else ""
        size = f"{self.width_mm / 10:g} x {self.height_mm / 10:g} cm"
        return f"{size}{bleed} at {self.dpi:g} DPI = {self.px[0]} x {self.px[1]} px"


def paper_size(text: str, wide: bool = False) -> tuple[float, float]:
    """Width and height in millimetres of a size in words.

    Args:
        text: such as "30x40cm", "8x10in" or "A3".
        wide: whether a paper that is named lies on its side; sizes in numbers are width and height as they stand.

    Raises:
        SettingsError: these are no such words.
    """
    name = text.strip()
    if name.upper() in PAPERS:
        short, long = PAPERS[name.upper()]
        return (long, short) if wide else (short, long)
    match = _SIZE.fullmatch(name.lower())
    if match is None:
        raise wrong("print", text, FORM)
    width, height, unit = match.groups()
    width_mm, height_mm = (float(Fraction(side.replace(",", ".")) * UNITS[unit]) for side in (width, height))
    return width_mm, height_mm
