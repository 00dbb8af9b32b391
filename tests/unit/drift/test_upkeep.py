"""Keys of verdicts, adoption, handover, preparation, moved plans, and diffs for people."""

import copy
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.adoption import migration, rival_wrote, will_go
from driftline.drift.authors import Authors
from driftline.drift.diff import field_diff, text_diff
from driftline.drift.dropped import remember
from driftline.drift.fields import FieldSet, fields_of
from driftline.drift.handover import autoscaled, handover_patch, ignore_replicas, needs_handover
from driftline.drift.lines import lines
from driftline.drift.live import LIFETIME, expired, expires, live_digest, verdict_key
from driftline.drift.moves import moved_since
from driftline.drift.normal import prepare, warnings
from driftline.drift.paths import readable
from driftline.model.drift import ABSENT
from driftline.model.objects import Key, Object
from tests.drift.catalogue import OBJECTS
from tests.unit.drift.known import applied, config_map, context, live_of, owning, type_of


class TestKeys:
    @pytest.mark.parametrize(
        "change",
        [
            lambda live: live.update(status={"replicas": 9}),
            lambda live: live["metadata"].update(resourceVersion="99", generation=99),
            lambda live: live["metadata"]["managedFields"][0].update(time="2030-01-01T00:00:00Z"),
            lambda live: live["metadata"]["managedFields"][1].update(fieldsV1={"f:status": {"f:x": {}}}),
        ],
    )
    def test_what_changes_all_the_time_is_not_in_the_digest(self, change: Any) -> None:
        live = applied("apps/v1/deployments")
        status = {"manager": "m", "subresource": "status", "fieldsV1": {"f:status": {}}}
        live["metadata"]["managedFields"].append(status)
        before = live_digest(live)
        change(live)
        assert live_digest(live) == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda live: live["spec"].update(replicas=9),
            lambda live: live["metadata"].update(uid="other"),
            lambda live: live["metadata"]["labels"].update(x="y"),
            lambda live: live["metadata"]["managedFields"][0]["fieldsV1"].pop("f:spec"),
            lambda live: live["metadata"]["managedFields"][0].update(manager="other"),
            lambda live: live["metadata"].update(managedFields=[]),
        ],
    )
    def test_what_a_verdict_depends_on_is(self, change: Any) -> None:
        live = applied("apps/v1/deployments")
        before = live_digest(live)
        change(live)
        assert live_digest(live) != before

    def test_a_digest_costs_little(self) -> None:
        live = applied("apps/v1/deployments")
        began = time.process_time()
        for _ in range(1500):
            live_digest(live)
        assert time.process_time() - began < 1, "1500 objects of a check are to cost well under 0.1 s"

    def test_each_part_of_a_key_counts(self) -> None:
        keys = {verdict_key(*parts) for parts in (("a", "b", "c", "d"), ("ab", "", "c", "d"), ("a", "b", "c", "e"))}
        assert len(keys) == 3

    @given(st.text("0123456789abcdef", min_size=32, max_size=32))
    def test_dry_run_verdicts_are_believed_for_about_six_hours(self, key: str) -> None:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        until = expires(key, at)
        assert at + LIFETIME * 0.9 <= until <= at + LIFETIME
        assert not expired(key, at, until - timedelta(seconds=1))
        assert expired(key, at, until)


def kubectl_made(body: Object, **more: str) -> Object:
    live = live_of(body)
    live["metadata"]["managedFields"] = []
    return owning(live, fields_of(body, type_of(body)), "kubectl-client-side-apply", "Update", **more)


class TestAdoption:
    def test_entries_of_kubectl_become_ours_and_the_annotation_goes(self) -> None:
        body = config_map(a="1", b="2")
        body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
        live = owning(kubectl_made(body), FieldSet.of(("f:x",)), "other", "Update")
        patch = migration(live)
        assert patch is not None
        assert [(step["op"], step["path"]) for step in patch] == [
            ("test", "/metadata/resourceVersion"),
            ("test", "/metadata/uid"),
            ("replace", "/metadata/managedFields"),
            ("remove", "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"),
        ]
        ours, other = patch[2]["value"]
        assert (ours["manager"], ours["operation"], other["manager"]) == ("driftline", "Apply", "other")
        assert ours["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}

    def test_subresources_apply_entries_and_strangers_are_left_alone(self) -> None:
        body = config_map(a="1")
        assert migration(kubectl_made(body, subresource="status")) is None
        theirs = owning(live_of(body), FieldSet.of(("f:x",)), "helm", "Apply")
        assert migration(theirs) is None
        assert migration(theirs, applies=True) is not None
        assert migration(kubectl_made(body), managers=("helm",)) is None

    def test_the_plan_lists_what_will_go_but_no_defaults(self) -> None:
        desired = config_map(a="1")
        live = kubectl_made(config_map(a="1", b="2", c="3"))
        live = owning(live, FieldSet.parse({"f:data": {"f:c": {}}}), "other", "Apply")
        going = will_go(desired, live, context(desired))
        assert [(each.path, each.desired, each.live) for each in going] == [("data.b", ABSENT, "2")]
        service = OBJECTS["v1/services"]
        with_protocol = copy.deepcopy(service)
        with_protocol["spec"]["ports"][0]["protocol"] = "TCP"
        assert will_go(service, kubectl_made(with_protocol), context(service)) == ()

    def test_a_rival_that_wrote_lately_is_named(self) -> None:
        live = owning(config_map(), FieldSet.of(("f:x",)), "argocd-controller", "Update")
        assert rival_wrote(live, "2025-12-31T23:59:00Z") == "argocd-controller"
        assert rival_wrote(live, "2026-01-01T00:00:01Z") == ""


class TestHandover:
    def test_replicas_are_handed_over_only_if_we_would_drop_them(self) -> None:
        body = OBJECTS["apps/v1/deployments"]
        live, once = live_of(body), fields_of(body, type_of(body))
        without = {**body, "spec": {name: value for name, value in body["spec"].items() if name != "replicas"}}
        assert needs_handover(without, live, once)
        assert not needs_handover(body, live, once)
        assert not needs_handover(without, live, FieldSet())
        assert handover_patch(live)["spec"] == {"replicas": 2}
        assert handover_patch(live)["metadata"]["resourceVersion"] == "7"

    def test_what_an_autoscaler_scales_is_found(self) -> None:
        hpa = copy.deepcopy(OBJECTS["autoscaling/v2/horizontalpodautoscalers"])
        hpa["metadata"]["namespace"] = "shop"
        target = Key("apps", "Deployment", "shop", "web")
        assert autoscaled([hpa, config_map()]) == {target: "web"}
        assert ignore_replicas(target).json_pointers == ("/spec/replicas",)


SECRET: Any = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "web", "uid": "x", "creationTimestamp": None, "managedFields": []},
    "data": {"a": "b2xk", "k": "aw=="},
    "stringData": {"a": "new"},
    "status": {},
}


class TestPreparation:
    def test_string_data_is_folded_and_what_the_server_sets_is_dropped(self) -> None:
        found = prepare(SECRET)
        assert found == {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "web"},
            "data": {"a": "bmV3", "k": "aw=="},
        }
        assert prepare(found) == found

    def test_of_repeated_env_names_the_last_counts_and_a_warning_says_so(self) -> None:
        body = copy.deepcopy(OBJECTS["apps/v1/deployments"])
        body["spec"]["template"]["metadata"]["creationTimestamp"] = None
        env = body["spec"]["template"]["spec"]["containers"][0]["env"]
        env.insert(0, {"name": "B", "value": "earlier"})
        found = prepare(body)
        assert found == OBJECTS["apps/v1/deployments"]
        assert warnings(body) == ("spec.template.spec.containers[0].env: B is set more than once; the last one counts",)
        assert warnings(found) == ()

    def test_an_env_list_of_a_custom_kind_is_its_own_business(self) -> None:
        body = {"apiVersion": "x/v1", "kind": "Y", "metadata": {"name": "z"}, "env": [{"name": "A"}, {"name": "A"}]}
        assert prepare(body) == body
        assert warnings(body) == ()

    def test_string_data_that_is_no_text_is_left_to_the_server(self) -> None:
        odd = {**SECRET, "stringData": {"a": 1}}
        assert prepare(odd)["stringData"] == {"a": 1}


class TestMoves:
    def test_a_plan_is_moved_only_where_it_writes(self) -> None:
        desired, live = config_map(a="1"), live_of(config_map(a="2", b="x"))
        recorded = field_diff(live, desired, type_of(desired))
        assert moved_since(live, "u1", recorded) == ""
        elsewhere = {**live, "spec": {"clusterIP": "10.0.0.1"}}
        assert moved_since(elsewhere, "u1", recorded) == ""
        again = {**live, "data": {"a": "3", "b": "x"}}
        assert moved_since(again, "u1", recorded) == "data.a has changed since the plan was made"
        assert moved_since(live, "u0", recorded) == "uid is u1, was u0"
        assert moved_since(None, "u1", recorded) == "uid is gone, was u1"


def test_what_an_apply_left_behind_is_remembered() -> None:
    before, desired = config_map(a="1", b="2", c="3"), config_map(a="1")
    live = owning(live_of(before), FieldSet.parse({"f:data": {"f:b": {}}}), "kubectl-edit", "Update")
    answer = owning({**live, "data": {"a": "1", "b": "2"}}, fields_of(desired, type_of(desired)))
    found = remember(live, answer, context(desired))
    assert set(found.members()) == {("f:data", "f:a"), ("f:data", "f:b")}
    assert remember(None, answer, context(desired)) == fields_of(desired, type_of(desired))


class TestAuthors:
    def test_others_come_before_us_and_later_before_earlier(self) -> None:
        path = ("f:data", "f:a")
        live = live_of(config_map(a="1"))
        assert Authors(live).of(path).manager == "driftline"
        for manager, at in (("early", "2026-01-01T00:00:00Z"), ("late", "2026-01-02T00:00:00Z")):
            live = owning(live, FieldSet.of(path), manager, "Update", time=at)
        assert Authors(live).of(path).manager == "late"
        assert str(Authors(live).of(("f:data", "f:b"))) == "not recorded"
        assert {author.manager for author in Authors(live).others(path)} == {"early", "late"}

    def test_a_scale_names_its_subresource(self) -> None:
        live = owning(config_map(), FieldSet.of(("f:spec", "f:replicas")), "hpa", "Update", subresource="scale")
        assert Authors(live).of(("f:spec", "f:replicas")).subresource == "scale"


class TestDiffs:
    def test_paths_read_as_people_write_them(self) -> None:
        path = ("f:spec", "f:containers", 'k:{"name":"web"}', "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')
        assert readable(path) == "spec.containers[name=web].ports[containerPort=80,protocol=TCP]"
        assert readable(("f:metadata", "f:labels", "f:a.b/c")) == 'metadata.labels["a.b/c"]'
        assert readable(("f:metadata", "f:finalizers", 'v:"a/b"')) == "metadata.finalizers[a/b]"

    def test_every_field_that_differs_is_listed_in_both_directions(self) -> None:
        before = copy.deepcopy(OBJECTS["apps/v1/deployments"])
        after = copy.deepcopy(before)
        spec = after["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = "web:2"
        del spec["containers"][0]["env"][1]
        spec["volumes"].append({"name": "new", "emptyDir": {}})
        found = [(each.path, each.kind) for each in field_diff(before, after, type_of(before))]
        assert found == [
            ("spec.template.spec.containers[name=web].image", "changed"),
            ("spec.template.spec.containers[name=web].env[name=B]", "added"),
            ("spec.template.spec.volumes[name=new]", "removed"),
        ]
        assert field_diff(before, before, type_of(before)) == ()

    @pytest.mark.covers("CMP-14")
    def test_a_text_diff_shows_content_and_no_bookkeeping(self) -> None:
        before, after = live_of(config_map(a="1", t="x\ny\n")), config_map(a="2", t="x\nz\n")
        assert text_diff(before, after, "ConfigMap/shop/web") == (
            "--- ConfigMap/shop/web (live)\n"
            "+++ ConfigMap/shop/web (Git)\n"
            "@@ -4,7 +4,7 @@\n"
            "   name: web\n"
            "   namespace: shop\n"
            " data:\n"
            '-  a: "1"\n'
            '+  a: "2"\n'
            "   t: |\n"
            "     x\n"
            "-    y\n"
            "+    z\n"
        )
        assert text_diff(before, before, "x") == ""
        assert text_diff(None, after, "x").startswith("--- /dev/null\n+++ x (Git)\n")
        assert text_diff(after, None, "x").startswith("--- x (live)\n+++ /dev/null\n")

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.sampled_from([0.5, -1.25]) | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
            max_leaves=12,
        )
    )
    def test_the_lines_are_yaml_of_the_value(self, value: Any) -> None:
        import yaml

        assert yaml.safe_load("\n".join(lines(value))) == value
