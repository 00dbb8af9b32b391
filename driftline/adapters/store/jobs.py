"""Jobs: what is to be done, who is doing it, and that no request is lost. Called by flow and workers.

At most one job of a kind and subject is open. A request that meets an open job raises `wanted`; a worker that ends
with a smaller number than the row has runs again. A message to a worker is only a hint: the row is the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Exists,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from driftline.adapters.store.columns import Instant, Shape, chunks, db_now, insert
from driftline.adapters.store.tables.work import OPEN, job
from driftline.model.errors import Temporary

MAX_ATTEMPTS = 5
"""How often a job may fail or lose its worker before it is put aside and someone is told."""

TAKEOVER_DELAY = 10
"""Seconds, times the takeovers before this one: the first is at once, a job that kills its workers slows down."""


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


class LeaseLost(Temporary):
    """Another worker took the job over, or it ended: stop without writing anything."""


@dataclass(frozen=True)
class Job:
    """A row. `fence` and `wanted` of a claimed job prove what its holder may write and what it has seen."""

    id: int
    kind: str
    subject: str
    queue: str
    state: str
    wanted: int
    attempts: int
    run_at: datetime
    lease_until: datetime | None
    lease_owner: str | None
    fence: int
    payload: Any
    error: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Request:
    """What someone wants done, at `run_at` (None: now, by the database's clock) plus `delay`.

    `payload` is a hint: of two requests that meet, the later wins.
    """

    kind: str
    subject: str
    queue: str = Queue.FAST
    run_at: datetime | None = None
    payload: Any = None
    delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class Due:
    """A job that a worker should be told about."""

    id: int
    kind: str
    queue: str


SHAPE = Shape(Job, job)

_RELEASED = {"lease_until": None, "lease_owner": None, "wanted_at": None, "updated_at": db_now()}


def request(db: Connection, wish: Request) -> int:
    """Ask for a job and return its id; see `request_many`."""
    return request_many(db, [wish])[0]


def request_many(db: Connection, wishes: Sequence[Request]) -> tuple[int, ...]:
    """Ask for jobs, one statement for all, and return their ids in the order given.

    A wish that meets an open job folds into it: a queued one is pulled forward to the earlier time, a running one
    runs again. The faster queue wins.
    """
    if not wishes:
        return ()
    unique = {(wish.kind, wish.subject): wish for wish in wishes}
    statement = insert(db, job).values(
        state=JobState.QUEUED,
        wanted=1,
        run_at=func.coalesce(bindparam("wish_at", type_=Instant()), db_now()) + bindparam("delay", type_=Double()),
        created_at=db_now(),
        updated_at=db_now(),
    )
    new = statement.excluded
    earlier = case((job.c.run_at <= new.run_at, job.c.run_at), else_=new.run_at)
    queued = job.c.state == JobState.QUEUED
    merged = {
        "wanted": job.c.wanted + 1,
        "run_at": case((queued, earlier), else_=job.c.run_at),
        # Counts while the job is leased; a claim clears it.
        "wanted_at": case((job.c.wanted_at <= new.run_at, job.c.wanted_at), else_=new.run_at),
        "queue": case((new.queue == Queue.FAST, new.queue), else_=job.c.queue),
        "payload": func.coalesce(new.payload, job.c.payload),
        "updated_at": db_now(),
    }
    folding = statement.on_conflict_do_update(index_elements=["kind", "subject"], index_where=OPEN, set_=merged)
    values = [
        {
            "kind": wish.kind,
            "subject": wish.subject,
            "queue": wish.queue,
            "payload": wish.payload,
            "wish_at": wish.run_at,
            "delay": wish.delay.total_seconds(),
        }
        for _, wish in sorted(unique.items())
    ]
    found = db.execute(folding.returning(job.c.kind, job.c.subject, job.c.id), values)
    ids = {(kind, subject): number for kind, subject, number in found}
    return tuple(ids[wish.kind, wish.subject] for wish in wishes)


def claim(db: Connection, job_id: int, owner: str, lease: timedelta) -> Job | None:
    """Lease one due job, or None if it is not due, done, or held by another worker.

    A job whose lease ran out is taken over at once, as long as it has attempts left.
    """
    rows = db.execute(_leasing(owner, lease).where(job.c.id == job_id, or_(_due(), _abandoned(MAX_ATTEMPTS))))
    return SHAPE.first(rows)


def claim_due(db: Connection, queue: str, owner: str, lease: timedelta, limit: int = 10) -> list[Job]:
    """Lease up to `limit` due jobs of a queue, the longest waiting first, in one statement."""
    due = (
        select(job.c.id)
        .where(job.c.queue == queue, _due())
        .order_by(job.c.run_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # A CTE, because PostgreSQL may run a locking subquery twice and lease more than the limit.
        .cte("due")
    )
    rows = db.execute(_leasing(owner, lease).where(job.c.id.in_(select(due.c.id)), _due()))
    return sorted(SHAPE.all(rows), key=lambda found: (found.run_at, found.id))


def finish(db: Connection, held: Job, run_at: datetime | timedelta | None = None) -> JobState:
    """End a job and return its state: `done`, or `queued` if it was asked for meanwhile or is to come back at `run_at`.

    A timedelta counts from now by the database's clock. Attempts count from zero again.

    Raises LeaseLost if the job is no longer ours.
    """
    asked = job.c.wanted > held.wanted
    again: ColumnElement[bool] = asked
    when: ColumnElement[Any] = func.coalesce(job.c.wanted_at, db_now())
    if run_at is not None:
        again = true()
        back = db_now(run_at) if isinstance(run_at, timedelta) else literal(run_at, Instant())
        when = case((and_(asked, when < back), when), else_=back)
    change = (
        update(job)
        .where(held_by(held))
        .values(
            state=case((again, JobState.QUEUED), else_=JobState.DONE),
            run_at=case((again, when), else_=job.c.run_at),
            attempts=0,
            error="",
            **_RELEASED,
        )
        .returning(job.c.state)
    )
    return _state(db.execute(change).scalar_one_or_none(), held)


def fail(db: Connection, held: Job, error: str, delay: timedelta, max_attempts: int = MAX_ATTEMPTS) -> JobState:
    """Record a failure and return `queued` (again after `delay`) or `quarantined` (no attempts left).

    A request that came meanwhile asks about something newer: it runs at once and starts counting from zero.
    `error` is masked text for people. Raises LeaseLost if the job is no longer ours.
    """
    asked = job.c.wanted > held.wanted
    spent = job.c.attempts + 1 >= max_attempts
    change = (
        update(job)
        .where(held_by(held))
        .values(
            state=case((asked, JobState.QUEUED), (spent, JobState.QUARANTINED), else_=JobState.QUEUED),
            attempts=case((asked, 0), else_=job.c.attempts + 1),
            run_at=case((asked, func.coalesce(job.c.wanted_at, db_now())), else_=db_now(delay)),
            error=error,
            **_RELEASED,
        )
        .returning(job.c.state)
    )
    return _state(db.execute(change).scalar_one_or_none(), held)


def renew(db: Connection, held: Job, lease: timedelta) -> None:
    """Lengthen the lease to `lease` from now. Raises LeaseLost if the job is no longer ours."""
    change = update(job).where(held_by(held)).values(lease_until=db_now(lease), updated_at=db_now())
    if db.execute(change).rowcount == 0:
        raise lost(held)


def holds(db: Connection, held: Job) -> bool:
    """Whether the job is still ours, at this moment. Before a write use `guard`."""
    return db.execute(select(job.c.id).where(held_by(held))).first() is not None


def guard(db: Connection, held: Job) -> None:
    """Make this write transaction depend on the lease: until it ends, nobody can take the job over.

    Raises LeaseLost if the job is no longer ours.
    """
    if db.execute(select(job.c.id).where(held_by(held)).with_for_update(read=True)).first() is None:
        raise lost(held)


def held_by(held: Job) -> ColumnElement[bool]:
    """The condition on `job` that `held` is still leased under the fence that its holder got."""
    return and_(job.c.id == held.id, job.c.fence == held.fence, job.c.state == JobState.LEASED)


def still_held(held: Job) -> Exists:
    """The same as a condition for writes to other tables; PostgreSQL locks the job's row while they run."""
    return exists(select(literal_column("1")).select_from(job).where(held_by(held)).with_for_update(read=True))


def lost(held: Job) -> LeaseLost:
    """The error for a write that found its lease gone."""
    return LeaseLost(f"{held.kind} {held.subject}: another worker has taken job {held.id} over; nothing was written")


def due(db: Connection, limit: int = 1000) -> list[Due]:
    """Jobs that wait for a worker: due, or with an expired lease. The longest waiting first."""
    query = select(job.c.id, job.c.kind, job.c.queue).where(or_(_due(), _abandoned(MAX_ATTEMPTS)))
    return [Due(*row) for row in db.execute(query.order_by(job.c.run_at).limit(limit))]


def takeover(db: Connection, limit: int = 200, max_attempts: int = MAX_ATTEMPTS) -> list[Job]:
    """Put jobs with an expired lease back, or aside if their attempts are used up; return them as they are now.

    The caller alerts about the quarantined ones in the same transaction.
    """
    gone = (
        select(job.c.id)
        .where(job.c.state == JobState.LEASED, job.c.lease_until < db_now())
        .order_by(job.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("gone")
    )
    spent = job.c.attempts + 1 >= max_attempts
    change = (
        update(job)
        .where(job.c.id.in_(select(gone.c.id)), job.c.state == JobState.LEASED, job.c.lease_until < db_now())
        .values(
            state=case((spent, JobState.QUARANTINED), else_=JobState.QUEUED),
            attempts=job.c.attempts + 1,
            run_at=db_now() + job.c.attempts * TAKEOVER_DELAY,
            fence=job.c.fence + 1,
            error=case((job.c.error == "", "its worker stopped before it was done"), else_=job.c.error),
            **_RELEASED,
        )
        .returning(*SHAPE.columns)
    )
    return sorted(SHAPE.all(db.execute(change)), key=lambda found: found.id)


def quarantined(db: Connection, limit: int = 100) -> list[Job]:
    """Jobs that were put aside, the newest first; not those whose subject has succeeded since."""
    later = job.alias("later")
    succeeded = exists(
        select(literal_column("1")).where(
            later.c.kind == job.c.kind,
            later.c.subject == job.c.subject,
            later.c.id > job.c.id,
            later.c.state == JobState.DONE,
        )
    )
    aside = job.c.state == JobState.QUARANTINED
    return SHAPE.all(db.execute(SHAPE.select().where(aside, ~succeeded).order_by(job.c.id.desc()).limit(limit)))


def retry(db: Connection, job_id: int) -> int | None:
    """Ask again for what a quarantined job was to do; return the new job's id, or None if it is not quarantined."""
    aside = job.c.state == JobState.QUARANTINED
    taken = update(job).where(job.c.id == job_id, aside).values(state=JobState.DONE, updated_at=db_now())
    old = SHAPE.first(db.execute(taken.returning(*SHAPE.columns)))
    return request(db, Request(old.kind, old.subject, old.queue, payload=old.payload)) if old else None


def get(db: Connection, job_id: int) -> Job | None:
    """One job as it is now."""
    return SHAPE.first(db.execute(SHAPE.select().where(job.c.id == job_id)))


def open_jobs(db: Connection, kind: str, subjects: Sequence[str]) -> dict[str, Job]:
    """The open jobs of a kind, by subject."""
    found: dict[str, Job] = {}
    for some in chunks(subjects):
        rows = db.execute(SHAPE.select().where(job.c.kind == kind, job.c.subject.in_(some), OPEN))
        found.update((each.subject, each) for each in SHAPE.all(rows))
    return found


def oldest_due_age(db: Connection) -> dict[str, timedelta]:
    """For each queue with due jobs, how long the first of them has waited for a worker."""
    age = db_now() - func.min(job.c.run_at)
    rows = db.execute(select(job.c.queue, type_coerce(age, Double())).where(_due()).group_by(job.c.queue))
    return {queue: timedelta(seconds=max(0.0, seconds)) for queue, seconds in rows}


def counts(db: Connection) -> dict[tuple[str, str], int]:
    """How many jobs there are by (queue, state), ended ones left out."""
    query = select(job.c.queue, job.c.state, func.count()).where(job.c.state != JobState.DONE)
    return {(queue, state): number for queue, state, number in db.execute(query.group_by(job.c.queue, job.c.state))}


def prune(db: Connection, before: datetime) -> int:
    """Forget jobs that ended before `before`; return how many."""
    done = delete(job).where(job.c.state == JobState.DONE, job.c.updated_at < before)
    return db.execute(done).rowcount


def _due() -> ColumnElement[bool]:
    return and_(job.c.state == JobState.QUEUED, job.c.run_at <= db_now())


def _abandoned(max_attempts: int) -> ColumnElement[bool]:
    """A lease that ran out, with attempts left; without any it waits for `takeover`, which tells someone."""
    expired = and_(job.c.state == JobState.LEASED, job.c.lease_until < db_now())
    return and_(expired, job.c.attempts + 1 < max_attempts)


def _leasing(owner: str, lease: timedelta) -> Update:
    """An UPDATE that leases the jobs it finds; the caller says which."""
    return (
        update(job)
        .values(
            state=JobState.LEASED,
            fence=job.c.fence + 1,
            # A lease that ran out counts as an attempt: perhaps it is the job that kills its workers.
            attempts=case((job.c.state == JobState.LEASED, job.c.attempts + 1), else_=job.c.attempts),
            lease_owner=owner,
            lease_until=db_now(lease),
            wanted_at=None,
            updated_at=db_now(),
        )
        .returning(*SHAPE.columns)
    )


def _state(found: str | None, held: Job) -> JobState:
    if found is None:
        raise lost(held)
    return JobState(found)
