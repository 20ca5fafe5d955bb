"""What is asked of a picture frame: photo, corners, what is drawn in it, drawn anew and printed, as one JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tiled_diffusion.errors import SettingsError

from .document import Within, document, parse_json, read
from .fields import check_fields, entry
from .kinds import Choice, Choices, Kind, Number, Text, Whole, wrong
from .print_size import Print
from .request import Request

Corners = tuple[tuple[float, float], ...]
"""Four pairs x, y."""
SHAPE = Number(0.1, 10)
PADS = Choices((
    Choice("reflect", "reflect", "The picture, mirrored at its edges."),
    Choice("edge", "edge", "Its edges, repeated."),
    Choice("colour", "colour", "Its mean colour."),
))  # fmt: skip


@dataclass(frozen=True)
class CornersKind(Kind):
    """Four corners in fractions of the photo."""

    @property
    def allowed(self) -> str:
        return "[[x, y], [x, y], [x, y], [x, y]] in fractions of the photo, 0 to 1"

    def values(self, unit: str = "") -> str:
        return self.allowed

    def fits(self, value: object) -> bool:
        return isinstance(value, tuple) and len(value) == 4 and all(_is_point(point) for point in value)

    def from_json(self, name: str, value: object, version: int) -> Corners:
        if not isinstance(value, list) or not all(isinstance(point, list) for point in value):
            raise wrong(name, value, self.allowed)
        return tuple(tuple(point) for point in value)

    def to_json(self, value: Corners) -> list[list[float]]:
        return [list(point) for point in value]

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "corners"}


def _is_point(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(n, (int, float)) and not isinstance(n, bool) and 0 <= n <= 1 for n in value)
    )


@dataclass(frozen=True)
class Frame:
    """The frame in the photo, and how it is looked at."""

    # fmt: off
    photo: str = field(metadata=entry(Text(needed="a path"), "Photo", "The photo with the frame.", since=2))
    corners: Corners | None = field(default=None, metadata=entry(
        CornersKind(), "Corners", "Of the frame's inside.", null="they are looked for", since=2))
    shape: float | None = field(default=None, metadata=entry(
        SHAPE, "Shape", "True width of the frame's inside by its height.",
        null="the print's, or else estimated from the corners", since=2, flag="X"))
    context: float = field(default=0.5, metadata=entry(
        Number(0, 2), "Context", "How much of the room the model sees on each side, in sizes of the frame.", since=2,
        flag="X"))
    side_px: int | None = field(default=None, metadata=entry(
        Whole(16, 8192), "Size", "Side of the square that is as large as the frame's inside while it is drawn.", "px",
        null="what the model was trained on", since=2, flag="PX"))
    feather: float = field(default=0.0, metadata=entry(
        Number(0, 1024), "Feather", "Width of the soft edge within the frame.", "px", since=2, flag="PX"))
    light: float = field(default=0.6, metadata=entry(
        Number(0, 1), "Light", "How much of the light on the empty frame falls on the picture.", since=2, flag="X"))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Redraw:
    """The picture, drawn anew by a second prompt."""

    # fmt: off
    prompt: str = field(metadata=entry(Text(needed="a prompt"), "Prompt", "What to draw.", since=2))
    strength: float = field(default=0.4, metadata=entry(
        Number(0, 1), "Strength", "How much is drawn anew; above 0.6 it becomes another picture.", since=2, flag="X"))
    pad: str = field(default="reflect", metadata=entry(
        PADS, "Padding", "What fills it up to a square; cut off again.", since=2, flag="NAME"))
    side_px: int | None = field(default=None, metadata=entry(
        Whole(64, 8192), "Size", "Longer side of the picture while it is drawn, and of the result.", "px",
        null="as it is, but not below what the model was trained on", since=2, flag="PX"))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Framing:
    """All that is asked for, from the frame to the print; without prompt and picture it is found and flattened."""

    # fmt: off
    frame: Frame = field(metadata=entry(Within(Frame), "Frame", "The frame in the photo.", since=2))
    request: Request = field(default=Request(prompt="", inpaint_from="noise"), metadata=entry(
        Within(Request), "Request", "What is drawn in it; its size and start picture do not count.", since=2))
    tries: int = field(default=1, metadata=entry(
        Whole(1, 64), "Tries", "Pictures drawn, of the seeds seed, seed + 1, ...", since=2, flag="N"))
    pick: int = field(default=1, metadata=entry(
        Whole(1, 64), "Pick", "Which of the tries goes into the frame, from 1.", since=2, flag="N"))
    picture: str | None = field(default=None, metadata=entry(
        Text(needed="a path"), "Picture", "A picture that goes into the frame in place of a drawn one.",
        null="one is drawn", since=2, flag="FILE"))
    redraw: Redraw | None = field(default=None, metadata=entry(
        Within(Redraw), "Redraw", "Draws the picture anew by a second prompt.", null="it stays as it is", since=2))
    print: Print | None = field(default=None, metadata=entry(
        Within(Print), "Print", "The file for the print shop.", null="none", since=2))
    print_strength: float = field(default=0.0, metadata=entry(
        Number(0, 1), "Print strength", "How much of its details is drawn anew, tile by tile, as it is enlarged.",
        since=2, flag="X"))
    upscaler: str = field(default="lanczos", metadata=entry(
        Text(needed="lanczos or a path"), "Upscaler",
        "How it is enlarged for the print: lanczos, or the file of a network.", since=2, flag="lanczos|FILE"))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        if self.pick > self.tries:
            raise SettingsError(f"pick: got {self.pick}, allowed is a try from 1 to {self.tries}")
        if self.request.controls or self.request.inpaints or self.request.batch_size > 1:
            raise SettingsError("request: mask, extend, controls and batch_size are not for frames; say tries")
        if self.request.growth or self.request.match:
            raise SettingsError("request: growth and match are not for frames, whose pictures are drawn at once")
        if (self.redraw or self.print) and not self.has_picture:
            raise SettingsError("redraw and print: a prompt or a picture is needed, there is nothing in the frame")

    @property
    def has_picture(self) -> bool:
        """Whether anything goes into the frame."""
        return self.picture is not None or bool(self.request.prompt)

    @property
    def shape(self) -> float | None:
        """Width by height of the frame's inside, as given or as the print's; None: to be estimated."""
        return self.print.shape if self.frame.shape is None and self.print is not None else self.frame.shape

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return document(self)


def framing_from_dict(data: object) -> Framing:
    """Reads the JSON form; raises SettingsError that names the field."""
    return read(Framing, data, "framing")


def framing_from_json(text: str) -> Framing:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return framing_from_dict(parse_json(text, "framing"))


def corners_from_text(text: str) -> tuple[tuple[float, float], ...] | None:
    """Four corners in image pixels from "x,y,x,y,x,y,x,y"; None for "auto".

    Raises:
        SettingsError: these are neither eight numbers nor auto.
    """
    if text.strip().lower() == "auto":
        return None
    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 8 or not all(map(math.isfinite, numbers)):
        raise wrong("corners", text, "x,y,x,y,x,y,x,y in image pixels, or auto")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
