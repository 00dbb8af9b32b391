"""Jobs: what is to be done, who is doing it, and that no request is lost. Called by flow and workers.

At most one job of a kind and subject is open. A request that meets an open job raises `wanted`; a worker that ends
with a smaller number than the row has runs again. A message to a worker is only a hint: the row is the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Double, Update, delete, exists, func, literal_column, select, type_coerce, update

from driftline.adapters.store import job_sql
from driftline.adapters.store.columns import Shape, chunks, db_now
from driftline.adapters.store.job_sql import MAX_ATTEMPTS as MAX_ATTEMPTS
from driftline.adapters.store.job_sql import JobState as JobState
from driftline.adapters.store.job_sql import Queue as Queue
from driftline.adapters.store.tables.work import OPEN, job
from driftline.model.errors import Temporary


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


@dataclass(frozen=True)
class Asked:
    """A job that a request has met or made.

    `news` is False where a worker knows already: it runs the job and looks again when it ends, or somebody has just
    asked for the same.
    """

    id: int
    news: bool


SHAPE = Shape(Job, job)


def request(db: Connection, wish: Request) -> int:
    """Ask for a job and return its id; see `request_many`."""
    return request_many(db, [wish])[0]


def request_many(db: Connection, wishes: Sequence[Request]) -> tuple[int, ...]:
    """Ask for jobs, one statement for all, and return their ids in the order given.

    A wish that meets an open job folds into it: a queued one is pulled forward to the earlier time, a running one
    runs again. The faster queue wins.
    """
    return tuple(each.id for each in ask_many(db, wishes))


def ask_many(db: Connection, wishes: Sequence[Request]) -> tuple[Asked, ...]:
    """The same, and say of which jobs a worker has to be told; for requests that come in bursts."""
    if not wishes:
        return ()
    unique = {(wish.kind, wish.subject): wish for wish in wishes}
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
    rows = db.execute(job_sql.fold(db.dialect.name), values)
    found = {(kind, subject): Asked(number, bool(news)) for kind, subject, number, news in rows}
    return tuple(found[wish.kind, wish.subject] for wish in wishes)


def claim(db: Connection, job_id: int, owner: str, lease: timedelta) -> Job | None:
    """Lease one due job, or None if it is not due, done, or held by another worker.

    A job whose lease ran out is taken over at once, as long as it has attempts left.
    """
    values = {"held_id": job_id, "new_owner": owner, "lease": lease.total_seconds()}
    return SHAPE.first(db.execute(job_sql.CLAIM, values))


def claim_due(db: Connection, queue: str, owner: str, lease: timedelta, limit: int = 10) -> list[Job]:
    """Lease up to `limit` due jobs of a queue, the longest waiting first, in one statement."""
    values = {"of_queue": queue, "new_owner": owner, "lease": lease.total_seconds(), "how_many": limit}
    return sorted(SHAPE.all(db.execute(job_sql.CLAIM_DUE, values)), key=lambda found: (found.run_at, found.id))


def finish(db: Connection, held: Job, run_at: datetime | timedelta | None = None) -> JobState:
    """End a job and return its state: `done`, or `queued` if it was asked for meanwhile or is to come back at `run_at`.

    A timedelta counts from now by the database's clock. Attempts count from zero again.

    Raises LeaseLost if the job is no longer ours.
    """
    values: dict[str, Any] = {**holding(held), "held_wanted": held.wanted}
    if run_at is None:
        return _ended(db, job_sql.FINISH, held, values)
    later = isinstance(run_at, timedelta)
    values["back_at"] = None if later else run_at
    values["back_after"] = run_at.total_seconds() if isinstance(run_at, timedelta) else 0.0
    return _ended(db, job_sql.COME_BACK, held, values)


def fail(db: Connection, held: Job, error: str, delay: timedelta, max_attempts: int = MAX_ATTEMPTS) -> JobState:
    """Record a failure and return `queued` (again after `delay`) or `quarantined` (no attempts left).

    A request that came meanwhile asks about something newer: it runs at once and starts counting from zero.
    `error` is masked text for people. Raises LeaseLost if the job is no longer ours.
    """
    values = {
        **holding(held),
        "held_wanted": held.wanted,
        "new_error": error,
        "back_after": delay.total_seconds(),
        "max_attempts": max_attempts,
    }
    return _ended(db, job_sql.FAIL, held, values)


def give_back(db: Connection, held: Job) -> None:
    """Put a leased job back unstarted, for another worker. A lost lease is no trouble: it is somebody else's by now."""
    db.execute(job_sql.GIVE_BACK, holding(held))


def move(db: Connection, held: Job, queue: str) -> None:
    """Put a leased job back for the workers of another queue. Raises LeaseLost if it is no longer ours."""
    if db.execute(job_sql.MOVE, {**holding(held), "new_queue": queue}).rowcount == 0:
        raise lost(held)


def waiting(db: Connection, queue: str, limit: int = 10) -> list[int]:
    """Jobs of a queue that are due now, the longest waiting first."""
    query = select(job.c.id).where(job.c.queue == queue, job_sql.DUE).order_by(job.c.run_at).limit(limit)
    return list(db.execute(query).scalars())


def renew(db: Connection, held: Job, lease: timedelta) -> None:
    """Lengthen the lease to `lease` from now. Raises LeaseLost if the job is no longer ours."""
    if db.execute(job_sql.RENEW, {**holding(held), "lease": lease.total_seconds()}).rowcount == 0:
        raise lost(held)


def holds(db: Connection, held: Job) -> bool:
    """Whether the job is still ours, at this moment. Before a write use `guard`."""
    return db.execute(job_sql.LOOK, holding(held)).first() is not None


def guard(db: Connection, held: Job) -> None:
    """Make this write transaction depend on the lease: until it ends, nobody can take the job over.

    Raises LeaseLost if the job is no longer ours.
    """
    if db.execute(job_sql.GUARD, holding(held)).first() is None:
        raise lost(held)


def holding(held: Job) -> dict[str, Any]:
    """The parameters of `job_sql.HELD` and `job_sql.STILL_HELD`, for statements that depend on the lease."""
    return {"held_id": held.id, "held_fence": held.fence}


def lost(held: Job) -> LeaseLost:
    """The error for a write that found its lease gone."""
    return LeaseLost(f"{held.kind} {held.subject}: another worker has taken job {held.id} over; nothing was written")


def due(db: Connection, limit: int = 1000) -> list[Due]:
    """Jobs that wait for a worker: due, or with an expired lease. The longest waiting first."""
    return [Due(*row) for row in db.execute(job_sql.WAITING, {"how_many": limit})]


def takeover(db: Connection, limit: int = 200, max_attempts: int = MAX_ATTEMPTS) -> list[Job]:
    """Put jobs with an expired lease back, or aside if their attempts are used up; return them as they are now.

    The caller alerts about the quarantined ones in the same transaction.
    """
    rows = db.execute(job_sql.TAKEOVER, {"how_many": limit, "max_attempts": max_attempts})
    return sorted(SHAPE.all(rows), key=lambda found: found.id)


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
    rows = db.execute(select(job.c.queue, type_coerce(age, Double())).where(job_sql.DUE).group_by(job.c.queue))
    return {queue: timedelta(seconds=max(0.0, seconds)) for queue, seconds in rows}


def counts(db: Connection) -> dict[tuple[str, str], int]:
    """How many jobs there are by (queue, state), ended ones left out."""
    query = select(job.c.queue, job.c.state, func.count()).where(job.c.state != JobState.DONE)
    return {(queue, state): number for queue, state, number in db.execute(query.group_by(job.c.queue, job.c.state))}


def prune(db: Connection, before: datetime) -> int:
    """Forget jobs that ended before `before`; return how many."""
    done = delete(job).where(job.c.state == JobState.DONE, job.c.updated_at < before)
    return db.execute(done).rowcount


def _ended(db: Connection, statement: Update, held: Job, values: dict[str, Any]) -> JobState:
    found: str | None = db.execute(statement, values).scalar_one_or_none()
    if found is None:
        raise lost(held)
    return JobState(found)
