"""Record what a sync has written so far: results, the inventory, and what was seen of the objects, under the fence."""

from sqlalchemy import Connection

from driftline.adapters.store import drifts, jobs, live, objects, syncs
from driftline.adapters.store.objects import ObjectChanges, ObjectState
from driftline.adapters.store.syncs import Step
from driftline.drift.dropped import remember
from driftline.drift.fields import FieldSet, fields_of, owned_by
from driftline.drift.projection import owned_digest
from driftline.flow import observe
from driftline.flow.apply import Written
from driftline.flow.children import is_child
from driftline.flow.looking import comparer_for
from driftline.flow.plans import dump_results
from driftline.flow.run import Run
from driftline.flow.situation import OWN
from driftline.flow.subjects import app_request, hints
from driftline.health.table import health_of
from driftline.model.drift import VerdictState
from driftline.model.health import HealthStatus
from driftline.model.objects import Key, Object, annotations_of
from driftline.model.plan import Op
from driftline.model.sync import ResultStatus
from driftline.sync import options
from driftline.sync.hooks import HookState
from driftline.sync.intents import Wait
from driftline.sync.inventory import claims
from driftline.sync.order import wave_of

IGNORE_HEALTH = "argocd.argoproj.io/ignore-healthcheck"


def save_progress(run: Run) -> None:
    """Save what was written so far."""
    with run.edges.store.write() as db:
        save(run, db, {})
    run.send()


def save_waiting(run: Run, intent: Wait) -> None:
    """Save where the sync stands and what it waits for; whoever sees a change asks for the next look."""
    hooks = sorted({key.id for (_, key), each in run.hooks.items() if each.state is HookState.RUNNING})
    waiting = {"reason": intent.reason, **({"hooks": hooks} if hooks else {})}
    with run.edges.store.write() as db:
        save(run, db, {"stage": "waiting", "waiting": waiting, "message": intent.reason})
        if run.moved_on:
            # Seen while this turn wrote, when a watch wakes nobody for the application.
            jobs.request_many(db, [app_request(run.situation.row.id)])
        jobs.finish(db, run.situation.job, run_at=intent.until)
    run.send()


def save(run: Run, db: Connection, values: Step) -> None:
    """Record results, the inventory and what was seen of the written objects, under the job's fence."""
    record_written(db, run)
    results = {**dump_results(run.results, run.hooks), "failure": run.failure}
    step: Step = {"results": results, **values}
    syncs.save_step(db, run.situation.job, run.sync_id, **step)
    if run.overtaken:
        run.wake += hints(jobs.request_many(db, [app_request(run.situation.row.id)]))
        run.overtaken = False


def record_written(db: Connection, run: Run) -> None:
    """Save what the API server answered to the writes since the last save: rows of objects come before all others."""
    if run.ask.dry_run:
        run.unsaved = []
    if not (run.unsaved or run.gone):
        return
    situation, now = run.situation, run.edges.now()
    assert situation.cluster is not None
    here: dict[Key, ObjectChanges] = {}
    own: dict[Key, ObjectChanges] = {}
    sightings = []
    for written in run.unsaved:
        change = written.change
        if change.op is Op.PRUNE:
            if written.result.status is ResultStatus.PRUNED:
                (own if is_child(change.key) else here)[change.key] = {"state": ObjectState.LEAVING}
            continue
        if not claims(change):
            continue
        if is_child(change.key):
            if written.result.status is ResultStatus.SYNCED:
                own[change.key] = _child_row(written)
        elif written.body is not None and written.result.status is ResultStatus.SYNCED:
            here[change.key] = _object_row(written, run)
            sightings.append(observe.sighting(change.key, written.body))
        else:
            here[change.key] = {"reason": written.result.message}
    objects.save_many(db, run.found.view.uid, situation.row.id, here)
    objects.save_many(db, OWN, situation.row.id, own)
    _save_sightings(db, run, sightings)
    fixed = [each.change.key.id for each in run.unsaved if each.result.status is ResultStatus.SYNCED]
    if run.found.drifted or any(_differed(run, each.change.key) for each in run.unsaved):
        why = "repaired" if run.kind == "self-heal" else "overwritten by a sync"
        drifts.close(db, situation.row.id, fixed, why, now)
    if run.gone:
        _release(db, run)
    run.unsaved = []


def _differed(run: Run, key: Key) -> bool:
    """Whether an object was found different before, so that an interval of drift may be open."""
    row = run.situation.owned.get(key)
    return row is not None and bool(row.uid) and row.verdict is not VerdictState.SYNCED


def _object_row(written: Written, run: Run) -> ObjectChanges:
    """An inventory row from the answer to a write: the answer is what a later look is compared with."""
    body, change = written.body, written.change
    assert body is not None
    desired = run.found.wanted[change.key].body
    health = health_of(body)
    return {
        "uid": str(body["metadata"]["uid"]),
        "state": ObjectState.OWNED,
        "wave": wave_of(annotations_of(desired)),
        "options": list(options.seen(desired)),
        "desired_digest": change.desired_digest,
        "applied_digest": change.desired_digest,
        "applied_fields": _applied(written, run).to_fields_v1(),
        "live_digest": owned_digest(body),
        "verdict": VerdictState.SYNCED,
        "verdict_until": None,
        "reason": "",
        "health_status": health.status if health else HealthStatus.HEALTHY,
        "health_message": health.message if health else "",
        "health_relevant": health_counts(desired),
    }


def _applied(written: Written, run: Run) -> FieldSet:
    """What our apply holds, and what it left behind: fields that Git dropped and others still have."""
    body, key = written.body, written.change.key
    assert body is not None
    if written.client_side:
        desired = run.found.wanted[key].body
        context = comparer_for(run.edges, run.situation, run.found.view).context(desired, None)
        return fields_of(desired, context.type)
    before = run.found.compared.bodies.get(key)
    if before is None or written.change.op is Op.CREATE:
        owned = owned_by(body)
        return owned[0] if owned else FieldSet()
    comparer = comparer_for(run.edges, run.situation, run.found.view)
    return remember(before, body, comparer.context(run.found.wanted[key].body, run.situation.owned.get(key)))


def _child_row(written: Written) -> ObjectChanges:
    digest = written.change.desired_digest
    return {
        "uid": written.result.uid,
        "state": ObjectState.OWNED,
        "desired_digest": digest,
        "applied_digest": digest,
        "verdict": VerdictState.SYNCED,
        "reason": "",
    }


def _save_sightings(db: Connection, run: Run, sightings: list[live.Sighting]) -> None:
    """What our own writes showed, unless a watch has seen something newer: then that is looked at next."""
    if not sightings:
        return
    assert run.situation.cluster is not None
    cluster_id, now = run.situation.cluster.id, run.edges.now()
    saved = live.upsert_later(db, cluster_id, sightings, now)
    left = [each for each in sightings if each.key_id not in saved]
    known = live.of_keys(db, cluster_id, [each.key_id for each in left]) if left else {}
    # Versions that are no numbers say nothing about which is the later: then our own answer counts.
    fresh = [each for each in left if not _later(known[each.key_id].resource_version, each.resource_version)]
    live.upsert_many(db, cluster_id, fresh, now)
    shown = {each.key_id: each for each in sightings}
    run.seen_live |= {key_id: shown[key_id] for key_id in (*saved, *(each.key_id for each in fresh))}
    run.seen_live |= {key_id: row for key_id, row in known.items() if key_id not in run.seen_live}
    overtaken = any(row.digest != shown[key_id].digest or row.gone for key_id, row in known.items())
    run.overtaken = run.overtaken or overtaken
    moved_on = any(row.health_status != shown[key_id].health_status for key_id, row in known.items())
    run.moved_on = run.moved_on or moved_on


def _later(one: str, other: str) -> bool:
    """Whether a resourceVersion is later than another: etcd's revisions are numbers that grow."""
    return one.isdecimal() and other.isdecimal() and int(one) > int(other)


def _release(db: Connection, run: Run) -> None:
    """Narrow the inventory by what a GET has confirmed gone."""
    situation = run.situation
    assert situation.cluster is not None
    here = [key for key in run.gone if not is_child(key)]
    objects.release_many(db, run.found.view.uid, situation.row.id, here)
    objects.release_many(db, OWN, situation.row.id, [key for key in run.gone if is_child(key)])
    live.forget(db, situation.cluster.id, [key.id for key in here])
    drifts.close(db, situation.row.id, [key.id for key in here], "deleted", run.edges.now())
    run.released |= run.gone
    run.gone = set()


def health_counts(desired: Object) -> bool:
    """Whether an object's health is part of its application's."""
    return annotations_of(desired).get(IGNORE_HEALTH, "").lower() != "true"
