"""The verdict of a dry run."""

import copy
from typing import Any

import pytest

from driftline.drift.compare import judge, judge_refusal
from driftline.drift.fields import FieldSet, fields_of
from driftline.drift.leftovers import release_patch, removal_patch, settle
from driftline.model.cluster import Refusal
from driftline.model.drift import VerdictState
from driftline.model.objects import Object
from tests.unit.drift.known import MARKS, config_map, context, live_of, owning, type_of


def verdict(desired: Object, live: Object, predicted: Object, **more: Any) -> Any:
    return judge(desired, live, predicted, context(desired, **more))


def test_only_what_git_sets_counts() -> None:
    desired = config_map(a="1")
    live = live_of(desired)
    live["metadata"]["labels"] = {"theirs": "x"}
    predicted = copy.deepcopy(live)
    predicted["data"]["injected"] = "x"
    predicted["metadata"] |= {"resourceVersion": "8", "generation": 3, "labels": {"theirs": "x", "injected": "x"}}
    predicted["status"] = {"x": 1}
    assert verdict(desired, live, predicted).state is VerdictState.SYNCED
    widened = verdict(desired, live, predicted, include_mutations=True)
    assert {field.path for field in widened.fields} == {"data.injected", "metadata.labels.injected"}


def test_what_an_apply_would_change_is_drift() -> None:
    desired = config_map(a="1")
    [field] = verdict(desired, live_of(config_map(a="2")), live_of(desired)).fields
    assert (field.path, field.desired, field.live, field.kind) == ("data.a", "1", "2", "changed")


def test_what_admission_rewrites_is_in_sync_and_noted() -> None:
    desired, forced = config_map(a="1"), live_of(config_map(a="forced"))
    found = verdict(desired, forced, forced)
    assert (found.state, found.reason) == (VerdictState.SYNCED, "changed by admission: data.a")


def test_right_values_that_are_not_ours_are_a_claim() -> None:
    desired = config_map(a="1", b="2")
    live = owning(live_of(desired), FieldSet.parse({"f:data": {"f:a": {}}}))
    assert verdict(desired, live, live_of(desired)).state is VerdictState.CLAIM


def held_by_kubectl(**data: str) -> Object:
    """What is left after an apply of `a` alone, when kubectl holds the rest."""
    live = live_of(config_map(a="1"))
    live["data"] = {"a": "1", **data}
    fields = FieldSet.of(*(("f:data", f"f:{name}") for name in data))
    return owning(live, fields, "kubectl-edit", "Update")


def test_what_others_hold_of_what_git_dropped_is_left_over() -> None:
    desired, before = config_map(a="1"), config_map(a="1", b="2", c="3")
    live = held_by_kubectl(b="9")
    once = fields_of(before, type_of(before))
    found = verdict(desired, live, live, applied=once)
    assert found.state is VerdictState.DRIFTED
    assert [(each.path, each.live, each.author.manager) for each in found.leftovers] == [
        ("data.b", "9", "kubectl-edit")
    ]
    assert "data.b" in found.reason


def test_of_many_dropped_keys_some_go_and_some_stay() -> None:
    desired, before = config_map(a="1"), config_map(a="1", b="2", c="3")
    live = owning(live_of(before), FieldSet.parse({"f:data": {"f:b": {}}}), "kubectl-edit", "Update")
    found = verdict(desired, live, held_by_kubectl(b="2"))
    assert [field.path for field in found.fields] == ["data.c"]
    assert [field.path for field in found.leftovers] == ["data.b"]


def test_a_dropped_field_that_the_server_sets_again_is_its_default() -> None:
    desired, before = config_map(a="1"), config_map(a="1", b="2")
    live = live_of(before)
    predicted = owning(copy.deepcopy(live), fields_of(desired, type_of(desired)))
    assert verdict(desired, live, predicted).state is VerdictState.CLAIM


def test_leftovers_are_settled_by_trying_to_remove_them() -> None:
    desired, before = config_map(a="1"), config_map(a="1", b="2")
    live = held_by_kubectl(b="2")
    found = verdict(desired, live, live, applied=fields_of(before, type_of(before)))
    assert settle(found, {"data.b": live}).state is VerdictState.CLAIM
    gone = {**live, "data": {"a": "1"}}
    assert settle(found, {"data.b": gone}).leftovers == found.leftovers
    assert settle(found, {"data.b": None}).leftovers == found.leftovers
    assert settle(found, {}).leftovers == found.leftovers


def test_removals_test_everything_and_go_from_the_end() -> None:
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": name} for name in "abc"]}}},
    }
    live = live_of(body)
    before = fields_of(body, type_of(body))
    desired: Object = {**body, "spec": {"template": {"spec": {"containers": [{"name": "b"}]}}}}
    live = owning(owning(live, fields_of(desired, type_of(body))), before, "other", "Apply")
    found = verdict(desired, live, live, applied=before)
    where = "/spec/template/spec/containers"
    assert removal_patch(live, found.leftovers, type_of(body)) == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "test", "path": f"{where}/2", "value": {"name": "c"}},
        {"op": "remove", "path": f"{where}/2"},
        {"op": "test", "path": f"{where}/0", "value": {"name": "a"}},
        {"op": "remove", "path": f"{where}/0"},
    ]
    [*_, step] = release_patch(live, found.leftovers)
    ours, others = {entry["manager"]: FieldSet.parse(entry["fieldsV1"]) for entry in step["value"]}.values()
    item = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"c"}')
    assert ours.has(item)
    assert not others.touches(item)


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (Refusal.CONFLICT, VerdictState.UNKNOWN),
        (Refusal.IMMUTABLE, VerdictState.RECREATE),
        (Refusal.INVALID, VerdictState.REFUSED),
        (Refusal.FORBIDDEN, VerdictState.REFUSED),
        (Refusal.KIND_NOT_SERVED, VerdictState.KIND_NOT_SERVED),
        (Refusal.NAMESPACE_TERMINATING, VerdictState.NAMESPACE_MISSING),
        (Refusal.UNAPPLICABLE, VerdictState.UNAPPLICABLE),
        (Refusal.UNAUTHORIZED, VerdictState.UNKNOWN),
    ],
)
def test_each_refusal_has_its_verdict(refusal: Refusal, state: VerdictState) -> None:
    desired = config_map(a="1")
    found = judge_refusal(desired, live_of(config_map(a="2")), refusal, "said no", context(desired))
    assert (found.state, found.reason, [field.path for field in found.fields]) == (state, "said no", ["data.a"])


def test_every_refusal_is_known() -> None:
    desired = config_map(a="1")
    for refusal in Refusal:
        assert not judge_refusal(desired, None, refusal, "", context(desired)).in_sync


def test_another_uid_is_no_reason_to_recreate() -> None:
    desired = config_map(a="1")
    message = "metadata.uid: Invalid value: field is immutable"
    found = judge_refusal(desired, live_of(desired), Refusal.IMMUTABLE, message, context(desired))
    assert found.state is VerdictState.RECREATED


def test_an_object_on_its_way_out_is_deleting_whatever_the_dry_run_says() -> None:
    desired = MARKS.stamp(config_map(a="1"))
    live = live_of(desired)
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert verdict(desired, live, live).state is VerdictState.DELETING
