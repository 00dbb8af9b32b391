"""A plan says what a sync would do to each wanted object, in which order, and what it will not do."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from driftline.model.drift import FieldDrift, VerdictState
from driftline.model.objects import Key
from driftline.model.plan import Op, Phase
from driftline.sync.given import LiveSeen, Owned, PlanOptions, Wanted
from driftline.sync.planning import is_managed_namespace, managed_namespace, plan
from tests.kit.planning import given, key, obj, owns, seen, verdict, wants

WEB, CACHE = obj("Deployment", "web"), obj("Deployment", "cache")


def test_a_new_application_is_created_and_an_unchanged_one_left_alone() -> None:
    assert str(plan(given(wants(WEB)))) == "1 create apps/Deployment/shop/web"
    quiet = plan(given(wants(WEB, CACHE), owned=owns(WEB, CACHE)))
    assert str(quiet) == "nothing to do"
    assert quiet.unchanged == 2
    assert quiet.empty


def test_what_git_changed_is_updated_against_the_recorded_uid_with_the_fields_that_differ() -> None:
    newer = obj("Deployment", "web", {"replicas": 3})
    verdicts = verdict("Deployment", "web", VerdictState.DRIFTED, "spec.replicas")
    (change,) = plan(given(wants(newer), owned=owns(WEB), verdicts=verdicts)).changes()
    assert (change.op, change.uid, change.desired_digest) == (Op.UPDATE, "uid-web", wants(newer)[change.key].digest)
    assert [field.path for field in change.fields] == ["spec.replicas"]
    (plain,) = plan(given(wants(newer), owned=owns(WEB))).changes()
    assert (plain.op, plain.fields) == (Op.UPDATE, ())


@pytest.mark.parametrize(
    ("state", "op"),
    [
        (VerdictState.DRIFTED, Op.UPDATE),
        (VerdictState.SUSPECT, Op.UPDATE),
        (VerdictState.UNMARKED, Op.UPDATE),
        (VerdictState.CLAIM, Op.CLAIM),
        (VerdictState.MISSING, Op.CREATE),
    ],
)
def test_each_verdict_that_a_write_can_cure_gets_its_write(state: VerdictState, op: Op) -> None:
    (change,) = plan(given(wants(WEB), owned=owns(WEB), verdicts=verdict("Deployment", "web", state))).changes()
    assert change.op is op
    assert change.uid == ("" if op is Op.CREATE else "uid-web")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (VerdictState.DELETING, "is being deleted"),
        (VerdictState.REFUSED, "quota exceeded"),
        (VerdictState.UNKNOWN, "quota exceeded"),
        (VerdictState.UNAPPLICABLE, "quota exceeded"),
        (VerdictState.KIND_NOT_SERVED, "does not serve the kind apps/Deployment"),
        (VerdictState.NAMESPACE_MISSING, "namespace shop does not exist"),
    ],
)
def test_what_no_write_can_cure_is_a_problem_and_stops_nobody_else(state: VerdictState, words: str) -> None:
    verdicts = verdict("Deployment", "web", state, reason="quota exceeded")
    found = plan(given(wants(WEB, CACHE), owned=owns(WEB), verdicts=verdicts))
    assert [change.key for change in found.changes()] == [key("Deployment", "cache")]
    assert words in found.problems[0].message


def test_a_second_claimant_is_told_the_owner() -> None:
    others = {key("Deployment", "web"): "billing"}
    found = plan(given(wants(WEB, CACHE), others=others))
    assert found.problems[0].message.startswith("belongs to application billing")
    assert str(found).startswith("1 create apps/Deployment/shop/cache")
    marked_by_other = {key("Deployment", "web"): LiveSeen("u", ours=True, tracked_by="billing")}
    assert plan(given(wants(WEB), live=marked_by_other)).problems[0].message.startswith("belongs to application bill")


@pytest.mark.covers("OPT-11")
def test_fail_on_shared_resource_refuses_the_whole_plan() -> None:
    options = PlanOptions("shop", sync_options=("FailOnSharedResource=true",))
    found = plan(given(wants(WEB, CACHE), options, others={key("Deployment", "web"): "billing"}))
    assert found.empty
    assert "apps/Deployment/shop/web belongs to application billing" in found.refused


IMMUTABLE = verdict("Deployment", "web", VerdictState.RECREATE, "spec.selector")


@pytest.mark.covers("SYNC-15", "OPT-06")
def test_an_immutable_field_is_named_and_recreate_needs_permission() -> None:
    refused = plan(given(wants(WEB), owned=owns(WEB), verdicts=IMMUTABLE))
    assert refused.problems[0].message == (
        "spec.selector cannot change; allow recreate (sync option Force=true) to replace the object"
    )
    for options in (
        PlanOptions(force=True),
        PlanOptions(sync_options=("Force=true",)),
        PlanOptions(approved=frozenset({key("Deployment", "web")})),
    ):
        (change,) = plan(given(wants(WEB), options, owned=owns(WEB), verdicts=IMMUTABLE)).changes()
        assert (change.op, change.uid) == (Op.RECREATE, "uid-web")
    own = obj("Deployment", "web", options="Force=true")
    (change,) = plan(given(wants(own), owned=owns(WEB), verdicts=IMMUTABLE)).changes()
    assert change.op is Op.RECREATE


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "Namespace", "CustomResourceDefinition"])
def test_what_holds_data_is_never_recreated(kind: str) -> None:
    body = obj(kind, "web")
    options = PlanOptions(force=True, approved=frozenset({key(kind, "web")}))
    verdicts = verdict(kind, "web", VerdictState.RECREATE, "spec.storageClassName")
    found = plan(given(wants(body), options, owned=owns(body), verdicts=verdicts))
    assert found.empty
    assert "never recreated" in found.problems[0].message


def test_a_stateful_set_is_recreated_only_when_a_person_names_it() -> None:
    body = obj("StatefulSet", "db")
    verdicts = verdict("StatefulSet", "db", VerdictState.RECREATE, "spec.serviceName")
    held = plan(given(wants(body), PlanOptions(force=True), owned=owns(body), verdicts=verdicts))
    assert held.held[0].change.op is Op.RECREATE
    options = PlanOptions(force=True, approved=frozenset({key("StatefulSet", "db")}))
    (change,) = plan(given(wants(body), options, owned=owns(body), verdicts=verdicts)).changes()
    assert change.op is Op.RECREATE


@pytest.mark.covers("OPT-07")
def test_replace_with_force_runs_a_changed_job_again_and_leaves_an_unchanged_one() -> None:
    before, after = (obj("Job", "seed", {"x": n}, options="Replace=true,Force=true") for n in (1, 2))
    (change,) = plan(given(wants(after), owned=owns(before))).changes()
    assert change.op is Op.RECREATE
    assert plan(given(wants(before), owned=owns(before))).empty


def test_an_object_without_an_owner_is_adopted_and_the_plan_lists_what_will_go() -> None:
    going = (FieldDrift("spec.replicas", None, 3, kind="added"),)
    live = {key("Deployment", "web"): LiveSeen("u-1", will_go=going)}
    (change,) = plan(given(wants(WEB), live=live)).changes()
    assert (change.op, change.uid, change.leftovers) == (Op.ADOPT, "u-1", going)
    refused = plan(given(wants(WEB), PlanOptions(adopt=False), live=live))
    assert "allow its adoption" in refused.problems[0].message


def test_an_object_of_a_controller_is_never_adopted() -> None:
    live = {key("Deployment", "web"): LiveSeen("u-1", controlled="example.com/Widget/big")}
    options = PlanOptions(approved=frozenset({key("Deployment", "web")}))
    found = plan(given(wants(WEB), options, live=live))
    assert found.empty
    assert "controlled by example.com/Widget/big" in found.problems[0].message


def test_adopting_from_argo_cd_warns_of_its_cascade() -> None:
    live = {key("Deployment", "web"): LiveSeen("u-1", tracked_by="old", notes=("argocd-controller wrote at 10:00",))}
    found = plan(given(wants(WEB), live=live))
    assert [change.op for change in found.changes()] == [Op.ADOPT]
    assert any("tracked by Argo CD's application old" in warning for warning in found.warnings)
    assert any("argocd-controller wrote at 10:00" in warning for warning in found.warnings)


def test_an_object_recreated_by_others_waits_for_a_person() -> None:
    live = {key("Deployment", "web"): LiveSeen("u-9")}
    found = plan(given(wants(WEB), owned=owns(WEB), live=live))
    assert found.empty
    assert "uid u-9, ours was uid-web" in found.held[0].reason
    options = PlanOptions(approved=frozenset({key("Deployment", "web")}))
    (change,) = plan(given(wants(WEB), options, owned=owns(WEB), live=live)).changes()
    assert (change.op, change.uid) == (Op.ADOPT, "u-9")


def test_a_row_left_by_a_crash_takes_the_uid_of_a_live_object_only_with_our_marks() -> None:
    rows = {key("Deployment", "web"): Owned()}
    ours = plan(given(wants(WEB), owned=rows, live={key("Deployment", "web"): seen("web")}))
    assert [(change.op, change.uid) for change in ours.changes()] == [(Op.CLAIM, "uid-web")]
    foreign = plan(given(wants(WEB), owned=rows, live={key("Deployment", "web"): LiveSeen("x")}))
    assert [change.op for change in foreign.changes()] == [Op.ADOPT]
    assert [change.op for change in plan(given(wants(WEB), owned=rows)).changes()] == [Op.CREATE]
    gone = plan(given(wants(WEB), owned=owns(WEB), live={key("Deployment", "web"): None}))
    assert [(change.op, change.uid) for change in gone.changes()] == [(Op.CREATE, "")]


@pytest.mark.covers("SYNC-02", "SYNC-05")
def test_phases_waves_kinds_and_names_give_the_order() -> None:
    bodies = [
        obj("Widget", "w"),
        obj("Deployment", "b"),
        obj("Deployment", "a"),
        obj("Service", "web"),
        obj("ConfigMap", "early", wave=-1),
        obj("ConfigMap", "late", wave=2),
        obj("ConfigMap", "odd", wave="soon"),
    ]
    assert str(plan(given(wants(*bodies)))).splitlines() == [
        "1 create ConfigMap/shop/early",
        "2 create ConfigMap/shop/odd",
        "2 create Service/shop/web",
        "2 create apps/Deployment/shop/a",
        "2 create apps/Deployment/shop/b",
        "2 create example.com/Widget/shop/w",
        "3 create ConfigMap/shop/late",
    ]


DEFINITION = obj(
    "CustomResourceDefinition", "widgets.example.com", {"group": "example.com", "names": {"kind": "Widget"}}
)


@pytest.mark.covers("SYNC-02")
def test_a_definition_and_a_namespace_go_before_those_that_need_them() -> None:
    late = {
        **DEFINITION,
        "metadata": {"name": "widgets.example.com", "annotations": {"argocd.argoproj.io/sync-wave": "5"}},
    }
    bodies = [obj("Widget", "w", wave=-1), late, obj("Namespace", "shop", wave=3), obj("ConfigMap", "c")]
    verdicts = {
        **verdict("Widget", "w", VerdictState.KIND_NOT_SERVED),
        **verdict("ConfigMap", "c", VerdictState.NAMESPACE_MISSING),
    }
    found = plan(given(wants(*bodies), verdicts=verdicts))
    assert str(found).splitlines() == [
        "1 create Namespace/shop",
        "1 create apiextensions.k8s.io/CustomResourceDefinition/widgets.example.com",
        "2 create example.com/Widget/shop/w",
        "3 create ConfigMap/shop/c",
    ]
    assert {change.reason for change in found.changes()} >= {
        "unverified until example.com/Widget is served",
        "unverified until Namespace/shop exists",
    }


@pytest.mark.covers("OPT-10")
def test_an_unknown_kind_may_be_tried_when_the_object_says_so() -> None:
    body = obj("Widget", "w", options="SkipDryRunOnMissingResource=true")
    found = plan(given(wants(body), verdicts=verdict("Widget", "w", VerdictState.KIND_NOT_SERVED)))
    assert [change.op for change in found.changes()] == [Op.CREATE]


@pytest.mark.covers("OPT-01")
def test_the_destination_namespace_is_made_on_request_before_everything_and_belongs_to_nobody() -> None:
    options = PlanOptions(
        sync_options=("CreateNamespace=true",), destination_namespace="shop", namespace_labels={"team": "a"}
    )
    verdicts = verdict("Deployment", "web", VerdictState.NAMESPACE_MISSING)
    found = plan(given(wants(WEB), options, verdicts=verdicts))
    assert str(found) == "1 create Namespace/shop\n2 create apps/Deployment/shop/web"
    assert found.waves[0].phase is Phase.PRE_SYNC
    assert is_managed_namespace(next(found.changes()))
    assert managed_namespace(options).body["metadata"] == {"name": "shop", "labels": {"team": "a"}}
    there = plan(given(wants(WEB), options, live={Key("", "Namespace", "", "shop"): LiveSeen("u")}))
    assert str(there) == "1 create apps/Deployment/shop/web"
    in_git = plan(given(wants(WEB, obj("Namespace", "shop")), options, verdicts=verdicts))
    assert not any(is_managed_namespace(change) for change in in_git.changes())


def hooks(*bodies: Any) -> tuple[Wanted, ...]:
    return tuple(wants(*bodies).values())


@pytest.mark.covers("HOOK-01", "HOOK-05")
def test_hooks_run_in_their_phases_under_names_that_follow_from_the_sync() -> None:
    generated = obj("Job", "", hook="PreSync,PostSync")
    generated["metadata"]["generateName"] = "migrate-"
    options = PlanOptions(revision="0123456789abc", started_at=datetime(2026, 1, 1, tzinfo=UTC))
    found = plan(given(wants(WEB), options, hooks=hooks(generated, obj("Job", "tidy", hook="SyncFail"))))
    assert str(found).splitlines() == [
        "1 hook batch/Job/shop/migrate-0123456-presync-1767225600",
        "2 create apps/Deployment/shop/web",
        "3 hook batch/Job/shop/migrate-0123456-postsync-1767225600",
        "4 hook batch/Job/shop/tidy",
    ]


@pytest.mark.covers("SYNC-12")
def test_a_selective_sync_touches_only_what_it_names_and_runs_no_hook() -> None:
    options = PlanOptions(only=frozenset({key("Deployment", "web")}))
    found = plan(given(wants(WEB, CACHE), options, hooks=hooks(obj("Job", "a", hook="Sync"))))
    assert str(found) == "1 create apps/Deployment/shop/web"
    assert found.unchanged == 1


def test_hooks_that_only_tidy_up_are_no_reason_for_a_sync() -> None:
    assert plan(given(wants(WEB), owned=owns(WEB), hooks=hooks(obj("Job", "tidy", hook="SyncFail")))).empty


def test_a_workload_scaled_by_git_and_by_an_autoscaler_is_warned_of() -> None:
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
    autoscaler = obj("HorizontalPodAutoscaler", "web", target)
    fixed = obj("Deployment", "web", {"replicas": 3})
    (warning,) = plan(given(wants(fixed, autoscaler))).warnings
    assert warning == (
        "autoscaling/HorizontalPodAutoscaler/shop/web scales apps/Deployment/shop/web, "
        "whose replicas Git sets to 3: remove spec.replicas from Git"
    )
    assert plan(given(wants(WEB, autoscaler))).warnings == ()


def test_the_same_input_gives_the_same_plan_and_digest_whatever_its_order() -> None:
    one, other = given(wants(WEB, CACHE)), given(wants(CACHE, WEB))
    assert plan(one) == plan(other)
    assert plan(one).digest == plan(other).digest
    assert plan(replace(one, wanted=wants(WEB))).digest != plan(one).digest
