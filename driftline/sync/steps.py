"""The machine that moves one sync: what was seen in, what to do next out. Nothing is kept between two calls.

Where a sync stands follows from the plan and from what came of it, so a worker that takes over after a crash only
needs the stored plan, results and hook outcomes.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from driftline.model.application import Retry as RetryRule
from driftline.model.plan import Op, Phase, Plan, Wave
from driftline.sync import texts
from driftline.sync.intents import ApplyWave, Fail, Finish, Hold, Intent, Retry, Supersede, Terminate, Wait
from driftline.sync.seen import SyncPolicy, SyncSeen
from driftline.sync.waits import (
    Kind,
    Pending,
    after,
    failure_of,
    gate,
    has_result,
    last_write,
    lost,
    overdue,
    running_hooks,
    standing,
    written,
)

__all__ = ["SyncPolicy", "SyncSeen", "explain", "next_step", "retry_wait", "standing"]


def next_step(seen: SyncSeen, now: datetime) -> Intent:
    """Decide what one sync does next. `now` is aware UTC. Raises nothing."""
    if (ended := _ended_from_outside(seen, now)) is not None:
        return ended
    if seen.retry_at is not None:
        return _between_attempts(seen, seen.retry_at, now)
    if seen.plan.refused:
        # Trying again would read the same Git; a newer revision starts a sync of its own.
        return Fail(seen.plan.refused)
    intent = _forward(seen, now)
    # Waiting, retrying and every write that has not begun give way to a newer revision. A success is still recorded,
    # and a hook that runs is not cut off: the sync that takes over would start the same migration beside it.
    if seen.newer and isinstance(intent, ApplyWave | Wait | Hold | Fail) and not running_hooks(seen):
        return Supersede(seen.newer)
    return intent


def explain(seen: SyncSeen) -> str:
    """Why the sync waits, in one sentence without times; empty when it does not."""
    if seen.retry_at is not None:
        return f"waiting for the next attempt (#{seen.retries + 1})"
    # Asked as of the start, so that no deadline has passed yet.
    intent = _forward(seen, seen.started_at)
    return intent.reason if isinstance(intent, Wait | Hold) else ""


def _ended_from_outside(seen: SyncSeen, now: datetime) -> Intent | None:
    limit = seen.policy.sync_timeout
    if seen.terminate:
        return Terminate(texts.TERMINATED, running_hooks(seen))
    if limit is not None and seen.retry_at is None and now >= seen.started_at + limit:
        return Terminate(texts.TERMINATING_BY_TIMEOUT, running_hooks(seen))
    return None


def _between_attempts(seen: SyncSeen, retry_at: datetime, now: datetime) -> Intent:
    if seen.newer:
        return Supersede(seen.newer)
    return Wait(retry_at, explain(seen)) if now < retry_at else Retry(seen.retries + 1)


def _main(plan: Plan) -> Iterator[tuple[int, Wave]]:
    return ((index, wave) for index, wave in enumerate(plan.waves) if wave.phase is not Phase.SYNC_FAIL)


def _forward(seen: SyncSeen, now: datetime) -> Intent:
    """Walk the waves up to the first that is not done."""
    if seen.failure or any(phase is Phase.SYNC_FAIL for phase, _ in seen.hooks):
        return _failing(seen, now, seen.failure or texts.tasks_failed(()))
    for index, wave in _main(seen.plan):
        if wave.phase is Phase.POST_SYNC and seen.plan.problems:
            break  # PostSync tells the world that everything has arrived.
        pending = gate(seen, index)
        if (failure := lost(seen, pending, now)) is not None:
            return _failing(seen, now, failure)
        if pending is not None:
            return _wait(seen, pending, now)
        if not written(seen, wave):
            return _pause(seen, index, now) or ApplyWave(index)
        pending, failure = after(seen, wave), failure_of(seen, wave)
        # A failure lets the hooks beside it come to their end, but does not wait for deletions.
        waits = pending is not None and now < pending.deadline
        if pending is not None and waits and (failure is None or pending.kind is Kind.HOOKS):
            return _wait(seen, pending, now)
        if (failure := failure or overdue(pending, now)) is not None:
            return _failing(seen, now, failure)
    return _end(seen, now)


def _end(seen: SyncSeen, now: datetime) -> Intent:
    plan = seen.plan
    if plan.problems:
        reasons = (f"{problem.key} {problem.message}" for problem in plan.problems)
        return _failing(seen, now, texts.apply_failed(reasons))
    if plan.held:
        return Hold(_held(plan))
    return Finish(texts.NO_MORE_TASKS if plan.empty else texts.ALL_RUN)


def _held(plan: Plan) -> str:
    keys = [held.change.key for held in plan.held]
    asks = "pruning confirmation of" if all(held.change.op is Op.PRUNE for held in plan.held) else "a person's word on"
    return f"{texts.waiting(asks, keys)}: {plan.held[0].reason}"


def _wait(seen: SyncSeen, pending: Pending, now: datetime) -> Wait:
    soon = now + seen.policy.check_every
    return Wait(min(soon, pending.deadline), pending.reason)


def _pause(seen: SyncSeen, index: int, now: datetime) -> Wait | None:
    """The delay between two waves, when one is set; a wave that has begun is not interrupted by it."""
    begun = any(has_result(seen, seen.plan.waves[index].phase, change) for change in seen.plan.waves[index].changes)
    if not index or begun or not seen.policy.wave_delay:
        return None
    until = last_write(seen) + seen.policy.wave_delay
    return Wait(until, "waiting between two waves") if now < until else None


def _failing(seen: SyncSeen, now: datetime, message: str) -> Intent:
    """Run the SyncFail hooks, then end the attempt."""
    trouble: list[str] = []
    for index, wave in enumerate(seen.plan.waves):
        if wave.phase is not Phase.SYNC_FAIL:
            continue
        if not written(seen, wave):
            return ApplyWave(index, failure=message)
        pending = after(seen, wave)
        if pending is not None and now < pending.deadline:
            return _wait(seen, pending, now)
        trouble += [failed for failed in (failure_of(seen, wave), overdue(pending, now)) if failed]
    if trouble:
        message = f"{message}\n{texts.sync_fail_failed(trouble)}"
    return _attempt_over(seen, now, message)


def _attempt_over(seen: SyncSeen, now: datetime, message: str) -> Fail:
    rule = seen.policy.retry
    if 0 <= rule.limit <= seen.retries:
        return Fail(texts.given_up(message, seen.retries))
    retry_at = now + retry_wait(rule, seen.retries + 1)
    return Fail(texts.retrying(message, seen.retries + 1, retry_at), retry_at)


def retry_wait(rule: RetryRule, attempt: int) -> timedelta:
    """How long to wait before retry number `attempt` (the first is 1): duration, times the factor for each further one.

    Argo CD announces 5, 10, 20, 40, 80 s and then waits 10, 20, 40, 80, 160 s: its gate raises the factor to one power
    more. The announced and documented times are the ones kept here, so that message and deed agree.
    """
    seconds = rule.duration.total_seconds()
    longest = rule.max_duration.total_seconds()
    for _ in range(max(attempt, 1) - 1):
        if seconds >= longest:
            break
        seconds *= max(rule.factor, 1)
    return timedelta(seconds=min(seconds, longest))
