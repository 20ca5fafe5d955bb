"""By how much a canvas reaches past a photo on each side, for outpainting."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tiled_diffusion.errors import SettingsError

from .kinds import Kind, Whole, wrong

SIDE_PX = Whole(0, 16384, multiple=8)
NAMES = ("left", "right", "top", "bottom")


@dataclass(frozen=True)
class Sides:
    """Image pixels on each side."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def __post_init__(self) -> None:
        for name in NAMES:
            SIDE_PX.check(f"extend.{name}", getattr(self, name))

    def __bool__(self) -> bool:
        """Whether there is anything on any side."""
        return any(getattr(self, name) for name in NAMES)


@dataclass(frozen=True)
class SidesKind(Kind):
    """Sides, as a field of a request."""

    @property
    def allowed(self) -> str:
        return "left=PX,right=PX,top=PX,bottom=PX, each a multiple of 8, those that are wanted"

    def values(self, unit: str = "") -> str:
        return '{"left": PX, "right": PX, "top": PX, "bottom": PX}, multiples of 8'

    def fits(self, value: object) -> bool:
        return isinstance(value, Sides)

    def from_json(self, name: str, value: object, version: int) -> Sides:
        if not isinstance(value, dict) or not set(value) <= set(NAMES):
            raise wrong(name, value, self.values())
        return Sides(**value)

    def to_json(self, value: Sides) -> dict[str, Any]:
        return {name: px for name, px in asdict(value).items() if px}

    def from_text(self, name: str, text: str) -> Sides:
        sides: dict[str, int] = {}
        for part in text.split(","):
            side, _, px = (piece.strip() for piece in part.partition("="))
            if side not in NAMES or side in sides or not px.isdecimal():
                raise wrong(name, text, self.allowed)
            sides[side] = int(px)
        try:
            return Sides(**sides)
        except SettingsError as e:
            raise SettingsError(str(e).replace("extend.", f"{name}: ", 1)) from None

    def to_text(self, value: Sides) -> str:
        return ",".join(f"{name}={px}" for name, px in self.to_json(value).items())

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "sides"}
