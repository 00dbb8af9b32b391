"""Typed reading of a declaration's fields, with the field's path in every error. Called by the readers of this room."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

from driftline.formats.durations import duration
from driftline.model.errors import Permanent

_NAMES = {dict: "a map", list: "a list", str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass
class Fields:
    """One map of a declaration. What was never asked for is unknown, and `finish` warns of it.

    `subject` begins each message (`Application shop`), `path` is where this map stands (`spec.source`).
    """

    value: Mapping[str, Any]
    subject: str
    path: str
    warnings: list[str]
    asked: set[str] = field(default_factory=set)

    def fail(self, name: str, message: str) -> NoReturn:
        """Raise Permanent about one field, or about this map itself where `name` is empty."""
        raise Permanent(f"{self.subject}: {self.where(name)}: {message}")

    def warn(self, name: str, message: str) -> None:
        self.warnings.append(f"{self.where(name)}: {message}")

    def where(self, name: str) -> str:
        """The path of one field of this map."""
        return ".".join(part for part in (self.path, name) if part)

    def get(self, name: str, kind: type) -> Any:
        """The value of a field if it is of `kind`, None if it is absent or null."""
        self.asked.add(name)
        value = self.value.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            hint = ": put it in quotes" if kind is str and not isinstance(value, (dict, list)) else ""
            self.fail(name, f"want {_NAMES[kind]}, got {_NAMES.get(type(value), 'something else')}{hint}")
        return value

    def text(self, name: str, default: str = "") -> str:
        value: str | None = self.get(name, str)
        if value is not None and "\0" in value:
            self.fail(name, "must not hold a NUL character")
        return default if value is None else value

    def flag(self, name: str, default: bool = False) -> bool:
        value: bool | None = self.get(name, bool)
        return default if value is None else value

    def number(self, name: str, default: int = 0) -> int:
        value: int | None = self.get(name, int)
        return default if value is None else value

    def wait(self, name: str, default: timedelta) -> timedelta:
        """A duration; empty means the default."""
        text = self.text(name)
        if not text:
            return default
        try:
            return duration(text)
        except ValueError as error:
            self.fail(name, str(error))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values: list[Any] = self.get(name, list) or []
        for position, value in enumerate(values):
            if not isinstance(value, str):
                self.fail(f"{name}[{position}]", f"want a text, got {_NAMES.get(type(value), 'nothing')}")
        return tuple(values)

    def table(self, name: str) -> dict[str, str]:
        """A map of texts."""
        values: dict[str, Any] = self.get(name, dict) or {}
        for key, value in values.items():
            if not isinstance(value, str):
                hint = "" if isinstance(value, (dict, list)) else ": put it in quotes"
                self.fail(f"{name}.{key}", f"want a text, got {_NAMES.get(type(value), 'nothing')}{hint}")
        return dict(values)

    def section(self, name: str) -> "Fields | None":
        """A map inside this one."""
        value = self.get(name, dict)
        return None if value is None else Fields(value, self.subject, self.where(name), self.warnings)

    def sections(self, name: str) -> Iterator["Fields"]:
        """The maps of a list."""
        for position, value in enumerate(self.get(name, list) or []):
            where = f"{name}[{position}]"
            if not isinstance(value, dict):
                self.fail(where, f"want a map, got {_NAMES.get(type(value), 'nothing')}")
            yield Fields(value, self.subject, self.where(where), self.warnings)

    def finish(self) -> None:
        """Warn of each field that nobody asked for."""
        for name in sorted(str(name) for name in self.value.keys() - self.asked):
            self.warn(name, "unknown field: kept, but it has no effect")
