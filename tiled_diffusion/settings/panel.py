"""What a panel asks for: its settings as one flat document, its controls, and the first arguments of its script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tiled_diffusion.errors import SettingsError

from .document import (
    Within,
    as_object,
    document,
    flat_rows,
    flat_values,
    made,
    parse_json,
    read,
    read_values,
    unsaid,
    version_of,
)
from .fields import Row, Widget, check_fields, entry
from .growth import Growth
from .inversion import Inversion
from .kinds import Choice, Choices, Number, Switch, Text, Whole, wrong
from .print_size import PaperKind, Print, paper_size
from .quoting import quoted
from .values import Settings

T = TypeVar("T")
NAME = "settings"
"""What errors call the document of a panel."""
NO_UPSCALER = "None"
PICTURE_SIDE = Whole(64, 16384, multiple=8)
PASSES = Choices((
    Choice("both", "Both passes", "The first pass and the hires pass are drawn in tiles."),
    Choice("first", "First pass", "Only the first pass is drawn in tiles."),
    Choice("hires", "Hires pass", "Only the hires pass is drawn in tiles."),
))  # fmt: skip


@dataclass(frozen=True)
class PanelSettings:
    """The settings of a panel."""

    # fmt: off
    tiling: Settings = field(default=Settings(), metadata=entry(
        Within(Settings, flat=True), "Tiling", "How the canvas is tiled, and its regions."))
    passes: str = field(default="both", metadata=entry(
        PASSES, "Tiled passes of hires fix", "txt2img: which passes of hires fix are drawn in tiles.",
        widget=Widget("hires", "radio"), axis=True))
    width: int | None = field(default=None, metadata=entry(
        PICTURE_SIDE, "Picture width", "txt2img: takes the place of the WebUI's width, which ends at 2048.", "px",
        null="keeps that one", axis=True,
        widget=Widget("size", "slider", 0, 16384, 8, null=0, automatic="Picture width as above", begin=4096)))
    height: int | None = field(default=None, metadata=entry(
        PICTURE_SIDE, "Picture height", "txt2img: takes the place of the WebUI's height, which ends at 2048.", "px",
        null="keeps that one", axis=True,
        widget=Widget("size", "slider", 0, 16384, 8, null=0, automatic="Picture height as above", begin=1024)))
    upscaler: str = field(default=NO_UPSCALER, metadata=entry(
        Text(), "Upscaler", "img2img: enlarges the input picture before it is drawn anew.",
        widget=Widget("upscale", "dropdown"), axis=True))
    upscale_factor: float = field(default=2.0, metadata=entry(
        Number(1, 8), "Scale factor", "img2img: how many times wider and higher the upscaler makes it.",
        widget=Widget("upscale", "slider", step=0.05), axis=True))
    keep_size: bool = field(default=True, metadata=entry(
        Switch(), "Keep input image size",
        "img2img: the result has the (enlarged) input image's size; otherwise the sliders' size, enlarged.",
        widget=Widget("keep", "tick"), axis=True))
    keep_picture: bool = field(default=False, metadata=entry(
        Switch(), "Keep the picture",
        "img2img and hires fix: starts from the picture's own noise, also known as noise inversion.", since=2,
        widget=Widget("inversion", "tick"), axis=True))
    inversion: Inversion = field(default=Inversion(), metadata=entry(
        Within(Inversion, flat=True, prefix="inversion_"), "Inversion", "How that noise is found.", since=2))
    grow: bool = field(default=False, metadata=entry(
        Switch(), "Grow in stages",
        "txt2img: the picture is drawn small, then enlarged and drawn anew until it has its size.", since=2,
        widget=Widget("grow", "tick"), axis=True))
    growth: Growth = field(default=Growth(), metadata=entry(
        Within(Growth, flat=True, prefix="growth_"), "Growth", "How it grows.", since=2))
    print_size: str | None = field(default=None, metadata=entry(
        PaperKind(), "Print size",
        "img2img: makes the input picture as large as a print: 30x40cm, 8x10in, or a paper from A0 to A6.",
        null="goes by the scale factor", since=2, widget=Widget("print", "text", null=""), axis=True))
    print_dpi: int = field(default=300, metadata=entry(
        Whole(30, 2400), "DPI", "Pixels per inch of that print.", since=2, widget=Widget("print", "number"),
        axis=True))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def kept(self) -> Inversion | None:
        """How the picture's own noise is found; None where it is not."""
        return self.inversion if self.keep_picture and self.inversion.acts else None

    def print_of(self, size: tuple[int, int]) -> Print | None:
        """The print that a picture of this size is made for; a paper that is named lies as the picture does."""
        if self.print_size is None:
            return None
        width_mm, height_mm = paper_size(self.print_size, size[0] > size[1])
        return Print(width_mm, height_mm, self.print_dpi)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return document(self)


def panel_settings_from_dict(data: object, name: str = NAME) -> PanelSettings:
    """Reads the JSON form of any version; `name` is what errors call it.

    Raises:
        SettingsError: names the field that is unknown or wrong, or the version that is needed.
    """
    return read(PanelSettings, data, name)


def panel_settings_from_json(text: str) -> PanelSettings:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return panel_settings_from_dict(parse_json(text, NAME))


def control_rows(cls: type) -> tuple[Row, ...]:
    """The settings that have a control on the panel, in the order of the class."""
    return tuple(r for r in flat_rows(cls) if r.entry.widget)


def from_controls(cls: type, controls: Mapping[str, object]) -> dict[str, Any]:
    """Values of the panel's controls by field; None is no value.

    Raises:
        SettingsError: there is no such control.
    """
    known = {r.name: r for r in control_rows(cls)}
    for name in controls:
        if name not in known:
            raise SettingsError(f"{NAME}: unknown control {quoted(name)}; known are {', '.join(known)}")
    return {name: known[name].from_page(value) for name, value in controls.items() if value is not None}


def to_controls(settings: Any) -> dict[str, Any]:
    """What the panel's controls show, by field: the inverse of `from_controls`."""
    values = flat_values(settings)
    return {r.name: r.to_page(values[r.name]) for r in control_rows(type(settings))}


def merged(cls: type[T], value: object, controls: Mapping[str, object]) -> T:
    """The settings of a panel: what the document says holds, and the controls say the rest.

    Args:
        cls: class of the settings.
        value: JSON text, a JSON object, or None or an empty text for nothing.
        controls: by field; sizes in image pixels.

    Raises:
        SettingsError: names the field that is wrong.
    """
    data = as_object(value, NAME)
    version = version_of(cls, data, NAME)
    said = read_values(cls, {k: v for k, v in data.items() if k != "version"}, NAME, version)
    try:
        return made(cls, {**from_controls(cls, controls), **unsaid(cls, version), **said})
    except SettingsError as e:
        raise (e if str(e).startswith(f"{NAME}:") else SettingsError(f"{NAME}.{e}")) from e


def script_arguments(enabled: object, value: object) -> tuple[bool, dict[str, Any]]:
    """What the first two arguments of a script say: whether it is on, and the document.

    In the interface `enabled` is a tick. In the API it may be left out: a document in its place switches on.

    Args:
        enabled: true, false, or a JSON object or its text.
        value: a JSON object, its text, or None or an empty text for nothing; not looked at where the script is off.

    Raises:
        SettingsError: says which argument is wrong, what it got and what it may be.
    """
    if enabled is False:
        return False, {}
    if enabled is True:
        return True, as_object(value, NAME)
    if not isinstance(enabled, dict) and not (isinstance(enabled, str) and enabled.lstrip().startswith("{")):
        raise wrong("the first argument", enabled, "true, false, or the settings: a JSON object {...} or its text")
    if value is not None and value != "":
        raise SettingsError(f"the second argument: got {quoted(value)}, but the first one is the settings already")
    return True, as_object(enabled, NAME)


def merge(value: object, controls: Mapping[str, object]) -> PanelSettings:
    """The settings of the panel: what the document says holds, and the controls say the rest; raises as `merged`."""
    return merged(PanelSettings, value, controls)


REGION_KEYS = ("regions", "fill", "rerolls")


def region_document(settings: PanelSettings) -> dict[str, Any]:
    """What the region editor holds: the JSON without what the controls say."""
    data = settings.to_dict()
    return {k: data[k] for k in ("version", *REGION_KEYS) if k in data}
