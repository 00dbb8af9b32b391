"""What automation remembers of one application, in one JSON column: the last attempt, repairs, fights, the pin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from driftline.adapters.store.applications import ApplicationRow
from driftline.model.objects import Key
from driftline.model.sync import OperationPhase
from driftline.sync.automation import Attempt, HealEntry, Pin
from driftline.sync.fights import Fight

MOST_HEALS = 20
"""Drift fingerprints remembered; the oldest go first."""


@dataclass(frozen=True)
class Memory:
    """The values as the pure rooms want them."""

    last: Attempt | None = None
    heals: Mapping[str, HealEntry] = field(default_factory=dict)
    fights: tuple[tuple[str, Fight], ...] = ()
    """(target, fight): a fight holds until another target is wanted."""
    pin: Pin | None = None

    @classmethod
    def of(cls, row: ApplicationRow) -> "Memory":
        """Read what `to_json` wrote, and the row's pin."""
        found = row.self_heal or {}
        last = found.get("last")
        return cls(
            Attempt(last["target"], OperationPhase(last["phase"]), last["message"]) if last else None,
            {
                name: HealEntry(each["target"], each["attempts"], datetime.fromisoformat(each["last_at"]))
                for name, each in found.get("heals", {}).items()
            },
            tuple(
                (each["target"], Fight(Key.parse(each["key"]), each["path"], each["manager"], each["times"]))
                for each in found.get("fights", ())
            ),
            read_pin(row.pin),
        )

    def to_json(self) -> dict[str, Any]:
        """For the row's column. The pin has a column of its own."""
        last = self.last
        return {
            "last": {"target": last.target, "phase": last.phase, "message": last.message[:2000]} if last else None,
            "heals": {
                name: {"target": each.target, "attempts": each.attempts, "last_at": each.last_at.isoformat()}
                for name, each in sorted(self.heals.items(), key=lambda item: item[1].last_at)[-MOST_HEALS:]
            },
            "fights": [
                {"target": target, "key": each.key.id, "path": each.path, "manager": each.manager, "times": each.times}
                for target, each in self.fights
            ],
        }

    def heal_of(self, fingerprint: str) -> HealEntry | None:
        return self.heals.get(fingerprint)

    def fights_of(self, target: str) -> tuple[Fight, ...]:
        return tuple(fight for known, fight in self.fights if known == target)

    def with_heal(self, fingerprint: str, entry: HealEntry) -> "Memory":
        return replace(self, heals={**self.heals, fingerprint: entry})

    def with_attempt(self, attempt: Attempt) -> "Memory":
        return replace(self, last=attempt)

    def with_fights(self, target: str, found: Sequence[Fight]) -> "Memory":
        """Fights of this target only: another one starts anew."""
        return replace(self, fights=tuple((target, each) for each in found))


def read_pin(found: Mapping[str, Any] | None) -> Pin | None:
    """A rollback pin as it is stored."""
    if not found:
        return None
    until = found.get("until")
    return Pin(
        found["revision"],
        frozenset(found.get("out", ())),
        found.get("by", ""),
        found.get("why", ""),
        datetime.fromisoformat(until) if until else None,
        bool(found.get("manual")),
    )


def pin_json(pin: Pin, at: datetime, render_id: int | None, out: Iterable[str]) -> dict[str, Any]:
    """A rollback pin for its column."""
    return {
        "revision": pin.revision,
        "out": sorted(out),
        "by": pin.by,
        "why": pin.why,
        "at": at.isoformat(),
        "until": pin.until.isoformat() if pin.until else None,
        "manual": pin.manual,
        "render_id": render_id,
    }
