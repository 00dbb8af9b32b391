"""Decide what people are told: once when trouble begins, once when it is over. Called by driftline.flow.

What is remembered of a slot is one `OpenAlert` row; flow reads it, saves it and the messages in one transaction:
`changes = transition(told := to_root(signal), store.alert(slot(told)), now, policy)`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from driftline.model.alert import Condition, Edge, Signal
from driftline.model.masking import scrub_value

ROOT_CONDITIONS: Mapping[str, Condition] = {
    "cluster": Condition.CLUSTER_UNREACHABLE,
    "repository": Condition.REPOSITORY_UNREACHABLE,
}
"""Kind of a root subject -> the condition that stands for all that follows from it."""


MOST_NAMES = 200
"""Applications remembered of one cluster's or repository's alert."""


_OF_AN_END = ("how", "gone")
"""Facts that only the signal of an end may give: not that of the beginning, nor that of an earlier end."""


@dataclass(frozen=True)
class AlertPolicy:
    """When to repeat oneself, and when a condition changes too often to be told each time."""

    remind_every: timedelta | None = None
    """How often people are told that an alert is still open; None: never again."""
    flap_limit: int = 3
    """Messages about a beginning within `flap_window` after which further ones are held back."""
    flap_window: timedelta = timedelta(minutes=10)
    """Span in which beginnings are counted."""
    settle: timedelta = timedelta(minutes=5)
    """How long a flapping condition must be over before people hear that it is."""


@dataclass(frozen=True)
class OpenAlert:
    """What is remembered of one slot: the alert that is open, or the last one (`ended_at` set)."""

    condition: Condition
    subject: str
    cause: str
    fired_at: datetime
    told_at: datetime
    """When people last heard of it."""
    episode: int = 1
    """Counts the alerts of this slot. Part of each message's key: two workers cannot tell the same one twice."""
    ended_at: datetime | None = None
    quiet_since: datetime | None = None
    """The condition is over, but it flaps: the recovery is told once this is `settle` ago."""
    latest_cause: str = ""
    """Another cause that came up while the alert flapped and that nobody has been told of."""
    burst: int = 1
    """Beginnings told within the window that started at `burst_since`."""
    burst_since: datetime | None = None
    """Start of the window; a change that is held back moves it on."""
    once: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.ended_at is None

    @property
    def slot(self) -> str:
        return _slot(self.condition, self.subject, self.cause, self.once)


@dataclass(frozen=True)
class AlertChange:
    """One step of an alert: what to remember now and, unless `edge` is None or it is not `told`, what people hear."""

    alert: OpenAlert
    edge: Edge | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    lasted: timedelta | None = None
    """For a recovery: from the first sign to the end."""
    told: bool = True
    flapping: bool = False
    """It has begun so often that what follows is held back until it settles."""


def slot(signal: Signal) -> str:
    """Where a signal's alert is remembered. One alert is open per slot; a one-off message has a slot per cause."""
    return _slot(signal.condition, signal.subject, signal.cause, signal.once)


def _slot(condition: Condition, subject: str, cause: str, once: bool) -> str:
    return f"{condition}|{subject}|{cause}" if once else f"{condition}|{subject}"


def to_root(signal: Signal) -> Signal:
    """The signal that people should hear instead: trouble that follows from a cluster or repository is told as its.

    The first application to meet an unreachable cluster raises the cluster's alert; the others find it open. Only the
    cluster's own signal ends it. A signal without root, or one that ended, is returned as it is.
    """
    condition = ROOT_CONDITIONS.get(signal.root.partition(":")[0])
    if condition is None or not signal.active or signal.subject == signal.root:
        return signal
    facts = {name: signal.facts[name] for name in ("message", "cluster", "repository") if name in signal.facts}
    return Signal(condition, signal.root, active=True, facts={**facts, "applications": [_name(signal.subject)]})


def _name(subject: str) -> str:
    return subject.partition(":")[2]


def suppressed_by(signal: Signal, open_alerts: Iterable[OpenAlert]) -> OpenAlert | None:
    """The open alert that already tells of what this signal follows from, or None if people have to be told."""
    stands = to_root(signal)
    if stands is signal:
        return None
    return next((alert for alert in open_alerts if alert.open and alert.slot == slot(stands)), None)


def transition(
    signal: Signal, open: OpenAlert | None, now: datetime, policy: AlertPolicy = AlertPolicy()
) -> tuple[AlertChange, ...]:
    """What one signal changes. `open` is what its slot remembers, `now` is aware UTC. No change: nothing to save.

    An ended signal ends the slot's alert whatever its cause; another cause of an open alert replaces it: the old one
    ends unheard and the new one is told.
    """
    # What is remembered is a row like any other: no credential may stand in it.
    signal = replace(signal, facts=scrub_value(dict(signal.facts)))
    if signal.once:
        return _once(signal, open, now)
    if open is None or not open.open:
        return (_fire(signal, open, now, policy),) if signal.active else ()
    if signal.active:
        return _still(signal, open, now, policy)
    return _over(signal, open, now, policy)


def due(alert: OpenAlert, now: datetime, policy: AlertPolicy = AlertPolicy()) -> tuple[AlertChange, ...]:
    """What time alone changes: a flapping alert settles, a held-back cause is told, an open one is recalled."""
    if not alert.open:
        return ()
    if alert.quiet_since is not None:
        return (
            (_recover(alert, alert.facts, now, alert.quiet_since),) if now - alert.quiet_since >= policy.settle else ()
        )
    if alert.latest_cause and not _flapping(alert, now, policy):
        return _replace(
            Signal(alert.condition, alert.subject, True, alert.latest_cause, facts=alert.facts), alert, now, policy
        )
    if policy.remind_every is not None and now - alert.told_at >= policy.remind_every:
        reminded = replace(alert, told_at=now)
        return (AlertChange(reminded, Edge.REMIND, alert.facts, lasted=_since(alert.fired_at, now)),)
    return ()


def _once(signal: Signal, open: OpenAlert | None, now: datetime) -> tuple[AlertChange, ...]:
    if open is not None or not signal.active:
        return ()
    told = OpenAlert(
        signal.condition, signal.subject, signal.cause, now, now, ended_at=now, once=True, facts=dict(signal.facts)
    )
    return (AlertChange(told, Edge.ONCE, told.facts),)


def _fire(signal: Signal, last: OpenAlert | None, now: datetime, policy: AlertPolicy) -> AlertChange:
    since = last.burst_since if last else None
    fresh = last is None or since is None or now - since > policy.flap_window
    alert = OpenAlert(
        signal.condition,
        signal.subject,
        signal.cause,
        fired_at=now,
        told_at=now,
        episode=last.episode + 1 if last else 1,
        burst=1 if fresh or last is None else last.burst + 1,
        burst_since=now if fresh else since,
        facts=dict(signal.facts),
    )
    return AlertChange(alert, Edge.FIRE, alert.facts, flapping=_flapping(alert, now, policy))


def _still(signal: Signal, open: OpenAlert, now: datetime, policy: AlertPolicy) -> tuple[AlertChange, ...]:
    """It holds (again): nothing to tell unless the cause is another one."""
    changed = signal.cause != open.cause
    if changed and not _flapping(open, now, policy):
        return _replace(signal, open, now, policy)
    kept = replace(
        open,
        quiet_since=None,
        latest_cause=signal.cause if changed else "",
        facts=dict(signal.facts) if changed else _joined(open.facts, signal.facts),
    )
    if kept.quiet_since != open.quiet_since or kept.latest_cause not in ("", open.latest_cause):
        kept = replace(kept, burst_since=now)
    return () if kept == replace(open, facts=kept.facts) and _same_hit(kept, open) else (AlertChange(kept, None),)


def _joined(known: Mapping[str, Any], added: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known, and every application that the same trouble has hit."""
    known = _lasting(known)
    names = [*known.get("applications", ()), *added.get("applications", ())]
    return {**known, "applications": sorted(set(names))[:MOST_NAMES]} if names else known


def _lasting(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in facts.items() if name not in _OF_AN_END}


def _same_hit(one: OpenAlert, two: OpenAlert) -> bool:
    return bool(one.facts.get("applications") == two.facts.get("applications"))


def _over(signal: Signal, open: OpenAlert, now: datetime, policy: AlertPolicy) -> tuple[AlertChange, ...]:
    if open.quiet_since is not None:
        return due(open, now, policy)
    if _flapping(open, now, policy):
        return (
            AlertChange(
                replace(open, quiet_since=now, latest_cause="", facts={**_lasting(open.facts), **signal.facts}), None
            ),
        )
    return (_recover(open, signal.facts, now, now),)


def _replace(signal: Signal, open: OpenAlert, now: datetime, policy: AlertPolicy) -> tuple[AlertChange, ...]:
    ended = replace(_recover(open, {}, now, now), told=False)
    return ended, _fire(signal, ended.alert, now, policy)


def _recover(open: OpenAlert, facts: Mapping[str, Any], now: datetime, ended: datetime) -> AlertChange:
    alert = replace(open, ended_at=ended, quiet_since=None, latest_cause="", told_at=now)
    return AlertChange(alert, Edge.RECOVER, {**_lasting(open.facts), **facts}, lasted=_since(open.fired_at, ended))


def _flapping(alert: OpenAlert, now: datetime, policy: AlertPolicy) -> bool:
    return (
        alert.burst >= policy.flap_limit
        and alert.burst_since is not None
        and now - alert.burst_since <= policy.flap_window
    )


def _since(start: datetime, end: datetime) -> timedelta:
    return max(end - start, timedelta())  # clocks of two machines may disagree
