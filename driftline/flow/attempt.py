"""Make, store and take up the plan of one attempt of a sync. Called by `stepping`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from driftline.adapters.sealing import context as sealed_for
from driftline.adapters.store import jobs, objects, syncs
from driftline.adapters.store.objects import Claim
from driftline.adapters.store.syncs import Step, SyncRow
from driftline.flow import desire, ending, standing
from driftline.flow.apply import EXISTS
from driftline.flow.children import is_child
from driftline.flow.looking import Look
from driftline.flow.planmaking import make_plan
from driftline.flow.plans import dump_plan, dump_results, load_plan, load_results, plan_view
from driftline.flow.run import SOON, Run
from driftline.flow.situation import OWN
from driftline.model.drift import Verdict, VerdictState
from driftline.model.errors import Failure
from driftline.model.objects import Key
from driftline.model.sync import ObjectResult, OperationPhase, ResultStatus
from driftline.sync.inventory import claims


def plan_attempt(run: Run) -> bool:
    """Make the plan of a new attempt and store it with the wider inventory, before anything is written.

    False: there was nothing to run, and everything is recorded already. Raises ClusterUnreachable, with nothing
    changed, if the comparison met a cluster that does not answer: that is its trouble and no failed sync.
    """
    if run.found.compared.away is not None:
        raise run.found.compared.away
    run.attempt_at, run.retry_at = run.edges.now(), None
    run.results, run.hooks, run.health = {}, {}, {}
    return _plan(run, run.attempt_at)


def plan_again(run: Run) -> bool:
    """Plan once more in the same attempt, with what its writes have taught. What it has done is done, hooks too.

    False as for `plan_attempt`.
    """
    run.results = {key: each for key, each in run.results.items() if each.status is ResultStatus.SYNCED}
    return _plan(run, run.attempt_at or run.edges.now(), again=True)


def plan_allowed(run: Run) -> bool:
    """Plan what a person has allowed of a held plan. Its hooks have run and do not run again, but for SyncFail ones.

    False as for `plan_attempt`.
    """
    ending.let_hooks_go(run, True)
    run.ask = replace(run.ask, hooks_ran=True)
    return plan_attempt(run)


def _plan(run: Run, started_at: datetime, again: bool = False) -> bool:
    run.ask = replace(run.ask, started_at=started_at, exists=run.exists)
    try:
        run.plan, run.given = make_plan(run.edges, run.found, run.ask)
    except Failure as failure:
        ending.cannot_plan(run, failure)
        return False
    run.present, run.failure = {}, ""
    for held in run.plan.skipped:
        skipped = ObjectResult(held.change.key, ResultStatus.PRUNE_SKIPPED, message=held.reason, at=run.edges.now())
        run.results[held.change.key] = skipped
    try:
        with run.edges.store.write() as db:
            _store_plan(run, db, again)
    except _Rival:
        # Another sync was started between our look and now: this look is over, the other one goes on.
        with run.edges.store.write() as db:
            jobs.finish(db, run.situation.job, run_at=run.edges.now() + SOON)
        return False
    except _Taken:
        # Some of it belongs to another application: plan again, with that known.
        run.ask = replace(run.ask, check_owners=True)
        return _plan(run, started_at, again)
    return True


def _store_plan(run: Run, db: Connection, again: bool) -> None:
    situation = run.situation
    run.render_id = situation.row.render_id if run.ask.former else desire.keep(db, run.edges, run.found.wish)
    values = _plan_values(run, run.render_id)
    changes = [change for change in run.plan.changes() if claims(change)]
    waves = {change.key: wave.number for wave in run.plan.waves for change in wave.changes}
    wished = [Claim(each.key, run.api_version(each.key), waves[each.key]) for each in changes]
    here = [claim for claim in wished if not is_child(claim.key) and not run.ask.dry_run]
    own = [claim for claim in wished if is_child(claim.key) and not run.ask.dry_run]
    claimed = objects.claim_many(db, run.found.view.uid, situation.row.id, here)
    owned = objects.claim_many(db, OWN, situation.row.id, own)
    if claimed.conflicts or owned.conflicts:
        # Nothing is stored: a worker that took this plan up would write what belongs to another.
        raise _Taken
    if not again and not run.ask.former:
        # Later on, what was written since is newer than the look.
        run.wake += standing.record(db, run.edges, run.found, run.memory, render_id=run.render_id)
    # The job's row comes last, here and everywhere: a watch has locked rows of objects when it asks for this job.
    if run.sync_id:
        syncs.save_step(db, situation.job, run.sync_id, **values)
    else:
        run.sync_id = _begin(run, db, values)


def _begin(run: Run, db: Connection, values: Step) -> int:
    made = syncs.begin(
        db,
        run.situation.job,
        run.situation.row.id,
        run.kind,
        request={**run.ask.to_json(), "target": run.found.target, "generation": run.situation.row.generation},
        initiated_by="automated sync policy",
        automated=True,
        **values,
    )
    if made is None:
        raise _Rival
    return made


def _plan_values(run: Run, render_id: int | None) -> Step:
    secret = run.edges.settings.signing_key.encode()
    sealed = run.edges.sealer.seal(dump_plan(run.plan), _plan_of(run.situation.row.id, run.plan.digest))
    return {
        "phase": OperationPhase.RUNNING,
        "stage": "applying",
        "revisions": list(run.found.wish.revisions),
        "plan": sealed,
        "plan_view": plan_view(run.plan, secret),
        "plan_digest": run.plan.digest,
        "render_id": render_id,
        "planned_at": run.attempt_at,
        "retry_count": run.retries,
        "retry_at": None,
        "results": dump_results(run.results, run.hooks),
        "message": "",
    }


def _plan_of(application_id: int, digest: str) -> bytes:
    """What a stored plan is sealed for: in the row of another application it does not open."""
    return sealed_for("sync", "plan", f"{application_id}/{digest}")


def resume(run: Run, sync: SyncRow) -> None:
    """Take up a stored plan and what has come of it."""
    assert sync.plan is not None
    where = _plan_of(sync.application_id, sync.plan_digest)
    run.plan = load_plan(run.edges.sealer.open(sync.plan, where))
    run.results, run.hooks = load_results(sync.results)
    run.failure = (sync.results or {}).get("failure", "")
    run.attempt_at, run.retry_at = sync.planned_at or sync.started_at, sync.retry_at
    run.exists = _met(run)


def _met(run: Run) -> frozenset[Key]:
    """What creates of this attempt found there."""
    return frozenset(key for key, each in run.results.items() if each.retryable and EXISTS in each.message)


def learnt(run: Run) -> bool:
    """Whether to plan again without a wait.

    Objects that a create found there are read and taken over. That a field cannot change is found out by the write
    where Git has changed it; the plan then replaces the object, where that is allowed, or says so.
    """
    met = _met(run) - run.exists
    run.exists |= met
    judged = run.found.compared.verdicts
    fixed = {key: why for key, why in run.immutable.items() if not _says_immutable(judged.get(key))}
    run.found = _with_immutable(run.found, fixed)
    return bool(met or fixed)


class _Rival(Exception):
    """Another sync of the application is open."""


class _Taken(Exception):
    """Something of the plan belongs to another application."""


def _says_immutable(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.state in (VerdictState.RECREATE, VerdictState.RECREATED)


def _with_immutable(found: Look, reasons: Mapping[Key, str]) -> Look:
    """The look with what refused writes have taught about some objects."""
    verdicts = dict(found.compared.verdicts)
    for key, reason in reasons.items():
        # Not an immutable field: the name belongs to another object now, and replacing it would delete a stranger.
        other = "metadata.uid" in reason
        known = verdicts.get(key, Verdict(key, VerdictState.RECREATE))
        verdicts[key] = replace(known, state=VerdictState.RECREATED if other else VerdictState.RECREATE, reason=reason)
    return replace(found, compared=replace(found.compared, verdicts=verdicts))
