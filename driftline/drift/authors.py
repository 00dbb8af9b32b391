"""Who wrote a field, as far as `managedFields` tells. Called for each drifted field.

An entry has one time for all its fields (the manager's last write), and a removed field leaves no entry at all.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from driftline.drift.fields import FieldSet, entries_of
from driftline.drift.paths import Path
from driftline.model.drift import Author
from driftline.model.marks import MANAGER


class Authors:
    """The managers of one live object; their field sets are read when first asked for."""

    def __init__(self, live: Mapping[str, Any], manager: str = MANAGER) -> None:
        self._live = live
        self._manager = manager
        self._sets: list[tuple[Author, FieldSet]] | None = None

    def of(self, path: Path) -> Author:
        """The last writer of a field: another manager before ours, then the latest; empty where none is recorded."""
        found = [author for author, fields in self._entries() if fields.covers(path)]
        found = found or [author for author, fields in self._entries() if fields.touches(path)]
        return max(found, key=self._weight, default=Author())

    def others(self, path: Path) -> tuple[Author, ...]:
        """Everybody but our own apply entry who holds the field or something below it."""
        return tuple(
            author
            for author, fields in self._entries()
            if not self._ours(author) and (fields.covers(path) or fields.touches(path))
        )

    def _ours(self, author: Author) -> bool:
        return author.manager == self._manager and author.operation == "Apply"

    def _weight(self, author: Author) -> tuple[bool, float]:
        return not self._ours(author), author.at.timestamp() if author.at else 0.0

    def _entries(self) -> list[tuple[Author, FieldSet]]:
        if self._sets is None:
            self._sets = [(_author(entry), FieldSet.parse(entry.get("fieldsV1"))) for entry in entries_of(self._live)]
        return self._sets


def _author(entry: Mapping[str, Any]) -> Author:
    return Author(
        str(entry.get("manager", "")),
        str(entry.get("operation", "")),
        str(entry.get("subresource") or ""),
        _time(str(entry.get("time", ""))),
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
