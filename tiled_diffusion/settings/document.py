"""Documents: settings as versioned JSON objects, read with checks and written with what differs from the defaults.

A document names its version; without one it is version 1 where it uses a name that only version 1 had, else the present
one. A document within another has the other's version unless it says its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tiled_diffusion.errors import SettingsError

from .fields import VERSION, Row, rows
from .kinds import Kind, Whole, wrong
from .quoting import quoted

T = TypeVar("T")


@dataclass(frozen=True)
class Records(Kind):
    """A list of settings objects.

    Attributes:
        cls: their class.
        noun: what they are, in plural.
        most: so many at most.
        editor: so many at most in the region editor.
    """

    cls: type
    noun: str
    most: int
    editor: int | None = None

    @property
    def allowed(self) -> str:
        return "a list"

    def values(self, unit: str = "") -> str:
        return f"at most {self.most} objects"

    def fits(self, value: object) -> bool:
        return isinstance(value, tuple) and all(isinstance(item, self.cls) for item in value)

    def check(self, name: str, value: object) -> None:
        if not isinstance(value, tuple) or not self.fits(value):
            raise SettingsError(f"{name}: got {quoted(value)}, allowed are {self.cls.__name__} values in a tuple")
        if len(value) > self.most:
            raise SettingsError(f"{name}: got {len(value)}, allowed is at most {self.most} {self.noun}")

    def from_json(self, name: str, value: object, version: int) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise wrong(name, value, self.allowed)
        if len(value) > self.most:
            raise SettingsError(f"{name}: got {len(value)}, allowed is at most {self.most} {self.noun}")
        return tuple(read_object(self.cls, item, f"{name}[{i}]", version) for i, item in enumerate(value))

    def to_json(self, value: Any) -> list[dict[str, Any]]:
        return [written(item) for item in value]

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "list", "most": self.most, **({} if self.editor is None else {"editor": self.editor})}


@dataclass(frozen=True)
class Within(Kind):
    """A settings object within another.

    Attributes:
        cls: its class.
        flat: its fields stand among those of the other one, and not in an object of their own.
        prefix: of their names there.
    """

    cls: type
    flat: bool = False
    prefix: str = ""

    @property
    def allowed(self) -> str:
        return "a JSON object {...}"

    def fits(self, value: object) -> bool:
        return isinstance(value, self.cls)

    def from_json(self, name: str, value: object, version: int) -> Any:
        return read(self.cls, value, name, version)

    def to_json(self, value: Any) -> dict[str, Any]:
        return document(value)

    def to_javascript(self) -> dict[str, Any]:
        return {"type": "object"}


def flat_rows(cls: type) -> tuple[Row, ...]:
    """The settings of a class and, in their place, of the classes that lie flat within it."""
    every: list[Row] = []
    for row in rows(cls):
        if isinstance(row.kind, Within) and row.kind.flat:
            every += [replace(inner, name=row.kind.prefix + inner.name) for inner in flat_rows(row.kind.cls)]
        else:
            every.append(row)
    return tuple(every)


def flat_values(settings: Any) -> dict[str, Any]:
    """Values by name as in `flat_rows`."""
    values: dict[str, Any] = {}
    for row in rows(type(settings)):
        value = getattr(settings, row.name)
        if isinstance(row.kind, Within) and row.kind.flat:
            values |= {row.kind.prefix + name: inner for name, inner in flat_values(value).items()}
        else:
            values[row.name] = value
    return values


def made(cls: type[T], values: Mapping[str, Any]) -> T:
    """The settings object of flat values; raises SettingsError that names the field that is wrong."""
    own: dict[str, Any] = {}
    for row in rows(cls):
        if isinstance(row.kind, Within) and row.kind.flat:
            own[row.name] = _made_flat(row.kind, values)
        elif row.name in values:
            own[row.name] = values[row.name]
    return cls(**own)


def _made_flat(kind: Within, values: Mapping[str, Any]) -> Any:
    inner = {name.removeprefix(kind.prefix): value for name, value in values.items() if name.startswith(kind.prefix)}
    try:
        return made(kind.cls, inner)
    except SettingsError as e:
        raise SettingsError(f"{kind.prefix}{e}") from e


def parse_json(text: str | bytes, name: str) -> object:
    """json.loads with an error that names what was read and where it broke."""
    try:
        return json.loads(text)
    except RecursionError:
        raise SettingsError(f"{name}: this JSON is nested too deeply") from None
    except ValueError as e:
        raise SettingsError(f"{name}: this is no valid JSON: {e}") from e


def as_object(value: object, name: str) -> dict[str, Any]:
    """The JSON object in a JSON text or in parsed JSON; an empty one in None and in an empty text.

    Raises:
        SettingsError: it is none.
    """
    if isinstance(value, str):
        value = parse_json(value, name) if value.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(name, value, "a JSON object {...} or its text")
    return value


def read(cls: type[T], data: object, name: str, version: int = VERSION) -> T:
    """Reads a document.

    Args:
        cls: class of the settings.
        data: parsed JSON.
        name: what errors call the document.
        version: of a document that does not tell it.

    Raises:
        SettingsError: names the field that is unknown, missing or wrong, or the version that is needed.
    """
    if not isinstance(data, dict):
        raise wrong(name, data, "a JSON object {...}")
    version = version_of(cls, data, name, version)
    return read_object(cls, {key: value for key, value in data.items() if key != "version"}, name, version)


def read_object(cls: type[T], data: object, name: str, version: int) -> T:
    """Reads the fields of a document, or an object within one; raises as `read`."""
    if not isinstance(data, dict):
        raise wrong(name, data, "a JSON object {...}")
    values = {**unsaid(cls, version), **read_values(cls, data, name, version)}
    for row in flat_rows(cls):
        if row.required and row.name not in values:
            raise SettingsError(f"{name}: the field {row.name!r} is missing")
    try:
        return made(cls, values)
    except SettingsError as e:
        raise SettingsError(f"{name}.{e}") from e


def read_values(cls: type, data: Mapping[str, Any], name: str, version: int) -> dict[str, Any]:
    """The fields of a document, by their present names; raises SettingsError for unknown ones."""
    known = {row.name_in(version): row for row in flat_rows(cls) if row.entry.since <= version}
    values = {}
    for key, value in data.items():
        if key not in known:
            raise SettingsError(f"{name}: {_unknown(cls, key, version)}; known are {', '.join(known)}")
        try:
            values[known[key].name] = known[key].from_json(value, version)
        except SettingsError as e:
            raise SettingsError(f"{name}.{e}") from e
    return values


def unsaid(cls: type, version: int) -> dict[str, Any]:
    """What documents of a version mean by not naming fields that came later."""
    later = (row for row in flat_rows(cls) if row.entry.since > version and row.entry.earlier is not None)
    return {row.name: row.entry.earlier for row in later}


def _unknown(cls: type, key: str, version: int) -> str:
    for row in flat_rows(cls):
        if version > 1 and key == row.name_in(1):
            return f"the field {key!r} is of version 1, and this document is of version {version}: say {row.name!r}"
        if key == row.name:
            return f"the field {key!r} is not in version {version}, which this document is of"
    return f"unknown field {quoted(key)}"


def version_of(cls: type, data: Mapping[str, Any], name: str, version: int = VERSION) -> int:
    """The version of a document.

    Args:
        cls: class of the settings.
        data: the document.
        name: what errors call it.
        version: of a document that does not tell it, and has no name that only version 1 had.

    Raises:
        SettingsError: this release cannot read it.
    """
    if "version" not in data:
        old = {row.name_in(1) for row in flat_rows(cls)} - {row.name for row in flat_rows(cls)}
        return 1 if old & data.keys() else version
    given = data["version"]
    Whole(1, 10**6).check(f"{name}.version", given)
    if given > VERSION:
        raise SettingsError(f"{name}: written by version {given} of the format; this release reads up to {VERSION}")
    return int(given)


def document(settings: Any) -> dict[str, Any]:
    """The JSON form: the version, and every field that differs from its default."""
    return {"version": VERSION, **written(settings)}


def written(settings: Any) -> dict[str, Any]:
    """Fields that differ from their defaults, as plain JSON values."""
    values = flat_values(settings)
    return {r.name: r.to_json(values[r.name]) for r in flat_rows(type(settings)) if values[r.name] != r.default}
