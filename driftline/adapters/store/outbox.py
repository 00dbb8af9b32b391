"""Messages that are to be sent: saved with the change that caused them, sent later. Called by flow.

A worker that dies between sending and marking sends once more at most; the dedupe key never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, and_, delete, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from driftline.adapters.store.columns import Shape, db_now, insert
from driftline.adapters.store.jobs import LeaseLost
from driftline.adapters.store.tables.people import alert, outbox
from driftline.model.alert import Edge


class OutboxState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    """Given up; waits for a person."""


@dataclass(frozen=True)
class OutboxRow:
    """A row. `message` is masked; `fence` proves that its claimer may still mark it."""

    id: int
    alert_id: int | None
    channel: str
    recipient: str
    edge: Edge
    message: Any
    state: str
    attempts: int
    run_at: datetime
    lease_until: datetime | None
    fence: int
    error: str
    dedupe_key: str
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True)
class Outgoing:
    """A message to one recipient. Of two with the same `dedupe_key` the first is sent."""

    channel: str
    recipient: str
    edge: Edge
    message: Any
    dedupe_key: str
    alert_id: int | None = None
    run_at: datetime | None = None
    """Not before then; None is now."""


SHAPE = Shape(OutboxRow, outbox)

_WAITING = and_(
    outbox.c.state == OutboxState.PENDING,
    outbox.c.run_at <= db_now(),
    or_(outbox.c.lease_until.is_(None), outbox.c.lease_until < db_now()),
)


def add_many(db: Connection, messages: Sequence[Outgoing], now: datetime) -> list[int]:
    """Put messages into the outbox in one statement; return the ids of those that are new."""
    if not messages:
        return []
    rows = [
        {
            "state": OutboxState.PENDING,
            "created_at": now,
            "alert_id": each.alert_id,
            "channel": each.channel,
            "recipient": each.recipient,
            "edge": each.edge,
            "message": each.message,
            "dedupe_key": each.dedupe_key,
            "run_at": each.run_at or now,
        }
        for each in messages
    ]
    return sorted(db.execute(_adding(db.dialect.name), rows).scalars())


def claim_due(db: Connection, lease: timedelta, limit: int = 10) -> list[OutboxRow]:
    """Lease messages that are due, the oldest first, in one statement."""
    oldest = select(outbox.c.id).where(_WAITING).order_by(outbox.c.run_at, outbox.c.id).limit(limit)
    due = oldest.with_for_update(skip_locked=True).cte("due")
    change = (
        update(outbox)
        .where(outbox.c.id.in_(select(due.c.id)), _WAITING)
        .values(lease_until=db_now(lease), fence=outbox.c.fence + 1)
        .returning(*SHAPE.columns)
    )
    return sorted(SHAPE.all(db.execute(change)), key=lambda row: (row.run_at, row.id))


def mark_sent(db: Connection, row: OutboxRow, now: datetime, thread: Any = None) -> None:
    """Record that a message was taken, and the thread that it opened. Raises LeaseLost if another claimed it."""
    change = update(outbox).where(_held(row))
    change = change.values(state=OutboxState.SENT, sent_at=now, lease_until=None, error="")
    if db.execute(change).rowcount == 0:
        raise _lost(row)
    if row.alert_id is None:
        return
    values: dict[str, Any] = {"last_sent_at": now}
    if thread is not None:
        query = select(alert.c.threads).where(alert.c.id == row.alert_id).with_for_update()
        values["threads"] = {**(db.execute(query).scalar_one() or {}), thread_key(row.channel, row.recipient): thread}
    db.execute(update(alert).where(alert.c.id == row.alert_id).values(**values))


def mark_failed(db: Connection, row: OutboxRow, error: str, delay: timedelta | None) -> OutboxState:
    """Record that a message was not taken: try again after `delay`, or give up if it is None.

    `error` is masked text. Raises LeaseLost if another claimed it.
    """
    state = OutboxState.DEAD if delay is None else OutboxState.PENDING
    change = update(outbox).where(_held(row))
    change = change.values(state=state, attempts=outbox.c.attempts + 1, error=error, lease_until=None)
    if delay is not None:
        change = change.values(run_at=db_now(delay))
    if db.execute(change).rowcount == 0:
        raise _lost(row)
    return state


def thread_key(channel: str, recipient: str) -> str:
    """How `AlertRow.threads` names a recipient."""
    return f"{channel}:{recipient}"


def due_exists(db: Connection) -> bool:
    """Whether a message waits that nobody is sending."""
    return db.execute(select(outbox.c.id).where(_WAITING).limit(1)).first() is not None


def dead(db: Connection, limit: int = 100) -> list[OutboxRow]:
    """Messages that were given up, the newest first."""
    query = SHAPE.select().where(outbox.c.state == OutboxState.DEAD).order_by(outbox.c.id.desc()).limit(limit)
    return SHAPE.all(db.execute(query))


def of_alert(db: Connection, alert_id: int) -> list[OutboxRow]:
    """Every message of one alert, in order."""
    return SHAPE.all(db.execute(SHAPE.select().where(outbox.c.alert_id == alert_id).order_by(outbox.c.id)))


def retry(db: Connection, outbox_id: int) -> bool:
    """Send a given-up message after all; False if it is not dead."""
    change = update(outbox).where(outbox.c.id == outbox_id, outbox.c.state == OutboxState.DEAD)
    return db.execute(change.values(state=OutboxState.PENDING, attempts=0, run_at=db_now())).rowcount == 1


def prune(db: Connection, before: datetime) -> int:
    """Forget messages sent before `before`; return how many."""
    return db.execute(delete(outbox).where(outbox.c.sent_at < before)).rowcount


@cache
def _adding(dialect: str) -> Insert:
    return insert(dialect, outbox).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(outbox.c.id)


def _held(row: OutboxRow) -> ColumnElement[bool]:
    return and_(outbox.c.id == row.id, outbox.c.fence == row.fence, outbox.c.state == OutboxState.PENDING)


def _lost(row: OutboxRow) -> LeaseLost:
    return LeaseLost(f"message {row.id} to {row.channel}: another worker has claimed it")
