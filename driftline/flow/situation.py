"""Everything the database knows of one application, read in one transaction before a look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from sqlalchemy import Connection

from driftline.adapters.store import clusters, live, objects, repositories, subjects
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.jobs import Job
from driftline.adapters.store.live import LiveRow
from driftline.adapters.store.objects import ObjectRow
from driftline.adapters.store.repositories import RepositoryRow
from driftline.adapters.store.syncs import SyncRow
from driftline.flow import access
from driftline.flow.edges import Edges
from driftline.flow.subjects import number_of
from driftline.formats.application import application
from driftline.model.access import RepositoryAccess
from driftline.model.application import Application
from driftline.model.marks import Marks
from driftline.model.objects import Key

OWN = "driftline"
"""Stands for our own control plane where a cluster's uid is asked for: child applications are kept there."""


@dataclass(frozen=True)
class Situation:
    """One application as the database has it."""

    job: Job
    row: ApplicationRow
    app: Application
    cluster: ClusterRow | None
    repositories: tuple[RepositoryRow, ...]
    """One for each source, in order."""
    sync: SyncRow | None
    owned: Mapping[Key, ObjectRow]
    """The inventory in the application's cluster, and its child applications."""
    elsewhere: tuple[ObjectRow, ...]
    """What it still owns in another cluster, after its destination was changed."""
    live: Mapping[str, LiveRow]
    marks: Marks
    formers: tuple[ClusterRow, ...] = ()
    """The registered clusters among those of `elsewhere`."""
    former_sync: SyncRow | None = None
    """A sync of a former cluster that waits for a person, and keeps nobody from looking after the destination."""
    credentials: tuple[RepositoryAccess, ...] = field(default=(), repr=False)
    """How to reach each source's repository."""

    @property
    def uid(self) -> str:
        """The cluster's identity; empty while it was never reached."""
        return self.cluster.uid if self.cluster else ""


def load(job: Job, edges: Edges) -> Situation | None:
    """Read an application's situation, None if it is gone."""
    with edges.store.read() as db:
        return read(db, job, number_of(job), edges)


def read(db: Connection, job: Job, application_id: int, edges: Edges) -> Situation | None:
    """The situation of an application, None if it is gone."""
    subject = subjects.by_id(db, application_id)
    if subject is None:
        return None
    row, cluster = subject.row, subject.cluster
    everything = objects.of_application(db, row.id)
    here = {cluster.uid if cluster else "", OWN}
    seen = live.of_application(db, row.id) if everything else {}
    sources = repositories.of_application(db, row.id)
    elsewhere = tuple(each for each in everything if each.cluster_uid not in here)
    uids = {each.cluster_uid for each in elsewhere}
    return Situation(
        job=job,
        row=row,
        app=parsed(row),
        cluster=cluster,
        repositories=tuple(sources),
        credentials=tuple(access.repository(db, edges, each) for each in sources),
        sync=subject.sync,
        owned={each.key: each for each in everything if each.cluster_uid in here},
        elsewhere=elsewhere,
        formers=tuple(each for each in clusters.everything(db) if each.uid in uids) if uids else (),
        live={key_id: each for (cluster_id, key_id), each in seen.items() if cluster_id == row.cluster_id},
        marks=Marks(edges.installation, row.name),
    )


def parsed(row: ApplicationRow) -> Application:
    """The declaration of a row."""
    return _parse(row.id, row.generation, orjson.dumps(row.document))


@lru_cache(maxsize=1000)
def _parse(application_id: int, generation: int, document: bytes) -> Application:
    return application(orjson.loads(document))
