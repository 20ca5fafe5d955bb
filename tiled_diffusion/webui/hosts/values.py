"""The values that go to and from a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tiled_diffusion.webui.rows import Row

Forward = Callable[..., Tensor]
"""A model call of the host: (x [rows, C, H, W], sigma [rows], cond=..., negatives=...) -> [rows, C, H, W].

`negatives` says which rows are negative prompts', where that is known and the rows are not the host's own."""
Denoise = Callable[[Forward, Tensor, Tensor, dict[str, Any], list[Row] | None], Tensor]
"""What is asked in the model's place: (the model call, x, sigma, cond, rows if the host names them) -> as the call."""
Networks = Mapping[str, Sequence[Any]]
"""Extra networks such as LoRAs by kind; each has `items`, name first."""
DRAW_ON = "Draw tiles on"
"""What the setting is called that names several devices."""
TokenCount = tuple[int | str, int | str]
"""(tokens of a prompt, how many fit into as many chunks as it takes); "-" where no model is loaded."""


@dataclass(frozen=True)
class DenoiserCall:
    """What is known when a sampler is about to call its denoiser.

    Attributes:
        step: the host's own count, by which prompt editing goes.
        total: how far that count goes.
        weights: of the parts of each picture's prompt, in the order of the rows.
        scale: the CFG scale that holds.
        unguided: the negative prompts are left out.
    """

    step: int
    total: int
    weights: list[list[float]]
    scale: float
    unguided: bool


@dataclass(frozen=True)
class Beginning:
    """What a sampling that begins with pictures is about to begin with.

    Attributes:
        x: [B, C, H, W], their latents.
        noise: [B, C, H, W], which is added to them; may be written to.
        cond: the host's conditioning of their prompts.
        image: the conditioning of models that see a picture, or None.
        steps: of the pass, or None for the job's.
    """

    x: Tensor
    noise: Tensor
    cond: Any
    image: Any
    steps: int | None


@dataclass(frozen=True)
class Axis:
    """An axis of the X/Y/Z plot.

    Attributes:
        label: what is chosen.
        apply: gets the job of a cell and the text of the value.
        choices: what may be chosen; None: anything.
    """

    label: str
    apply: Callable[[Any, str], None]
    choices: tuple[str, ...] | None


@dataclass(frozen=True)
class ScriptArguments:
    """A script that takes part in a job.

    Attributes:
        title: its name.
        file: where it comes from.
        values: its arguments in this job.
    """

    title: str
    file: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class PictureBatch:
    """Img2img pictures of one size that are drawn at once.

    Attributes:
        starts, prompts, negative_prompts, seeds: of each.
        size: width and height, image pixels.
        strength: the denoising strength.
        scale: the CFG scale.
    """

    starts: tuple[Any, ...]
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    size: tuple[int, int]
    strength: float
    scale: float


@dataclass(frozen=True)
class PictureApart:
    """A picture that is drawn by a job of its own, made of another job.

    Attributes:
        start: the picture that it starts from; None: noise.
        prompt, negative_prompt: with all that styles and scripts have made of them.
        seed, subseed: its own.
        size: width and height, image pixels.
        strength: the denoising strength.
        marks: attributes of the new job, by name.
    """

    start: Any
    prompt: str
    negative_prompt: str
    seed: int
    subseed: int
    size: tuple[int, int]
    strength: float
    marks: Mapping[str, Any]


@dataclass(frozen=True)
class DrawnApart:
    """What came of it.

    Attributes:
        image: the picture; None where the user stopped it before there was any.
        records: fields of its record.
        comments: what there is to say about it.
    """

    image: Any
    records: Mapping[str, Any]
    comments: tuple[str, ...]


@dataclass(frozen=True)
class MaskedPicture:
    """A picture that is inpainted at its own size.

    Attributes:
        start: RGB.
        mask: white where it is drawn, of the same size; its edge stays as hard as it is.
        noise: it begins as noise, and not as what is there.
    """

    start: Any
    mask: Any
    noise: bool


@dataclass(frozen=True)
class DrawnPicture:
    """A picture that a job has drawn.

    Attributes:
        image: a PIL picture.
        seed: that drew it.
        record: what the host writes into its file.
    """

    image: Any
    seed: int
    record: str
