"""How far the deletion of an application has come, in one JSON column: since when, its hooks, who waits for whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from driftline.adapters.store.applications import ApplicationRow, Changes
from driftline.flow.plans import dump_results, load_results
from driftline.model.objects import Key
from driftline.model.plan import Phase
from driftline.sync.hooks import HookSeen


@dataclass(frozen=True)
class Deletion:
    """A deletion as far as it has come."""

    at: datetime
    """When it was asked for, aware UTC."""
    attempt: int = 0
    """How many hooks have failed and were made anew."""
    hooks: Mapping[tuple[Phase, Key], HookSeen] = field(default_factory=dict)
    """Hooks that were made: PreSync stands for before, PostSync for after."""
    waits: tuple[Key, ...] = ()
    """Objects that a person has to confirm before anything is deleted."""

    @classmethod
    def of(cls, row: ApplicationRow) -> "Deletion":
        """Read what `to_json` wrote."""
        found = row.deletion or {}
        _, hooks = load_results(found)
        return cls(
            at=datetime.fromisoformat(found["at"]) if found.get("at") else row.updated_at,
            attempt=int(found.get("attempt", 0)),
            hooks=hooks,
            waits=tuple(Key.parse(each) for each in found.get("waits", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """For the row's column."""
        return {
            "at": self.at.isoformat(),
            "attempt": self.attempt,
            "hooks": dump_results({}, self.hooks)["hooks"],
            "waits": [key.id for key in self.waits],
        }


def operation_of(row: ApplicationRow) -> str:
    """What a deletion is called in the marks of its hooks."""
    return f"delete-{row.id}"


def begun(mode: str, now: datetime) -> Changes:
    """The columns of an application whose deletion begins: `cascade`, `background` or `forget`."""
    return {"deleting": True, "delete_mode": mode, "deletion": Deletion(now).to_json()}
