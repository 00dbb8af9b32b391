"""End a sync, or leave it for later, with all that follows from it in one transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from driftline.adapters import metrics
from driftline.adapters.store import applications, histories, jobs, syncs
from driftline.adapters.store.syncs import Step, SyncRow
from driftline.flow import appstatus, outcome, recording, signals, standing, wellbeing, writing
from driftline.flow.edges import Edges
from driftline.flow.leaving import let_go
from driftline.flow.memory import Memory
from driftline.flow.plans import dump_results
from driftline.flow.run import Run
from driftline.flow.situation import Situation
from driftline.flow.subjects import hints
from driftline.model.alert import Condition, Signal
from driftline.model.errors import Failure, Permanent, Temporary
from driftline.model.health import SyncStatus
from driftline.model.sync import OperationPhase, ResultStatus
from driftline.sync.automation import Attempt
from driftline.sync.intents import Fail

AGAIN = timedelta(seconds=5)
"""When to look again after an automated sync has failed for good; from there on the waits of repairs count."""

FORMER_AGAIN = timedelta(minutes=5)
"""When to try again after a former cluster has refused a prune: nobody watches there for what made it refuse."""


def finish(run: Run, phase: OperationPhase, message: str) -> None:
    """End the operation."""
    now = run.edges.now()
    succeeded = phase is OperationPhase.SUCCEEDED
    let_hooks_go(run, succeeded)
    step: Step = {"phase": phase, "stage": "", "waiting": None, "message": message, "finished_at": now}
    situation = run.situation
    with run.edges.store.write() as db:
        changes, raised = outcome.status_after(run, phase, message, now)
        recording.record_written(db, run)
        if succeeded and outcome.counts_as_deployment(run):
            histories.append(db, outcome.deployment(db, run, now), situation.app.history_limit)
        if not (run.ask.dry_run or run.ask.former):
            health = outcome.health_after(run)
            changes["health_status"], changes["health_message"] = health.status, health.message
            raised += wellbeing.signals_of(situation.row, health)
        changes["last_sync_id"] = run.sync_id
        applications.set_status(db, situation.row.id, **changes)
        run.wake += signals.raise_signals(db, run.edges, raised, situation.row)
        recording.save(run, db, step)
        again = phase is OperationPhase.SUPERSEDED or outcome.behind_git(run) or (succeeded and _cleared(run))
        jobs.finish(db, situation.job, run_at=now if again else _later(run, phase, now))
    if again:
        run.wake += hints((situation.job.id,), situation.job.queue)
    run.send()
    metrics.sync_took(now - (run.sync.started_at if run.sync else run.attempt_at or now), str(phase))
    run.edges.log.info("sync ended", application=situation.row.name, phase=str(phase), message=message)


def _cleared(run: Run) -> bool:
    """Whether this has pruned a former cluster, and nothing of what it was to delete was refused there."""
    skipped = any(each.status is ResultStatus.PRUNE_SKIPPED for each in run.results.values())
    return bool(run.ask.former) and not skipped


def _later(run: Run, phase: OperationPhase, now: datetime) -> datetime | None:
    """When to look again by itself after an operation that leaves something to be done."""
    if run.ask.former:
        return now + FORMER_AGAIN
    # What is left in a former cluster comes next.
    return now + AGAIN if outcome.repair_goes_on(run, phase) or run.situation.elsewhere else None


def let_hooks_go(run: Run, succeeded: bool | None) -> None:
    """Release and clear away hooks. One that the API server refuses to change does not keep the sync from ending."""
    if not run.hooks or run.ask.dry_run:
        return
    try:
        writing.hook_keeper(run).release(run.hooks, succeeded)
    except Permanent as failure:
        run.edges.log.warning("hook not released", application=run.situation.row.name, reason=failure.message)


def wait_for_retry(run: Run, intent: Fail, at: datetime) -> None:
    """This attempt failed; the next one has its time. People hear of the failure now, once."""
    situation = run.situation
    let_hooks_go(run, None)
    step: Step = {"stage": "retrying", "message": intent.message, "retry_at": at}
    with run.edges.store.write() as db:
        recording.record_written(db, run)
        run.wake += signals.raise_signals(
            db, run.edges, outcome.signals_of(run, OperationPhase.FAILED, intent.message, SyncStatus.UNKNOWN)
        )
        recording.save(run, db, step)
        jobs.finish(db, situation.job, run_at=at)
    run.send()


def hold(run: Run, reason: str) -> None:
    """All that may run has run; a person has to allow the rest of exactly this plan."""
    situation = run.situation
    waited = run.sync is not None and run.sync.phase is OperationPhase.HELD
    if not waited:
        let_hooks_go(run, None)
    facts: dict[str, Any] = {"application": situation.row.name, "message": reason, "plan": str(run.plan)}
    facts["confirm"] = all(each.confirm for each in run.plan.held)
    signal = Signal(Condition.PLAN_HELD, f"app:{situation.row.name}", True, cause=run.plan.digest, facts=facts)
    with run.edges.store.write() as db:
        if run.ask.former:
            pass  # It says nothing of the destination.
        elif waited:
            # It has waited before: what this look found of drift and health is recorded as without a sync.
            run.wake += standing.record(db, run.edges, run.found, run.memory)
        else:
            changes, _ = outcome.status_after(run, OperationPhase.HELD, reason, run.edges.now())
            recording.record_written(db, run)
            health = outcome.health_after(run)
            changes["health_status"], changes["health_message"] = health.status, health.message
            applications.set_status(db, situation.row.id, **changes)
        run.wake += signals.raise_signals(db, run.edges, [signal], situation.row)
        recording.save(
            run, db, {"phase": OperationPhase.HELD, "stage": "held", "message": reason, "waiting": {"reason": reason}}
        )
        jobs.finish(db, situation.job)
    run.send()


def cannot_plan(run: Run, failure: Failure) -> None:
    """Something the plan depends on could not be read: again later, or the sync fails with the reason."""
    situation = run.situation
    temporary = isinstance(failure, Temporary)
    if not temporary:
        let_hooks_go(run, False)
    pairs = [*((each.type, each.message) for each in run.found.status.conditions), ("ComparisonError", failure.message)]
    with run.edges.store.write() as db:
        conditions = appstatus.conditions_json(situation, pairs, run.edges.now())
        applications.set_status(db, situation.row.id, conditions=conditions)
        wake = []
        if not temporary:
            wake = signals.raise_signals(
                db,
                run.edges,
                outcome.signals_of(run, OperationPhase.ERROR, failure.message, SyncStatus.UNKNOWN),
                situation.row,
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
    let_go(edges, situation)
    with edges.store.write() as db:
        conditions = appstatus.conditions_json(situation, [("ComparisonError", message)], now)
        applications.set_status(
            db,
            situation.row.id,
            sync_status=SyncStatus.UNKNOWN,
            conditions=conditions,
            last_sync_id=sync.id,
            self_heal=memory.with_attempt(Attempt(target, OperationPhase.ERROR, message)).to_json(),
        )
        wake = signals.raise_signals(db, edges, [signal])
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
        jobs.finish(db, situation.job)
    edges.hint(wake)
