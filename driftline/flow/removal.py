"""Delete an application: a sync to nothing, that ends whatever becomes of it.

`cascade` deletes what the application owns and waits until it is gone; `forget` lets its objects be. The row goes last.
"""

from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import applications, audit, jobs, objects, syncs
from driftline.flow import signals
from driftline.flow.declare import cascades
from driftline.flow.deleting import delete_objects
from driftline.flow.edges import Edges
from driftline.flow.situation import Situation
from driftline.flow.subjects import app_request, hints
from driftline.model.errors import Failure
from driftline.model.health import HealthStatus
from driftline.model.objects import Key

LOOK_AGAIN = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=30)


def step(edges: Edges, situation: Situation) -> None:
    """Take the deletion one step further."""
    mode = situation.row.delete_mode or "cascade"
    if mode == "forget":
        _forget(edges, situation)
        return
    try:
        left = _delete_children(edges, situation) + delete_objects(edges, situation, mode)
    except Failure as failure:
        _not_yet(edges, situation, failure.message)
        return
    if left:
        _not_yet(edges, situation, left)
        return
    _forget(edges, situation)


def _delete_children(edges: Edges, situation: Situation) -> str:
    """Mark the children as being deleted; what is left of them, in words, or empty."""
    with edges.store.write() as db:
        children = applications.children(db, situation.row.id)
        fresh = applications.by_ids(db, [row.id for row in children if not row.deleting])
        # A child without the finalizer keeps its objects, as it would if it were deleted by itself.
        modes = {number: "cascade" if cascades(row.document) else "forget" for number, row in fresh.items()}
        applications.set_statuses(db, {number: {"deleting": True, "delete_mode": modes[number]} for number in modes})
        ids = jobs.request_many(db, [app_request(number) for number in sorted(modes)])
    edges.hint(hints(ids))
    return f"waiting for the deletion of application {children[0].name}" if children else ""


def _not_yet(edges: Edges, situation: Situation, message: str) -> None:
    # What has waited for long is looked at less often; a second is for what is over in a moment.
    same = situation.row.health_message == message and situation.row.health_changed_at is not None
    since = edges.now() - situation.row.health_changed_at if same and situation.row.health_changed_at else timedelta(0)
    with edges.store.write() as db:
        applications.set_status(
            db,
            situation.row.id,
            health_status=HealthStatus.PROGRESSING,
            health_message=message,
            checked_at=edges.now(),
        )
        jobs.finish(db, situation.job, run_at=min(max(LOOK_AGAIN, since / 10), LONGEST_WAIT))


def _forget(edges: Edges, situation: Situation) -> None:
    """Take the application out of the database: its objects stay in the cluster, without an owner."""
    with edges.store.write() as db:
        jobs.guard(db, situation.job)
        told = signals.all_over(db, edges, f"app:{situation.row.name}", "the application was deleted")
        forget_rows(db, situation)
        audit.append(db, "driftline", "application deleted", f"app:{situation.row.name}")
        jobs.finish(db, situation.job)
        wake = []
        if situation.row.parent_id is not None:
            wake = hints(jobs.request_many(db, [app_request(situation.row.parent_id)]))
    edges.hint([*wake, *told])


def forget_rows(db: Connection, situation: Situation) -> None:
    """Drop everything that the database holds of an application."""
    for uid, keys in _by_cluster(situation).items():
        objects.release_many(db, uid, situation.row.id, keys)
    sync = syncs.open_of(db, situation.row.id)
    if sync is not None:
        syncs.request_terminate(db, situation.row.id)
    applications.remove(db, situation.row.id)


def _by_cluster(situation: Situation) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for row in (*situation.owned.values(), *situation.elsewhere):
        found.setdefault(row.cluster_uid, []).append(row.key)
    return found
