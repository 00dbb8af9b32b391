"""The statements of jobs, built once: building one costs more than running it. Called by `jobs` and `syncs`.

Parameters: `held_id`, `held_fence`, `held_wanted` of the claimed job; times are seconds from now.
"""

from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Insert,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from driftline.adapters.store.columns import Instant, columns_of, db_now, excluded, insert
from driftline.adapters.store.tables.work import OPEN, job

MAX_ATTEMPTS = 5
"""How often a job may fail or lose its worker before it is put aside and someone is told."""

TAKEOVER_DELAY = 10
"""Seconds, times the takeovers before this one: the first is at once, a job that kills its workers slows down."""

FIELDS = (
    "id",
    "kind",
    "subject",
    "queue",
    "state",
    "wanted",
    "attempts",
    "run_at",
    "lease_until",
    "lease_owner",
    "fence",
    "payload",
    "error",
    "created_at",
    "updated_at",
)
"""What a job's row is read as, in order."""


class Queue(StrEnum):
    """Which workers take a job: people and pushes wait for `fast`, nobody waits for `scan`, `notify` sends alerts."""

    FAST = "fast"
    SCAN = "scan"
    NOTIFY = "notify"


class JobState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    QUARANTINED = "quarantined"
    """Failed too often; waits for a person. A new request for the same subject makes a new job."""


def _seconds(name: str) -> ColumnElement[float]:
    return bindparam(name, type_=Double())


_COLUMNS = columns_of(job, FIELDS)
_RELEASED: dict[str, Any] = {
    "lease_until": None,
    "lease_owner": None,
    "wanted_at": None,
    "updated_at": db_now(),
}
_ASKED = job.c.wanted > bindparam("held_wanted")
_LEASED = job.c.state == JobState.LEASED
_EXPIRED = and_(_LEASED, job.c.lease_until < db_now())

DUE = and_(job.c.state == JobState.QUEUED, job.c.run_at <= db_now())
"""Queued, and its time has come."""
ABANDONED = and_(_EXPIRED, job.c.attempts + 1 < MAX_ATTEMPTS)
"""A lease that ran out, with attempts left; without any it waits for TAKEOVER, which tells someone."""
HELD = and_(job.c.id == bindparam("held_id"), job.c.fence == bindparam("held_fence"), _LEASED)
"""Still leased under the fence that the holder got."""
STILL_HELD = exists(select(literal_column("1")).select_from(job).where(HELD).with_for_update(read=True))
"""The same as a condition for writes to other tables; PostgreSQL locks the job's row while they run."""

LOOK: Select[Any] = select(job.c.id).where(HELD)
GUARD: Select[Any] = LOOK.with_for_update(read=True)
RENEW: Update = update(job).where(HELD).values(lease_until=db_now(_seconds("lease")), updated_at=db_now())


@cache
def fold(dialect: str) -> Insert:
    """Add a request, or fold it into the open job; rows have kind, subject, queue, payload, wish_at and delay."""
    statement = insert(dialect, job).values(
        state=JobState.QUEUED,
        wanted=1,
        run_at=func.coalesce(bindparam("wish_at", type_=Instant()), db_now()) + _seconds("delay"),
        created_at=db_now(),
        updated_at=db_now(),
    )
    new = excluded(job)
    faster = and_(job.c.state == JobState.QUEUED, job.c.queue != new.queue, new.queue == Queue.FAST)
    earlier = case((job.c.run_at <= new.run_at, job.c.run_at), else_=new.run_at)
    merged = {
        "wanted": job.c.wanted + 1,
        "run_at": case((job.c.state == JobState.QUEUED, earlier), else_=job.c.run_at),
        # Counts while the job is leased; a claim clears it. Who brings a waiting job to the fast workers asks first.
        "wanted_at": case((and_(~faster, job.c.wanted_at <= new.run_at), job.c.wanted_at), else_=new.run_at),
        "queue": case((new.queue == Queue.FAST, new.queue), else_=job.c.queue),
        "payload": func.coalesce(new.payload, job.c.payload),
        "updated_at": db_now(),
    }
    folding = statement.on_conflict_do_update(index_elements=["kind", "subject"], index_where=OPEN, set_=merged)
    # Whoever asked first has told a worker, and one that runs the job looks again when it ends: the rest of a burst is
    # no news. `wanted_at` is empty for a job that nobody has asked for since it was made or claimed.
    news = and_(job.c.state == JobState.QUEUED, or_(job.c.wanted == 1, job.c.wanted_at >= db_now()))
    return folding.returning(job.c.kind, job.c.subject, job.c.id, news)


def _first_locked(name: str, where: ColumnElement[bool], order: ColumnElement[Any]) -> Select[Any]:
    """The ids of the first rows that nobody has locked.

    A CTE, because PostgreSQL may run a locking subquery twice and take more than the limit.
    """
    some = select(job.c.id).where(where).order_by(order).limit(bindparam("how_many"))
    return select(some.with_for_update(skip_locked=True).cte(name).c.id)


_LEASING = (
    update(job)
    .values(
        state=JobState.LEASED,
        fence=job.c.fence + 1,
        # A lease that ran out counts as an attempt: perhaps it is the job that kills its workers.
        attempts=case((_LEASED, job.c.attempts + 1), else_=job.c.attempts),
        lease_owner=bindparam("new_owner"),
        lease_until=db_now(_seconds("lease")),
        wanted_at=None,
        updated_at=db_now(),
    )
    .returning(*_COLUMNS)
)
CLAIM: Update = _LEASING.where(job.c.id == bindparam("held_id"), or_(DUE, ABANDONED))
_FIRST_DUE = _first_locked("due", and_(job.c.queue == bindparam("of_queue"), DUE), job.c.run_at)
CLAIM_DUE: Update = _LEASING.where(job.c.id.in_(_FIRST_DUE), DUE)


def _finishing(again: ColumnElement[bool], when: ColumnElement[Any]) -> Update:
    change = update(job).where(HELD)
    change = change.values(
        state=case((again, JobState.QUEUED), else_=JobState.DONE),
        run_at=case((again, when), else_=job.c.run_at),
        attempts=0,
        error="",
        # How a look is to be made was asked for once; what was asked meanwhile still counts.
        payload=case((_ASKED, job.c.payload), else_=null()),
        **_RELEASED,
    )
    return change.returning(job.c.state)


_SOON = func.coalesce(job.c.wanted_at, db_now())
_BACK = func.coalesce(bindparam("back_at", type_=Instant()), db_now()) + _seconds("back_after")
FINISH: Update = _finishing(_ASKED, _SOON)
COME_BACK: Update = _finishing(true(), case((and_(_ASKED, _SOON < _BACK), _SOON), else_=_BACK))

_SPENT = job.c.attempts + 1 >= bindparam("max_attempts", type_=Integer())
FAIL: Update = (
    update(job)
    .where(HELD)
    .values(
        state=case((_ASKED, JobState.QUEUED), (_SPENT, JobState.QUARANTINED), else_=JobState.QUEUED),
        attempts=case((_ASKED, 0), else_=job.c.attempts + 1),
        run_at=case((_ASKED, _SOON), else_=db_now(_seconds("back_after"))),
        error=bindparam("new_error"),
        **_RELEASED,
    )
    .returning(job.c.state)
)
GIVE_BACK: Update = update(job).where(HELD).values(state=JobState.QUEUED, **_RELEASED)
MOVE: Update = GIVE_BACK.values(queue=bindparam("new_queue"), run_at=db_now())
TAKEOVER: Update = (
    update(job)
    .where(job.c.id.in_(_first_locked("gone", _EXPIRED, job.c.id)), _EXPIRED)
    .values(
        state=case((_SPENT, JobState.QUARANTINED), else_=JobState.QUEUED),
        attempts=job.c.attempts + 1,
        run_at=db_now() + job.c.attempts * TAKEOVER_DELAY,
        fence=job.c.fence + 1,
        error=case((job.c.error == "", "its worker stopped before it was done"), else_=job.c.error),
        **_RELEASED,
    )
    .returning(*_COLUMNS)
)
WAITING: Select[Any] = (
    select(job.c.id, job.c.kind, job.c.queue)
    .where(or_(DUE, ABANDONED))
    .order_by(job.c.run_at)
    .limit(bindparam("how_many"))
)
