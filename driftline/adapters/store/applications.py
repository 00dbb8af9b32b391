"""Applications: what was declared, and what is known of each now. Called by flow and service."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypedDict, Unpack

from sqlalchemy import (
    Connection,
    Double,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from driftline.adapters.store.columns import Shape, chunks, db_now
from driftline.adapters.store.tables.applications import OPEN_SYNC, application, source, sync
from driftline.adapters.store.tables.edges import cluster
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.sync import OperationPhase


@dataclass(frozen=True)
class ApplicationRow:
    """All of a row. `paused` and `pin` are `{by, why, at, until, ...}` or None; they are state, not declaration.

    `deletion` is how far a deletion has come, None while there is none.
    """

    id: int
    name: str
    project: str
    parent_id: int | None
    document: dict[str, Any]
    generation: int
    warnings: list[str]
    labels: dict[str, str]
    cluster_id: int | None
    namespace: str
    deleting: bool
    delete_mode: str
    deletion: dict[str, Any] | None
    paused: dict[str, Any] | None
    pin: dict[str, Any] | None
    sync_status: SyncStatus
    health_status: HealthStatus
    health_message: str
    health_changed_at: datetime | None
    revisions: list[str] | None
    desired_digest: str
    render_id: int | None
    inputs: Any
    conditions: list[Any] | None
    checked_at: datetime | None
    verdict_until: datetime | None
    summary: dict[str, Any] | None
    self_heal: dict[str, Any] | None
    last_sync_id: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ApplicationBrief:
    """What a list shows of an application."""

    id: int
    name: str
    project: str
    parent_id: int | None
    labels: dict[str, str]
    cluster_id: int | None
    namespace: str
    deleting: bool
    paused: dict[str, Any] | None
    pin: dict[str, Any] | None
    sync_status: SyncStatus
    health_status: HealthStatus
    health_message: str
    revisions: list[str] | None
    conditions: list[Any] | None
    checked_at: datetime | None
    verdict_until: datetime | None
    summary: dict[str, Any] | None
    last_sync_id: int | None


@dataclass(frozen=True)
class SourceRow:
    """One source of an application, as the index from repositories to applications needs it."""

    application_id: int
    position: int
    repository_id: int | None
    url_normal: str
    target_revision: str
    path: str
    tag_prefix: str
    chart: str


@dataclass(frozen=True)
class SourceUse:
    """An application that reads a repository, with what it read last: decides whether a push concerns it."""

    application_id: int
    name: str
    position: int
    target_revision: str
    path: str
    generation: int
    revisions: list[str] | None
    inputs: Any
    deleting: bool
    paused: dict[str, Any] | None
    pin: dict[str, Any] | None
    sync_requested: bool = False
    """Whether a person has asked for a sync that has not begun."""
    tag_prefix: str = ""
    chart: str = ""


class Changes(TypedDict, total=False):
    """Columns that flow sets as it learns about an application."""

    document: Mapping[str, Any]
    deleting: bool
    delete_mode: str
    deletion: Mapping[str, Any] | None
    paused: Mapping[str, Any] | None
    pin: Mapping[str, Any] | None
    sync_status: SyncStatus
    health_status: HealthStatus
    health_message: str
    revisions: Sequence[str] | None
    desired_digest: str
    render_id: int | None
    inputs: Any
    conditions: Sequence[Any] | None
    checked_at: datetime | None
    verdict_until: datetime | None
    summary: Mapping[str, Any] | None
    self_heal: Mapping[str, Any] | None
    last_sync_id: int | None


@dataclass(frozen=True)
class Filter:
    """Which applications to list; everything given has to hold. `projects=None` is all of them, empty is none."""

    projects: Sequence[str] | None = None
    sync: SyncStatus | None = None
    health: HealthStatus | None = None
    contains: str = ""
    """Part of the name, in any case."""
    parent_id: int | None = None
    cluster_id: int | None = None


@dataclass(frozen=True)
class Page:
    """Some rows, and the `after` of the next page (empty: this was the last)."""

    rows: tuple[ApplicationBrief, ...]
    after: str = ""


SHAPE = Shape(ApplicationRow, application)
BRIEF = Shape(ApplicationBrief, application)
SOURCE = Shape(SourceRow, source)


def get(db: Connection, name: str) -> ApplicationRow | None:
    """One application by its name."""
    return SHAPE.first(db.execute(SHAPE.select().where(application.c.name == name)))


def by_id(db: Connection, application_id: int) -> ApplicationRow | None:
    """One application by its id."""
    return SHAPE.first(db.execute(SHAPE.select().where(application.c.id == application_id)))


def by_ids(db: Connection, ids: Sequence[int]) -> dict[int, ApplicationRow]:
    """Applications by their ids; the missing ones are left out."""
    found = [row for some in chunks(ids) for row in db.execute(SHAPE.select().where(application.c.id.in_(some)))]
    return {each.id: each for each in SHAPE.all(found)}


def children(db: Connection, parent_id: int) -> list[ApplicationBrief]:
    """The applications that another one declares, by name."""
    query = BRIEF.select().where(application.c.parent_id == parent_id).order_by(application.c.name)
    return BRIEF.all(db.execute(query))


def page(db: Connection, where: Filter = Filter(), after: str = "", limit: int = 100) -> Page:
    """One page of the list by name, starting behind the name `after`."""
    query = BRIEF.select().where(*_conditions(where)).order_by(application.c.name).limit(limit + 1)
    rows = BRIEF.all(db.execute(query.where(application.c.name > after) if after else query))
    return Page(tuple(rows[:limit]), rows[limit - 1].name if len(rows) > limit else "")


def counts(db: Connection, where: Filter = Filter()) -> dict[tuple[SyncStatus, HealthStatus], int]:
    """How many applications there are by (sync status, health)."""
    columns = (application.c.sync_status, application.c.health_status)
    query = select(*columns, func.count()).where(*_conditions(where)).group_by(*columns)
    return {(sync, health): number for sync, health, number in db.execute(query)}


def sources(db: Connection, application_id: int) -> list[SourceRow]:
    """The sources of one application, in order."""
    query = SOURCE.select().where(source.c.application_id == application_id).order_by(source.c.position)
    return SOURCE.all(db.execute(query))


def of_repository(db: Connection, repository_id: int) -> list[SourceUse]:
    """Every application source that reads a repository, by application and position."""
    return _uses(db, source.c.repository_id == repository_id)


def of_url(db: Connection, url_normal: str) -> list[SourceUse]:
    """The same by normalised URL, for repositories that nobody registered."""
    return _uses(db, source.c.url_normal == url_normal)


def link_sources(db: Connection, repository_id: int, url_normal: str, project: str = "") -> int:
    """Point sources of a URL that belong to no repository yet at one; return how many.

    A repository of a project serves that project's applications only; `project=""` serves all.
    """
    change = update(source).where(source.c.url_normal == url_normal, source.c.repository_id.is_(None))
    if project:
        own = select(application.c.id).where(application.c.project == project)
        change = change.where(source.c.application_id.in_(own))
    return db.execute(change.values(repository_id=repository_id)).rowcount


def documents_of_url(db: Connection, url_normal: str, limit: int = 500) -> list[dict[str, Any]]:
    """The declarations of applications that read a repository."""
    reading = select(source.c.application_id).where(source.c.url_normal == url_normal)
    query = select(application.c.document).where(application.c.id.in_(reading)).limit(limit)
    return list(db.execute(query).scalars())


def documents_of_cluster(db: Connection, cluster_name: str, limit: int = 500) -> list[dict[str, Any]]:
    """The declarations of applications that deploy to a cluster."""
    there = select(cluster.c.id).where(cluster.c.name == cluster_name)
    query = select(application.c.document).where(application.c.cluster_id.in_(there)).limit(limit)
    return list(db.execute(query).scalars())


def link_cluster(db: Connection, cluster_id: int, name: str, server: str) -> int:
    """Point applications that were declared before their cluster was registered at it; return how many."""
    query = select(application.c.id, application.c.document).where(application.c.cluster_id.is_(None))
    meant = [
        number
        for number, document in db.execute(query)
        for destination in ((document.get("spec") or {}).get("destination") or {},)
        if name == destination.get("name") or server == destination.get("server")
    ]
    for some in chunks(meant):
        db.execute(update(application).where(application.c.id.in_(some)).values(cluster_id=cluster_id))
    return len(meant)


def waiting(db: Connection, unseen_since: datetime, limit: int = 200) -> list[int]:
    """Applications that wait for something nobody has reported since: a rollout, or a sync between two steps.

    One that has been unwell for long is looked at less often: again after a tenth of the time that it has been so.
    """
    quiet = application.c.updated_at < unseen_since
    open_sync = select(sync.c.application_id).where(sync.c.finished_at.is_(None), sync.c.phase != OperationPhase.HELD)
    changed = func.coalesce(application.c.health_changed_at, application.c.created_at)
    unseen: ColumnElement[float] = type_coerce(db_now() - application.c.updated_at, Double())
    rested = unseen * 10 > type_coerce(application.c.updated_at - changed, Double())
    unwell = and_(application.c.health_status.in_([HealthStatus.PROGRESSING, HealthStatus.MISSING]), rested)
    query = select(application.c.id).where(quiet, or_(unwell, application.c.id.in_(open_sync), application.c.deleting))
    return list(db.execute(query.order_by(application.c.updated_at).limit(limit)).scalars())


def stale(db: Connection, limit: int = 100) -> list[int]:
    """Ids of applications whose verdict has aged out by the database's clock, the oldest first."""
    aged = and_(application.c.verdict_until <= db_now(), application.c.deleting.is_(False))
    query = select(application.c.id).where(aged).order_by(application.c.verdict_until).limit(limit)
    return list(db.execute(query).scalars())


def set_status(db: Connection, application_id: int, **changes: Unpack[Changes]) -> None:
    """Record what is known of one application; see `set_statuses`."""
    set_statuses(db, {application_id: changes})


def set_statuses(db: Connection, changes: Mapping[int, Changes]) -> None:
    """Record what is known of some applications, one statement for those that change in the same columns.

    `health_changed_at` follows by itself. Rows are written by id, so that two writers cannot deadlock.
    """
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for number, values in sorted(changes.items()):
        if values:
            row: dict[str, Any] = dict(values)
            alike[tuple(sorted(row))].append({"row_id": number, **{f"new_{name}": row[name] for name in row}})
    for names, rows in alike.items():
        db.execute(_setting(names), rows)


def remove(db: Connection, application_id: int) -> None:
    """Forget an application with its sources, syncs, history and drift. It must own no object any more."""
    db.execute(delete(application).where(application.c.id == application_id))


@cache
def _setting(names: tuple[str, ...]) -> Update:
    new: dict[str, Any] = {name: bindparam(f"new_{name}", type_=application.c[name].type) for name in names}
    if "health_status" in new:
        same = application.c.health_status == new["health_status"]
        new["health_changed_at"] = case((same, application.c.health_changed_at), else_=db_now())
    change = update(application).where(application.c.id == bindparam("row_id"))
    return change.values(**new, updated_at=db_now())


def _conditions(where: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if where.projects is not None:
        found.append(application.c.project.in_(where.projects))
    if where.sync is not None:
        found.append(application.c.sync_status == where.sync)
    if where.health is not None:
        found.append(application.c.health_status == where.health)
    if where.contains:
        found.append(func.lower(application.c.name).contains(where.contains.lower(), autoescape=True))
    if where.parent_id is not None:
        found.append(application.c.parent_id == where.parent_id)
    if where.cluster_id is not None:
        found.append(application.c.cluster_id == where.cluster_id)
    return found


def _uses(db: Connection, where: ColumnElement[bool]) -> list[SourceUse]:
    query: Select[Any] = (
        select(
            source.c.application_id,
            application.c.name,
            source.c.position,
            source.c.target_revision,
            source.c.path,
            application.c.generation,
            application.c.revisions,
            application.c.inputs,
            application.c.deleting,
            application.c.paused,
            application.c.pin,
            exists().where(sync.c.application_id == source.c.application_id, OPEN_SYNC, sync.c.stage == "requested"),
            source.c.tag_prefix,
            source.c.chart,
        )
        .join(application, application.c.id == source.c.application_id)
        .where(where)
        .order_by(source.c.application_id, source.c.position)
    )
    return [SourceUse(*row) for row in db.execute(query)]
