"""Whether clusters answer: people hear once that one does not, and once that it does again; verdicts age meanwhile."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import applications, clusters, jobs
from driftline.adapters.store.applications import ApplicationBrief, Filter
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.taskqueue import Hint
from driftline.flow import signals
from driftline.flow.edges import Edges
from driftline.flow.subjects import app_request, hints
from driftline.model.alert import Condition, Signal
from driftline.model.errors import Failure
from driftline.model.health import SyncStatus

PROBE = timedelta(seconds=10)
"""How often a cluster that does not answer is tried by looks at its applications: each try may wait for a time-out."""


def known_away(edges: Edges, row: ClusterRow) -> bool:
    """Whether the cluster did not answer a moment ago, so that asking it again would only keep others waiting."""
    tried = row.checked_at
    return row.failing_since is not None and tried is not None and edges.now() - tried < PROBE


def away(db: Connection, edges: Edges, row: ClusterRow, failure: Failure, application: str = "") -> list[Hint]:
    """Note that a cluster does not answer. Verdicts stay until they are too old to be true."""
    since = clusters.set_failed(db, row.id, failure.message)
    if edges.now() - since > edges.settings.verdict_age:
        doubtful = [each for each in of_cluster(db, row.id) if each.sync_status is not SyncStatus.UNKNOWN]
        applications.set_statuses(db, {each.id: {"sync_status": SyncStatus.UNKNOWN} for each in doubtful})
    facts = {"cluster": row.name, "server": row.server, "message": failure.message}
    return signals.raise_signals(db, edges, [_signal(row, True, {**facts, "application": application})])


def back(db: Connection, edges: Edges, row: ClusterRow, uid: str, version: str) -> list[Hint]:
    """Note that a cluster answers. If it did not before: tell it, and look at what waited for it."""
    clusters.set_well(db, row.id, uid, version)
    if row.failing_since is None:
        return []
    found = list(of_cluster(db, row.id))
    waiting = jobs.open_jobs(db, "app", [app_request(each.id).subject for each in found])
    asked = [
        app_request(each.id)
        for each in found
        if each.sync_status is SyncStatus.UNKNOWN or app_request(each.id).subject in waiting
    ]
    wake = hints(jobs.request_many(db, asked))
    return [*wake, *signals.raise_signals(db, edges, [_signal(row, False, {"cluster": row.name})])]


def of_cluster(db: Connection, cluster_id: int) -> Iterator[ApplicationBrief]:
    """Every application that deploys to a cluster."""
    after = ""
    while True:
        page = applications.page(db, Filter(cluster_id=cluster_id), after, 1000)
        yield from page.rows
        after = page.after
        if not after:
            return


def _signal(row: ClusterRow, active: bool, facts: dict[str, str]) -> Signal:
    return Signal(Condition.CLUSTER_UNREACHABLE, f"cluster:{row.name}", active, facts=facts)
