"""Clusters: how to reach them, how they are, and who watches them. Called by flow, service and watch.

Access is sealed with the context of the cluster's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, delete, func, or_, update

from driftline.adapters.store.columns import Shape, db_now, excluded, insert
from driftline.adapters.store.tables.edges import cluster

OK = "ok"
UNREACHABLE = "unreachable"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class ClusterRow:
    """A row. `uid` is that of the namespace kube-system: two registrations of one cluster share it."""

    id: int
    name: str
    server: str
    uid: str
    access: bytes | None
    options: dict[str, Any] | None
    state: str
    message: str
    version: str
    failing_since: datetime | None
    checked_at: datetime | None
    watch_owner: str | None
    watch_lease_until: datetime | None
    watch_bookmark_at: datetime | None
    created_at: datetime
    updated_at: datetime


SHAPE = Shape(ClusterRow, cluster)


def save(
    db: Connection, name: str, server: str, access: bytes | None, options: Mapping[str, Any] | None = None
) -> ClusterRow:
    """Add a cluster, or change how the one of this name is reached (None leaves access and options as they are)."""
    statement = insert(db, cluster).values(
        name=name,
        server=server,
        access=access,
        options=options,
        state=UNKNOWN,
        created_at=db_now(),
        updated_at=db_now(),
    )
    given = excluded(cluster)
    kept = {column: func.coalesce(given[column], cluster.c[column]) for column in ("access", "options")}
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={**kept, "server": given.server, "updated_at": db_now()}
    )
    return SHAPE.read(db.execute(statement.returning(*SHAPE.columns)).one())


def get(db: Connection, name: str) -> ClusterRow | None:
    """A cluster by its name."""
    return SHAPE.first(db.execute(SHAPE.select().where(cluster.c.name == name)))


def by_id(db: Connection, cluster_id: int) -> ClusterRow | None:
    """A cluster by its id."""
    return SHAPE.first(db.execute(SHAPE.select().where(cluster.c.id == cluster_id)))


def by_server(db: Connection, server: str) -> list[ClusterRow]:
    """The clusters with a server URL: more than one, and the URL alone does not say which is meant."""
    return SHAPE.all(db.execute(SHAPE.select().where(cluster.c.server == server).order_by(cluster.c.name)))


def by_uid(db: Connection, uid: str) -> list[ClusterRow]:
    """The registrations of one real cluster."""
    return SHAPE.all(db.execute(SHAPE.select().where(cluster.c.uid == uid).order_by(cluster.c.name)))


def everything(db: Connection) -> list[ClusterRow]:
    """All clusters, by name."""
    return SHAPE.all(db.execute(SHAPE.select().order_by(cluster.c.name)))


def set_well(db: Connection, cluster_id: int, uid: str, version: str) -> None:
    """Record that a cluster answered, and who it is."""
    change = update(cluster).where(cluster.c.id == cluster_id)
    well = {"state": OK, "message": "", "failing_since": None, "checked_at": db_now(), "updated_at": db_now()}
    db.execute(change.values(uid=uid, version=version, **well))


def set_failed(db: Connection, cluster_id: int, message: str) -> datetime:
    """Record that a cluster could not be reached, and return since when that has been so."""
    since = case((cluster.c.failing_since.is_(None), db_now()), else_=cluster.c.failing_since)
    change = update(cluster).where(cluster.c.id == cluster_id)
    change = change.values(
        state=UNREACHABLE, message=message, failing_since=since, checked_at=db_now(), updated_at=db_now()
    )
    found: datetime = db.execute(change.returning(cluster.c.failing_since)).scalar_one()
    return found


def take_watch(db: Connection, cluster_id: int, owner: str, lease: timedelta) -> bool:
    """Lease the watch of a cluster, or renew our lease; False if another process holds it."""
    free = or_(cluster.c.watch_owner.is_(None), cluster.c.watch_owner == owner, cluster.c.watch_lease_until < db_now())
    change = update(cluster).where(cluster.c.id == cluster_id, free)
    return db.execute(change.values(watch_owner=owner, watch_lease_until=db_now(lease))).rowcount == 1


def set_bookmark(db: Connection, cluster_id: int, owner: str) -> bool:
    """Note that the watch is up to date now; False if its lease went to another process."""
    change = update(cluster).where(cluster.c.id == cluster_id, cluster.c.watch_owner == owner)
    return db.execute(change.values(watch_bookmark_at=db_now())).rowcount == 1


def release_watch(db: Connection, cluster_id: int, owner: str) -> None:
    """Give the watch back, so that another process need not wait for the lease to run out."""
    change = update(cluster).where(cluster.c.id == cluster_id, cluster.c.watch_owner == owner)
    db.execute(change.values(watch_owner=None, watch_lease_until=None))


def remove(db: Connection, name: str) -> bool:
    """Forget a cluster and what is known of its objects. Applications must not point at it. False if there was none."""
    return db.execute(delete(cluster).where(cluster.c.name == name)).rowcount == 1
