"""How a picture grows in stages: drawn small, then enlarged and drawn anew until it has its size."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields import Widget, check_fields, entry
from .kinds import Number, Switch, Whole


@dataclass(frozen=True)
class Growth:
    """Growing in stages (the order of DemoFusion, arXiv 2311.16973)."""

    # fmt: off
    stages: int | None = field(default=None, metadata=entry(
        Whole(1, 16), "Stages", "How often the picture is enlarged.", since=2,
        null="as often as it takes for each to be at most 2 times as wide and high",
        widget=Widget("growth", "slider", 0, 8, null=0), flag="N", axis=True))
    stage_strength: float = field(default=0.5, metadata=entry(
        Number(0, 1), "Stage strength", "Denoising strength of each stage.", since=2,
        widget=Widget("growth", "slider", step=0.05), flag="X", axis=True))
    keep_colours: bool = field(default=False, metadata=entry(
        Switch(), "Keep colours", "Each stage keeps the mean and the contrast of the colours before it.", since=2,
        widget=Widget("growth more", "tick"), flag="", axis=True))
    # fmt: on

    def __post_init__(self) -> None:
        check_fields(self)
