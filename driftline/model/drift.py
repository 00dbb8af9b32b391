"""What a comparison of one object found."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from driftline.model.objects import Key


class VerdictState(StrEnum):
    """The outcomes of comparing one object (rules: architecture, 'Exact drift')."""

    SYNCED = "synced"
    """Values and ownership are as Git says."""
    DRIFTED = "drifted"
    """Live differs on paths that Git sets, or that we applied and Git dropped."""
    CLAIM = "claim"
    """Values are equal but our field manager does not own exactly what Git sets: one write, not drift."""
    MISSING = "missing"
    """A GET by name answered 404."""
    EXTRA = "extra"
    """We own it, Git no longer names it."""
    SUSPECT = "suspect"
    """The local comparison cannot tell: a server-side dry run has to."""
    DELETING = "deleting"
    RECREATE = "recreate"
    """An immutable field differs: only delete and create would help."""
    RECREATED = "recreated"
    """Live carries another uid than the one we own."""
    UNMARKED = "unmarked"
    """Live lost our label or tracking id."""
    REFUSED = "refused"
    """Admission or permissions refuse the desired object."""
    KIND_NOT_SERVED = "kind not served"
    NAMESPACE_MISSING = "namespace missing"
    UNAPPLICABLE = "cannot be applied"
    """Server-side apply cannot digest the desired object (an answer of 500 'typed patch')."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Author:
    """Who last wrote a field, as far as `managedFields` tells. Empty manager: not recorded (a removed field)."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    at: datetime | None = None

    def __str__(self) -> str:
        if not self.manager:
            return "not recorded"
        when = f" at {self.at:%Y-%m-%d %H:%M:%S}Z" if self.at else ""
        return f"{self.manager} ({self.operation}){when}"


ABSENT = "\u2205"
"""Stands for 'no such field' in texts, so that it differs from null and from an empty string."""


@dataclass(frozen=True)
class FieldDrift:
    """One field that is not as Git says. Values are plain JSON, or the `ABSENT` mark; not yet masked."""

    path: str
    desired: Any
    live: Any
    author: Author = Author()
    kind: str = "changed"
    """`changed`, `removed` (Git sets it, live lacks it), `added` (live holds what Git dropped: a leftover)."""
    elements: tuple[str, ...] = field(default=(), compare=False)
    """The same place as `managedFields` spells it, for finding it again in an object; empty where none is known."""


@dataclass(frozen=True)
class Verdict:
    """The outcome for one object, with what differs and why it is what it is."""

    key: Key
    state: VerdictState
    fields: tuple[FieldDrift, ...] = ()
    reason: str = ""
    leftovers: tuple[FieldDrift, ...] = ()
    """Fields that Git dropped and that another manager still holds: removed by a JSON patch."""

    @property
    def in_sync(self) -> bool:
        return self.state in (VerdictState.SYNCED, VerdictState.CLAIM)
