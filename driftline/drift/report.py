"""Turns differences into what people read: field paths, both values, and the author. Called by the comparisons."""

from collections.abc import Iterable
from typing import Any

from driftline.drift.authors import Authors
from driftline.drift.paths import NOTHING, Path, readable
from driftline.drift.walk import Difference
from driftline.model.drift import ABSENT, Author, FieldDrift


def fields(differences: Iterable[Difference], authors: Authors | None = None) -> tuple[FieldDrift, ...]:
    """The differences as field drifts, in the order of their paths. A removed field has no recorded author."""
    found = []
    for each in differences:
        author = authors.of(each.path) if authors and each.live is not NOTHING else Author()
        found.append(
            FieldDrift(readable(each.path), _shown(each.desired), _shown(each.live), author, each.kind, each.path)
        )
    return tuple(found)


def names(paths: Iterable[Path]) -> str:
    """Paths in one line."""
    return ", ".join(readable(path) for path in paths)


def _shown(value: Any) -> Any:
    return ABSENT if value is NOTHING else value
