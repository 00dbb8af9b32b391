"""Which objects are hooks, when they run, what they are called, how they end and when they go."""

from datetime import UTC, datetime

import pytest

from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key, Object
from driftline.model.plan import Phase
from driftline.sync.given import Wanted
from driftline.sync.hooks import (
    HOOK_POLICY,
    DeletePolicy,
    HookSeen,
    HookState,
    HookType,
    delete_policies,
    due,
    expand,
    hook_types,
    is_hook,
    is_skipped,
    outcome,
    outcome_of_vanished,
    outlives,
    split,
    to_delete,
)
from driftline.sync.order import wave_of
from tests.kit.planning import key, obj, wants

START = datetime(2026, 1, 1, tzinfo=UTC)


def helm(hook: str, **more: str) -> Object:
    return obj("Job", "x", **{"helm.sh/hook": hook}, **{f"helm.sh/hook-{name}": value for name, value in more.items()})


@pytest.mark.covers("HOOK-01")
def test_a_render_falls_apart_into_objects_hooks_and_what_is_skipped() -> None:
    bodies = [
        obj("Job", "a", hook="PreSync"),
        obj("Job", "b", hook="Skip"),
        obj("Job", "c"),
        obj("Job", "d", hook="Odd"),
    ]
    managed, hooks, skipped = split(wants(*bodies).values())
    assert [[wanted.body["metadata"]["name"] for wanted in part] for part in (managed, hooks, skipped)] == [
        ["c"],
        ["a", "d"],
        ["b"],
    ]
    assert hook_types(bodies[3]) == ()
    assert hook_types(obj("Job", "x", hook="PostSync, PreSync,Odd")) == (HookType.PRE_SYNC, HookType.POST_SYNC)


@pytest.mark.covers("HOOK-07")
@pytest.mark.parametrize(
    ("hook", "types"),
    [
        ("pre-install,pre-upgrade", (HookType.PRE_SYNC,)),
        ("post-upgrade", (HookType.POST_SYNC,)),
        ("pre-delete", (HookType.PRE_DELETE,)),
        ("post-delete", (HookType.POST_DELETE,)),
        ("test", ()),
        ("test-success", ()),
        ("pre-rollback", ()),
    ],
)
def test_helms_hooks_run_as_argo_cds(hook: str, types: tuple[HookType, ...]) -> None:
    assert is_hook(helm(hook))
    assert hook_types(helm(hook)) == types


@pytest.mark.covers("HOOK-07")
def test_argo_cds_annotations_silence_helms_and_a_crd_install_is_no_hook() -> None:
    both = obj("Job", "x", hook="Sync", **{"helm.sh/hook": "pre-install"})
    assert hook_types(both) == (HookType.SYNC,)
    assert is_skipped(obj("Job", "x", hook="Skip", **{"helm.sh/hook": "pre-install"}))
    assert not is_hook(helm("crd-install"))


@pytest.mark.covers("HOOK-04")
def test_delete_policies_default_to_before_hook_creation() -> None:
    policy = "argocd.argoproj.io/hook-delete-policy"
    assert delete_policies(obj("Job", "x", hook="Sync")) == {DeletePolicy.BEFORE_HOOK_CREATION}
    named = obj("Job", "x", hook="Sync", **{policy: "HookSucceeded, HookFailed,Odd"})
    assert delete_policies(named) == {DeletePolicy.HOOK_SUCCEEDED, DeletePolicy.HOOK_FAILED}
    mapped = helm("pre-install", **{"delete-policy": "hook-succeeded,before-hook-creation"})
    assert delete_policies(mapped) == {DeletePolicy.HOOK_SUCCEEDED, DeletePolicy.BEFORE_HOOK_CREATION}


@pytest.mark.covers("HOOK-04")
def test_hooks_go_by_the_outcome_of_the_whole_operation_and_only_if_they_were_made() -> None:
    policy = "argocd.argoproj.io/hook-delete-policy"
    bodies = [
        obj("Job", "good", hook="Sync", **{policy: "HookSucceeded"}),
        obj("Job", "bad", hook="Sync", **{policy: "HookFailed"}),
        obj("Job", "unmade", hook="PostSync", **{policy: "HookFailed"}),
    ]
    hooks = expand(wants(*bodies).values(), "abc", START)
    made = {(Phase.SYNC, key("Job", name)): HookSeen(HookState.SUCCEEDED) for name in ("good", "bad")}
    assert [hook.key.name for hook in to_delete(hooks, made, succeeded=True)] == ["good"]
    assert [hook.key.name for hook in to_delete(hooks, made, succeeded=False)] == ["bad"]


@pytest.mark.covers("HOOK-05")
def test_a_generated_name_is_the_same_after_a_restart_and_fits_a_label() -> None:
    body = obj("Job", "", hook="PreSync")
    body["metadata"]["generateName"] = "a-very-long-prefix-that-nobody-would-choose-but-somebody-did-anyway-"
    wanted = [Wanted(body, "d")]
    (one,), (other,) = expand(wanted, "ABCDEF0123", START), expand(wanted, "ABCDEF0123", START)
    assert one.key == other.key
    assert len(one.key.name) == 63
    assert one.key.name.endswith("abcdef0-presync-1767225600")
    assert "generateName" not in one.body["metadata"]


def test_hooks_of_a_deletion_stand_around_it() -> None:
    hooks = wants(obj("Job", "a", hook="PreDelete"), obj("Job", "b", hook="PostDelete"), obj("Job", "c", hook="Sync"))
    assert [(hook.phase, hook.key.name) for hook in expand(hooks.values(), "", None, deleting=True)] == [
        (Phase.PRE_SYNC, "a"),
        (Phase.POST_SYNC, "b"),
    ]
    assert [hook.key.name for hook in expand(hooks.values(), "", None)] == ["c"]


@pytest.mark.covers("SYNC-05", "HOOK-07")
def test_helms_weight_is_the_wave_of_a_hook_without_one() -> None:
    assert expand([Wanted(helm("pre-install", weight="-5"), "d")], "", None)[0].wave == -5
    assert wave_of({"helm.sh/hook-weight": "3"}) == 0
    assert wave_of({"argocd.argoproj.io/sync-wave": "+2", "helm.sh/hook-weight": "3"}, hook=True) == 2
    assert wave_of({"argocd.argoproj.io/sync-wave": "2.5"}) == 0


@pytest.mark.covers("HOOK-02")
@pytest.mark.parametrize(
    ("status", "state"),
    [
        (HealthStatus.HEALTHY, HookState.SUCCEEDED),
        (HealthStatus.DEGRADED, HookState.FAILED),
        (HealthStatus.UNKNOWN, HookState.FAILED),
        (HealthStatus.PROGRESSING, HookState.RUNNING),
        (HealthStatus.SUSPENDED, HookState.RUNNING),
    ],
)
def test_a_hook_is_done_when_its_health_says_so(status: HealthStatus, state: HookState) -> None:
    assert outcome(Health(status, "words"), HookSeen(HookState.RUNNING, since=START)) == HookSeen(state, "words", START)


@pytest.mark.covers("HOOK-02")
def test_a_hook_without_a_check_is_done_once_created() -> None:
    assert outcome(None).state is HookState.SUCCEEDED


def test_a_hook_that_vanished_keeps_its_recorded_end_and_fails_without_one() -> None:
    ended = HookSeen(HookState.SUCCEEDED, since=START)
    assert outcome_of_vanished(key("Job", "x"), ended) == ended
    assert outcome(Health(HealthStatus.PROGRESSING), ended) == ended
    lost = outcome_of_vanished(key("Job", "x"), HookSeen(HookState.RUNNING, since=START))
    assert lost.state is HookState.FAILED
    assert "ttlSecondsAfterFinished" in lost.message


def test_a_deletion_runs_its_hooks_wave_by_wave() -> None:
    def made(name: str, wave: int) -> Wanted:
        notes = {"argocd.argoproj.io/hook": "PreDelete", "argocd.argoproj.io/sync-wave": str(wave)}
        return Wanted({"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": name, "annotations": notes}}, "")

    hooks = expand([made("late", 1), made("one", 0), made("two", 0)], "", None, deleting=True)
    seen: dict[tuple[Phase, Key], HookSeen] = {}

    def names() -> list[str]:
        return [hook.key.name for hook in due(hooks, Phase.PRE_SYNC, seen)]

    assert names() == ["one", "two"]
    for hook in due(hooks, Phase.PRE_SYNC, seen):
        seen[hook.phase, hook.key] = HookSeen(HookState.RUNNING)
    assert names() == ["one", "two"]
    for place in seen:
        seen[place] = HookSeen(HookState.SUCCEEDED)
    assert names() == ["late"]
    seen[hooks[-1].phase, hooks[-1].key] = HookSeen(HookState.SUCCEEDED)
    assert names() == [] and due(hooks, Phase.POST_SYNC, seen) == ()


@pytest.mark.parametrize(
    ("policy", "stays"),
    [("", False), ("HookSucceeded", False), ("BeforeHookCreation", True), ("HookFailed,HookSucceeded", False)],
)
def test_a_hook_of_a_deletion_goes_unless_its_policy_says_otherwise(policy: str, stays: bool) -> None:
    notes = {"argocd.argoproj.io/hook": "PostDelete", **({HOOK_POLICY: policy} if policy else {})}
    assert outlives({"metadata": {"name": "x", "annotations": notes}}) is stays
