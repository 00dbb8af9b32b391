"""What a bench says: measures with their reach, gathered into rows, shown as a table and as JSON. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One number. `reach` is the most it may be; None: it is only shown."""

    name: str
    value: float
    unit: str = ""
    reach: float | None = None

    @property
    def ok(self) -> bool:
        return self.reach is None or self.value <= self.reach

    def __str__(self) -> str:
        return f"{self.name} {number(self.value)}{' ' + self.unit if self.unit else ''}".strip()


@dataclass(frozen=True)
class Row:
    """One line of the issue's table. The first measure is the row's value; all of them have to be in reach.

    `calls`: API calls by verb, counted at the server, of one run (the median one, or the last). `limit`: what the
    machine allows, measured in the same run, by name. `details`: everything else worth keeping.
    """

    id: str
    what: str
    measures: tuple[Measure, ...]
    runs: int
    calls: Mapping[str, int] = field(default_factory=dict)
    limit: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    load: float = 0.0
    """The machine's load average of one minute when the row was begun."""

    @property
    def ok(self) -> bool:
        return bool(self.measures) and all(measure.ok for measure in self.measures)

    @property
    def reach(self) -> str:
        """Every reach in words."""
        limits = [measure for measure in self.measures if measure.reach is not None]
        return ", ".join(f"{m.name} ≤ {number(m.reach or 0.0)}{' ' + m.unit if m.unit else ''}" for m in limits)

    def to_json(self) -> dict[str, Any]:
        first = self.measures[0] if self.measures else Measure("", 0.0)
        return {
            "id": self.id,
            "what": self.what,
            "value": round(first.value, 4),
            "unit": first.unit,
            "reach": self.reach,
            "ok": self.ok,
            "runs": self.runs,
            "measures": [_measure_json(measure) for measure in self.measures],
            "calls": dict(sorted(self.calls.items())),
            "limit": {name: round(value, 4) for name, value in self.limit.items()},
            "load": round(self.load, 2),
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Failed:
    """A row that could not be measured, and why."""

    id: str
    why: str
    ok: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "ok": False, "error": self.why}


def _measure_json(measure: Measure) -> dict[str, Any]:
    found: dict[str, Any] = {"name": measure.name, "value": round(measure.value, 4), "unit": measure.unit}
    return found if measure.reach is None else {**found, "reach": measure.reach, "ok": measure.ok}


def number(value: float) -> str:
    """A number with three significant digits, without trailing zeros; whole numbers in full."""
    if value == int(value):
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed. Raises ValueError if there is none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float]) -> float:
    """The middle value, the mean of the middle two. Raises ValueError if there is none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def ratio(value: float, limit: float) -> float:
    """How many times the limit a value is; infinite if the limit is nothing."""
    return value / limit if limit > 0 else float("inf")


def merge(known: Sequence[Mapping[str, Any]], fresh: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an earlier file with the measured ones in their place: `--only` must not forget the others."""
    replaced = {row["id"]: dict(row) for row in fresh}
    kept = [replaced.pop(row["id"], dict(row)) for row in known]
    return [*kept, *replaced.values()]
