"""Read fields of a live object whatever shape they have; every check of this room goes through here and none raises."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from driftline.model.health import Health, HealthStatus

Fields = Mapping[str, Any]

_NOTHING: Fields = {}


def fields(value: Any, *path: str) -> Fields:
    """The mapping at `path` below `value`, empty if there is none on the way or something else stands there."""
    # Parsed JSON has plain dictionaries, and to ask whether something is a Mapping takes ten times as long.
    for step in path:
        value = value.get(step) if type(value) is dict or isinstance(value, Mapping) else None
    return value if type(value) is dict or isinstance(value, Mapping) else _NOTHING


def items(value: Any) -> tuple[Fields, ...]:
    """The mappings in a list, empty for anything that is no list."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def text(value: Any) -> str:
    """A string, empty for anything else."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    """A whole number, also one written as a string of digits; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        return int(value)
    return None


def count(value: Any, default: int = 0) -> int:
    """A whole number, `default` for anything else."""
    found = number(value)
    return default if found is None else found


@dataclass(frozen=True)
class Condition:
    """One entry of `status.conditions`; what is missing is empty."""

    type: str
    status: str
    reason: str
    message: str

    @property
    def true(self) -> bool:
        return self.status == "True"

    @property
    def false(self) -> bool:
        return self.status == "False"

    @property
    def words(self) -> str:
        """Reason and message for people."""
        return ": ".join(part for part in (self.reason, self.message) if part)


def conditions(live: Fields) -> Iterator[Condition]:
    """The well-formed conditions of an object, in order."""
    return read_conditions(fields(live, "status").get("conditions"))


def read_conditions(value: Any) -> Iterator[Condition]:
    """The conditions in a list that came from somewhere else (an annotation)."""
    for entry in items(value):
        kind = text(entry.get("type"))
        if kind:
            yield Condition(kind, text(entry.get("status")), text(entry.get("reason")), text(entry.get("message")))


def condition(live: Fields, kind: str) -> Condition | None:
    """The first condition of a type."""
    return next((found for found in conditions(live) if found.type == kind), None)


def annotations(live: Fields) -> Fields:
    """The annotations of an object; unlike the model's reader this one stands any shape of metadata."""
    return fields(live, "metadata", "annotations")


def name_of(live: Fields) -> str:
    return text(fields(live, "metadata").get("name"))


def observed(live: Fields) -> int:
    """`status.observedGeneration`, 0 when the controller has not written it."""
    return count(fields(live, "status").get("observedGeneration"))


def behind(live: Fields) -> bool:
    """Whether the controller has not yet looked at the newest spec."""
    return count(fields(live, "metadata").get("generation")) > observed(live)


def healthy(message: str = "") -> Health:
    return Health(HealthStatus.HEALTHY, message)


def progressing(message: str = "") -> Health:
    return Health(HealthStatus.PROGRESSING, message)


def degraded(message: str = "") -> Health:
    return Health(HealthStatus.DEGRADED, message)


def suspended(message: str = "") -> Health:
    return Health(HealthStatus.SUSPENDED, message)


def unknown(message: str = "") -> Health:
    return Health(HealthStatus.UNKNOWN, message)
