"""What a sync waits for, until when, and how a wave that was written turned out. Called by `steps`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key
from driftline.model.plan import Change, Op, Phase, Plan, Wave
from driftline.model.sync import ResultStatus
from driftline.sync import texts
from driftline.sync.given import Wanted
from driftline.sync.hooks import HookState
from driftline.sync.order import sync_slot
from driftline.sync.seen import SyncSeen


class Kind(Enum):
    """What a wait is for."""

    HOOKS = auto()
    DELETION = auto()
    HEALTH = auto()


@dataclass(frozen=True)
class Pending:
    """Something that has to happen before the sync can go on, the latest moment for it, and who is behind."""

    kind: Kind
    keys: tuple[Key, ...]
    deadline: datetime
    detail: str = ""

    @property
    def reason(self) -> str:
        match self.kind:
            case Kind.HOOKS:
                return texts.hook_completion(self.keys)
            case Kind.DELETION:
                return texts.deletion(self.keys)
            case Kind.HEALTH:
                return texts.healthy_state(self.keys)


def standing(wanted: Mapping[Key, Wanted], plan: Plan) -> Mapping[Key, int]:
    """The unchanged objects whose health some wave of the plan waits for, with their wave; usually none.

    An object of an earlier wave that this plan does not write may still be rolling out from the sync before. For a
    selective sync pass the selected objects only.
    """
    gates = [wave for wave in plan.waves if wave.after_health and wave.phase in (Phase.SYNC, Phase.POST_SYNC)]
    if not gates:
        return {}
    touched = {change.key for change in plan.changes()} | {problem.key for problem in plan.problems}
    waves = {key: sync_slot(body.body).wave for key, body in wanted.items() if key not in touched}
    return {key: wave for key, wave in sorted(waves.items()) if any(_waits_for(later, wave) for later in gates)}


def _waits_for(later: Wave, standing_wave: int) -> bool:
    """Whether a wave may start only when an unchanged object of another wave is well."""
    last = later.phase is Phase.POST_SYNC or all(change.op is Op.PRUNE for change in later.changes)
    return last or standing_wave < later.number


def has_result(seen: SyncSeen, phase: Phase, change: Change) -> bool:
    return (phase, change.key) in seen.hooks if change.op is Op.HOOK else change.key in seen.results


def written(seen: SyncSeen, wave: Wave) -> bool:
    return all(has_result(seen, wave.phase, change) or _refused_hook(seen, change) for change in wave.changes)


def _refused_hook(seen: SyncSeen, change: Change) -> bool:
    """Whether the API server refused to make a hook: its failure is a result, as for any object."""
    result = seen.results.get(change.key)
    return change.op is Op.HOOK and result is not None and result.status is ResultStatus.SYNC_FAILED


def last_write(seen: SyncSeen) -> datetime:
    moments = [result.at for result in seen.results.values() if result.at is not None]
    return max([seen.started_at, *moments])


def gate(seen: SyncSeen, index: int) -> Pending | None:
    """What has to become healthy before wave `index` may start; None once it has begun or when nothing is behind."""
    wave = seen.plan.waves[index]
    if not wave.after_health or any(has_result(seen, wave.phase, change) for change in wave.changes):
        return None
    behind = tuple(key for key in _awaited(seen, index) if not _done(seen, key))
    if not behind:
        return None
    health = seen.health.get(behind[0])
    return Pending(Kind.HEALTH, behind, last_write(seen) + seen.policy.wave_timeout, health.message if health else "")


def _awaited(seen: SyncSeen, index: int) -> Iterator[Key]:
    """Applied objects of earlier waves, then unchanged ones."""
    for wave in seen.plan.waves[:index]:
        yield from (change.key for change in wave.changes if change.op not in (Op.HOOK, Op.PRUNE))
    later = seen.plan.waves[index]
    if later.phase in (Phase.SYNC, Phase.POST_SYNC):
        yield from (key for key, number in seen.standing.items() if _waits_for(later, number))


def _done(seen: SyncSeen, key: Key) -> bool:
    """Whether nothing has to be waited for.

    Suspended counts: a paused Deployment or CronJob is as Git says, and no waiting would change it.
    """
    if key not in seen.health:
        return False
    health = seen.health[key]
    return health is None or health.status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)


def lost(seen: SyncSeen, pending: Pending | None, now: datetime) -> str | None:
    """Why the health that is waited for will not come: something is Degraded, or time is up."""
    if pending is None:
        return None
    reasons = [_why(key, seen.health.get(key)) for key in pending.keys if _degraded(seen, key)]
    return texts.tasks_failed(reasons) if reasons else overdue(pending, now)


def _degraded(seen: SyncSeen, key: Key) -> bool:
    health = seen.health.get(key)
    return health is not None and health.status is HealthStatus.DEGRADED


def _why(key: Key, health: Health | None) -> str:
    return f"{key}: {health.message}" if health and health.message else f"{key}: degraded"


def overdue(pending: Pending | None, now: datetime) -> str | None:
    if pending is None or now < pending.deadline:
        return None
    detail = f" ({pending.detail})" if pending.detail else ""
    return texts.tasks_failed([f"timed out {pending.reason}{detail}"])


def after(seen: SyncSeen, wave: Wave) -> Pending | None:
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
        return Pending(Kind.HOOKS, keys, since + policy.hook_timeout, running[0][1].message)
    going = tuple(change.key for change in wave.changes if change.op is Op.PRUNE and change.key in seen.present)
    if not going:
        return None
    moments = [result.at for key in going if (result := seen.results.get(key)) is not None and result.at is not None]
    since = max(moments, default=seen.started_at)
    return Pending(Kind.DELETION, going, since + policy.deletion_timeout, seen.present[going[0]])


def failure_of(seen: SyncSeen, wave: Wave) -> str | None:
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


def running_hooks(seen: SyncSeen) -> tuple[tuple[Phase, Key], ...]:
    return tuple(sorted(place for place, hook in seen.hooks.items() if hook.state is HookState.RUNNING))
