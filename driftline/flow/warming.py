"""Learn what a new worker process needs of its clusters before the first push needs it. Called once after a fork."""

from driftline.adapters.store import clusters, objects
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.objects import WatchedKind
from driftline.flow.edges import Edges
from driftline.model.errors import Failure

MOST = 20
"""Clusters that are warmed; with more of them a process rather learns of each when it is asked to."""


def warm(edges: Edges) -> int:
    """Connect to the clusters, ask what they serve, and read the schemas of the kinds that are ours there.

    Returns how many clusters answered. Raises nothing of what they say: the first job that needs one says it better.
    """
    try:
        with edges.store.read() as db:
            rows = [row for row in clusters.everything(db) if row.failing_since is None][:MOST]
            kinds = {row.id: objects.by_kinds(db, row.uid) for row in rows}
    except Failure:
        return 0
    return sum(_learn(edges, row, kinds[row.id]) for row in rows)


def _learn(edges: Edges, row: ClusterRow, kinds: list[WatchedKind]) -> bool:
    try:
        cluster = edges.cluster(row)
        for learn in (cluster.kinds, cluster.version, cluster.uid):
            learn()
        for each in kinds:
            edges.schemas.type_of(cluster, each.api_version, each.kind)
    except (Failure, OSError) as failure:
        edges.log.info("cluster not warmed", cluster=row.name, reason=str(failure))
        return False
    return True
