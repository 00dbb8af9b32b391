"""`ignoreDifferences`: what is ignored is in sync, whoever owns it, and an apply leaves it alone."""

import copy
from typing import Any

import pytest

from driftline.drift.compare import compare, judge
from driftline.drift.fields import FieldSet
from driftline.drift.ignore import respect, warnings
from driftline.model.application import IgnoreRule
from driftline.model.drift import VerdictState
from driftline.model.objects import Object
from tests.unit.drift.known import config_map, context, live_of, owning, type_of


def workload(replicas: int = 2, image: str = "web:1", **metadata: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
    }


def rule(**more: Any) -> IgnoreRule:
    return IgnoreRule(kind="Deployment", group="apps", **more)


def state(desired: Object, live: Object, *rules: IgnoreRule) -> VerdictState:
    return compare(desired, live, context(desired, ignore=rules)).state


REPLICAS = rule(json_pointers=("/spec/replicas",))
IMAGE = rule(jq_paths=('.spec.template.spec.containers[] | select(.name == "web") | .image',))


@pytest.mark.covers("CMP-11")
@pytest.mark.parametrize("ignored", [REPLICAS, rule(jq_paths=(".spec.replicas",))])
def test_an_ignored_field_is_in_sync_whatever_its_value_and_owner(ignored: IgnoreRule) -> None:
    desired = workload(replicas=2)
    live = live_of(workload(replicas=5))
    assert state(desired, live) is VerdictState.SUSPECT
    assert state(desired, live, ignored) is VerdictState.SYNCED
    live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"].pop("f:replicas")
    assert state(desired, live, ignored) is VerdictState.SYNCED
    predicted = live_of(desired)
    assert judge(desired, live, predicted, context(desired, ignore=(ignored,))).state is VerdictState.SYNCED


@pytest.mark.covers("CMP-11")
def test_the_fields_of_a_manager_are_ignored() -> None:
    desired, live = workload(image="web:1"), live_of(workload(image="web:2"))
    where = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"web"}', "f:image")
    live = owning(live, FieldSet.of(where), "image-updater", "Update")
    assert state(desired, live, rule(managers=("image-updater",))) is VerdictState.SYNCED
    assert state(desired, live, rule(managers=("somebody",))) is VerdictState.SUSPECT


@pytest.mark.parametrize(
    ("ignored", "speaks"),
    [
        (IgnoreRule("Deploy*", "apps", json_pointers=("/spec/replicas",)), True),
        (IgnoreRule("*", "*", json_pointers=("/spec/replicas",)), True),
        (IgnoreRule("Deployment", "", json_pointers=("/spec/replicas",)), False),
        (IgnoreRule("Deployment", "apps", name="other", json_pointers=("/spec/replicas",)), False),
        (IgnoreRule("Deployment", "apps", namespace="shop", json_pointers=("/spec/replicas",)), True),
        (IgnoreRule("Deployment", "apps", namespace="other", json_pointers=("/spec/replicas",)), False),
    ],
)
@pytest.mark.covers("CMP-11")
def test_rules_speak_of_kinds_by_pattern_and_of_objects_by_name(ignored: IgnoreRule, speaks: bool) -> None:
    found = state(workload(replicas=2), live_of(workload(replicas=5)), ignored)
    assert found is (VerdictState.SYNCED if speaks else VerdictState.SUSPECT)


def test_what_is_not_ignored_is_still_seen() -> None:
    desired, live = workload(2, "web:1"), live_of(workload(5, "web:2"))
    found = compare(desired, live, context(desired, ignore=(REPLICAS,)))
    assert [field.path for field in found.fields] == ["spec.template.spec.containers[name=web].image"]
    assert state(desired, live, REPLICAS, IMAGE) is VerdictState.SYNCED


def test_an_apply_leaves_ignored_values_alone() -> None:
    desired, live = workload(2, "web:1"), live_of(workload(5, "web:2"))
    assert respect(desired, live, [REPLICAS, IMAGE], type_of(desired)) == workload(5, "web:2")
    del live["spec"]["replicas"]
    assert "replicas" not in respect(desired, live, [REPLICAS], type_of(desired))["spec"]
    assert desired == workload(2, "web:1")


def test_annotations_that_the_control_plane_writes_are_ignored_from_the_start() -> None:
    name = "deployment.kubernetes.io/revision"
    desired, live = workload(annotations={name: "1"}), live_of(workload(annotations={name: "7"}))
    assert state(desired, live) is VerdictState.SYNCED


def test_a_rule_that_is_not_understood_ignores_nothing_and_says_so() -> None:
    odd = rule(jq_paths=(".spec | to_entries",), json_pointers=("spec/replicas", ""))
    assert state(workload(2), live_of(workload(5)), odd) is VerdictState.SUSPECT
    said = warnings([odd, REPLICAS, IMAGE])
    assert len(said) == 3
    assert "to_entries at character 9" in said[2]


def test_a_place_inside_of_a_value_that_is_one_is_taken_out_of_both_sides() -> None:
    def claim(*modes: str) -> Object:
        spec = {"accessModes": list(modes), "resources": {"requests": {"storage": "1Gi"}}}
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "web"}, "spec": spec}

    ignored = IgnoreRule("PersistentVolumeClaim", json_pointers=("/spec/accessModes/1",))
    assert state(claim("A", "B"), live_of(claim("A", "C")), ignored) is VerdictState.SYNCED
    assert state(claim("A", "B"), live_of(claim("B", "C")), ignored) is VerdictState.SUSPECT


def test_ignoring_a_key_with_odd_characters() -> None:
    ignored = IgnoreRule("ConfigMap", json_pointers=("/data/a~1b~0c",))
    assert state(config_map(**{"a/b~c": "1"}), live_of(config_map(**{"a/b~c": "2"})), ignored) is VerdictState.SYNCED


def test_objects_are_not_changed_by_being_compared() -> None:
    desired, live = workload(2), live_of(workload(5))
    before = copy.deepcopy((desired, live))
    state(desired, live, REPLICAS, IMAGE)
    assert (desired, live) == before
