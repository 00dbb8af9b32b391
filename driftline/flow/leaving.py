"""Hooks that nobody will follow any more: deleted, or let go of, so that our finalizer keeps nothing for ever."""

from driftline.adapters.store.syncs import SyncRow
from driftline.flow.deletion import Deletion, operation_of
from driftline.flow.edges import Edges
from driftline.flow.hooking import abandon
from driftline.flow.plans import load_results
from driftline.flow.reading import Reader
from driftline.flow.situation import Situation
from driftline.model.errors import Permanent
from driftline.model.objects import Key
from driftline.model.plan import Op


def abandon_hooks(edges: Edges, situation: Situation, keep: bool = False) -> None:
    """Delete the hooks of the sync and of the deletion under way, or with `keep` let go of them.

    Raises Failure if the cluster does not answer or refuses.
    """
    operations = {operation_of(situation.row): {key for _, key in Deletion.of(situation.row).hooks}} if keep else {}
    if situation.sync is not None:
        operations[str(situation.sync.id)] = _hooks_of(situation.sync)
    if situation.cluster is None or not any(operations.values()):
        return
    cluster = edges.cluster(situation.cluster)
    reader = Reader(cluster, cluster.kinds(), edges.pool)
    for operation, keys in operations.items():
        abandon(reader, operation, sorted(keys), keep)


def let_go(edges: Edges, situation: Situation) -> None:
    """Leave hooks to themselves. One that the API server refuses to change keeps nobody waiting.

    Raises ClusterUnreachable.
    """
    try:
        abandon_hooks(edges, situation, keep=True)
    except Permanent as failure:
        edges.log.warning("hook not released", application=situation.row.name, reason=failure.message)


def _hooks_of(sync: SyncRow) -> set[Key]:
    """What a sync has made, and what it may have made just before its worker died."""
    _, hooks = load_results(sync.results)
    planned = (sync.plan_view or {}).get("changes", ())
    return {key for _, key in hooks} | {Key.parse(each["key"]) for each in planned if each["op"] == Op.HOOK}
