"""An application with its cluster and its open sync, in one statement. Called by flow before each look."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, select

from driftline.adapters.store import applications, clusters, syncs
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.syncs import SyncRow
from driftline.adapters.store.tables.applications import application, sync
from driftline.adapters.store.tables.edges import cluster


@dataclass(frozen=True)
class Subject:
    """What a look is about. No cluster: the destination is not registered; no sync: none is open."""

    row: ApplicationRow
    cluster: ClusterRow | None
    sync: SyncRow | None


_APPLICATION, _CLUSTER, _SYNC = applications.SHAPE, clusters.SHAPE, syncs.SHAPE
_QUERY = (
    select(*_APPLICATION.columns, *_CLUSTER.columns, *_SYNC.columns)
    .select_from(application)
    .outerjoin(cluster, cluster.c.id == application.c.cluster_id)
    .outerjoin(sync, and_(sync.c.application_id == application.c.id, sync.c.finished_at.is_(None)))
    .where(application.c.id == bindparam("of_application"))
)


def by_id(db: Connection, application_id: int) -> Subject | None:
    """One application by its id; an index allows it one open sync at most."""
    found = db.execute(_QUERY, {"of_application": application_id}).first()
    if found is None:
        return None
    after = len(_APPLICATION.columns)
    last = after + len(_CLUSTER.columns)
    return Subject(
        _APPLICATION.read(found),
        _CLUSTER.read(found[after:last]) if found[after] is not None else None,
        _SYNC.read(found[last:]) if found[last] is not None else None,
    )
