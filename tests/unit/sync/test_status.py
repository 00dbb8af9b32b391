"""What makes an application OutOfSync or Unknown, its inventory rows, and the sentences of an operation."""

from datetime import UTC, datetime

import pytest

from driftline.model.drift import Verdict, VerdictState
from driftline.model.health import SyncStatus
from driftline.model.plan import Action, Change, Op, Phase, Plan, Wave
from driftline.sync import texts
from driftline.sync.given import Owned, PlanOptions
from driftline.sync.inventory import narrow, recorded, unconfirmed, widen
from driftline.sync.options import kept_by_helm, protection, seen, setting
from driftline.sync.planning import plan
from driftline.sync.status import Extra, application_sync_status, comparison_failed, invalid_spec
from tests.kit.planning import given, key, obj, verdict, wants

WEB = key("Deployment", "web")


@pytest.mark.covers("CMP-02")
@pytest.mark.parametrize(
    ("state", "status"),
    [
        (VerdictState.SYNCED, SyncStatus.SYNCED),
        (VerdictState.CLAIM, SyncStatus.SYNCED),
        (VerdictState.DRIFTED, SyncStatus.OUT_OF_SYNC),
        (VerdictState.MISSING, SyncStatus.OUT_OF_SYNC),
        (VerdictState.UNMARKED, SyncStatus.OUT_OF_SYNC),
        (VerdictState.KIND_NOT_SERVED, SyncStatus.OUT_OF_SYNC),
        (VerdictState.SUSPECT, SyncStatus.UNKNOWN),
        (VerdictState.UNKNOWN, SyncStatus.UNKNOWN),
    ],
)
def test_one_object_decides_for_the_application(state: VerdictState, status: SyncStatus) -> None:
    assert application_sync_status(verdict("Deployment", "web", state)).status is status


@pytest.mark.covers("CMP-02")
def test_an_object_that_only_lives_counts_unless_it_is_a_copy_or_said_to_be_ignored() -> None:
    assert application_sync_status({}, [Extra(WEB)]).requires_pruning == (WEB,)
    assert application_sync_status({}, [Extra(WEB)]).status is SyncStatus.OUT_OF_SYNC
    for extra in (Extra(WEB, self_naming=False), Extra(WEB, ignore_extraneous=True)):
        assert application_sync_status({}, [extra]).status is SyncStatus.SYNCED


@pytest.mark.covers("CMP-02")
def test_hooks_and_skipped_objects_count_for_nothing() -> None:
    drifted = verdict("Deployment", "web", VerdictState.DRIFTED)
    assert application_sync_status(drifted, [Extra(WEB)], ignored={WEB}).status is SyncStatus.SYNCED


@pytest.mark.covers("CMP-03", "CMP-05")
def test_what_could_not_be_judged_is_never_synced_and_says_why() -> None:
    unknown = application_sync_status({WEB: Verdict(WEB, VerdictState.UNKNOWN, reason="timed out")})
    assert [(found.type, found.message) for found in unknown.conditions] == [
        ("ComparisonError", "apps/Deployment/shop/web: timed out")
    ]
    both = {**verdict("Deployment", "web", VerdictState.UNKNOWN), **verdict("Deployment", "x", VerdictState.MISSING)}
    assert application_sync_status(both).status is SyncStatus.OUT_OF_SYNC
    assert comparison_failed("render failed").status is SyncStatus.UNKNOWN
    assert invalid_spec("no such project").conditions[0].type == "InvalidSpecError"
    shared = application_sync_status({}, shared={WEB: ["b", "a"]})
    assert shared.conditions[0].message == "Deployment/web is part of applications a, b"


def test_the_inventory_is_wider_before_the_first_write_and_narrower_after_a_confirmed_deletion() -> None:
    old = key("ConfigMap", "old")
    options = PlanOptions(sync_options=("CreateNamespace=true",), destination_namespace="shop")
    wanted = wants(obj("Deployment", "web", wave=2, options="Prune=false,Validate=false"))
    found = plan(given(wanted, options, verdicts=verdict("Deployment", "web", VerdictState.NAMESPACE_MISSING)))
    before = {old: Owned("u", "d")}
    wider = widen(before, found)
    assert wider == {**before, WEB: Owned(wave=2)}
    change = list(found.changes())[-1]
    written = recorded(wider, change, "u-web", wanted[WEB].body)
    assert written[WEB] == Owned("u-web", wanted[WEB].digest, 2, ("Prune=false",))
    assert narrow(written, {old}) == {WEB: written[WEB]}
    assert unconfirmed(written, WEB)[WEB].uid == ""
    hook = Plan((Wave(Phase.SYNC, 0, (Change(Op.HOOK, key("Job", "x")),)),))
    assert widen({}, hook) == {}


@pytest.mark.covers("OPT-00")
def test_an_objects_own_option_beats_the_applications() -> None:
    application = ("Prune=false", "Replace=true")
    assert setting("Replace", application, {}) == "true"
    assert setting("Replace", application, {"Replace": "false"}) == "false"
    assert protection("Prune", application, (), {}) == "false"
    own = {"argocd.argoproj.io/sync-options": "Prune=true"}
    assert protection("Prune", application, (), own) == ""
    assert protection("Prune", (), ("Prune=confirm",), own) == "confirm"
    kept = obj("ConfigMap", "c", **{"helm.sh/resource-policy": "keep"})
    assert kept_by_helm(seen(kept), {})


@pytest.mark.covers("SYNC-07", "SYNC-08")
def test_results_and_waits_read_as_in_argo_cd() -> None:
    assert texts.result(WEB, Action.CREATED) == "deployment.apps/web created"
    assert texts.result(key("ConfigMap", "c"), Action.UPDATED) == "configmap/c configured"
    assert texts.result(WEB, Action.UNCHANGED) == "deployment.apps/web unchanged"
    assert texts.result(WEB, Action.PRUNED) == "pruned"
    keys = [WEB, key("ConfigMap", "c")]
    assert texts.healthy_state(keys[:1]) == "waiting for healthy state of apps/Deployment/web"
    assert texts.hook_completion(keys) == "waiting for completion of hook apps/Deployment/web and 1 more hooks"
    assert texts.deletion(keys[1:]) == "waiting for deletion of ConfigMap/c"
    assert texts.apply_failed(["a", "b", "a", ""]) == "one or more objects failed to apply, reason: a,b"
    at = datetime(2026, 1, 1, 15, 4, tzinfo=UTC)
    assert texts.retrying("no", 2, at) == "no. Retrying attempt #2 at 3:04PM."
    assert texts.retrying("no", 1, at.replace(hour=0)) == "no. Retrying attempt #1 at 12:04AM."
