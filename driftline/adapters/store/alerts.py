"""Alerts that are open or were: the state between one message and the next. Called by flow, with the state change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, and_, delete, select, update

from driftline.adapters.store.columns import Shape, chunks, db_now, excluded, insert
from driftline.adapters.store.tables.people import OPEN_ALERT, alert, alert_slot, subscription


@dataclass(frozen=True)
class AlertRow:
    """A row. `threads` maps a recipient to what its channel needs to answer in the same thread."""

    id: int
    subject: str
    condition: str
    cause: str
    fired_at: datetime
    recovered_at: datetime | None
    last_sent_at: datetime | None
    count: int
    facts: dict[str, Any] | None
    threads: dict[str, Any] | None


@dataclass(frozen=True)
class Firing:
    """A trouble that began. `once` makes it end at once: a message without a recovery. `facts` are masked."""

    subject: str
    condition: str
    cause: str = ""
    once: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SubscriptionRow:
    """Who hears of what. `condition` and `scope` may be `*`; a scope is `app:<name>` or `project:<name>`."""

    id: int
    condition: str
    scope: str
    channel: str
    address: str
    source: str


@dataclass(frozen=True, order=True)
class Subscription:
    """One wish to be told."""

    condition: str
    scope: str
    channel: str
    address: str


SHAPE = Shape(AlertRow, alert)
SUBSCRIPTION = Shape(SubscriptionRow, subscription)


def open_of(db: Connection, subjects: Iterable[str]) -> list[AlertRow]:
    """The open alerts of some subjects."""
    found: list[AlertRow] = []
    for some in chunks(sorted(set(subjects))):
        found += SHAPE.all(db.execute(SHAPE.select().where(alert.c.subject.in_(some), OPEN_ALERT)))
    return sorted(found, key=lambda row: row.id)


def fire_many(db: Connection, firings: Sequence[Firing], now: datetime) -> list[AlertRow]:
    """Open alerts, in at most two statements; one that is open already counts up (`count` above 1 is old news)."""
    lasting = {(each.subject, each.condition, each.cause): each for each in firings if not each.once}
    once = [each for each in firings if each.once]
    rows: list[AlertRow] = []
    if lasting:
        values = [_values(each, now) for _, each in sorted(lasting.items(), key=lambda item: item[0])]
        rows += SHAPE.all(db.execute(_firing(db.dialect.name), values))
    if once:
        ended = insert(db, alert).returning(*SHAPE.columns)
        rows += SHAPE.all(db.execute(ended, [{**_values(each, now), "recovered_at": now} for each in once]))
    return sorted(rows, key=lambda row: row.id)


def recover_many(db: Connection, ids: Iterable[int], now: datetime) -> list[AlertRow]:
    """End open alerts; return those that this call ended."""
    rows: list[AlertRow] = []
    for some in chunks(sorted(set(ids))):
        change = update(alert).where(alert.c.id.in_(some), OPEN_ALERT).values(recovered_at=now)
        rows += SHAPE.all(db.execute(change.returning(*SHAPE.columns)))
    return sorted(rows, key=lambda row: row.id)


@dataclass(frozen=True)
class Remembered:
    """What one slot remembers: the alert room's state as JSON, and the row of the alert that it belongs to."""

    slot: str
    id: int
    state: dict[str, Any]


def remembered(db: Connection, slots: Iterable[str]) -> dict[str, Remembered]:
    """What slots remember, by slot; nothing for those that never had an alert."""
    found: dict[str, Remembered] = {}
    for some in chunks(sorted(set(slots))):
        query = select(alert_slot.c.slot, alert_slot.c.alert_id, alert_slot.c.state)
        rows = db.execute(query.where(alert_slot.c.slot.in_(some)))
        found.update((slot, Remembered(slot, alert_id or 0, state)) for slot, alert_id, state in rows)
    return found


def remember(db: Connection, slot: str, state: Mapping[str, Any], alert_id: int) -> Remembered:
    """Save what a slot remembers."""
    statement = insert(db, alert_slot).values(slot=slot, alert_id=alert_id or None, state=state, updated_at=db_now())
    new = excluded(alert_slot)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["slot"], set_={name: new[name] for name in ("alert_id", "state", "updated_at")}
        )
    )
    return Remembered(slot, alert_id, dict(state))


def unsettled(db: Connection, limit: int = 200) -> list[Remembered]:
    """Slots whose alert is open, the longest untouched first: time alone may change them."""
    query = (
        select(alert_slot.c.slot, alert_slot.c.alert_id, alert_slot.c.state)
        .join(alert, alert.c.id == alert_slot.c.alert_id)
        .where(OPEN_ALERT)
        .order_by(alert_slot.c.updated_at)
        .limit(limit)
    )
    return [Remembered(slot, alert_id or 0, state) for slot, alert_id, state in db.execute(query)]


def thread_of(db: Connection, alert_id: int, key: str) -> str:
    """What a channel needs to answer in the thread of an alert's first message; empty if there is none."""
    threads = db.execute(select(alert.c.threads).where(alert.c.id == alert_id)).scalar_one_or_none()
    return str((threads or {}).get(key, ""))


def due_reminders(db: Connection, sent_before: datetime, limit: int = 100) -> list[AlertRow]:
    """Open alerts that people were last told of before `sent_before`, the longest silent first."""
    query = SHAPE.select().where(OPEN_ALERT, alert.c.last_sent_at < sent_before)
    return SHAPE.all(db.execute(query.order_by(alert.c.last_sent_at).limit(limit)))


def page(db: Connection, only_open: bool = False, before: int | None = None, limit: int = 100) -> list[AlertRow]:
    """Alerts, the newest first, older than the row `before`."""
    query = SHAPE.select().order_by(alert.c.id.desc()).limit(limit)
    query = query.where(OPEN_ALERT) if only_open else query
    return SHAPE.all(db.execute(query if before is None else query.where(alert.c.id < before)))


def prune(db: Connection, before: datetime) -> int:
    """Forget alerts that ended before `before`, with their messages and what their slots remember; return how many."""
    gone = db.execute(delete(alert).where(alert.c.recovered_at < before)).rowcount
    db.execute(delete(alert_slot).where(alert_slot.c.alert_id.is_(None), alert_slot.c.updated_at < before))
    return gone


def subscribe(db: Connection, source: str, wishes: Iterable[Subscription]) -> None:
    """Make `wishes` all that `source` (an application's annotations, a person) asks to be told."""
    db.execute(delete(subscription).where(subscription.c.source == source))
    rows = [
        {
            "condition": each.condition,
            "scope": each.scope,
            "channel": each.channel,
            "address": each.address,
            "source": source,
        }
        for each in sorted(set(wishes))
    ]
    if rows:
        db.execute(insert(db, subscription), rows)


def subscriptions(db: Connection, conditions: Iterable[str], scopes: Iterable[str]) -> list[SubscriptionRow]:
    """Everyone who wants to hear of one of the conditions in one of the scopes, `*` included."""
    named = and_(
        subscription.c.condition.in_([*sorted(set(conditions)), "*"]),
        subscription.c.scope.in_([*sorted(set(scopes)), "*"]),
    )
    return SUBSCRIPTION.all(db.execute(SUBSCRIPTION.select().where(named).order_by(subscription.c.id)))


def all_subscriptions(db: Connection, source: str | None = None) -> list[SubscriptionRow]:
    """Every subscription, or those of one source."""
    query = SUBSCRIPTION.select().order_by(subscription.c.id)
    return SUBSCRIPTION.all(db.execute(query if source is None else query.where(subscription.c.source == source)))


@cache
def _firing(dialect: str) -> Insert:
    statement = insert(dialect, alert).on_conflict_do_update(
        index_elements=["subject", "condition", "cause"],
        index_where=OPEN_ALERT,
        set_={"count": alert.c.count + 1, "facts": excluded(alert).facts},
    )
    return statement.returning(*SHAPE.columns)


def _values(each: Firing, now: datetime) -> dict[str, Any]:
    return {
        "subject": each.subject,
        "condition": each.condition,
        "cause": each.cause,
        "facts": dict(each.facts),
        "fired_at": now,
        "count": 1,
    }
