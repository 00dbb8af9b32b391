"""The record of drift: which field, since when, by whom, until when. All values are masked. Called by flow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from driftline.adapters.store.columns import Shape, chunks, insert
from driftline.adapters.store.tables.objects import OPEN_DRIFT, drift


@dataclass(frozen=True)
class DriftRow:
    """One field that was, or is, not as Git says. It began after `last_clean_at` and at `found_at` the latest."""

    id: int
    application_id: int
    cluster_uid: str
    key_id: str
    path: str
    kind: str
    desired: str
    live: str
    manager: str
    operation: str
    manager_at: datetime | None
    last_clean_at: datetime | None
    found_at: datetime
    ended_at: datetime | None
    end_reason: str


@dataclass(frozen=True)
class FieldFound:
    """One differing field of an object, as masked text. The whole object (missing, extra) has an empty path."""

    path: str
    kind: str
    desired: str
    live: str
    manager: str = ""
    operation: str = ""
    manager_at: datetime | None = None


@dataclass(frozen=True)
class Recorded:
    """What a record changed: intervals opened, ended and left as they were."""

    opened: int = 0
    ended: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Flips:
    """How often one manager brought one field out of line."""

    manager: str
    times: int


SHAPE = Shape(DriftRow, drift)

REVERTED = "back in line"
CHANGED = "changed again"


def open_of(db: Connection, application_id: int) -> list[DriftRow]:
    """What drifts now in an application, by object and path."""
    query = SHAPE.select().where(drift.c.application_id == application_id, OPEN_DRIFT)
    return SHAPE.all(db.execute(query.order_by(drift.c.key_id, drift.c.path)))


def record(
    db: Connection,
    application_id: int,
    cluster_uid: str,
    found: Mapping[str, Sequence[FieldFound]],
    now: datetime,
    last_clean: Mapping[str, datetime | None] | None = None,
) -> Recorded:
    """Save all that differs in the given objects (key id -> every differing field; none: the object is in line).

    The same path with the same values keeps its interval. Other values end it and open another one; a path that is no
    longer there ends. Objects that are not given are left alone. At most three statements for a few hundred objects.
    `last_clean` says when each object was last seen in line.
    """
    before = {(row.key_id, row.path): row for row in _open(db, application_id, cluster_uid, sorted(found))}
    after = {(key_id, each.path): each for key_id, fields in found.items() for each in fields}
    kept = {at for at in before.keys() & after.keys() if _same(before[at], after[at])}
    changed = [before[at].id for at in before.keys() & after.keys() - kept]
    reverted = [before[at].id for at in before.keys() - after.keys()]
    _end(db, changed, CHANGED, now)
    _end(db, reverted, REVERTED, now)
    rows = [
        {
            "application_id": application_id,
            "cluster_uid": cluster_uid,
            "key_id": key_id,
            "path": path,
            "kind": each.kind,
            "desired": each.desired,
            "live": each.live,
            "manager": each.manager,
            "operation": each.operation,
            "manager_at": each.manager_at,
            "last_clean_at": (last_clean or {}).get(key_id),
            "found_at": now,
        }
        for (key_id, path), each in sorted(after.items())
        if (key_id, path) not in kept
    ]
    if rows:
        db.execute(insert(db, drift).on_conflict_do_nothing(), rows)
    return Recorded(len(rows), len(changed) + len(reverted), len(kept))


def close(db: Connection, application_id: int, key_ids: Iterable[str] | None, reason: str, now: datetime) -> int:
    """End what drifts in some objects (None: in all of the application), and say why; return how many intervals."""
    change = update(drift).where(drift.c.application_id == application_id, OPEN_DRIFT)
    change = change.values(ended_at=now, end_reason=reason)
    if key_ids is None:
        return db.execute(change).rowcount
    some_ids = sorted(set(key_ids))
    return sum(db.execute(change.where(drift.c.key_id.in_(some))).rowcount for some in chunks(some_ids))


def page(
    db: Connection,
    application_id: int | None = None,
    key_id: str = "",
    only_open: bool = False,
    before: int | None = None,
    limit: int = 100,
) -> list[DriftRow]:
    """Intervals, the newest first, older than the row `before`."""
    query = SHAPE.select().order_by(drift.c.id.desc()).limit(limit)
    query = query if application_id is None else query.where(drift.c.application_id == application_id)
    query = query.where(drift.c.key_id == key_id) if key_id else query
    query = query.where(OPEN_DRIFT) if only_open else query
    return SHAPE.all(db.execute(query if before is None else query.where(drift.c.id < before)))


def since(db: Connection, application_id: int, at: datetime, limit: int = 1000) -> list[DriftRow]:
    """Intervals of an application that began after `at`."""
    query = SHAPE.select().where(drift.c.application_id == application_id, drift.c.found_at >= at)
    return SHAPE.all(db.execute(query.order_by(drift.c.found_at).limit(limit)))


def flips(db: Connection, application_id: int, key_id: str, path: str, since: datetime) -> list[Flips]:
    """How often a field came out of line since `since`, by manager, the busiest first: someone may be fighting us."""
    times = func.count()
    query = (
        select(drift.c.manager, times)
        .where(drift.c.application_id == application_id, drift.c.found_at >= since)
        .where(drift.c.key_id == key_id, drift.c.path == path)
        .group_by(drift.c.manager)
        .order_by(times.desc(), drift.c.manager)
    )
    return [Flips(*row) for row in db.execute(query)]


def open_counts(db: Connection) -> dict[int, int]:
    """How many fields drift now, by application id."""
    query = select(drift.c.application_id, func.count()).where(OPEN_DRIFT).group_by(drift.c.application_id)
    return dict(db.execute(query).all())


def _open(db: Connection, application_id: int, cluster_uid: str, key_ids: Sequence[str]) -> list[DriftRow]:
    at = (drift.c.application_id == application_id, drift.c.cluster_uid == cluster_uid, OPEN_DRIFT)
    query = SHAPE.select().where(*at)
    return [row for some in chunks(key_ids) for row in SHAPE.all(db.execute(query.where(drift.c.key_id.in_(some))))]


def _same(row: DriftRow, found: FieldFound) -> bool:
    return (row.kind, row.desired, row.live) == (found.kind, found.desired, found.live)


def _end(db: Connection, ids: Sequence[int], reason: str, now: datetime) -> None:
    for some in chunks(sorted(ids)):
        db.execute(update(drift).where(drift.c.id.in_(some)).values(ended_at=now, end_reason=reason))
