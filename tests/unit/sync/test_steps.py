"""A sync moves by steps: it waits, fails, tries again, gives way and ends as Argo CD's would."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.model.application import Retry as RetryRule
from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key
from driftline.model.plan import Action, Change, Held, Op, Phase, Plan, Problem, Wave
from driftline.model.sync import ObjectResult, ResultStatus
from driftline.sync.hooks import HookSeen, HookState
from driftline.sync.intents import ApplyWave, Fail, Finish, Hold, Retry, Supersede, Terminate, Wait
from driftline.sync.steps import SyncPolicy, SyncSeen, explain, next_step, retry_wait, standing
from tests.kit.planning import key, obj, wants

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NOW = START + timedelta(seconds=1)
WEB, DB, CACHE = key("Deployment", "web"), key("StatefulSet", "db"), key("Deployment", "cache")
MIGRATE, TIDY, REPORT = key("Job", "migrate"), key("Job", "tidy"), key("Job", "report")
HEALTHY, PROGRESSING, DEGRADED = HealthStatus.HEALTHY, HealthStatus.PROGRESSING, HealthStatus.DEGRADED
RUNNING, SUCCEEDED, FAILED = HookState.RUNNING, HookState.SUCCEEDED, HookState.FAILED


def wave(*keys: Key, op: Op = Op.CREATE, phase: Phase = Phase.SYNC, number: int = 0, after_health: bool = True) -> Wave:
    return Wave(phase, number, tuple(Change(op, found) for found in keys), after_health)


def hook(found: Key, phase: Phase) -> Wave:
    return wave(found, op=Op.HOOK, phase=phase)


def done(*keys: Key, failed: str = "") -> dict[Key, ObjectResult]:
    status = ResultStatus.SYNC_FAILED if failed else ResultStatus.SYNCED
    return {found: ObjectResult(found, status, Action.CREATED, failed, at=START) for found in keys}


def health(status: HealthStatus, *keys: Key, message: str = "") -> dict[Key, Health | None]:
    return {found: Health(status, message) for found in keys}


def sync(*waves: Wave, **parts: object) -> SyncSeen:
    held = parts.pop("held", ())
    problems = parts.pop("problems", ())
    plan = Plan(waves=waves, held=held, problems=problems)  # type: ignore[arg-type]
    return replace(SyncSeen(plan, START), **parts)  # type: ignore[arg-type]


@pytest.mark.covers("SYNC-04")
def test_one_wave_without_hooks_succeeds_at_once_while_its_rollout_goes_on() -> None:
    seen = sync(wave(WEB))
    assert next_step(seen, NOW) == ApplyWave(0)
    seen = replace(seen, results=done(WEB), health=health(PROGRESSING, WEB))
    assert next_step(seen, NOW) == Finish("successfully synced (all tasks run)")


@pytest.mark.covers("SYNC-08")
def test_a_plan_with_nothing_to_do_succeeds() -> None:
    assert next_step(sync(), NOW) == Finish("successfully synced (no more tasks)")


@pytest.mark.covers("SYNC-03", "SYNC-04")
def test_a_later_wave_waits_until_the_one_before_is_healthy() -> None:
    seen = sync(wave(DB, CACHE), wave(WEB, number=1), results=done(DB, CACHE))
    waiting = next_step(seen, NOW)
    assert isinstance(waiting, Wait)
    assert waiting.until == NOW + timedelta(seconds=5)
    assert waiting.reason == "waiting for healthy state of apps/StatefulSet/db and 1 more resources"
    seen = replace(seen, health={**health(PROGRESSING, DB), CACHE: None})
    assert explain(seen) == "waiting for healthy state of apps/StatefulSet/db"
    seen = replace(seen, health={**health(HEALTHY, DB), CACHE: None})
    assert next_step(seen, NOW) == ApplyWave(1)
    assert explain(seen) == ""


def test_a_suspended_object_does_not_hold_a_wave_up() -> None:
    seen = sync(wave(DB), wave(WEB), results=done(DB), health=health(HealthStatus.SUSPENDED, DB))
    assert next_step(seen, NOW) == ApplyWave(1)


@pytest.mark.covers("SYNC-04")
def test_a_degraded_object_fails_the_sync_that_waits_for_it() -> None:
    seen = sync(wave(DB), wave(WEB), results=done(DB), health=health(DEGRADED, DB, message="no disk"))
    assert next_step(seen, NOW) == Fail(
        "one or more synchronization tasks completed unsuccessfully, reason: apps/StatefulSet/shop/db: no disk"
    )


def test_a_wave_that_never_gets_healthy_fails_with_what_it_waited_for() -> None:
    seen = sync(wave(DB), wave(WEB), results=done(DB), health=health(PROGRESSING, DB, message="0 of 1 ready"))
    last = START + SyncPolicy().wave_timeout
    assert isinstance(next_step(seen, last - timedelta(seconds=1)), Wait)
    failed = next_step(seen, last)
    assert isinstance(failed, Fail)
    assert "timed out waiting for healthy state of apps/StatefulSet/db (0 of 1 ready)" in failed.message


def test_an_unchanged_object_that_still_rolls_out_holds_a_later_wave_up() -> None:
    web = obj("Deployment", "web", wave=1)
    wanted = wants(web, obj("StatefulSet", "db"), obj("ConfigMap", "late", wave=2))
    plan = Plan((wave(WEB, number=1),))
    assert standing(wanted, plan) == {DB: 0}
    assert standing(wanted, Plan((wave(DB),))) == {}
    seen = SyncSeen(plan, START, standing={DB: 0}, health=health(PROGRESSING, DB))
    assert explain(seen) == "waiting for healthy state of apps/StatefulSet/db"
    assert next_step(replace(seen, health=health(HEALTHY, DB)), NOW) == ApplyWave(0)


@pytest.mark.covers("SYNC-08")
def test_a_refused_write_fails_the_sync_after_the_others_of_its_wave() -> None:
    seen = sync(wave(WEB, CACHE), wave(DB, number=1), results=done(WEB, failed="quota exceeded"))
    assert next_step(seen, NOW) == ApplyWave(0)
    seen = replace(seen, results={**seen.results, **done(CACHE)})
    assert next_step(seen, NOW) == Fail("one or more objects failed to apply, reason: quota exceeded")


def test_an_object_that_could_not_be_planned_fails_the_sync_but_not_the_others() -> None:
    problem = Problem(DB, "belongs to application billing")
    seen = sync(wave(WEB), hook(REPORT, Phase.POST_SYNC), problems=(problem,))
    assert next_step(seen, NOW) == ApplyWave(0)
    ended = next_step(replace(seen, results=done(WEB), health=health(HEALTHY, WEB)), NOW)
    assert ended == Fail(
        "one or more objects failed to apply, reason: apps/StatefulSet/shop/db belongs to application billing"
    )


@pytest.mark.covers("HOOK-02", "HOOK-03")
def test_presync_hooks_end_before_anything_is_applied() -> None:
    seen = sync(hook(MIGRATE, Phase.PRE_SYNC), wave(WEB))
    assert next_step(seen, NOW) == ApplyWave(0)
    place = (Phase.PRE_SYNC, MIGRATE)
    seen = replace(seen, hooks={place: HookSeen(RUNNING, since=START)})
    assert explain(seen) == "waiting for completion of hook batch/Job/migrate"
    assert isinstance(next_step(seen, NOW), Wait)
    assert next_step(replace(seen, hooks={place: HookSeen(SUCCEEDED)}), NOW) == ApplyWave(1)
    failed = next_step(replace(seen, hooks={place: HookSeen(FAILED, "exit code 1")}), NOW)
    assert isinstance(failed, Fail)
    assert failed.message.endswith("reason: batch/Job/shop/migrate: exit code 1")


def test_a_hook_that_never_ends_fails_the_sync_at_its_limit() -> None:
    seen = sync(hook(MIGRATE, Phase.PRE_SYNC), hooks={(Phase.PRE_SYNC, MIGRATE): HookSeen(RUNNING, since=START)})
    failed = next_step(seen, START + timedelta(hours=1))
    assert isinstance(failed, Fail)
    assert "timed out waiting for completion of hook batch/Job/migrate" in failed.message


def test_a_hook_that_the_cluster_refuses_fails_the_sync() -> None:
    seen = sync(hook(MIGRATE, Phase.PRE_SYNC), wave(WEB), results=done(MIGRATE, failed="forbidden"))
    assert next_step(seen, NOW) == Fail("one or more objects failed to apply, reason: forbidden")


@pytest.mark.covers("HOOK-03")
def test_postsync_waits_for_the_health_of_everything() -> None:
    seen = sync(wave(WEB), hook(REPORT, Phase.POST_SYNC), results=done(WEB), health=health(PROGRESSING, WEB))
    assert explain(seen) == "waiting for healthy state of apps/Deployment/web"
    assert next_step(replace(seen, health=health(HEALTHY, WEB)), NOW) == ApplyWave(1)


@pytest.mark.covers("HOOK-03")
def test_when_a_sync_fails_its_running_hooks_end_then_the_syncfail_hooks_run() -> None:
    both = Wave(Phase.SYNC, 0, (Change(Op.CREATE, WEB), Change(Op.HOOK, MIGRATE)))
    seen = sync(both, hook(TIDY, Phase.SYNC_FAIL), results=done(WEB, failed="denied"))
    seen = replace(seen, hooks={(Phase.SYNC, MIGRATE): HookSeen(RUNNING, since=START)})
    assert isinstance(next_step(seen, NOW), Wait)
    seen = replace(seen, hooks={(Phase.SYNC, MIGRATE): HookSeen(SUCCEEDED)})
    denied = "one or more objects failed to apply, reason: denied"
    assert next_step(seen, NOW) == ApplyWave(1, failure=denied)
    tidy = (Phase.SYNC_FAIL, TIDY)
    seen = replace(seen, failure=denied)
    running = replace(seen, hooks={**seen.hooks, tidy: HookSeen(RUNNING, since=START)})
    assert explain(running) == "waiting for completion of hook batch/Job/tidy"
    tidied = next_step(replace(seen, hooks={**seen.hooks, tidy: HookSeen(SUCCEEDED)}), NOW)
    assert tidied == Fail(denied)
    worse = next_step(replace(seen, hooks={**seen.hooks, tidy: HookSeen(FAILED, "boom")}), NOW)
    assert isinstance(worse, Fail)
    assert worse.message.splitlines()[1].startswith("one or more SyncFail hooks failed, reason: ")


def test_an_object_that_recovers_while_the_syncfail_hooks_run_does_not_undo_the_failure() -> None:
    seen = sync(wave(DB), wave(WEB), hook(TIDY, Phase.SYNC_FAIL), results=done(DB), health=health(DEGRADED, DB))
    failing = next_step(seen, NOW)
    assert isinstance(failing, ApplyWave)
    tidied = {(Phase.SYNC_FAIL, TIDY): HookSeen(SUCCEEDED)}
    ended = next_step(replace(seen, failure=failing.failure, health=health(HEALTHY, DB), hooks=tidied), NOW)
    assert ended == Fail(failing.failure)


def test_syncfail_hooks_do_not_run_when_all_goes_well() -> None:
    seen = sync(wave(WEB), hook(TIDY, Phase.SYNC_FAIL), results=done(WEB))
    assert isinstance(next_step(seen, NOW), Finish)


@pytest.mark.covers("SYNC-06")
def test_a_deletion_is_waited_for_but_not_the_health_of_what_replaces_it() -> None:
    seen = sync(
        wave(WEB), wave(CACHE, op=Op.PRUNE, after_health=False), results=done(WEB), health=health(PROGRESSING, WEB)
    )
    assert next_step(seen, NOW) == ApplyWave(1)
    seen = replace(seen, results=done(WEB, CACHE), present={CACHE: "finalizers: example.com/keep"})
    assert explain(seen) == "waiting for deletion of apps/Deployment/cache"
    assert isinstance(next_step(replace(seen, present={}), NOW), Finish)
    stuck = next_step(seen, START + timedelta(minutes=5))
    assert isinstance(stuck, Fail)
    assert "deletion of apps/Deployment/cache (finalizers: example.com/keep)" in stuck.message


@pytest.mark.covers("OPT-04")
def test_prune_last_waits_for_health() -> None:
    seen = sync(wave(WEB), wave(CACHE, op=Op.PRUNE, number=1), results=done(WEB), health=health(PROGRESSING, WEB))
    assert explain(seen) == "waiting for healthy state of apps/Deployment/web"


def test_what_is_held_waits_for_a_person_after_the_rest_has_run() -> None:
    held = Held(Change(Op.PRUNE, DB), "31 of 40 objects would be deleted")
    seen = sync(wave(WEB), held=(held,))
    assert next_step(seen, NOW) == ApplyWave(0)
    assert next_step(replace(seen, results=done(WEB)), NOW) == Hold(
        "waiting for pruning confirmation of apps/StatefulSet/db: 31 of 40 objects would be deleted"
    )


def test_a_newer_revision_takes_over_from_every_wait_at_once() -> None:
    waiting = sync(wave(DB), wave(WEB), results=done(DB), health=health(PROGRESSING, DB), newer="c2")
    retrying = replace(waiting, retry_at=NOW + timedelta(minutes=3))
    failing = replace(waiting, health=health(DEGRADED, DB))
    held = sync(held=(Held(Change(Op.PRUNE, DB), "why"),), newer="c2")
    for seen in (waiting, retrying, failing, held, sync(wave(WEB), newer="c2")):
        assert next_step(seen, NOW) == Supersede("c2")


def test_what_has_succeeded_is_recorded_though_a_newer_revision_waits() -> None:
    assert isinstance(next_step(sync(wave(WEB), results=done(WEB), newer="c2"), NOW), Finish)


def test_a_running_hook_is_not_cut_off_by_a_newer_revision() -> None:
    place = (Phase.PRE_SYNC, MIGRATE)
    seen = sync(hook(MIGRATE, Phase.PRE_SYNC), wave(WEB), newer="c2", hooks={place: HookSeen(RUNNING, since=START)})
    assert isinstance(next_step(seen, NOW), Wait)
    assert next_step(replace(seen, hooks={place: HookSeen(SUCCEEDED)}), NOW) == Supersede("c2")


@pytest.mark.covers("SYNC-09")
def test_terminate_deletes_the_running_hooks_and_ends() -> None:
    hooks = {
        (Phase.PRE_SYNC, MIGRATE): HookSeen(RUNNING, since=START),
        (Phase.PRE_SYNC, TIDY): HookSeen(SUCCEEDED),
    }
    seen = sync(hook(MIGRATE, Phase.PRE_SYNC), hooks=hooks, terminate=True)
    assert next_step(seen, NOW) == Terminate("Operation terminated", ((Phase.PRE_SYNC, MIGRATE),))


@pytest.mark.covers("SYNC-09")
def test_an_operation_with_a_limit_is_terminated_at_it() -> None:
    seen = sync(wave(WEB), policy=SyncPolicy(sync_timeout=timedelta(minutes=1)))
    assert next_step(seen, START + timedelta(minutes=1)) == Terminate("operation is terminating due to timeout")


@pytest.mark.covers("SYNC-10")
def test_a_failure_is_retried_at_the_announced_times_until_the_limit() -> None:
    policy = SyncPolicy(retry=RetryRule(limit=2))
    seen = sync(wave(WEB), results=done(WEB, failed="denied"), policy=policy)
    first = next_step(seen, START)
    assert first == Fail(
        "one or more objects failed to apply, reason: denied. Retrying attempt #1 at 12:00PM.",
        START + timedelta(seconds=5),
    )
    waiting = replace(seen, retry_at=first.retry_at) if isinstance(first, Fail) else seen
    assert next_step(waiting, START) == Wait(START + timedelta(seconds=5), "waiting for the next attempt (#1)")
    assert next_step(waiting, START + timedelta(seconds=5)) == Retry(1)
    second = next_step(replace(seen, retries=1), START)
    assert isinstance(second, Fail)
    assert second.retry_at == START + timedelta(seconds=10)
    assert next_step(replace(seen, retries=2), START) == Fail(
        "one or more objects failed to apply, reason: denied (retried 2 times)."
    )


@pytest.mark.covers("SYNC-10")
def test_the_waits_between_attempts_grow_to_their_limit() -> None:
    rule = RetryRule(limit=-1)
    assert [int(retry_wait(rule, n).total_seconds()) for n in range(1, 8)] == [5, 10, 20, 40, 80, 160, 180]
    endless = sync(wave(WEB), results=done(WEB, failed="x"), retries=10**6, policy=SyncPolicy(retry=rule))
    failed = next_step(endless, START)
    assert isinstance(failed, Fail)
    assert failed.retry_at == START + timedelta(minutes=3)


def test_a_refused_plan_writes_nothing_and_is_not_tried_again() -> None:
    refused = SyncSeen(Plan(refused="Git holds no objects"), START, policy=SyncPolicy(retry=RetryRule(limit=5)))
    assert next_step(refused, NOW) == Fail("Git holds no objects")


def test_a_pause_between_waves_is_kept_when_one_is_set() -> None:
    policy = SyncPolicy(wave_delay=timedelta(seconds=2))
    seen = sync(wave(DB), wave(WEB), results=done(DB), health=health(HEALTHY, DB), policy=policy)
    assert next_step(seen, NOW) == Wait(START + timedelta(seconds=2), "waiting between two waves")
    assert next_step(seen, START + timedelta(seconds=2)) == ApplyWave(1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_sync_ends_whatever_happens_to_its_objects(data: st.DataObject) -> None:
    """Play random outcomes: each wave is written once, in order, and the sync ends within its limits."""
    shapes = data.draw(st.lists(st.sampled_from(["apply", "prune", "pre", "post", "fail"]), min_size=1, max_size=5))
    order = {"pre": Phase.PRE_SYNC, "apply": Phase.SYNC, "prune": Phase.SYNC, "post": Phase.POST_SYNC}
    waves = []
    for n, shape in enumerate(sorted(shapes, key=["pre", "apply", "prune", "post", "fail"].index)):
        op = {"apply": Op.CREATE, "prune": Op.PRUNE}.get(shape, Op.HOOK)
        waves.append(wave(key("Job", f"j{n}"), op=op, phase=order.get(shape, Phase.SYNC_FAIL)))
    seen, now, written = sync(*waves), START, []
    for turn in range(60):
        intent = next_step(seen, now)
        if isinstance(intent, Finish | Fail):
            break
        if isinstance(intent, Wait):
            assert intent.until > now
            now = intent.until + timedelta(minutes=data.draw(st.sampled_from([0, 4, 70])) if turn < 10 else 70)
            states = st.sampled_from(HookState)
            seen = replace(
                seen,
                hooks={
                    place: found if found.state is not RUNNING else replace(found, state=data.draw(states))
                    for place, found in seen.hooks.items()
                },
                health={k: Health(data.draw(st.sampled_from([HEALTHY, PROGRESSING, DEGRADED]))) for k in seen.results},
                present={k: "" for k in seen.present if data.draw(st.booleans())},
            )
            continue
        assert isinstance(intent, ApplyWave)
        written.append(intent.index)
        seen = replace(seen, failure=intent.failure)
        chosen = waves[intent.index]
        change = chosen.changes[0]
        if change.op is Op.HOOK:
            made = {(chosen.phase, change.key): HookSeen(RUNNING, since=now)}
            seen = replace(seen, hooks={**seen.hooks, **made})
        else:
            status = data.draw(st.sampled_from([ResultStatus.SYNCED, ResultStatus.SYNCED, ResultStatus.SYNC_FAILED]))
            result = {change.key: ObjectResult(change.key, status, at=now)}
            gone = {change.key: ""} if change.op is Op.PRUNE else {}
            seen = replace(seen, results={**seen.results, **result}, present={**seen.present, **gone})
    else:
        raise AssertionError("the sync did not end")
    assert written == sorted(set(written))
