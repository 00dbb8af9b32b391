"""Carry out one sync: plan, write wave by wave, wait without sleeping, end. Decisions come from `sync.steps`."""

from dataclasses import replace

from driftline.adapters.store.syncs import SyncRow
from driftline.flow import attempt, ending, following, recording, writing
from driftline.flow.edges import Edges
from driftline.flow.looking import Look
from driftline.flow.memory import Memory
from driftline.flow.planmaking import Ask
from driftline.flow.run import JUST_DELETED, SOON, Run
from driftline.flow.situation import Situation
from driftline.model.cluster import ClusterUnreachable
from driftline.model.errors import Permanent
from driftline.model.objects import Key
from driftline.model.sync import OperationPhase, ResultStatus
from driftline.sync import automation
from driftline.sync.automation import Start
from driftline.sync.confirmation import approves
from driftline.sync.intents import ApplyWave, Fail, Finish, Hold, Intent, Retry, Supersede, Terminate, Wait
from driftline.sync.steps import next_step

SAVE_EVERY = 500
"""Writes after which results are saved, so that a big sync shows its progress."""


def start(edges: Edges, found: Look, choice: Start, memory: Memory) -> None:
    """Begin an automated sync: make its plan, store it with what it may touch, and take it as far as it goes."""
    only = choice.only
    if only is not None:
        # An object with a field that somebody else keeps changing is left to them as a whole until Git changes.
        only -= {key for key, _ in choice.leave}
    ask = Ask(prune=choice.prune, automated=True, only=only, started_at=edges.now())
    kind = "self-heal" if choice.heal else "git"
    if choice.heal:
        fingerprint = automation.drift_fingerprint(found.differences)
        entry = automation.after_heal(memory.heal_of(fingerprint), found.target, edges.now())
        memory = memory.with_heal(fingerprint, entry)
    run = Run(edges, found, ask, kind, memory)
    if attempt.plan_attempt(run):
        carry_on(run)


def go_on(edges: Edges, found: Look, sync: SyncRow) -> None:
    """Take an open sync further: one that a person asked for is planned first."""
    request = sync.request or {}
    approved = (sync.approved or {}).get("keys", ())
    ask = replace(
        Ask.from_json(request),
        automated=sync.automated,
        approved=frozenset(Key.parse(each) for each in approved),
        confirmed=approves(found.situation.app.annotations, sync.started_at),
        started_at=sync.planned_at or edges.now(),
    )
    run = Run(edges, found, ask, sync.kind, Memory.of(found.situation.row), sync)
    if sync.plan is not None:
        attempt.resume(run, sync)
    elif not attempt.plan_attempt(run):
        return
    carry_on(run)


def fail_unplanned(edges: Edges, situation: Situation, sync: SyncRow, message: str) -> None:
    """End a sync that could not even be planned."""
    ending.fail_without_look(edges, situation, sync, message)


def carry_on(run: Run) -> None:
    """Step until the sync has to wait or has ended, and save where it stands.

    Raises ClusterUnreachable, with all that was written recorded: the sync goes on when the cluster answers.
    """
    try:
        _step(run)
    except ClusterUnreachable:
        recording.save_progress(run)
        raise
    except Permanent as failure:
        # A refusal about something that is no object of the plan: trying again would be refused again.
        ending.finish(run, OperationPhase.ERROR, failure.message)


def _step(run: Run) -> None:
    following.refresh(run)
    while True:
        intent = next_step(following.seen(run), run.edges.now())
        if _fails(intent) and attempt.learnt(run):
            recording.save_progress(run)
            if not attempt.plan_again(run):
                return
        elif isinstance(intent, ApplyWave):
            run.failure = intent.failure or run.failure
            if not writing.write_wave(run, intent.index):
                reason = run.going or "waiting for an older hook to go"
                recording.save_waiting(run, Wait(run.edges.now() + SOON, reason))
                return
            if len(run.unsaved) >= SAVE_EVERY:
                recording.save_progress(run)
        elif isinstance(intent, Wait) and _just_deleted(run):
            # Most objects are gone at once: one look now saves a wait.
            following.refresh(run)
        elif isinstance(intent, Wait):
            recording.save_waiting(run, _sooner(run, intent))
            return
        elif isinstance(intent, Retry):
            run.retries = intent.attempt
            run.ask = replace(run.ask, hooks_ran=False)
            if not attempt.plan_attempt(run):
                return
        elif isinstance(intent, Hold) and _allowed_since(run):
            # A person has allowed what this plan holds: make the one that does it.
            recording.save_progress(run)
            if not attempt.plan_allowed(run):
                return
        else:
            _end(run, intent)
            return


def _fails(intent: Intent) -> bool:
    """Whether the attempt is about to fail: its SyncFail hooks come first."""
    return isinstance(intent, Fail) or (isinstance(intent, ApplyWave) and bool(intent.failure))


def _allowed_since(run: Run) -> bool:
    """Whether a person has allowed or confirmed something that this plan still holds."""
    confirmed = run.ask.confirmed and any(held.confirm for held in run.plan.held)
    return confirmed or not run.ask.approved <= run.plan.allowed


def _just_deleted(run: Run) -> bool:
    fresh = {key for key, why in run.present.items() if why == JUST_DELETED}
    return bool(fresh)


def _sooner(run: Run, intent: Wait) -> Wait:
    """Deletions are over in a moment, and no watch tells of the last of them: look more often than for rollouts."""
    if not run.present:
        return intent
    return Wait(min(intent.until, run.edges.now() + SOON), intent.reason)


def _end(run: Run, intent: Finish | Fail | Hold | Supersede | Terminate) -> None:
    if isinstance(intent, Fail) and _only_away(run):
        _wait_for_cluster(run)
    elif isinstance(intent, Fail) and intent.retry_at is not None:
        ending.wait_for_retry(run, intent, intent.retry_at)
    elif isinstance(intent, Finish):
        ending.finish(run, OperationPhase.SUCCEEDED, intent.message)
    elif isinstance(intent, Hold):
        ending.hold(run, intent.reason)
    elif isinstance(intent, Supersede):
        ending.finish(run, OperationPhase.SUPERSEDED, f"superseded by {intent.by}")
    elif isinstance(intent, Terminate):
        writing.hook_keeper(run).stop(intent.hooks)
        ending.finish(run, OperationPhase.FAILED, intent.message)
    else:
        ending.finish(run, OperationPhase.FAILED, intent.message)


def _only_away(run: Run) -> bool:
    """Whether nothing is wrong but that the cluster does not answer."""
    bad = {key for key, result in run.results.items() if result.status is ResultStatus.SYNC_FAILED}
    return bool(run.away) and bad <= run.away.keys() and not (run.plan.problems or run.hooks or run.failure)


def _wait_for_cluster(run: Run) -> None:
    """Keep what was done and raise ClusterUnreachable: the rest is written when the cluster answers again."""
    away = next(iter(run.away.values()))
    for key in run.away:
        del run.results[key]
    recording.save_progress(run)
    raise away
