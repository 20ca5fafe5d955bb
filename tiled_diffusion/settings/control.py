"""What is asked of a ControlNet: which one, along which picture, how strongly and when; as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from tiled_diffusion.errors import SettingsError

from .values import check_choice, check_number, check_text, read_fields

PREPROCESSORS = ("none", "canny", "invert")
FORM = "MODEL:IMAGE[:weight[:start[:end]]]"
MAX_CONTROLS = 16


@dataclass(frozen=True)
class Control:
    """One ControlNet of a picture.

    Attributes:
        model: path of a diffusers folder or a .safetensors file; or "edges", which ships with the small model.
        image: path of the hint; any size, it is resized to the canvas.
        weight: 0 to 10, how strongly it guides.
        start, end: fractions of the sampling between which it guides.
        preprocess: "none" for a hint as the ControlNet wants it, "canny" for the edges of a photo, "invert" for
            dark lines on a light ground.
    """

    model: str
    image: str
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    preprocess: str = "none"

    def __post_init__(self) -> None:
        for name in ("model", "image"):
            check_text(name, getattr(self, name))
            if not getattr(self, name):
                raise SettingsError(f"{name}: got '', allowed is a path")
        check_number("weight", self.weight, 0, 10)
        check_number("start", self.start, 0, 1)
        check_number("end", self.end, 0, 1)
        if self.start >= self.end:
            raise SettingsError(f"start: got {self.start:g}, allowed is less than end, {self.end:g}")
        check_choice("preprocess", self.preprocess, PREPROCESSORS)

    def to_text(self) -> str:
        """The form that `control_from_text` reads; it does not tell `preprocess`."""
        numbers = [(self.weight, 1.0), (self.start, 0.0), (self.end, 1.0)]
        while numbers and numbers[-1][0] == numbers[-1][1]:
            numbers.pop()
        return ":".join([self.model, self.image, *(f"{value:g}" for value, _ in numbers)])


def controls_from_json(data: object) -> tuple[Control, ...]:
    """Reads a list of JSON objects; raises SettingsError that names the field."""
    if not isinstance(data, (list, tuple)):
        raise SettingsError(f"controls: got {data!r}, allowed is a list")
    return tuple(read_fields(Control, one, f"controls[{i}]", {}, versioned=False) for i, one in enumerate(data))


def control_from_text(text: str) -> Control:
    r"""The ControlNet in "MODEL:IMAGE[:weight[:start[:end]]]"; paths may begin with a drive, as in C:\hints\a.png.

    Raises:
        SettingsError: parts are missing, or one of them is wrong.
    """
    parts = _parts(text)
    if not 2 <= len(parts) <= 5:
        raise SettingsError(f"got {text!r}, allowed is {FORM}")
    model, image, *given = parts
    weight, start, end = (*given, *("1", "0", "1")[len(given) :])
    return Control(model, image, _number("weight", weight), _number("start", start), _number("end", end))


def _parts(text: str) -> list[str]:
    """What stands between colons; the colon of a drive letter is none of them."""
    parts: list[str] = []
    for piece in text.split(":"):
        if parts and len(parts[-1]) == 1 and parts[-1].isalpha() and piece[:1] in ("\\", "/"):
            parts[-1] += f":{piece}"
        else:
            parts.append(piece)
    return parts


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{name}: got {text!r}, allowed is a number") from None
