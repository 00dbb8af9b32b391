"""The machine that moves one sync: what was seen in, what to do next out. Nothing is kept between two calls.

Where a sync stands follows from the plan and from what came of it, so a worker that takes over after a crash only
needs the stored plan, results and hook outcomes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from driftline.model.application import Retry as RetryRule
from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key
from driftline.model.plan import Change, Op, Phase, Plan, Wave
from driftline.model.sync import ObjectResult, ResultStatus
from driftline.sync import texts
from driftline.sync.given import Wanted
from driftline.sync.hooks import HookSeen, HookState
from driftline.sync.intents import ApplyWave, Fail, Finish, Hold, Intent, Retry, Supersede, Terminate, Wait
from driftline.sync.order import sync_slot


@dataclass(frozen=True)
class SyncPolicy:
    """How long a sync waits, and how often it tries again."""

    wave_timeout: timedelta = timedelta(minutes=15)
    """How long the objects of a wave may take to become healthy after its last write. Longer than the progress
    deadline of a Deployment (10 minutes by default), so that a stuck rollout fails with its own message."""
    hook_timeout: timedelta = timedelta(hours=1)
    """How long one hook may run."""
    deletion_timeout: timedelta = timedelta(minutes=5)
    """How long deleted objects may take to go."""
    sync_timeout: timedelta | None = None
    """How long the whole operation may take; None: as long as it needs (Argo CD's default)."""
    wave_delay: timedelta = timedelta(0)
    """A pause between two waves. Argo CD waits 2 s, so that controllers notice the new spec; here a controller that
    lags behind the generation already counts as Progressing."""
    check_every: timedelta = timedelta(seconds=5)
    """How soon to look again when no watch has said anything."""
    retry: RetryRule = field(default_factory=RetryRule)


@dataclass(frozen=True)
class SyncSeen:
    """All that is known of one sync at one moment."""

    plan: Plan
    started_at: datetime
    """Start of this attempt, aware UTC."""
    results: Mapping[Key, ObjectResult] = field(default_factory=dict)
    """What came of each change of this attempt, hooks aside; `at` is when it was written."""
    hooks: Mapping[tuple[Phase, Key], HookSeen] = field(default_factory=dict)
    """Hooks that were made in this attempt."""
    health: Mapping[Key, Health | None] = field(default_factory=dict)
    """Health of applied and of standing objects, read after the write: absent = not read yet, None = no check."""
    present: Mapping[Key, str] = field(default_factory=dict)
    """Pruned objects that are still there, and what holds them (their finalizers)."""
    standing: Mapping[Key, int] = field(default_factory=dict)
    """Unchanged objects that a later wave has to wait for, and their wave (`standing`)."""
    failure: str = ""
    """Why this attempt fails, once `ApplyWave.failure` has said so: an object that recovers while the SyncFail hooks
    run does not turn the failure into a success."""
    newer: str = ""
    """The newest wanted revision, if it is not the one of this sync."""
    terminate: bool = False
    retries: int = 0
    """How many retries have begun; 0 in the first attempt."""
    retry_at: datetime | None = None
    """Set while the operation waits between two attempts."""
    policy: SyncPolicy = SyncPolicy()


class _Kind(Enum):
    """What a wait is for."""

    HOOKS = auto()
    DELETION = auto()
    HEALTH = auto()


@dataclass(frozen=True)
class _Pending:
    """Something that has to happen before the sync can go on, the latest moment for it, and who is behind."""

    kind: _Kind
    keys: tuple[Key, ...]
    deadline: datetime
    detail: str = ""

    @property
    def reason(self) -> str:
        match self.kind:
            case _Kind.HOOKS:
                return texts.hook_completion(self.keys)
            case _Kind.DELETION:
                return texts.deletion(self.keys)
            case _Kind.HEALTH:
                return texts.healthy_state(self.keys)


def standing(wanted: Mapping[Key, Wanted], plan: Plan) -> Mapping[Key, int]:
    """The unchanged objects whose health some wave of the plan waits for, with their wave; usually none.

    An object of an earlier wave that this plan does not write may still be rolling out from the sync before. For a
    selective sync pass the selected objects only.
    """
    gates = [wave for wave in plan.waves if wave.after_health and wave.phase in (Phase.SYNC, Phase.POST_SYNC)]
    if not gates:
        return {}
    written = {change.key for change in plan.changes()} | {problem.key for problem in plan.problems}
    waves = {key: sync_slot(body.body).wave for key, body in wanted.items() if key not in written}
    return {key: wave for key, wave in sorted(waves.items()) if any(_waits_for(gate, wave) for gate in gates)}


def _waits_for(gate: Wave, standing_wave: int) -> bool:
    """Whether a wave may start only when an unchanged object of another wave is well."""
    last = gate.phase is Phase.POST_SYNC or all(change.op is Op.PRUNE for change in gate.changes)
    return last or standing_wave < gate.number


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
    if seen.newer and isinstance(intent, ApplyWave | Wait | Hold | Fail) and not _running(seen):
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
        return Terminate(texts.TERMINATED, _running(seen))
    if limit is not None and seen.retry_at is None and now >= seen.started_at + limit:
        return Terminate(texts.TERMINATING_BY_TIMEOUT, _running(seen))
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
        pending = _gate(seen, index)
        if (failure := _lost(seen, pending, now)) is not None:
            return _failing(seen, now, failure)
        if pending is not None:
            return _wait(seen, pending, now)
        if not _written(seen, wave):
            return _pause(seen, index, now) or ApplyWave(index)
        pending, failure = _after(seen, wave), _failure(seen, wave)
        # A failure lets the hooks beside it come to their end, but does not wait for deletions.
        waits = pending is not None and now < pending.deadline
        if pending is not None and waits and (failure is None or pending.kind is _Kind.HOOKS):
            return _wait(seen, pending, now)
        if (failure := failure or _overdue(pending, now)) is not None:
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


def _wait(seen: SyncSeen, pending: _Pending, now: datetime) -> Wait:
    soon = now + seen.policy.check_every
    return Wait(min(soon, pending.deadline), pending.reason)


def _pause(seen: SyncSeen, index: int, now: datetime) -> Wait | None:
    """The delay between two waves, when one is set; a wave that has begun is not interrupted by it."""
    begun = any(_has_result(seen, seen.plan.waves[index].phase, change) for change in seen.plan.waves[index].changes)
    if not index or begun or not seen.policy.wave_delay:
        return None
    until = _last_write(seen) + seen.policy.wave_delay
    return Wait(until, "waiting between two waves") if now < until else None


def _has_result(seen: SyncSeen, phase: Phase, change: Change) -> bool:
    return (phase, change.key) in seen.hooks if change.op is Op.HOOK else change.key in seen.results


def _written(seen: SyncSeen, wave: Wave) -> bool:
    return all(_has_result(seen, wave.phase, change) or _refused_hook(seen, change) for change in wave.changes)


def _refused_hook(seen: SyncSeen, change: Change) -> bool:
    """Whether the API server refused to make a hook: its failure is a result, as for any object."""
    result = seen.results.get(change.key)
    return change.op is Op.HOOK and result is not None and result.status is ResultStatus.SYNC_FAILED


def _last_write(seen: SyncSeen) -> datetime:
    moments = [result.at for result in seen.results.values() if result.at is not None]
    return max([seen.started_at, *moments])


def _gate(seen: SyncSeen, index: int) -> _Pending | None:
    """What has to become healthy before wave `index` may start; None once it has begun or when nothing is behind."""
    wave = seen.plan.waves[index]
    if not wave.after_health or any(_has_result(seen, wave.phase, change) for change in wave.changes):
        return None
    behind = tuple(key for key in _awaited(seen, index) if not _done(seen, key))
    if not behind:
        return None
    health = seen.health.get(behind[0])
    return _Pending(
        _Kind.HEALTH, behind, _last_write(seen) + seen.policy.wave_timeout, health.message if health else ""
    )


def _awaited(seen: SyncSeen, index: int) -> Iterator[Key]:
    """Applied objects of earlier waves, then unchanged ones."""
    for wave in seen.plan.waves[:index]:
        yield from (change.key for change in wave.changes if change.op not in (Op.HOOK, Op.PRUNE))
    gate = seen.plan.waves[index]
    if gate.phase in (Phase.SYNC, Phase.POST_SYNC):
        yield from (key for key, wave_number in seen.standing.items() if _waits_for(gate, wave_number))


def _done(seen: SyncSeen, key: Key) -> bool:
    """Whether nothing has to be waited for.

    Suspended counts: a paused Deployment or CronJob is as Git says, and no waiting would change it.
    """
    if key not in seen.health:
        return False
    health = seen.health[key]
    return health is None or health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)


def _lost(seen: SyncSeen, pending: _Pending | None, now: datetime) -> str | None:
    """Why the health that is waited for will not come: something is Degraded, or time is up."""
    if pending is None:
        return None
    reasons = [_why(key, seen.health.get(key)) for key in pending.keys if _degraded(seen, key)]
    return texts.tasks_failed(reasons) if reasons else _overdue(pending, now)


def _degraded(seen: SyncSeen, key: Key) -> bool:
    health = seen.health.get(key)
    return health is not None and health.status is HealthStatus.DEGRADED


def _why(key: Key, health: Health | None) -> str:
    return f"{key}: {health.message}" if health and health.message else f"{key}: degraded"


def _overdue(pending: _Pending | None, now: datetime) -> str | None:
    if pending is None or now < pending.deadline:
        return None
    detail = f" ({pending.detail})" if pending.detail else ""
    return texts.tasks_failed([f"timed out {pending.reason}{detail}"])


def _after(seen: SyncSeen, wave: Wave) -> _Pending | None:
    """What a wave that is written still waits for by itself: its hooks, and that what it deleted is gone."""
    policy = seen.policy
    running = [
        (change.key, hook)
        for change in wave.changes
        if change.op is Op.HOOK
        and (hook := seen.hooks.get((wave.phase, change.key))) is not None
        and hook.state is HookState.RUNNING
    ]
    if running:
        # The limit is each hook's own: the one that has run longest decides when the wait is over.
        since = min((hook.since or seen.started_at) for _, hook in running)
        keys = tuple(key for key, _ in running)
        return _Pending(_Kind.HOOKS, keys, since + policy.hook_timeout, running[0][1].message)
    going = tuple(change.key for change in wave.changes if change.op is Op.PRUNE and change.key in seen.present)
    if not going:
        return None
    written = [result.at for key in going if (result := seen.results.get(key)) is not None and result.at is not None]
    since = max(written, default=seen.started_at)
    return _Pending(_Kind.DELETION, going, since + policy.deletion_timeout, seen.present[going[0]])


def _failure(seen: SyncSeen, wave: Wave) -> str | None:
    """What went wrong in a wave that is written: refused writes first, then failed hooks."""
    refused = [
        result.message
        for change in wave.changes
        if (result := seen.results.get(change.key)) is not None and result.status is ResultStatus.SYNC_FAILED
    ]
    if refused:
        return texts.apply_failed(refused)
    failed = [
        f"{change.key}: {hook.message}" if hook.message else f"{change.key}: hook failed"
        for change in wave.changes
        if (hook := seen.hooks.get((wave.phase, change.key))) is not None and hook.state is HookState.FAILED
    ]
    return texts.tasks_failed(failed) if failed else None


def _failing(seen: SyncSeen, now: datetime, message: str) -> Intent:
    """Run the SyncFail hooks, then end the attempt."""
    trouble: list[str] = []
    for index, wave in enumerate(seen.plan.waves):
        if wave.phase is not Phase.SYNC_FAIL:
            continue
        if not _written(seen, wave):
            return ApplyWave(index, failure=message)
        pending = _after(seen, wave)
        if pending is not None and now < pending.deadline:
            return _wait(seen, pending, now)
        trouble += [failed for failed in (_failure(seen, wave), _overdue(pending, now)) if failed]
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


def _running(seen: SyncSeen) -> tuple[tuple[Phase, Key], ...]:
    return tuple(sorted(place for place, hook in seen.hooks.items() if hook.state is HookState.RUNNING))
