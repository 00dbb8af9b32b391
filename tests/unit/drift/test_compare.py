"""The local comparison: certain where it says so, a suspect everywhere else."""

import copy
from typing import Any

import pytest

from driftline.drift.compare import Context, compare
from driftline.drift.fields import FieldSet, fields_of
from driftline.model.drift import ABSENT, VerdictState
from driftline.model.objects import Object
from tests.drift.catalogue import GROUP, OBJECTS
from tests.unit.drift.known import MARKS, applied, config_map, context, live_of, owning, type_of


def verdict(desired: Object, live: Object | None, **more: Any) -> Any:
    return compare(desired, live, context(desired, **more))


# These need a dry run: a zero, or a default inside of a value that is one to the schema.
SUSPECTS = {
    "apps/v1/deployments",
    "batch/v1/jobs",
    "batch/v1/cronjobs",
    "networking.k8s.io/v1/networkpolicies",
    "autoscaling/v2/horizontalpodautoscalers",
}


@pytest.mark.parametrize("resource", OBJECTS)
@pytest.mark.covers("CMP-10")
def test_what_was_just_applied_is_in_sync_or_at_worst_a_suspect(resource: str) -> None:
    found = compare(OBJECTS[resource], applied(resource), Context(type_of(OBJECTS[resource]), MARKS))
    allowed = {VerdictState.SYNCED} | ({VerdictState.SUSPECT} if resource in SUSPECTS else set())
    assert found.state in allowed, found


def test_values_and_ownership_as_git_says_are_in_sync() -> None:
    desired = config_map(a="1")
    assert verdict(desired, live_of(desired)).state is VerdictState.SYNCED


def test_right_values_in_other_hands_are_a_claim() -> None:
    desired = config_map(a="1", b="2")
    live = live_of(desired)
    live["metadata"]["managedFields"][0]["fieldsV1"] = {"f:data": {"f:a": {}}}
    assert verdict(desired, live).state is VerdictState.CLAIM
    live["metadata"]["managedFields"] = [{}]
    assert verdict(desired, live).state is VerdictState.CLAIM


def test_another_value_is_a_suspect_that_names_the_field_and_its_author() -> None:
    desired = config_map(a="1")
    live = live_of(config_map(a="2"))
    live = owning(live, FieldSet.parse({"f:data": {"f:a": {}}}), "kubectl-edit", "Update")
    found = verdict(desired, live)
    [field] = found.fields
    assert (found.state, field.path, field.desired, field.live) == (VerdictState.SUSPECT, "data.a", "1", "2")
    assert found.reason == "1 field may differ"
    assert str(field.author) == "kubectl-edit (Update) at 2026-01-01 00:00:00Z"


def test_a_field_that_our_last_apply_had_and_git_dropped_is_a_suspect() -> None:
    desired, before = config_map(a="1"), config_map(a="1", b="2")
    live = live_of(before)
    assert [field.desired for field in verdict(desired, live).fields] == [ABSENT]
    live["metadata"]["managedFields"] = []
    once = fields_of(before, type_of(before))
    assert verdict(desired, live, applied=once).state is VerdictState.SUSPECT
    assert verdict(desired, live).state is VerdictState.CLAIM


def test_what_others_add_beside_ours_is_not_drift() -> None:
    desired = config_map(a="1")
    live = live_of(desired)
    live["data"] = {**live["data"], "theirs": "x"}
    live["metadata"]["annotations"] = {"theirs": "x"}
    live["status"] = {"any": "thing"}
    assert verdict(desired, live).state is VerdictState.SYNCED


def deployment(**pod: Any) -> Object:
    body = copy.deepcopy(OBJECTS["apps/v1/deployments"])
    spec = body["spec"]["template"]["spec"]
    for name in list(spec):
        if name not in ("containers", "initContainers"):
            del spec[name]
    del spec["containers"][0]["volumeMounts"]
    spec.update(pod)
    return body


def edited(desired: Object, change: Any) -> Object:
    live = live_of(desired)
    change(live["spec"]["template"]["spec"])
    return live


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("initContainers", lambda spec: spec["initContainers"].reverse()),
        ("containers[name=web].env", lambda spec: spec["containers"][0]["env"].reverse()),
        ("containers[name=web].env", lambda spec: spec["containers"][0]["env"].append({"name": "A", "value": "1"})),
        ("containers[name=web].args", lambda spec: spec["containers"][0]["args"].append("x")),
        ("nodeSelector", lambda spec: spec["nodeSelector"].update(more="x")),
        ("containers[name=web].image", lambda spec: spec["containers"][0].update(image="other")),
        ("containers[name=side]", lambda spec: spec["containers"].pop()),
        ("containers[name=web].env[name=B]", lambda spec: spec["containers"][0]["env"].pop(1)),
        ("containers[name=web].ports[containerPort=53,protocol=UDP]", lambda s: s["containers"][0]["ports"].pop()),
        (
            "containers[name=web].resources.limits.cpu",
            lambda s: s["containers"][0]["resources"]["limits"].update(cpu=2),
        ),
    ],
)
def test_order_and_values_that_are_one_are_looked_at_as_a_whole(path: str, change: Any) -> None:
    desired = deployment(nodeSelector={"disk": "ssd"})
    found = verdict(desired, edited(desired, change))
    assert found.state is VerdictState.SUSPECT
    assert [field.path for field in found.fields] == [f"spec.template.spec.{path}"]


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["containers"].insert(0, {"name": "theirs", "image": "x"}),
        lambda spec: spec["containers"][0]["env"].insert(1, {"name": "Z"}),
        lambda spec: spec["containers"][0]["resources"]["limits"].update(cpu="1", memory="1Gi"),
        lambda spec: spec["containers"][0]["ports"][0].update(protocol="TCP"),
    ],
)
def test_other_items_in_between_and_other_spellings_are_in_sync(change: Any) -> None:
    desired = deployment()
    assert verdict(desired, edited(desired, change)).state is VerdictState.SYNCED


@pytest.mark.parametrize("spec", [{"size": "1"}, {"port": "80"}, {"when": "2023-12-31T22:00:00Z"}])
def test_custom_resources_have_no_other_spellings(spec: Object) -> None:
    desired = OBJECTS[f"{GROUP}/v1/gadgets"]
    live = live_of(desired)
    live["spec"] = {**live["spec"], **spec}
    assert [field.path for field in verdict(desired, live).fields] == [f"spec.{name}" for name in spec]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"replicas": None}, "null is not the same as absent: spec.replicas"),
        ({"replica": 1}, "fields unknown to the schema: spec.replica"),
        ({"replicas": {"a": 1}}, "fields unknown to the schema: spec.replicas"),
    ],
)
def test_doubt_has_a_reason(spec: Object, why: str) -> None:
    desired = deployment()
    desired["spec"] |= spec
    found = verdict(desired, live_of(desired))
    assert (found.state, found.reason) == (VerdictState.SUSPECT, why)


def test_a_kind_without_schema_and_an_older_entry_are_suspects() -> None:
    desired = config_map(a="1")
    live = live_of(desired)
    assert compare(desired, live, Context(None, MARKS)).reason == "no schema for this kind"
    live["metadata"]["managedFields"][0]["apiVersion"] = "v1beta1"
    assert verdict(desired, live).reason == "last applied as v1beta1"


def test_empty_maps_and_lists_of_built_in_kinds_are_no_claim() -> None:
    desired = deployment(nodeSelector={}, tolerations=[])
    desired["spec"]["template"]["metadata"]["annotations"] = {}
    live = live_of(desired)
    del live["spec"]["template"]["spec"]["nodeSelector"], live["spec"]["template"]["spec"]["tolerations"]
    del live["spec"]["template"]["metadata"]["annotations"]
    assert verdict(desired, live).state is VerdictState.SYNCED
    live["spec"]["template"]["spec"]["nodeSelector"] = {"by": "hand"}
    assert verdict(desired, live).state is VerdictState.SUSPECT


@pytest.mark.covers("CMP-02")
def test_the_states_that_need_no_look_at_fields() -> None:
    desired = MARKS.stamp(config_map(a="1"))
    live = live_of(desired)
    assert verdict(desired, live).state is VerdictState.SYNCED
    assert verdict(desired, None).state is VerdictState.MISSING
    assert verdict(desired, live, owned_uid="u0").state is VerdictState.RECREATED
    leaving = {**live, "metadata": {**live["metadata"], "deletionTimestamp": "t", "finalizers": ["f/x"]}}
    assert verdict(desired, leaving).reason == "being deleted since t, waits for f/x"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda meta: meta["labels"].clear(), "tracking mark removed: label driftline.io/installation"),
        (
            lambda meta: meta["annotations"].clear(),
            "tracking mark removed: annotation argocd.argoproj.io/tracking-id",
        ),
        (
            lambda meta: meta["annotations"].update({"argocd.argoproj.io/tracking-id": "other:/ConfigMap:shop/web"}),
            "tracked by application other",
        ),
        (
            lambda meta: meta.update(ownerReferences=[{"controller": True, "uid": "x"}]),
            "the tracking marks name another object or installation",
        ),
    ],
)
def test_an_object_without_our_marks_says_which_is_gone(change: Any, why: str) -> None:
    desired = MARKS.stamp(config_map(a="1"))
    live = copy.deepcopy(live_of(desired))
    change(live["metadata"])
    found = verdict(desired, live)
    assert (found.state, found.reason) == (VerdictState.UNMARKED, why)


def test_an_object_that_is_never_marked_is_compared_all_the_same() -> None:
    assert verdict(config_map(a="1"), live_of(config_map(a="1"))).state is VerdictState.SYNCED
