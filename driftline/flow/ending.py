"""Record what a sync did and how it ended: the inventory, history, status, alerts, all in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from driftline.adapters import metrics
from driftline.adapters.store import applications, drifts, histories, jobs, live, objects, syncs
from driftline.adapters.store.applications import Changes
from driftline.adapters.store.objects import ObjectChanges, ObjectState
from driftline.adapters.store.syncs import Step, SyncRow
from driftline.drift.dropped import remember
from driftline.drift.fields import FieldSet, owned_by
from driftline.drift.projection import owned_digest
from driftline.flow import observe, signals, standing, wellbeing
from driftline.flow.children import is_child
from driftline.flow.edges import Edges
from driftline.flow.looking import comparer_for, status_of
from driftline.flow.memory import Memory
from driftline.flow.plans import dump_results
from driftline.flow.situation import OWN, Situation
from driftline.flow.subjects import app_request, hints
from driftline.health.table import health_of
from driftline.model.alert import Condition, Signal
from driftline.model.drift import VerdictState
from driftline.model.errors import Failure, Permanent, Temporary
from driftline.model.health import Health, HealthStatus, SyncStatus
from driftline.model.objects import Key, Object, annotations_of
from driftline.model.plan import Op
from driftline.model.sync import OperationPhase, ResultStatus
from driftline.sync import options, texts
from driftline.sync.automation import Attempt
from driftline.sync.intents import Fail
from driftline.sync.inventory import claims
from driftline.sync.order import wave_of

if TYPE_CHECKING:
    from driftline.flow.apply import Written
    from driftline.flow.stepping import Run

AGAIN = timedelta(seconds=5)
"""When to look again after an automated sync has failed for good; from there on the waits of repairs count."""

IGNORE_HEALTH = "argocd.argoproj.io/ignore-healthcheck"


def record_written(db: Connection, run: Run) -> None:
    """Save what the API server answered to the writes since the last save."""
    if run.ask.dry_run:
        run.unsaved = []
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
        "health_relevant": _health_counts(desired),
    }


def _applied(written: Written, run: Run) -> FieldSet:
    """What our apply holds, and what it left behind: fields that Git dropped and others still have."""
    body, key = written.body, written.change.key
    assert body is not None
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
    cluster_id = run.situation.cluster.id
    known = live.of_keys(db, cluster_id, [each.key_id for each in sightings])
    fresh, overtaken = [], False
    for each in sightings:
        row = known.get(each.key_id)
        if row is not None and _later(row.resource_version, each.resource_version):
            overtaken = overtaken or row.digest != each.digest or row.gone
        else:
            fresh.append(each)
    live.upsert_many(db, cluster_id, fresh, run.edges.now())
    run.seen_live.update({each.key_id: each for each in fresh})
    run.seen_live.update({key_id: row for key_id, row in known.items() if key_id not in run.seen_live})
    if overtaken:
        run.wake += hints(jobs.request_many(db, [app_request(run.situation.row.id)]))


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


def finish(run: Run, phase: OperationPhase, message: str) -> None:
    """End the operation."""
    now = run.edges.now()
    succeeded = phase is OperationPhase.SUCCEEDED
    _let_hooks_go(run, succeeded)
    step: Step = {"phase": phase, "stage": "", "waiting": None, "message": message, "finished_at": now}
    situation = run.situation
    with run.edges.store.write() as db:
        changes, raised = ({}, []) if run.ask.dry_run else _outcome(db, run, phase, message, now)
        run.save(db, step)
        if succeeded and _counts_as_deployment(run):
            histories.append(db, _deployment(run, now), situation.app.history_limit)
        if not run.ask.dry_run:
            health = _health_after(run)
            changes["health_status"], changes["health_message"] = health.status, health.message
            raised += wellbeing.signals_of(situation.row, health)
        changes["last_sync_id"] = run.sync_id
        applications.set_status(db, situation.row.id, **changes)
        run.wake += signals.raise_signals(db, run.edges, raised, situation.row)
        again = phase is OperationPhase.SUPERSEDED or _left_behind(run)
        later = now + AGAIN if _repair_goes_on(run, phase) else None
        jobs.finish(db, situation.job, run_at=now if again else later)
    if again:
        run.wake += hints((situation.job.id,), situation.job.queue)
    run.send()
    metrics.sync_took(now - (run.sync.started_at if run.sync else run.attempt_at or now), str(phase))
    run.edges.log.info("sync ended", application=situation.row.name, phase=str(phase), message=message)


def _let_hooks_go(run: Run, succeeded: bool | None) -> None:
    """Release and clear away hooks. One that the API server refuses to change does not keep the sync from ending."""
    if not run.hooks or run.ask.dry_run:
        return
    try:
        run.hook_keeper().release(run.hooks, succeeded)
    except Permanent as failure:
        run.edges.log.warning("hook not released", application=run.situation.row.name, reason=failure.message)


def _repair_goes_on(run: Run, phase: OperationPhase) -> bool:
    """Whether a failure is tried again, at growing distances: what made it fail may be over, and nobody would tell."""
    automated = run.situation.app.automated
    heals = automated is not None and automated.self_heal and run.ask.automated
    return heals and phase is OperationPhase.FAILED and not run.terminate


def _left_behind(run: Run) -> bool:
    """Whether the cluster may differ from Git after this sync: it was partial, or went back to what Git had once."""
    return run.kind == "rollback" or (run.kind == "self-heal" and bool(run.found.behind))


def _outcome(
    db: Connection, run: Run, phase: OperationPhase, message: str, now: datetime
) -> tuple[Changes, list[Signal]]:
    """The application's status after the sync, and what people hear of it."""
    situation = run.situation
    written = {key for key, result in run.results.items() if result.status is ResultStatus.SYNCED}
    extras = run.found.extras - run.gone - run.released
    compared = replace(
        run.found.compared,
        verdicts={key: each for key, each in run.found.compared.verdicts.items() if key not in written},
    )
    status = status_of(
        run.found.wish,
        run.found.wanted,
        situation.owned,
        compared,
        run.found.behind - written,
        extras,
        run.found.problems,
    )
    pairs = [(each.type, each.message) for each in status.conditions]
    if phase in (OperationPhase.FAILED, OperationPhase.ERROR):
        revision = (run.found.wish.revisions or ("",))[0][:12]
        pairs.append(("SyncError", texts.failed_attempt(revision, message)))
    memory = run.memory if run.kind == "self-heal" else run.memory.with_attempt(run.attempt(phase, message))
    summary = {**(standing.summary_of(run.edges, run.found)), "outOfSync": len(status.out_of_sync)}
    changes: Changes = {
        "sync_status": status.status,
        "conditions": standing.conditions_json(situation, pairs, now),
        "checked_at": now,
        "self_heal": memory.to_json(),
        "summary": summary,
    }
    if phase is OperationPhase.SUCCEEDED and _ends_pin(run):
        changes["pin"] = None
    return changes, _signals(run, phase, message, status.status)


def _signals(run: Run, phase: OperationPhase, message: str, status: SyncStatus) -> list[Signal]:
    name = run.situation.row.name
    subject = f"app:{name}"
    revision = (run.found.wish.revisions or ("",))[0]
    facts: dict[str, Any] = {"application": name, "revision": revision[:12], "message": message, "how": message}
    facts["results"] = [
        f"{result.key}: {result.message}"
        for result in run.results.values()
        if result.status is ResultStatus.SYNC_FAILED and result.message
    ][:20]
    # A plan was made: so the comparison is possible again, and no earlier plan waits any more.
    over = [
        Signal(Condition.PLAN_HELD, subject, False, facts={**facts, "how": message}),
        Signal(Condition.SYNC_UNKNOWN, subject, False, facts={"application": name}),
    ]
    if phase in (OperationPhase.FAILED, OperationPhase.ERROR):
        return [Signal(Condition.SYNC_FAILED, subject, True, cause=run.found.target, facts=facts), *over]
    if phase is not OperationPhase.SUCCEEDED:
        return over
    raised = [Signal(Condition.SYNC_FAILED, subject, False, facts=facts), *over]
    if status is SyncStatus.SYNCED:
        raised.append(Signal(Condition.DRIFT_FOUND, subject, False, facts={**facts, "how": _how(run)}))
    if run.kind != "self-heal":
        facts = {**facts, "plan": str(run.plan)}
        raised.append(Signal(Condition.SYNC_SUCCEEDED, subject, True, cause=f"{run.sync_id}", once=True, facts=facts))
    return raised


def _how(run: Run) -> str:
    return "repaired by self-heal" if run.kind == "self-heal" else "overwritten by a sync"


def _counts_as_deployment(run: Run) -> bool:
    return run.ask.only is None and not run.ask.dry_run and run.kind not in ("self-heal", "delete")


def _ends_pin(run: Run) -> bool:
    """Whether what runs now is Git's again, so that an earlier rollback has had its time."""
    pin = run.memory.pin
    return pin is not None and not pin.manual and run.kind != "rollback" and _counts_as_deployment(run)


def _deployment(run: Run, now: datetime) -> histories.Deployment:
    spec = run.situation.app.document.get("spec") or {}
    found = run.found.wish
    who = run.sync.initiated_by if run.sync else "automated sync policy"
    return histories.Deployment(
        application_id=run.situation.row.id,
        revisions=list(found.revisions),
        sources=spec.get("sources") or [spec.get("source")],
        render_id=run.render_id,
        sync_id=run.sync_id,
        started_at=run.attempt_at or now,
        deployed_at=now,
        initiated_by=who,
    )


def _health_after(run: Run) -> Health:
    """From what was written in this turn, else from what was known before it."""
    situation = run.situation
    relevant = {key: row.health_relevant for key, row in situation.owned.items() if row.state != ObjectState.LEAVING}
    for key, result in run.results.items():
        if result.status is ResultStatus.PRUNED:
            relevant.pop(key, None)
        elif key in run.found.wanted and result.status is ResultStatus.SYNCED:
            relevant[key] = _health_counts(run.found.wanted[key].body)
    return wellbeing.of_objects(
        [
            (key, run.seen_live.get(key.id) or situation.live.get(key.id), counts)
            for key, counts in sorted(relevant.items())
            if not is_child(key)
        ]
    )


def _health_counts(desired: Object) -> bool:
    return annotations_of(desired).get(IGNORE_HEALTH, "").lower() != "true"


def wait_for_retry(run: Run, intent: Fail, at: datetime) -> None:
    """This attempt failed; the next one has its time. People hear of the failure now, once."""
    situation = run.situation
    _let_hooks_go(run, None)
    step: Step = {"stage": "retrying", "message": intent.message, "retry_at": at}
    with run.edges.store.write() as db:
        run.save(db, step)
        run.wake += signals.raise_signals(
            db, run.edges, _signals(run, OperationPhase.FAILED, intent.message, SyncStatus.UNKNOWN)
        )
        jobs.finish(db, situation.job, run_at=at)
    run.send()


def hold(run: Run, reason: str) -> None:
    """All that may run has run; a person has to allow the rest of exactly this plan."""
    situation = run.situation
    facts = {"application": situation.row.name, "message": reason, "plan": str(run.plan)}
    signal = Signal(Condition.PLAN_HELD, f"app:{situation.row.name}", True, cause=run.plan.digest, facts=facts)
    with run.edges.store.write() as db:
        if run.sync is not None and run.sync.phase is OperationPhase.HELD:
            # It has waited before: what this look found of drift and health is recorded as without a sync.
            run.wake += standing.record(db, run.edges, run.found, run.memory)
        else:
            changes, _ = _outcome(db, run, OperationPhase.HELD, reason, run.edges.now())
            health = _health_after(run)
            changes["health_status"], changes["health_message"] = health.status, health.message
            applications.set_status(db, situation.row.id, **changes)
        run.save(db, {"phase": OperationPhase.HELD, "stage": "held", "message": reason, "waiting": {"reason": reason}})
        run.wake += signals.raise_signals(db, run.edges, [signal], situation.row)
        jobs.finish(db, situation.job)
    run.send()


def cannot_plan(run: Run, failure: Failure) -> None:
    """Something the plan depends on could not be read: again later, or the sync fails with the reason."""
    situation = run.situation
    temporary = isinstance(failure, Temporary)
    with run.edges.store.write() as db:
        wake = []
        if not temporary:
            wake = signals.raise_signals(
                db, run.edges, _signals(run, OperationPhase.ERROR, failure.message, SyncStatus.UNKNOWN), situation.row
            )
        if run.sync_id and not temporary:
            syncs.save_step(
                db,
                situation.job,
                run.sync_id,
                phase=OperationPhase.ERROR,
                stage="",
                message=failure.message,
                finished_at=run.edges.now(),
            )
        pairs = [(each.type, each.message) for each in run.found.status.conditions] + [
            ("ComparisonError", failure.message)
        ]
        conditions = standing.conditions_json(situation, pairs, run.edges.now())
        applications.set_status(db, situation.row.id, conditions=conditions)
        delay = failure.delay if isinstance(failure, Temporary) else timedelta(seconds=30)
        jobs.finish(db, situation.job, run_at=run.edges.now() + delay)
    run.edges.hint(wake)


def fail_without_look(edges: Edges, situation: Situation, sync: SyncRow, message: str) -> None:
    """End a sync whose manifests could not be made."""
    now = edges.now()
    facts: Mapping[str, Any] = {"application": situation.row.name, "message": message}
    signal = Signal(Condition.SYNC_FAILED, f"app:{situation.row.name}", True, cause=message[:200], facts=facts)
    memory = Memory.of(situation.row)
    target = str((sync.request or {}).get("target", ""))
    with edges.store.write() as db:
        syncs.save_step(
            db,
            situation.job,
            sync.id,
            phase=OperationPhase.ERROR,
            stage="",
            message=message,
            finished_at=now,
            results=sync.results or dump_results({}, {}),
        )
        conditions = standing.conditions_json(situation, [("ComparisonError", message)], now)
        applications.set_status(
            db,
            situation.row.id,
            sync_status=SyncStatus.UNKNOWN,
            conditions=conditions,
            last_sync_id=sync.id,
            self_heal=memory.with_attempt(Attempt(target, OperationPhase.ERROR, message)).to_json(),
        )
        wake = signals.raise_signals(db, edges, [signal])
        jobs.finish(db, situation.job)
    edges.hint(wake)
