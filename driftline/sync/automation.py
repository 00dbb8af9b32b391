"""Should an application be synced now, without anybody asking? (AUTO-01 to AUTO-06, self-heal, pins)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from driftline.model.application import Automated
from driftline.model.application import Retry as RetryRule
from driftline.model.digests import digest
from driftline.model.drift import FieldDrift
from driftline.model.health import SyncStatus
from driftline.model.objects import Key
from driftline.model.sync import OperationPhase
from driftline.sync import texts
from driftline.sync.fights import Fight

AUTOMATED_RETRY = RetryRule(limit=5)
"""Retries of an automated operation whose application says nothing of them (AUTO-06)."""

HEAL_WAITS = tuple(timedelta(seconds=seconds) for seconds in (0, 2, 6, 18, 54, 162, 300))
"""Before the n-th repair of the same drift in a row; the last one repeats. Argo CD's defaults, whose documentation
still says a flat 5 s."""

CALM = timedelta(minutes=5)
"""How long a repair has to last, beyond its own wait, until it counts as a success and the waits begin anew."""


@dataclass(frozen=True)
class Attempt:
    """The last operation of an application that was not a repair of drift."""

    target: str
    """What was synced: revisions and sources, in the same words as `AutoSeen.target`."""
    phase: OperationPhase
    message: str = ""


@dataclass(frozen=True)
class Difference:
    """One object that is out of sync; `prune`: it is live and Git no longer names it."""

    key: Key
    prune: bool = False
    fields: tuple[FieldDrift, ...] = ()


@dataclass(frozen=True)
class HealEntry:
    """How often one drift was repaired in a row. Stored by (application, drift fingerprint)."""

    target: str
    """What was wanted then; another target starts anew."""
    attempts: int
    last_at: datetime


@dataclass(frozen=True)
class Pin:
    """A rollback that holds until Git has something newer.

    `out` are the targets that Git had when it was set: auto-sync does not go back to them.
    """

    revision: str
    out: frozenset[str]
    by: str = ""
    why: str = ""
    until: datetime | None = None
    manual: bool = False
    """Holds against newer commits too, until a person removes it or `until` has come."""


@dataclass(frozen=True)
class AutoSeen:
    """All that the decision depends on."""

    automated: Automated | None
    status: SyncStatus
    target: str
    """Digest or text of the wanted revisions together with the sources, so that a changed source is a new target."""
    revision: str = ""
    """The wanted revision for people."""
    differences: tuple[Difference, ...] = ()
    wanted: int = 0
    """How many objects Git holds."""
    last: Attempt | None = None
    running: bool = False
    deleting: bool = False
    blocked: str = ""
    """Why it may not start now (a sync window, a pause), or empty."""
    heal: HealEntry | None = None
    """The stored entry of this drift's fingerprint."""
    fights: tuple[Fight, ...] = ()
    """Fields that others keep changing: left alone."""
    pin: Pin | None = None


@dataclass(frozen=True)
class Start:
    """Start a sync. `only` is set for a repair: just these objects, no hooks, no history."""

    reason: str
    prune: bool
    heal: bool = False
    only: frozenset[Key] | None = None
    leave: frozenset[tuple[Key, str]] = field(default_factory=frozenset)
    """Fields (key, path) that a repair must not touch, because somebody else keeps changing them."""


@dataclass(frozen=True)
class Stay:
    """Start nothing. `error` is the text of condition SyncError, `again_at` when to ask again by itself."""

    reason: str
    error: str = ""
    again_at: datetime | None = None


def should_sync(seen: AutoSeen, now: datetime) -> Start | Stay:
    """Whether an automated sync starts now. Pure; `now` is aware UTC."""
    automated = seen.automated
    if (reason := _not_at_all(seen)) or automated is None:
        return Stay(reason)
    if (pinned := _pinned(seen.pin, seen.target, now)) is not None:
        return pinned
    due = [found for found in seen.differences if not found.prune]
    if not due and not automated.prune:
        return Stay("only deletions are due, and automated pruning is off")
    if not due and not seen.wanted and not automated.allow_empty:
        return Stay("Git holds nothing", error=texts.would_wipe_out(seen.revision))
    last = seen.last
    if last is None or last.target != seen.target or last.phase is OperationPhase.SUPERSEDED:
        return Start(f"automated sync to {seen.revision}", automated.prune)
    failed = last.phase in (OperationPhase.FAILED, OperationPhase.ERROR)
    error = texts.failed_attempt(seen.revision, last.message) if failed else ""
    if last.phase is OperationPhase.HELD:
        return Stay("the plan waits for a person")
    if not automated.self_heal:
        return Stay("this revision was tried already", error=error)
    # Argo CD gives up a revision that failed once, also with selfHeal. Here the repair goes on at growing distances:
    # what made it fail may be over, and nobody else would try again.
    return _heal(seen, automated, now, error)


def _not_at_all(seen: AutoSeen) -> str:
    checks = (
        (seen.automated is None, "automated sync is off"),
        (seen.status is not SyncStatus.OUT_OF_SYNC, f"the application is {seen.status}"),
        (seen.deleting, "the application is being deleted"),
        (seen.running, "a sync is running"),
        (bool(seen.blocked), seen.blocked),
    )
    return next((reason for applies, reason in checks if applies), "")


def _pinned(pin: Pin | None, target: str, now: datetime) -> Stay | None:
    if pin is None or (pin.until is not None and now >= pin.until):
        return None
    if not pin.manual and target not in pin.out:
        return None
    who = f" by {pin.by}" if pin.by else ""
    ends = "until the pin is removed" if pin.manual else "until Git has a newer commit"
    return Stay(f"rolled back to {pin.revision}{who}; held {ends}", again_at=pin.until)


def _heal(seen: AutoSeen, automated: Automated, now: datetime, error: str) -> Start | Stay:
    fought = {(fight.key, fight.path) for fight in seen.fights}
    worth = [
        found for found in seen.differences if (automated.prune or not found.prune) and not _only_fought(found, fought)
    ]
    if not worth:
        return Stay("; ".join(str(fight) for fight in seen.fights), error=error)
    due = heal_due(seen.heal, seen.target, now)
    if now < due:
        return Stay("the same drift was repaired a moment ago", error=error, again_at=due)
    keys = frozenset(found.key for found in worth)
    leave = frozenset(place for place in fought if place[0] in keys)
    return Start("repair of drift", automated.prune, heal=True, only=keys, leave=leave)


def _only_fought(found: Difference, fought: set[tuple[Key, str]]) -> bool:
    return bool(found.fields) and all((found.key, drifted.path) in fought for drifted in found.fields)


def heal_due(entry: HealEntry | None, target: str, now: datetime) -> datetime:
    """When this drift may be repaired: at once the first time, later the more often it has come back."""
    entry = _still_counts(entry, target, now)
    return entry.last_at + _wait_after(entry.attempts) if entry else now


def after_heal(entry: HealEntry | None, target: str, now: datetime) -> HealEntry:
    """The entry to store when a repair starts."""
    entry = _still_counts(entry, target, now)
    return HealEntry(target, entry.attempts + 1 if entry else 1, now)


def _still_counts(entry: HealEntry | None, target: str, now: datetime) -> HealEntry | None:
    """The entry, unless a new target or a lasting success has ended the row.

    A repair that succeeds and is undone a second later is no success: with a reset at once, two controllers would
    write against each other at full speed for ever.
    """
    if entry is None or entry.target != target:
        return None
    return None if now >= entry.last_at + _wait_after(entry.attempts) + CALM else entry


def _wait_after(attempts: int) -> timedelta:
    return HEAL_WAITS[min(attempts, len(HEAL_WAITS) - 1)]


def drift_fingerprint(differences: Iterable[Difference]) -> str:
    """Names which fields of which objects differ, not their values: a value that keeps changing is one drift."""
    places: Mapping[str, list[str]] = {
        found.key.id: sorted({drifted.path for drifted in found.fields}) for found in differences
    }
    return digest(places)
