"""What is asked for: everything that decides a picture, as one value with a JSON form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tiled_diffusion.errors import SettingsError

from .control import MAX_CONTROLS, Control, controls_from_json
from .values import (
    VERSION,
    Settings,
    check_choice,
    check_int,
    check_number,
    check_text,
    parse_json,
    plain_fields,
    read_fields,
    settings_from_dict,
)

SAMPLERS: tuple[str, ...] = (
    "Euler", "Euler a", "Heun", "LMS", "DDIM", "PNDM", "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE", "UniPC", "LCM",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One picture (or a batch of them).

    Attributes:
        prompt, negative_prompt: `(word:1.2)` weights a word; prompts may be longer than the text encoder's 75 tokens.
        width, height: of the canvas in image pixels, 64 to 32768, multiples of 8.
        steps: 1 to 1000.
        cfg_scale: 1 (off) to 50.
        sampler: one of SAMPLERS.
        seed: of the first image; image k of a batch has seed + k.
        batch_size: pictures made side by side, 1 to 64.
        init_image: path of the picture to start from, or None.
        denoising_strength: 0 to 1, how much of the start picture is drawn anew.
        controls: ControlNets that guide the picture, at most 16.
        tiling: how the canvas is tiled, its rings and regions.
    """

    prompt: str
    negative_prompt: str = ""
    width: int = 512
    height: int = 512
    steps: int = 25
    cfg_scale: float = 5.0
    sampler: str = "Euler a"
    seed: int = 0
    batch_size: int = 1
    init_image: str | None = None
    denoising_strength: float = 0.5
    controls: tuple[Control, ...] = ()
    tiling: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        check_text("prompt", self.prompt)
        check_text("negative_prompt", self.negative_prompt)
        for name in ("width", "height"):
            check_int(name, getattr(self, name), 64, 32768)
            if getattr(self, name) % 8:
                raise SettingsError(f"{name}: got {getattr(self, name)}, allowed are multiples of 8 from 64 to 32768")
        check_int("steps", self.steps, 1, 1000)
        check_number("cfg_scale", self.cfg_scale, 1, 50)
        check_choice("sampler", self.sampler, SAMPLERS)
        check_int("seed", self.seed, 0, 2**63 - 65)
        check_int("batch_size", self.batch_size, 1, 64)
        if self.init_image is not None:
            check_text("init_image", self.init_image)
        check_number("denoising_strength", self.denoising_strength, 0, 1)
        if not all(isinstance(control, Control) for control in self.controls):
            raise SettingsError(f"controls: got {self.controls!r}, allowed are Control values")
        if len(self.controls) > MAX_CONTROLS:
            raise SettingsError(f"controls: got {len(self.controls)}, allowed is at most {MAX_CONTROLS}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the version and every field that differs from its default."""
        return {"version": VERSION, **plain_fields(self)}


def request_from_dict(data: object) -> Request:
    """Reads the JSON form; raises SettingsError that names the field."""
    readers = {"controls": controls_from_json, "tiling": lambda v: settings_from_dict(v, "canvas.tiling")}
    return read_fields(Request, data, "canvas", readers)


def request_from_json(text: str) -> Request:
    """Reads the JSON text; raises SettingsError, also where the text is no JSON."""
    return request_from_dict(parse_json(text, "canvas"))
