"""What a sync leaves behind once it has ended: the application's status, what people hear, the history entry."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from driftline.adapters.store import histories
from driftline.adapters.store.applications import Changes
from driftline.adapters.store.objects import ObjectState
from driftline.desired.urls import GIT
from driftline.flow import appstatus, charts, wellbeing
from driftline.flow.children import is_child
from driftline.flow.looking import status_of
from driftline.flow.recording import health_counts
from driftline.flow.run import Run
from driftline.model.alert import Condition, Signal
from driftline.model.health import Health, SyncStatus
from driftline.model.revisions import short
from driftline.model.sync import OperationPhase, ResultStatus
from driftline.sync import texts


def status_after(run: Run, phase: OperationPhase, message: str, now: datetime) -> tuple[Changes, list[Signal]]:
    """The application's status after the sync, and what people hear of it. A dry run has changed neither."""
    if run.ask.dry_run:
        return {}, []
    if run.ask.former:
        return {}, signals_of(run, phase, message, SyncStatus.UNKNOWN)
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
    pairs = [(each.type, each.message) for each in status.conditions] + run.found.left_behind
    if phase in (OperationPhase.FAILED, OperationPhase.ERROR):
        revision = short((run.found.wish.revisions or ("",))[0])
        pairs.append(("SyncError", texts.failed_attempt(revision, message)))
    memory = run.memory if run.kind == "self-heal" else run.memory.with_attempt(run.attempt(phase, message))
    summary = {**(appstatus.summary_of(run.edges, run.found)), "outOfSync": len(status.out_of_sync)}
    if situation.elsewhere and run.ask.prune and run.ask.only is None:
        summary["pruneFormer"] = True
    changes: Changes = {
        "sync_status": run.found.shown(status.status),
        "conditions": appstatus.conditions_json(situation, pairs, now),
        "checked_at": now,
        "self_heal": memory.to_json(),
        "summary": summary,
    }
    if phase is OperationPhase.SUCCEEDED and _ends_pin(run):
        changes["pin"] = None
    return changes, signals_of(run, phase, message, status.status)


def signals_of(run: Run, phase: OperationPhase, message: str, status: SyncStatus) -> list[Signal]:
    """What people hear of an attempt that ended in `phase`, and what of earlier trouble is over."""
    name = run.situation.row.name
    subject = f"app:{name}"
    revision = (run.found.wish.revisions or ("",))[0]
    facts: dict[str, Any] = {"application": name, "revision": short(revision), "message": message, "how": message}
    facts["results"] = [
        result.message if result.message.startswith(f"{result.key}: ") else f"{result.key}: {result.message}"
        for result in run.results.values()
        if result.status is ResultStatus.SYNC_FAILED and result.message
    ][:20]
    # A plan was made: so the comparison is possible again, and no earlier plan waits any more.
    over = [
        Signal(Condition.PLAN_HELD, subject, False, facts={**facts, "how": message}),
        Signal(Condition.SYNC_UNKNOWN, subject, False, facts={"application": name}),
    ]
    if run.terminate:
        return over  # Whoever stopped it knows; an earlier failure stays told.
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


def counts_as_deployment(run: Run) -> bool:
    """Whether the sync is one for the history: not a partial one, a dry run or a repair."""
    return run.ask.only is None and not run.ask.dry_run and run.kind not in ("self-heal", "delete", "former")


def _ends_pin(run: Run) -> bool:
    """Whether what runs now is Git's again, so that an earlier rollback has had its time."""
    pin = run.memory.pin
    return pin is not None and not pin.manual and run.kind != "rollback" and counts_as_deployment(run)


def deployment(db: Connection, run: Run, now: datetime) -> histories.Deployment:
    """The history entry of a sync that has succeeded."""
    found = run.found.wish
    who = run.sync.initiated_by if run.sync else "automated sync policy"
    return histories.Deployment(
        application_id=run.situation.row.id,
        revisions=list(found.revisions),
        sources=_sources(db, run),
        render_id=run.render_id,
        sync_id=run.sync_id,
        started_at=run.attempt_at or now,
        deployed_at=now,
        initiated_by=who,
    )


def _sources(db: Connection, run: Run) -> list[Any]:
    """The sources as declared; those that are charts with the digest of what was deployed, for whoever looks back."""
    situation = run.situation
    spec = situation.app.document.get("spec") or {}
    declared = list(spec.get("sources") or [spec.get("source")])
    if all(row.kind == GIT for row in situation.repositories):
        return declared
    earlier = histories.of_application(db, situation.row.id)
    found = []
    places = zip(declared, situation.repositories, run.found.wish.revisions, strict=False)
    for place, (each, row, version) in enumerate(places):
        digest = charts.digest_of(row, str(each.get("chart") or ""), version)
        digest = digest or _earlier_digest(earlier, place, version)
        found.append({**each, "digest": digest} if row.kind != GIT and digest else each)
    return found


def _earlier_digest(entries: Sequence[histories.HistoryRow], place: int, version: str) -> str:
    """The digest with which a version was deployed before, which no application may follow any more."""
    for entry in entries:
        if len(entry.revisions or ()) > place and (entry.revisions or ())[place] == version:
            return str((entry.sources or {})[place].get("digest", ""))
    return ""


def health_after(run: Run) -> Health:
    """From what was written in this turn, else from what was known before it."""
    situation = run.situation
    relevant = {key: row.health_relevant for key, row in situation.owned.items() if row.state != ObjectState.LEAVING}
    for key, result in run.results.items():
        if result.status is ResultStatus.PRUNED:
            relevant.pop(key, None)
        elif key in run.found.wanted and result.status is ResultStatus.SYNCED:
            relevant[key] = health_counts(run.found.wanted[key].body)
    return wellbeing.of_objects(
        [
            (key, run.seen_live.get(key.id) or situation.live.get(key.id), counts)
            for key, counts in sorted(relevant.items())
            if not is_child(key)
        ]
    )


def repair_goes_on(run: Run, phase: OperationPhase) -> bool:
    """Whether a failure is tried again, at growing distances: what made it fail may be over, and nobody would tell."""
    automated = run.situation.app.automated
    heals = automated is not None and automated.self_heal and run.ask.automated
    return heals and phase is OperationPhase.FAILED and not run.terminate


def behind_git(run: Run) -> bool:
    """Whether the cluster may differ from Git after this sync: it was partial, or went back to what Git had once."""
    return run.kind == "rollback" or (run.kind == "self-heal" and bool(run.found.behind))
