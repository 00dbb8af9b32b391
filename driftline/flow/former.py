"""What an application left in clusters that it was moved away from: told, and pruned once the new place is well.

It is pruned by the rules of every prune (marks, uids, confirmation, budget), as a sync of its own: the same machine
runs it against the former cluster, with nothing wanted there. The new place never waits for it.
"""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import jobs, live, objects, syncs
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.syncs import SyncRow
from driftline.desired.finalise import Desired
from driftline.flow import attempt, desire, reach, stepping
from driftline.flow.comparing import Compared
from driftline.flow.edges import Edges
from driftline.flow.looking import Look, View
from driftline.flow.memory import Memory
from driftline.flow.places import Place, places, situation_there
from driftline.flow.planmaking import Ask
from driftline.flow.reading import Reader
from driftline.flow.run import Run
from driftline.flow.situation import Situation
from driftline.model.cluster import ClusterUnreachable
from driftline.model.errors import Failure
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.sync import OperationPhase
from driftline.sync.confirmation import approves
from driftline.sync.status import Comparison

KIND = "former"
"""The kind of such a sync."""

AGAIN = timedelta(seconds=30)
"""When to try again at a former cluster that does not answer."""


def due(edges: Edges, found: Look, wanted: bool) -> Place | None:
    """The former cluster to prune now: pruning is wanted, the new place is applied and healthy, the old one answers."""
    row = found.situation.row
    if not wanted or found.status.status is not SyncStatus.SYNCED or row.health_status is not HealthStatus.HEALTHY:
        return None
    return next((each for each in places(found.situation) if each.cluster and not _away(edges, each.cluster)), None)


def _away(edges: Edges, row: ClusterRow) -> bool:
    return row.failing_since is not None and row.checked_at is not None and edges.now() - row.checked_at < AGAIN


def only_waits(situation: Situation, sync: SyncRow) -> bool:
    """Whether such a sync waits for a person who has said nothing yet: meanwhile the new place is looked after."""
    if sync.phase is not OperationPhase.HELD or sync.terminate or sync.approved:
        return False
    asking = any(each.get("confirm") for each in (sync.plan_view or {}).get("held", ()))
    return not (asking and approves(situation.app.annotations, sync.started_at))


def start(edges: Edges, found: Look, place: Place, memory: Memory) -> None:
    """Prune what is left in a former cluster, and end the job."""
    ask = Ask(prune=True, automated=True, started_at=edges.now(), former=place.uid)
    try:
        there = look_there(edges, found.situation, place, found.wish)
        if _release(edges, there):
            run = Run(edges, there, ask, KIND, memory)
            if attempt.plan_attempt(run):
                stepping.carry_on(run)
            return
    except Failure as failure:
        _cannot(edges, found.situation, place, failure)
        return
    with edges.store.write() as db:
        jobs.finish(db, found.situation.job, run_at=edges.now())


def go_on(edges: Edges, situation: Situation, sync: SyncRow) -> None:
    """Take such a sync further, unless the application wants something else by now."""
    uid = str((sync.request or {}).get("former", ""))
    place = next((each for each in places(situation) if each.uid == uid), None)
    if place is None or place.cluster is None or sync.terminate or _moved_on(edges, situation, sync):
        _end(edges, situation, sync, OperationPhase.SUPERSEDED, "the application wants something else by now")
        return
    try:
        wish = desire.Wish(Desired(), tuple(sync.revisions or ()), "", ())
        there = look_there(edges, situation, place, wish)
        stepping.go_on(edges, there, sync)
    except Failure as failure:
        _cannot(edges, situation, place, failure, sync)


def _moved_on(edges: Edges, situation: Situation, sync: SyncRow) -> bool:
    """Whether Git or the declaration has something newer: the new place comes first."""
    if (sync.request or {}).get("generation", situation.row.generation) != situation.row.generation:
        return True
    try:
        newest = desire.resolve(edges, situation)
    except Failure:
        return False
    return list(newest) != list(sync.revisions or ())


def look_there(edges: Edges, situation: Situation, place: Place, wish: desire.Wish) -> Look:
    """Read by name what is left in a former cluster, where nothing is wanted. Raises Failure if it does not answer."""
    there = situation_there(situation, place)
    assert place.cluster is not None
    cluster = edges.cluster(place.cluster)
    target = edges.target(cluster, situation.marks)
    reader = Reader(cluster, target.kinds, edges.pool)
    reads = reader.read_owned(there.owned)
    away = next((each for each in reads.failed.values() if isinstance(each, ClusterUnreachable)), None)
    if away is not None:
        raise away
    gone = frozenset(key for key, body in reads.found.items() if body is None)
    return Look(
        there,
        View(reader, target),
        replace(wish, desired=Desired(), content=b""),
        {},
        Compared({}, dict(reads.found)),
        frozenset(),
        frozenset(there.owned) - gone,
        (),
        Comparison(SyncStatus.OUT_OF_SYNC),
        gone,
    )


def _release(edges: Edges, there: Look) -> bool:
    """Narrow the inventory by what a GET has not found; whether anything is left."""
    if there.gone and there.situation.cluster is not None:
        keys = sorted(there.gone)
        with edges.store.write() as db:
            objects.release_many(db, there.situation.uid, there.situation.row.id, keys)
            live.forget(db, there.situation.cluster.id, [key.id for key in keys])
            jobs.guard(db, there.situation.job)
    return bool(there.extras)


def _cannot(edges: Edges, situation: Situation, place: Place, failure: Failure, sync: SyncRow | None = None) -> None:
    """The former cluster does not answer, or refuses: say so, and try again later. The new place goes on."""
    with edges.store.write() as db:
        wake = []
        if isinstance(failure, ClusterUnreachable) and place.cluster is not None:
            wake = reach.away(db, edges, place.cluster, failure, situation.row.name)
        if sync is None:
            # A sync that was begun and could not even start is no operation that people have to see.
            sync = syncs.open_of(db, situation.row.id)
        if sync is not None and sync.kind == KIND:
            _ended(db, edges, situation, sync, OperationPhase.FAILED, failure.message)
        jobs.finish(db, situation.job, run_at=edges.now() + AGAIN)
    edges.hint(wake)


def _end(edges: Edges, situation: Situation, sync: SyncRow, phase: OperationPhase, message: str) -> None:
    with edges.store.write() as db:
        _ended(db, edges, situation, sync, phase, message)
        jobs.finish(db, situation.job, run_at=edges.now())


def _ended(
    db: Connection, edges: Edges, situation: Situation, sync: SyncRow, phase: OperationPhase, message: str
) -> None:
    syncs.save_step(
        db, situation.job, sync.id, phase=phase, stage="", waiting=None, message=message, finished_at=edges.now()
    )
