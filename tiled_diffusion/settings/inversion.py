"""Noise inversion: img2img starts from the noise that the model itself would have needed to draw the picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields import Widget, check_fields, entry
from .kinds import Choice, Choices, Number, Switch, Whole

PROMPTS = Choices((
    Choice("own", "The picture's", "The prompt that the picture is drawn by, and the regions'."),
    Choice("empty", "Empty", "No prompt; regions keep theirs."),
))  # fmt: skip


@dataclass(frozen=True)
class Inversion:
    """How the noise is found; with freedom 1 or without rounds it is fresh noise, as ever."""

    # fmt: off
    steps: int | None = field(default=None, metadata=entry(
        Whole(1, 1000), "Inversion steps", "Steps from the picture up to where the sampling begins.",
        null="as many as the sampling runs", since=2, widget=Widget("inversion_more", "slider", 0, 100, null=0),
        flag="N", axis=True))
    rounds: int = field(default=1, metadata=entry(
        Whole(0, 3), "Accuracy", "Model calls of each step: more come closer to the picture, and take longer.", since=2,
        widget=Widget("inversion_more", "slider", 1, 3), flag="N", axis=True))
    freedom: float = field(default=0.2, metadata=entry(
        Number(0, 1), "Freedom", "How much of the noise is fresh: 0 stays closest to the picture, 1 is plain img2img.",
        since=2, widget=Widget("inversion", "slider", step=0.05), axis=True))
    detail_map: bool = field(default=False, metadata=entry(
        Switch(), "More freedom in flat areas", "Flat areas get more of the fresh noise, detailed areas less.", since=2,
        widget=Widget("inversion", "tick"), flag="", axis=True))
    prompt: str = field(default="own", metadata=entry(
        PROMPTS, "Prompt of the inversion", "What the model takes the picture for.", since=2,
        widget=Widget("inversion_more", "radio"), flag="NAME", axis=True))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def acts(self) -> bool:
        """Whether anything of the noise is the picture's own."""
        return self.rounds > 0 and self.freedom < 1
