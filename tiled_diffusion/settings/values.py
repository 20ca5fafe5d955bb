"""The settings as one value: how a canvas is tiled, its regions, and the boxes of noise that are drawn anew."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tiled_diffusion.errors import SettingsError

from .boxes import FRACTION, SIDE, check_box
from .document import Records, document, parse_json, read
from .fields import Before, Widget, check_fields, entry, rows
from .kinds import HUGE, Choice, Choices, Number, Switch, Text, Whole
from .masks import Mask, MaskKind, mask_from_file
from .pictures import FITS, MOST_BYTES_IN_ALL, PictureKind, data_bytes, fitted_into, open_picture, recorded
from .quoting import quoted
from .tile_texts import MOST as MOST_TILE_TEXTS
from .tile_texts import SOURCES, TEXT_JOINS, TileText, TileTexts
from .told import POSITIONS, TOLD_SIZES

MOST_REGIONS = 1024
"""In a document, so that grids of many tiles run."""
MOST_IN_EDITOR = 64
"""Regions that the editor holds: with more of them a page becomes slow, and nobody draws so many by hand."""
PROMPT = Text(20000)
SEED = Whole(0, HUGE)
TILE = Whole(64, 4096, multiple=8)
DOCUMENT = "a list of objects, and an axis holds short texts"

METHODS = Choices((
    Choice("multidiffusion", "MultiDiffusion",
           "Averages all tiles that cover a pixel. Needs a large overlap; soft, and costly."),
    Choice("mixture", "Mixture of Diffusers",
           "Weights each tile by a gaussian, so that its middle counts most. A good default."),
    Choice("spot", "SpotDiffusion",
           "Tiles that do not overlap, on a grid that jumps at every step. The fewest tiles on a ring."),
    Choice("jittered", "Jittered tiles",
           "A small soft overlap on a grid drawn anew at every step. Nearly as cheap as no overlap, without seams."),
    Choice("elastic", "ElasticDiffusion",
           "One large picture, up to 4 times the model's size: a small picture of the whole says what is where."),
))  # fmt: skip
"""Each is a file of that name in engine/methods/."""
JOINS = Choices((
    Choice("replace", "left out", "The region's prompt stands alone."),
    Choice("append", "before it", "The main prompt, then the region's."),
    Choice("prepend", "after it", "The region's prompt, then the main one."),
))  # fmt: skip
LAYERS = Choices((
    Choice("background", "background", "Mixes with the other backgrounds by weight."),
    Choice("foreground", "foreground", "Lies above the backgrounds and the foregrounds before it in the list."),
))  # fmt: skip
EDGES = Choices((Choice("smooth", "smooth"), Choice("linear", "linear"), Choice("quadratic", "quadratic")))
REROLL_MODES = Choices((
    Choice("full", "whole box", "Draws the whole box."),
    Choice("exclusive", "the box alone", "Draws only what no other reroll's box covers."),
))  # fmt: skip
FILLS = Choices((
    Choice("main", "rest: main prompt", "The main prompt draws what the regions leave."),
    Choice("none", "rest: an error", "A part of the canvas in no region is an error that names it."),
))  # fmt: skip
REFERENCES = Choices((
    Choice("area", "Same shape", "The canvas's shape, with the area that the model knows."),
    Choice("pad", "Padded square", "As published: in the square that the model knows, with a plain colour around it."),
))  # fmt: skip


@dataclass(frozen=True)
class Region:
    """A part of the canvas with a prompt of its own (see composition.py, masks.py and bootstrap.py of the engine)."""

    # fmt: off
    prompt: str = field(metadata=entry(
        PROMPT, "Prompt", "What is drawn in this region; may hold AND and ENSEMBLE.", widget=Widget("editor", "text")))
    x: float = field(default=0.0, metadata=entry(FRACTION, "X", "Left edge of the box in fractions of the canvas."))
    y: float = field(default=0.0, metadata=entry(FRACTION, "Y", "Upper edge of the box in fractions of the canvas."))
    w: float = field(default=1.0, metadata=entry(
        SIDE, "W", "Width of the box in fractions of the canvas; on a ring it may go on at the other edge."))
    h: float = field(default=1.0, metadata=entry(SIDE, "H", "Height of the box in fractions of the canvas."))
    negative_prompt: str | None = field(default=None, metadata=entry(
        PROMPT, "Negative prompt", "What to avoid here; joined like the prompt.", null="the main one",
        widget=Widget("editor", "text", null="")))
    feather: float = field(default=0.2, metadata=entry(
        FRACTION, "Feather", "Width of the soft edge / shorter side of the box.",
        widget=Widget("editor", "number", 0, 1, 0.05)))
    weight: float = field(default=1.0, metadata=entry(
        Number(1e-4, 1e4), "Weight", "How strongly a background counts where regions overlap.",
        widget=Widget("editor", "number", 0.1, 10, 0.1)))
    name: str = field(default="", metadata=entry(Text(100), "Name", "For you alone.", widget=Widget("editor", "text")))
    enabled: bool = field(default=True, metadata=entry(
        Switch(), "Enabled", "A region that is off is kept, and does nothing."))
    join: str = field(default="replace", metadata=entry(
        JOINS, "Main prompt", "How the main prompt joins it.", widget=Widget("editor", "dropdown")))
    layer: str = field(default="background", metadata=entry(
        LAYERS, "Layer", "Backgrounds mix; foregrounds lie above them.", widget=Widget("editor", "dropdown")))
    feather_shape: str = field(default="smooth", metadata=entry(
        EDGES, "Edge", "How the soft edge rises.", widget=Widget("editor", "dropdown")))
    mask: Mask | None = field(default=None, metadata=entry(
        MaskKind(), "Shape", "A free shape within the box.", null="all of the box"))
    seed: int | None = field(default=None, metadata=entry(
        SEED, "Seed", "Start noise of its own; image k of a batch has seed + k.", null="the canvas's noise",
        widget=Widget("editor", "number", null="")))
    cfg_scale: float | None = field(default=None, metadata=entry(
        Number(0, 50), "CFG scale", "CFG scale of its own.", null="the main one",
        widget=Widget("editor", "number", 0, 50, 0.5, null="")))
    step_from: float = field(default=0.0, metadata=entry(
        FRACTION, "From", "Where in the sampling it begins, as a fraction.",
        widget=Widget("editor", "number", 0, 1, 0.05)))
    step_to: float = field(default=1.0, metadata=entry(
        FRACTION, "To", "Where in the sampling it ends, as a fraction.",
        widget=Widget("editor", "number", 0, 1, 0.05)))
    controlnet: bool = field(default=True, metadata=entry(
        Switch(), "ControlNet", "ControlNets act on this region.", widget=Widget("editor", "tick")))
    bootstrap: float = field(default=0.0, metadata=entry(
        FRACTION, "Bootstrap", "Part of the sampling in which a small region shows a sketch of its object; try 0.5.",
        widget=Widget("editor", "number", 0, 1, 0.05)))
    picture: str | None = field(default=None, metadata=entry(
        PictureKind(), "Picture", "A picture that lies in the box; without a prompt it is all there is of the region.",
        null="none", since=2))
    keep: float = field(default=0.8, metadata=entry(
        FRACTION, "Keep", "For how much of the sampling the picture stays as it is; a grey mask keeps it shorter.",
        since=2, widget=Widget("editor", "number", 0, 1, 0.05)))
    fit: str = field(default="cover", metadata=entry(
        FITS, "Fit", "How the picture fills the box.", since=2, widget=Widget("editor", "dropdown")))
    flip: bool = field(default=False, metadata=entry(
        Switch(), "Flip", "Left and right of the picture change places.", since=2, widget=Widget("editor", "tick")))
    picture_sha256: str | None = field(default=None, metadata=entry(
        Text(64), "Picture's digest", "SHA-256 of the file, in records: another file is an error.", null="any file",
        since=2))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        if self.step_from >= self.step_to:
            allowed = f"a number above step_from, {self.step_from:g}"
            raise SettingsError(f"step_to: got {self.step_to:g}, allowed is {allowed}")

    @property
    def draws(self) -> bool:
        """Whether it has something to draw: a picture alone has not."""
        return self.enabled and (self.picture is None or self.prompt.strip() != "")

    def fitted_picture(self, name: str, size: tuple[int, int], folders: Sequence[Path]) -> tuple[Any, Any]:
        """Its picture in a box of (height, width) image pixels, as `pictures.fitted_into` gives it.

        Raises:
            SettingsError: `name` says which picture cannot be read.
        """
        assert self.picture is not None
        image = open_picture(self.picture, name, folders, self.picture_sha256)
        return fitted_into(image, *size, self.fit, self.flip)

    def acts_at(self, progress: float) -> bool:
        """Whether it is evaluated when this fraction of the sampling is done."""
        return self.draws and self.step_from <= progress < (self.step_to if self.step_to < 1 else math.inf)


PICTURE_FORM = "FILE[:x=.3,w=.3,keep=.8,mask=FILE,...]"
_PICTURE = re.compile(r"(?P<file>.+?)(?::(?P<fields>[a-z_]+=.*))?", re.DOTALL)


def region_from_text(text: str) -> Region:
    r"""The region in "photo.png:x=.3,w=.3,keep=.8"; fields are a region's, and a comma may stand within a prompt.

    Without w or h it reaches to the end of the canvas. "mask=FILE" is a grey picture that is stretched over the box.

    Raises:
        SettingsError: names the field that is unknown or wrong, or the file that is no picture.
    """
    match = _PICTURE.fullmatch(text)
    if match is None:
        raise SettingsError(f"got {quoted(text)}, allowed is {PICTURE_FORM}")
    values: dict[str, Any] = {"prompt": "", "picture": match["file"]}
    read: dict[str, Callable[[str], Any]] = {
        r.name: r.from_text for r in rows(Region) if r.name not in ("picture", "picture_sha256")
    }
    read["mask"] = mask_from_file
    for part in re.split(r",(?=[a-z_]+=)", match["fields"] or ""):
        name, _, value = part.partition("=")
        if part and name not in read:
            raise SettingsError(f"{name}: unknown field, known are {', '.join(read)}")
        if part:
            values[name] = read[name](value)
    rest = {side: 1 - values[start] for side, start in (("w", "x"), ("h", "y")) if 0 < values.get(start, 0) < 1}
    return Region(**{**rest, **values})


@dataclass(frozen=True)
class Reroll:
    """A box of the start noise that is drawn anew (Mixture of Diffusers, section 3.3)."""

    # fmt: off
    seed: int = field(metadata=entry(SEED, "Seed", "Of the box's own noise."))
    x: float = field(default=0.0, metadata=entry(FRACTION, "X", "Left edge of the box in fractions of the canvas."))
    y: float = field(default=0.0, metadata=entry(FRACTION, "Y", "Upper edge of the box in fractions of the canvas."))
    w: float = field(default=1.0, metadata=entry(SIDE, "W", "Width of the box in fractions of the canvas."))
    h: float = field(default=1.0, metadata=entry(SIDE, "H", "Height of the box in fractions of the canvas."))
    mode: str = field(default="full", metadata=entry(REROLL_MODES, "Mode", "What of the box is drawn."))
    noise: float = field(default=1.0, metadata=entry(
        FRACTION, "Noise", "How much of the box's noise is new; a little makes a sister of the picture.", since=2))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        check_box(self)


@dataclass(frozen=True)
class Settings:
    """How a canvas is tiled."""

    # fmt: off
    method: str = field(default="mixture", metadata=entry(
        METHODS, "Method", "How the predictions of overlapping tiles are fused.",
        widget=Widget("method", "dropdown"), flag="NAME", axis=True))
    tile_width: int | None = field(default=None, metadata=entry(
        TILE, "Tile width", "Width of a tile.", "px", null="fits the tiles to the picture and to what the model likes",
        before=Before("tile_width_lp", 8), flag="PX", axis=True,
        widget=Widget("tile", "slider", 0, 2048, 64, null=0, automatic="Automatic tile width", begin=768)))
    tile_height: int | None = field(default=None, metadata=entry(
        TILE, "Tile height", "Height of a tile.", "px",
        null="fits the tiles to the picture and to what the model likes",
        before=Before("tile_height_lp", 8), flag="PX", axis=True,
        widget=Widget("tile", "slider", 0, 2048, 64, null=0, automatic="Automatic tile height", begin=768)))
    overlap: int | None = field(default=None, metadata=entry(
        Whole(0, 4088), "Tile overlap",
        "Neighbours overlap by at least so much, rounded down to whole latent pixels (8 px).", "px",
        null="the method's own choice", before=Before("overlap_lp", 8),
        flag="PX", axis=True,
        widget=Widget("tile", "slider", -1, 1024, null=-1, automatic="Automatic tile overlap", begin=128)))
    tile_batch: int | None = field(default=4, metadata=entry(
        Whole(1, 64), "Tile batch size", "Tiles in one call of the model: more are quicker and need more memory.",
        null="takes as many as fit", flag="N", axis=True,
        widget=Widget("method", "slider", 0, 64, null=0, automatic="Automatic tile batch size", begin=4)))
    wrap_x: bool = field(default=False, metadata=entry(
        Switch(), "Seamless X", "The left and right edges meet: a 360 degree ring without a seam.",
        widget=Widget("seamless", "tick"), flag="", axis=True))
    wrap_y: bool = field(default=False, metadata=entry(
        Switch(), "Seamless Y", "The top and bottom edges meet: a picture that repeats downwards.",
        widget=Widget("seamless", "tick"), flag="", axis=True))
    grid_seed: int | None = field(default=None, metadata=entry(
        Whole(0, 2**63 - 1), "Grid seed", "For methods whose tiles move from step to step: where they lie.",
        null="takes the picture's seed", flag="N", axis=True,
        widget=Widget("advanced", "number", null=-1, automatic="Grid seed follows the picture's seed")))
    size_conditioning: str = field(default="canvas", metadata=entry(
        TOLD_SIZES, "Size told to SDXL", "The size that an SDXL model is told.",
        widget=Widget("told", "radio"), flag="NAME", axis=True))
    regions: tuple[Region, ...] = field(default=(), metadata=entry(
        Records(Region, "regions", MOST_REGIONS, MOST_IN_EDITOR), "Regions", "Parts with prompts of their own.",
        no_axis=DOCUMENT))
    fill: str = field(default="main", metadata=entry(
        FILLS, "Rest", "What is drawn where no region is.", axis=True))
    rerolls: tuple[Reroll, ...] = field(default=(), metadata=entry(
        Records(Reroll, "rerolls", MOST_REGIONS), "Rerolls", "Boxes of the start noise that are drawn anew.",
        no_axis=DOCUMENT))
    compose: float = field(default=0.6, metadata=entry(
        FRACTION, "Compose regions",
        "Part of the sampling in which regions keep within their boxes; then edges become soft.", since=2, earlier=0.0,
        widget=Widget("advanced", "slider", step=0.05), flag="X", axis=True))
    tile_prompts: str = field(default="same", metadata=entry(
        SOURCES, "Prompt of each tile", "What the tiles outside of regions are drawn with.", since=2,
        widget=Widget("prompts", "dropdown"), flag="NAME", axis=True))
    tile_prompts_share: float = field(default=0.3, metadata=entry(
        FRACTION, "Share", "A phrase counts in a tile that holds this share of the most that a tile can hold of it; a "
        "box of a list, where so much of the smaller of the two lies in both.", since=2,
        widget=Widget("prompts", "slider", step=0.05), flag="X", axis=True))
    tile_prompts_join: str = field(default="replace", metadata=entry(
        TEXT_JOINS, "Whole prompt", "How the whole prompt joins a caption or a list's text.", since=2,
        widget=Widget("prompts", "dropdown"), flag="NAME", axis=True))
    tile_texts: tuple[TileText, ...] = field(default=(), metadata=entry(
        TileTexts(TileText, "tile_texts", MOST_TILE_TEXTS), "Prompts of tiles",
        "The list: CSV whose first line is row,column,prompt or x,y,w,h,prompt, or JSON.", since=2,
        widget=Widget("tile texts", "text"), no_axis=DOCUMENT))
    captioner: str = field(default="", metadata=entry(
        Text(100), "Captioner", "Name of the captioner that says what tiles show, one that the host has.", since=2,
        widget=Widget("prompts", "text"), axis=True))
    elastic_rounds: int = field(default=4, metadata=entry(
        Whole(0, 20), "Structure rounds",
        "How often the small picture of the whole is drawn at each step: more see more of the canvas.", since=2,
        widget=Widget("elastic", "slider"), flag="N", axis=True))
    elastic_pull: float = field(default=0.06, metadata=entry(
        Number(0, 0.06), "Pull to the small picture", "How strongly the first steps hold to the small picture.",
        since=2, widget=Widget("elastic", "slider", step=0.001), flag="X", axis=True))
    elastic_decay: float = field(default=1.0, metadata=entry(
        Number(1, 20), "Pull decay", "How soon the pull is gone: 20 in the first steps, 1 by the middle.", since=2,
        widget=Widget("elastic more", "slider", step=0.5), flag="X", axis=True))
    elastic_until: float = field(default=0.5, metadata=entry(
        FRACTION, "Structure until",
        "Part of the sampling in which the small picture says what is where; then the prompt draws tiles.",
        since=2, widget=Widget("elastic more", "slider", step=0.05), flag="X", axis=True))
    elastic_reference: str = field(default="area", metadata=entry(
        REFERENCES, "Small picture", "The small picture's shape.", since=2,
        widget=Widget("elastic small", "radio"), flag="NAME", axis=True))
    elastic_local_prompt: str | None = field(default=None, metadata=entry(
        PROMPT, "Local prompt", "Words for the ground of every part, such as: sky, grass, wall.", since=2,
        null="the negative prompt", widget=Widget("elastic small", "text", null=""), flag="TEXT", axis=True))
    dilated: bool = field(default=False, metadata=entry(
        Switch(), "Dilated views",
        "While the noise is strong, every n-th pixel of the whole says what is where, besides the tiles.", since=2,
        widget=Widget("growth more", "tick"), flag="", axis=True))
    skip_residual: float = field(default=0.0, metadata=entry(
        FRACTION, "Hold to the small picture",
        "How strongly noisy steps are drawn to the picture that the sampling starts from.", since=2,
        widget=Widget("growth more", "slider", step=0.05), flag="X", axis=True))
    positions: str = field(default="tile", metadata=entry(
        POSITIONS, "Positions told to SD 3 and Flux", "The places that SD 3 and Flux are told of a tile's tokens.",
        since=2, widget=Widget("told", "radio"), flag="NAME", axis=True))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        if self.tile_prompts == "list" and not self.tile_texts:
            raise SettingsError("tile_texts: got none, and tile_prompts is 'list': say the prompt of a tile or a box")
        for k, region in enumerate(self.regions):
            check_box(region, f"regions[{k}].", self.wrap_x, self.wrap_y)
        if sum(data_bytes(r.picture) for r in self.regions if r.picture is not None) > MOST_BYTES_IN_ALL:
            raise SettingsError(f"regions: pictures as data are at most {MOST_BYTES_IN_ALL >> 20} MiB together")

    def recorded(self, folders: Sequence[Path]) -> Settings:
        """As records say it: pictures by their file and digest, or by their digest alone, never as data."""
        regions = []
        for r in self.regions:
            picture, sha256 = (None, None) if r.picture is None else recorded(r.picture, tuple(folders))
            regions.append(replace(r, picture=picture, picture_sha256=r.picture_sha256 or sha256))
        return replace(self, regions=tuple(regions))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return document(self)


def settings_from_dict(data: object, name: str = "settings") -> Settings:
    """Reads the JSON form of any version; `name` is what errors call it.

    Raises:
        SettingsError: names the field that is unknown or wrong, or the version that is needed.
    """
    return read(Settings, data, name)


def settings_from_json(text: str) -> Settings:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return settings_from_dict(parse_json(text, "settings"))
