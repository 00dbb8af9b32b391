"""Syncs: one open row per application that moves by steps. Called by flow and service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypedDict, Unpack

from sqlalchemy import BigInteger, Connection, Insert, Update, and_, bindparam, delete, or_, select, update

from driftline.adapters.store import job_sql, jobs
from driftline.adapters.store.columns import Shape, chunks, db_now, insert
from driftline.adapters.store.tables.applications import OPEN_SYNC, sync
from driftline.adapters.store.tables.work import job
from driftline.model.sync import OperationPhase


@dataclass(frozen=True)
class SyncRow:
    """All of a row. `plan` is sealed; `plan_view`, `results` and `message` are masked."""

    id: int
    application_id: int
    phase: OperationPhase
    stage: str
    kind: str
    revisions: list[str] | None
    request: Any
    initiated_by: str
    automated: bool
    plan: bytes | None
    plan_view: Any
    plan_digest: str
    wave: int
    waiting: Any
    results: Any
    message: str
    retry_count: int
    retry_at: datetime | None
    render_id: int | None
    approved: Any
    terminate: bool
    superseded_by: str
    started_at: datetime
    planned_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    job_id: int | None
    fence: int


@dataclass(frozen=True)
class SyncBrief:
    """What a list shows of a sync: no plan and no results."""

    id: int
    application_id: int
    phase: OperationPhase
    stage: str
    kind: str
    revisions: list[str] | None
    initiated_by: str
    automated: bool
    plan_digest: str
    message: str
    retry_count: int
    started_at: datetime
    finished_at: datetime | None


class NewSync(TypedDict, total=False):
    """What a sync starts with."""

    stage: str
    revisions: Sequence[str] | None
    request: Any
    initiated_by: str
    automated: bool
    render_id: int | None
    deadline: datetime | None
    retry_count: int
    message: str


class Step(TypedDict, total=False):
    """Columns that a step of a sync may save."""

    phase: OperationPhase
    stage: str
    revisions: Sequence[str] | None
    plan: bytes | None
    plan_view: Any
    plan_digest: str
    wave: int
    waiting: Any
    results: Any
    message: str
    retry_count: int
    retry_at: datetime | None
    render_id: int | None
    approved: Any
    planned_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None


class Planned(Step, total=False):
    """What a sync that begins with a plan starts with."""

    request: Any
    initiated_by: str
    automated: bool


@dataclass(frozen=True)
class Interrupts:
    """What may stop a sync between two batches of writes."""

    lease_lost: bool = False
    terminate: bool = False
    superseded_by: str = ""
    asked_again: bool = False
    """Someone asked for the job while it ran: look again when it is done."""

    @property
    def any(self) -> bool:
        return self.lease_lost or self.terminate or bool(self.superseded_by)


_INTERRUPTS = (
    select(sync.c.terminate, sync.c.superseded_by, sync.c.finished_at, job.c.wanted)
    .select_from(sync)
    .join(job, job_sql.HELD)
    .where(sync.c.id == bindparam("of_sync"))
)

SHAPE = Shape(SyncRow, sync)
BRIEF = Shape(SyncBrief, sync)


def create(db: Connection, application_id: int, kind: str, **values: Unpack[NewSync]) -> int | None:
    """Start a sync and return its id, or None if the application has an open one.

    `kind` is git, manual, self-heal, rollback or delete.
    """
    row = insert(db, sync).values(
        application_id=application_id, kind=kind, phase=OperationPhase.RUNNING, started_at=db_now(), **values
    )
    row = row.on_conflict_do_nothing(index_elements=["application_id"], index_where=OPEN_SYNC)
    found: int | None = db.execute(row.returning(sync.c.id)).scalar_one_or_none()
    return found


def begin(db: Connection, held: jobs.Job, application_id: int, kind: str, **values: Unpack[Planned]) -> int | None:
    """Start a sync with its first plan, in one statement that checks the lease of the job which made the plan.

    Returns its id, or None if the application has an open one. Raises LeaseLost if the job was taken over.
    """
    given: dict[str, Any] = {
        "application_id": application_id,
        "kind": kind,
        "phase": OperationPhase.RUNNING,
        "job_id": held.id,
        "fence": held.fence,
        **values,
    }
    row = {**jobs.holding(held), **{f"new_{name}": value for name, value in given.items()}}
    found: int | None = db.execute(_beginning(db.dialect.name, tuple(sorted(given))), row).scalar_one_or_none()
    if found is None and not jobs.holds(db, held):
        raise jobs.lost(held)
    return found


def get(db: Connection, sync_id: int) -> SyncRow | None:
    """One sync."""
    return SHAPE.first(db.execute(SHAPE.select().where(sync.c.id == sync_id)))


def open_of(db: Connection, application_id: int) -> SyncRow | None:
    """The open sync of an application: running, terminating, or held for a person."""
    return SHAPE.first(db.execute(SHAPE.select().where(sync.c.application_id == application_id, OPEN_SYNC)))


def open_of_many(db: Connection, application_ids: Sequence[int]) -> dict[int, SyncBrief]:
    """The open syncs of some applications, by application id."""
    found: dict[int, SyncBrief] = {}
    for some in chunks(application_ids):
        rows = db.execute(BRIEF.select().where(sync.c.application_id.in_(some), OPEN_SYNC))
        found.update((each.application_id, each) for each in BRIEF.all(rows))
    return found


def of_application(db: Connection, application_id: int, before: int | None = None, limit: int = 20) -> list[SyncBrief]:
    """The syncs of an application, the newest first, older than the sync `before`."""
    query = BRIEF.select().where(sync.c.application_id == application_id).order_by(sync.c.id.desc()).limit(limit)
    return BRIEF.all(db.execute(query if before is None else query.where(sync.c.id < before)))


def recent(db: Connection, only_open: bool = False, before: int | None = None, limit: int = 50) -> list[SyncBrief]:
    """Syncs of all applications, the newest first."""
    query = BRIEF.select().order_by(sync.c.id.desc()).limit(limit)
    query = query.where(OPEN_SYNC) if only_open else query
    return BRIEF.all(db.execute(query if before is None else query.where(sync.c.id < before)))


def save_step(db: Connection, held: jobs.Job, sync_id: int, **changes: Unpack[Step]) -> None:
    """Save what a step did, in one statement that checks the lease of the job which takes it.

    Raises LeaseLost, with nothing written, if the job was taken over or a later holder has saved already.
    """
    given: dict[str, Any] = dict(changes)
    values = {**jobs.holding(held), "of_sync": sync_id, **{f"new_{name}": value for name, value in given.items()}}
    if db.execute(_stepping(tuple(sorted(given))), values).rowcount == 0:
        raise jobs.lost(held)


def interrupts(db: Connection, held: jobs.Job, sync_id: int) -> Interrupts:
    """Fence, Terminate and superseded in one SELECT; asked before every batch of writes to a cluster."""
    row = db.execute(_INTERRUPTS, {**jobs.holding(held), "of_sync": sync_id}).first()
    if row is None or row.finished_at is not None:
        return Interrupts(lease_lost=True)
    return Interrupts(False, row.terminate, row.superseded_by, row.wanted > held.wanted)


def request_terminate(db: Connection, application_id: int) -> int | None:
    """Ask the open sync of an application to stop; return its id, or None if there is none."""
    change = update(sync).where(sync.c.application_id == application_id, OPEN_SYNC).values(terminate=True)
    found: int | None = db.execute(change.returning(sync.c.id)).scalar_one_or_none()
    return found


def supersede(db: Connection, revisions: Mapping[int, str]) -> None:
    """Tell open syncs that a newer commit is there: application id -> its short name for people."""
    change = update(sync).where(OPEN_SYNC)
    for application_id, revision in sorted(revisions.items()):
        db.execute(change.where(sync.c.application_id == application_id).values(superseded_by=revision))


def give_way(db: Connection, application_id: int, kind: str) -> None:
    """End the open sync of an application if it is of this kind and waits for a person: something else comes first."""
    change = update(sync).where(sync.c.application_id == application_id, OPEN_SYNC, sync.c.kind == kind)
    change = change.where(sync.c.phase == OperationPhase.HELD)
    db.execute(change.values(phase=OperationPhase.SUPERSEDED, stage="", waiting=None, finished_at=db_now()))


def approve(db: Connection, sync_id: int, plan_digest: str, approved: Any) -> bool:
    """Record what a person allowed (`{by, at, keys}`) for exactly the plan shown; False if it is another by now."""
    change = update(sync).where(sync.c.id == sync_id, sync.c.plan_digest == plan_digest, OPEN_SYNC)
    return db.execute(change.values(approved=approved)).rowcount == 1


def prune(db: Connection, before: datetime, limit: int = 1000) -> int:
    """Forget syncs that ended before `before`, at most `limit`; return how many."""
    old = select(sync.c.id).where(sync.c.finished_at < before).order_by(sync.c.id).limit(limit)
    return db.execute(delete(sync).where(sync.c.id.in_(old))).rowcount


@cache
def _beginning(dialect: str, names: tuple[str, ...]) -> Insert:
    """Insert these columns, unless the lease is gone or another sync of the application is open."""
    new = [bindparam(f"new_{name}", type_=sync.c[name].type) for name in names]
    row = select(*new, db_now()).where(job_sql.STILL_HELD)
    statement = insert(dialect, sync).from_select([*names, "started_at"], row)
    nothing = statement.on_conflict_do_nothing(index_elements=["application_id"], index_where=OPEN_SYNC)
    return nothing.returning(sync.c.id)


@cache
def _stepping(names: tuple[str, ...]) -> Update:
    """Save these columns, unless the lease is gone or a later holder has saved already."""
    job_id, fence = bindparam("held_id", type_=BigInteger()), bindparam("held_fence", type_=BigInteger())
    newer = or_(sync.c.job_id > job_id, and_(sync.c.job_id == job_id, sync.c.fence > fence))
    mine = or_(sync.c.job_id.is_(None), ~newer)
    new: dict[str, Any] = {name: bindparam(f"new_{name}", type_=sync.c[name].type) for name in names}
    change = update(sync).where(sync.c.id == bindparam("of_sync"), mine, job_sql.STILL_HELD)
    return change.values(**new, job_id=job_id, fence=fence)
