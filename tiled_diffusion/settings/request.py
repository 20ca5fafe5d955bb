"""What is asked for: everything that decides a picture, as one value with a JSON form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tiled_diffusion.errors import SettingsError

from .control import MAX_CONTROLS, Control
from .document import Records, Within, document, parse_json, read
from .fields import check_fields, entry
from .growth import Growth
from .inversion import Inversion
from .kinds import Choice, Choices, Number, Text, Whole, choices
from .match import Match, MatchKind
from .sides import Sides, SidesKind
from .values import Settings

SAMPLERS: tuple[str, ...] = (
    "Euler", "Euler a", "Heun", "LMS", "DDIM", "PNDM", "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE", "UniPC", "LCM",
)  # fmt: skip
CANVAS_SIDE = Whole(64, 32768, multiple=8)
DIGEST = Text(64)
INPAINT_FROM = Choices((
    Choice("original", "original", "The masked part begins as the photo, as far as the denoising strength says."),
    Choice("noise", "noise", "It begins as noise, and the denoising strength does not count."),
    Choice("fill", "fill", "It begins as the colours around it, as far as the denoising strength says."),
))  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One picture (or a batch of them)."""

    # fmt: off
    prompt: str = field(metadata=entry(
        Text(), "Prompt", "What to draw; (word:1.2) weighs a word, and it may be as long as you like.", flag="TEXT"))
    negative_prompt: str = field(default="", metadata=entry(
        Text(), "Negative prompt", "What to avoid.", flag="TEXT"))
    width: int = field(default=512, metadata=entry(CANVAS_SIDE, "Width", "Width of the canvas.", "px", flag="PX"))
    height: int = field(default=512, metadata=entry(CANVAS_SIDE, "Height", "Height of the canvas.", "px", flag="PX"))
    steps: int = field(default=25, metadata=entry(Whole(1, 1000), "Steps", "Denoising steps.", flag="N"))
    cfg_scale: float = field(default=5.0, metadata=entry(
        Number(1, 50), "CFG scale", "How strictly to follow the prompt; 1 is off.", flag="X"))
    sampler: str = field(default="Euler a", metadata=entry(
        choices(*SAMPLERS), "Sampler", "How the steps are taken.", flag="NAME"))
    seed: int = field(default=0, metadata=entry(
        Whole(0, 2**63 - 65), "Seed", "Another number, another picture; image k of a batch has seed + k.", flag="N"))
    batch_size: int = field(default=1, metadata=entry(
        Whole(1, 64), "Batch size", "Pictures made side by side.", flag="N"))
    init_image: str | None = field(default=None, metadata=entry(
        Text(), "Start picture", "The picture to start from.", null="start from noise", flag="FILE"))
    denoising_strength: float = field(default=0.5, metadata=entry(
        Number(0, 1), "Denoising strength", "How much of the start picture is drawn anew.", flag="X"))
    controls: tuple[Control, ...] = field(default=(), metadata=entry(
        Records(Control, "controls", MAX_CONTROLS), "ControlNet", "ControlNets that guide the picture."))
    tiling: Settings = field(default=Settings(), metadata=entry(
        Within(Settings), "Tiling", "How the canvas is tiled, its rings and regions."))
    inversion: Inversion | None = field(default=None, metadata=entry(
        Within(Inversion), "Keep the picture", "Starts from the start picture's own noise (noise inversion).",
        null="fresh noise", since=2))
    mask: str | None = field(default=None, metadata=entry(
        Text(), "Mask", "A picture of the start picture's size: what is white in it is drawn, and what is black stays.",
        null="all of it is drawn", since=2, flag="FILE"))
    mask_feather: int = field(default=8, metadata=entry(
        Whole(0, 1024), "Mask feather", "Width of the mask's soft edge, which lies within the mask.", "px", since=2,
        flag="PX"))
    inpaint_from: str = field(default="original", metadata=entry(
        INPAINT_FROM, "Masked part", "What the masked part begins as.", since=2, flag="NAME"))
    extend: Sides = field(default=Sides(), metadata=entry(
        SidesKind(), "Extend", "How far the canvas reaches past the start picture on each side, to be drawn.", "px",
        since=2, flag="SIDES"))
    init_image_sha256: str | None = field(default=None, metadata=entry(
        DIGEST, "Start picture's digest", "SHA-256 of the file, in records: another file is an error.", null="any file",
        since=2))
    mask_sha256: str | None = field(default=None, metadata=entry(
        DIGEST, "Mask's digest", "SHA-256 of the file, in records: another file is an error.", null="any file",
        since=2))
    hold: float = field(default=0.0, metadata=entry(
        Number(0, 1), "Hold", "Part of the sampling in which areas keep the start picture's mean colours.", since=2,
        flag="X"))
    growth: Growth | None = field(default=None, metadata=entry(
        Within(Growth), "Growth", "Grows in stages: drawn small, then enlarged and drawn anew.",
        null="drawn at once", since=2))
    match: Match | None = field(default=None, metadata=entry(
        MatchKind(), "Match", "Edges of the batch's pictures that fit together.", null="each stands alone", since=2,
        flag="EDGES"))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
        numbers = [edge.picture for join in self.match or () for edge in join]
        if max(numbers, default=0) > self.batch_size:
            allowed = f"at most {self.batch_size}, the batch size"
            raise SettingsError(f"match: got the picture {max(numbers)}, allowed is {allowed}")

    @property
    def inpaints(self) -> bool:
        """Whether a part of the start picture, or what lies around it, is all that is drawn."""
        return self.mask is not None or bool(self.extend)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return document(self)


def request_from_dict(data: object) -> Request:
    """Reads the JSON form of any version; raises SettingsError that names the field."""
    return read(Request, data, "canvas")


def request_from_json(text: str) -> Request:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return request_from_dict(parse_json(text, "canvas"))


OF_ONE_PICTURE = (
    "batch_size", "init_image", "init_image_sha256", "mask", "mask_sha256", "extend", "inpaint_from", "inversion",
    "growth", "match",
)  # fmt: skip
"""Fields that say how one picture was made, and nothing of another that is made of it."""


def from_record(request: Request) -> Request:
    """What a picture's record says of a picture that is made of it: prompts, sampler, tiles and the like."""
    blank = Request(prompt="")
    return replace(request, **{name: getattr(blank, name) for name in OF_ONE_PICTURE})


def alone(request: Request, seed: int) -> Request:
    """The request of one picture of a batch; seeds of regions and rerolls count up with the picture's."""
    number, tiling = seed - request.seed, request.tiling
    regions = tuple(r if r.seed is None else replace(r, seed=r.seed + number) for r in tiling.regions)
    rerolls = tuple(replace(r, seed=r.seed + number) for r in tiling.rerolls)
    return replace(request, seed=seed, batch_size=1, tiling=replace(tiling, regions=regions, rerolls=rerolls))
