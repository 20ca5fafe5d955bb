"""What is asked of a ControlNet: which one, along which picture, how strongly and when; as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from tiled_diffusion.errors import SettingsError

from .fields import check_fields, entry, row
from .kinds import Choice, Choices, Number, Text
from .quoting import quoted

KINDS = Choices((
    Choice("none", "none", "The hint is as the ControlNet wants it: white lines on black."),
    Choice("canny", "canny", "Finds the edges of a photo."),
    Choice("invert", "invert", "For dark lines on a light ground."),
))  # fmt: skip
PREPROCESSORS = KINDS.names
FORM = "MODEL:IMAGE[:weight[:start[:end]]]"
MAX_CONTROLS = 16


@dataclass(frozen=True)
class Control:
    """One ControlNet of a picture."""

    # fmt: off
    model: str = field(metadata=entry(
        Text(needed="a path"), "ControlNet",
        'A diffusers folder or a .safetensors file; or "edges", which ships with the small model.'))
    image: str = field(metadata=entry(
        Text(needed="a path"), "Hint", "A picture of any size; it is resized to the canvas."))
    weight: float = field(default=1.0, metadata=entry(Number(0, 10), "Weight", "How strongly it guides."))
    start: float = field(default=0.0, metadata=entry(Number(0, 1), "Start", "Where in the sampling it begins."))
    end: float = field(default=1.0, metadata=entry(Number(0, 1), "End", "Where in the sampling it ends."))
    preprocess: str = field(default="none", metadata=entry(KINDS, "Prepare it", "What is done to the hint."))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        if self.start >= self.end:
            raise SettingsError(f"start: got {self.start:g}, allowed is less than end, {self.end:g}")

    def to_text(self) -> str:
        """The form that `control_from_text` reads; it does not tell `preprocess`."""
        numbers = [(self.weight, 1.0), (self.start, 0.0), (self.end, 1.0)]
        while numbers and numbers[-1][0] == numbers[-1][1]:
            numbers.pop()
        return ":".join([self.model, self.image, *(f"{value:g}" for value, _ in numbers)])


def control_from_text(text: str) -> Control:
    r"""The ControlNet in "MODEL:IMAGE[:weight[:start[:end]]]"; paths may begin with a drive, as in C:\hints\a.png.

    Raises:
        SettingsError: parts are missing, or one of them is wrong.
    """
    parts = _parts(text)
    if not 2 <= len(parts) <= 5:
        raise SettingsError(f"got {quoted(text)}, allowed is {FORM}")
    model, image, *given = parts
    weight, start, end = (*given, *("1", "0", "1")[len(given) :])
    return Control(
        model,
        image,
        row(Control, "weight").from_text(weight),
        row(Control, "start").from_text(start),
        row(Control, "end").from_text(end),
    )


def _parts(text: str) -> list[str]:
    """What stands between colons; the colon of a drive letter is none of them."""
    parts: list[str] = []
    for piece in text.split(":"):
        if parts and len(parts[-1]) == 1 and parts[-1].isalpha() and piece[:1] in ("\\", "/"):
            parts[-1] += f":{piece}"
        else:
            parts.append(piece)
    return parts
