"""Delete an application: a sync to nothing, that ends whatever becomes of it.

`cascade` deletes what the application owns and waits until it is gone; `forget` lets its objects be. The row goes last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import applications, audit, jobs, live, objects, syncs
from driftline.adapters.store.objects import ObjectRow
from driftline.flow import signals
from driftline.flow.children import is_child
from driftline.flow.contents import foreign_objects
from driftline.flow.declare import cascades
from driftline.flow.edges import Edges
from driftline.flow.hooking import abandon
from driftline.flow.plans import load_results
from driftline.flow.reading import Reader, live_seen
from driftline.flow.situation import Situation
from driftline.flow.subjects import app_request, hints
from driftline.model.cluster import ApiRefused, Refusal
from driftline.model.errors import Failure, Permanent
from driftline.model.health import HealthStatus
from driftline.model.objects import Key
from driftline.model.plan import Op
from driftline.sync.given import LiveSeen, PlanInput, PlanOptions
from driftline.sync.planning import plan

LOOK_AGAIN = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=30)


def step(edges: Edges, situation: Situation) -> None:
    """Take the deletion one step further."""
    mode = situation.row.delete_mode or "cascade"
    if mode == "forget":
        _forget(edges, situation)
        return
    try:
        left = _delete_children(edges, situation) + _delete_objects(edges, situation, mode)
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


def _delete_objects(edges: Edges, situation: Situation, mode: str) -> str:
    """Ask for the deletion of everything owned that may go; what is left, in words, or empty once all is gone."""
    owned = {key: row for key, row in situation.owned.items() if not is_child(key)}
    if not owned:
        return ""
    if situation.cluster is None:
        raise Permanent(
            f"Application {situation.row.name}: its cluster is not registered any more; "
            "delete it with cascade=false to forget its objects"
        )
    cluster = edges.cluster(situation.cluster)
    reader = Reader(cluster, cluster.kinds(), edges.pool)
    if not all(reader.kinds.knows(key.group_kind) for key in owned):
        # A kind is gone with its CRD only if a fresh and complete discovery says so.
        reader = Reader(cluster, cluster.kinds(refresh=True), edges.pool)
    known = {key: row for key, row in owned.items() if reader.kinds.knows(key.group_kind)}
    silent = [key for key in owned if key not in known and key.group in reader.kinds.broken]
    vanished = [key for key in owned if key not in known and key not in silent]
    _abandon_hooks(situation, reader)
    # In the preferred version: the one that Git named may not be served any more.
    reads = reader.read(dict.fromkeys(known, ""))
    gone = [key for key, body in reads.found.items() if body is None]
    stuck: list[Failure] = [*reads.failed.values(), *(reader.unserved(key) for key in silent)]
    seen = {key: live_seen(body, situation.marks) for key, body in reads.found.items()}
    choice = _decide(situation, known, seen)
    left = [key for key, found in seen.items() if found is not None and key not in choice.kept]
    if left and not stuck and all(key in choice.held and key.kind == "Namespace" for key in left):
        # Everything else is gone: what a namespace holds now is of others.
        counted = {key: foreign_objects(reader, key.name) for key in left}
        seen |= {key: replace(found, holds=counted[key]) for key in left if (found := seen[key]) is not None}
        choice = _decide(situation, known, seen)
    for key in choice.going:
        found = seen[key]
        if found is None or found.deleting:
            continue
        resource = reader.resource(key)
        if resource is None:
            continue
        try:
            cluster.delete(
                resource,
                key.namespace,
                key.name,
                uid=found.uid,
                resource_version=found.resource_version,
                propagation="background" if mode == "background" else "foreground",
            )
        except ApiRefused as refused:
            # The others go all the same. What changed meanwhile is looked at again.
            if refused.refusal is not Refusal.CONFLICT:
                stuck.append(refused)
    with edges.store.write() as db:
        jobs.guard(db, situation.job)
        released = sorted({*gone, *vanished, *choice.kept})
        objects.release_many(db, situation.uid, situation.row.id, released)
        live.forget(db, situation.cluster.id, [key.id for key in released])
    if stuck:
        raise stuck[0]
    left = [key for key in left if key not in choice.kept]
    if left and all(key in choice.held for key in left):
        return f"{left[0]} waits for a person: {choice.held[left[0]]}"
    if left:
        holders = [f"{key}" for key in left[:3]]
        return f"waiting for the deletion of {', '.join(holders)}" + (
            f" and {len(left) - 3} more" if len(left) > 3 else ""
        )
    return ""


@dataclass(frozen=True)
class _Choice:
    """What becomes of the live objects of an application that is deleted."""

    going: Sequence[Key]
    """Deleted, in this order."""
    held: Mapping[Key, str]
    """Waiting, and for what."""
    kept: frozenset[Key]
    """They outlive it: by their own wish, because they are not ours, or because things of others are in them."""


def _decide(situation: Situation, owned: Mapping[Key, ObjectRow], seen: Mapping[Key, LiveSeen | None]) -> _Choice:
    """Decide on every object that was read; of one that could not be read nothing is known."""
    from driftline.flow.planmaking import owned_row

    given = PlanInput(
        wanted={},
        owned={key: owned_row(row) for key, row in owned.items() if key in seen},
        live=seen,
        options=PlanOptions(
            application=situation.row.name,
            prune=True,
            deleting=True,
            allow_empty=True,
            sync_options=situation.app.sync_options,
            approved=frozenset(Key.parse(each) for each in (situation.row.delete_approved or ())),
        ),
    )
    made = plan(given)
    going = [change.key for change in made.changes() if change.op is Op.PRUNE]
    held = {each.change.key: each.reason for each in made.held if not _holds_others(seen[each.change.key])}
    alive = {key for key, found in seen.items() if found is not None}
    return _Choice(going, held, frozenset(alive - held.keys() - set(going)))


def _holds_others(found: LiveSeen | None) -> bool:
    return found is not None and bool(found.holds)


def _abandon_hooks(situation: Situation, reader: Reader) -> None:
    """Let go of the hooks of a sync under way: our finalizer would keep them, and their namespace, for ever."""
    sync = situation.sync
    if sync is None:
        return
    _, hooks = load_results(sync.results)
    abandon(reader, sync.id, sorted({key for _, key in hooks}))


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
