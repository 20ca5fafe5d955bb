"""Kinds of values: what a setting may be, how it is checked, and how pages and command lines write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tiled_diffusion.errors import SettingsError

from .quoting import quoted

HUGE = 2**53 - 1
"""The largest whole number that every reader of JSON keeps; an end beyond it is none that a user meets."""
SWITCHES = {"true": True, "false": False, "on": True, "off": False, "1": True, "0": False}


@dataclass(frozen=True)
class Kind:
    """What a value may be.

    A value has a JSON form (`from_json`, `to_json`), a text on command lines and plot axes (`from_text`, `to_text`)
    and a form on the panel (`from_page`, `to_page`); where a kind does not say otherwise they are the value itself.
    """

    @property
    def allowed(self) -> str:
        """What it may be, for errors."""
        raise NotImplementedError

    def values(self, unit: str = "") -> str:
        """What it may be, for tables and help texts; `unit` is written behind a number."""
        return self.allowed

    def fits(self, value: object) -> bool:
        """Whether it is such a value."""
        raise NotImplementedError

    def check(self, name: str, value: object) -> None:
        """Raises SettingsError that names the setting, what it got and what it may be, unless the value fits."""
        if not self.fits(value):
            raise wrong(name, value, self.allowed)

    def from_json(self, name: str, value: object, version: int) -> Any:
        """The value in a document of the given version; checked when the settings are made of it."""
        return value

    def to_json(self, value: Any) -> Any:
        """The JSON form."""
        return value

    def from_text(self, name: str, text: str) -> Any:
        """The value in a text.

        Raises:
            SettingsError: the text says no such value.
        """
        raise wrong(name, text, self.allowed)

    def to_text(self, value: Any) -> str:
        """The text that `from_text` reads."""
        return str(value)

    def from_page(self, value: object) -> Any:
        """The value of a component of the panel."""
        return value

    def to_page(self, value: Any) -> Any:
        """What a component of the panel shows."""
        return value

    def to_javascript(self) -> dict[str, Any]:
        """The kind in plain values, for the scripts of the page."""
        raise NotImplementedError


def wrong(name: str, got: object, allowed: str) -> SettingsError:
    """The error for a value that may not be."""
    return SettingsError(f"{name}: got {quoted(got)}, allowed is {allowed}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number.

    Attributes:
        low, high: both allowed; None for no end.
        multiple: of which it must be a multiple.
    """

    low: int
    high: int | None = None
    multiple: int = 1

    @property
    def allowed(self) -> str:
        what = "a whole number" if self.multiple == 1 else f"a multiple of {self.multiple}"
        return f"{what} of {self.low} or more" if self.high is None else f"{what} from {self.low} to {self.high}"

    def values(self, unit: str = "") -> str:
        behind = f" {unit}" if unit else ""
        endless = self.high is None or self.high >= HUGE
        span = f"{self.low}{behind} or more" if endless else f"{self.low} to {self.high}{behind}"
        return span if self.multiple == 1 else f"{span}, multiples of {self.multiple}"

    def fits(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value and (self.high is None or value <= self.high) and value % self.multiple == 0

    def from_text(self, name: str, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise wrong(name, text, self.allowed) from None
        self.check(name, value)
        return value

    def from_page(self, value: object) -> Any:
        """Sliders may give whole numbers as floats."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def to_javascript(self) -> dict[str, Any]:
        high = {} if self.high is None else {"high": min(self.high, HUGE)}
        return {"type": "whole", "low": self.low, **high, **({"multiple": self.multiple} if self.multiple > 1 else {})}


@dataclass(frozen=True)
class Number(Kind):
    """A finite number in [low, high]."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def values(self, unit: str = "") -> str:
        return f"{self.low:g} to {self.high:g}" + (f" {unit}" if unit else "")

    def fits(self, value: object) -> bool:
        return isinstance(value, (int, float)) and _is_number(value) and self.low <= value <= self.high

    def from_text(self, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise wrong(name, text, self.allowed) from None
        self.check(name, value)
        return value

    def to_text(self, value: float) -> str:
        return f"{value:g}"

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "number", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Switch(Kind):
    """True or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def values(self, unit: str = "") -> str:
        return "true, false"

    def fits(self, value: object) -> bool:
        return isinstance(value, bool)

    def from_text(self, name: str, text: str) -> bool:
        if text.strip().lower() not in SWITCHES:
            raise wrong(name, text, self.allowed)
        return SWITCHES[text.strip().lower()]

    def to_text(self, value: bool) -> str:
        return "true" if value else "false"

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "switch"}


@dataclass(frozen=True)
class Text(Kind):
    """Text.

    Attributes:
        most: characters.
        needed: what it must be where it may not be empty, such as "a path".
    """

    most: int | None = None
    needed: str = ""

    @property
    def allowed(self) -> str:
        return self.needed or "text"

    def values(self, unit: str = "") -> str:
        return self.allowed if self.most is None else f"{self.allowed}, at most {self.most} characters"

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and (value != "" or not self.needed)

    def check(self, name: str, value: object) -> None:
        super().check(name, value)
        if self.most is not None and isinstance(value, str) and len(value) > self.most:
            raise SettingsError(f"{name}: got {len(value)} characters, allowed are at most {self.most} characters")

    def from_text(self, name: str, text: str) -> str:
        self.check(name, text)
        return text

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "text", **({} if self.most is None else {"most": self.most})}


@dataclass(frozen=True)
class Choice:
    """One of the values that may be chosen.

    Attributes:
        value: as in JSON and on the command line.
        label: as pages show it.
        help: one sentence on what it does and when to take it.
    """

    value: str
    label: str
    help: str = ""


@dataclass(frozen=True)
class Choices(Kind):
    """One of several texts. Pages show labels; texts may name either a value or a label."""

    options: tuple[Choice, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The values."""
        return tuple(option.value for option in self.options)

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.names)

    def values(self, unit: str = "") -> str:
        return ", ".join(self.names)

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and value in self.names

    def option(self, text: object) -> Choice | None:
        """The choice of a value or label."""
        return next((option for option in self.options if text in (option.value, option.label)), None)

    def from_text(self, name: str, text: str) -> str:
        value = self.from_page(text.strip())
        self.check(name, value)
        return str(value)

    def from_page(self, value: object) -> Any:
        option = self.option(value)
        return value if option is None else option.value

    def to_page(self, value: str) -> str:
        option = self.option(value)
        return value if option is None else option.label

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "choice", "choices": [[o.value, o.label, *([o.help] if o.help else [])] for o in self.options]}


def choices(*values: str) -> Choices:
    """Choices that are shown as they are written."""
    return Choices(tuple(Choice(value, value) for value in values))
