"""What a real API server does, and what the comparison makes of it: one test for each rule."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from driftline.drift.adoption import LAST_APPLIED, migration, will_go
from driftline.drift.compare import Context, compare, judge
from driftline.drift.dropped import once_applied
from driftline.drift.handover import HANDOVER_MANAGER, handover_patch, needs_handover
from driftline.drift.leftovers import release_patch, removal_patch
from driftline.drift.live import live_digest
from driftline.drift.normal import prepare
from driftline.drift.schema import Schemas
from driftline.model.drift import Verdict, VerdictState
from driftline.model.marks import INSTALLATION_LABEL, MANAGER
from driftline.model.objects import Object
from tests.drift.catalogue import GROUP, OBJECTS, gadget_crd
from tests.drift.history import APPLY, JSON, MARKS, MERGE, History, Server
from tests.kit.cluster import eventually, path, random_name

CONFIG: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "1", "b": "2"}}


MINE: Object = {**CONFIG, "data": {"a": "1"}}
"""What Git has of an object that kubectl made with more in it."""


@pytest.fixture
def config(server: Server, namespace: str) -> History:
    """A ConfigMap that Git holds and we have applied."""
    return applied(server, namespace, "v1/configmaps", CONFIG)


def applied(server: Server, namespace: str, resource: str, git: Object) -> History:
    history = History(server, resource, namespace, git)
    status, answer = history.apply()
    assert status == 201, answer
    return history


def now(history: History) -> Verdict:
    return history.verdict(history.live())


def by_hand(history: History, body: Any, kind: str = MERGE, manager: str = "kubectl-edit", sub: str = "") -> None:
    status, answer = history.patch_as(manager, body, kind, sub)
    assert status < 300, answer


def git_says(history: History, **content: Any) -> None:
    history.git = {**history.git, **content}


def paths(verdict: Verdict) -> list[str]:
    return [field.path for field in verdict.fields]


class TestOwnership:
    """Equal in value but not owned is never removed later."""

    def test_a_hand_edit_names_field_values_manager_and_time(self, config: History) -> None:
        by_hand(config, {"data": {"b": "3"}})
        verdict = now(config)
        [field] = verdict.fields
        assert (verdict.state, field.path, field.desired, field.live) == (VerdictState.DRIFTED, "data.b", "2", "3")
        assert (field.author.manager, field.author.operation) == ("kubectl-edit", "Update")
        assert field.author.at is not None

    def test_a_field_removed_by_hand_has_no_recorded_author(self, config: History) -> None:
        by_hand(config, {"data": {"b": None}})
        [field] = now(config).fields
        assert (field.kind, field.path, str(field.author)) == ("removed", "data.b", "not recorded")

    def test_what_kubectl_added_first_is_claimed_and_goes_when_git_drops_it(self, config: History) -> None:
        by_hand(config, {"data": {"c": "3"}})
        git_says(config, data={"a": "1", "b": "2", "c": "3"})
        assert now(config).state is VerdictState.CLAIM
        config.apply()
        assert now(config).state is VerdictState.SYNCED
        git_says(config, data={"a": "1", "b": "2"})
        config.apply()
        verdict = now(config)
        assert [leftover.path for leftover in verdict.leftovers] == ["data.c"]
        assert verdict.leftovers[0].author.manager == "kubectl-edit"
        by_hand(config, removal_patch(config.live(), verdict.leftovers), JSON, MANAGER)
        assert config.live()["data"] == {"a": "1", "b": "2"}
        assert now(config).state is VerdictState.SYNCED

    def test_an_edited_value_that_git_drops_is_a_leftover(self, config: History) -> None:
        by_hand(config, {"data": {"b": "9"}})
        git_says(config, data={"a": "1"})
        config.apply()
        assert [leftover.live for leftover in now(config).leftovers] == ["9"]

    def test_wiped_managers_are_a_claim_and_dropped_fields_are_still_found(self, config: History) -> None:
        by_hand(config, {"metadata": {"managedFields": [{}]}})
        assert now(config).state is VerdictState.CLAIM
        git_says(config, data={"a": "1"})
        config.apply()
        assert [leftover.path for leftover in now(config).leftovers] == ["data.b"]

    def test_a_label_that_git_dropped_after_a_wipe_is_found(self, server: Server, namespace: str) -> None:
        git = {**CONFIG, "metadata": {"name": "web", "labels": {"team": "shop"}}}
        history = applied(server, namespace, "v1/configmaps", git)
        by_hand(history, {"metadata": {"managedFields": [{}]}})
        git_says(history, metadata={"name": "web"})
        history.apply()
        assert [leftover.path for leftover in now(history).leftovers] == ["metadata.labels.team"]

    def test_a_leftover_stays_known_over_later_applies(self, config: History) -> None:
        by_hand(config, {"data": {"b": "9"}})
        git_says(config, data={"a": "1"})
        config.apply()
        git_says(config, data={"a": "2"})
        config.apply()
        assert [leftover.path for leftover in now(config).leftovers] == ["data.b"]

    def test_a_removal_does_nothing_once_the_object_has_changed(self, config: History) -> None:
        by_hand(config, {"data": {"b": "9"}})
        git_says(config, data={"a": "1"})
        config.apply()
        live = config.live()
        patch = removal_patch(live, config.verdict(live).leftovers)
        by_hand(config, {"data": {"b": "10"}})
        assert config.patch_as(MANAGER, patch, JSON)[0] in (409, 422)
        assert config.live()["data"]["b"] == "10"

    def test_a_released_leftover_goes_with_the_next_apply(self, config: History) -> None:
        by_hand(config, {"data": {"b": "9"}})
        git_says(config, data={"a": "1"})
        config.apply()
        live = config.live()
        by_hand(config, release_patch(live, config.verdict(live).leftovers), JSON, MANAGER)
        assert config.live()["data"]["b"] == "9"
        config.apply()
        assert config.live()["data"] == {"a": "1"}

    def test_a_service_account_goes_though_the_server_keeps_it_under_an_older_name(
        self, server: Server, namespace: str
    ) -> None:
        history = applied(server, namespace, "apps/v1/deployments", OBJECTS["apps/v1/deployments"])
        template = history.git["spec"]["template"]
        pod = {name: value for name, value in template["spec"].items() if name != "serviceAccountName"}
        git_says(history, spec={**history.git["spec"], "template": {**template, "spec": pod}})
        history.apply()
        verdict = now(history)
        assert [field.path for field in verdict.leftovers] == ["spec.template.spec.serviceAccountName"]
        by_hand(history, removal_patch(history.live(), verdict.leftovers, history.type), JSON, MANAGER)
        assert not {"serviceAccount", "serviceAccountName"} & history.live()["spec"]["template"]["spec"].keys()
        assert now(history).state is VerdictState.SYNCED

    def test_a_field_that_came_back_by_hand_after_it_was_gone_is_not_gits(self, server: Server, namespace: str) -> None:
        history = applied(server, namespace, "batch/v1/cronjobs", OBJECTS["batch/v1/cronjobs"])
        spec = {name: value for name, value in history.git["spec"].items() if name != "suspend"}
        git_says(history, spec=spec)
        history.apply()
        by_hand(history, {"spec": {"suspend": True}})
        assert now(history).state is VerdictState.SYNCED

    def test_an_empty_map_that_a_hand_left_of_what_git_dropped_goes(self, server: Server, namespace: str) -> None:
        history = applied(server, namespace, f"{GROUP}/v1/gadgets", OBJECTS[f"{GROUP}/v1/gadgets"])
        by_hand(history, {"spec": {"groups": {"one": None}}})
        git_says(history, spec={name: value for name, value in history.git["spec"].items() if name != "groups"})
        verdict = now(history)
        assert [field.path for field in verdict.leftovers] == ["spec.groups"]
        by_hand(history, removal_patch(history.live(), verdict.leftovers, history.type), JSON, MANAGER)
        assert "groups" not in history.live()["spec"]

    def test_a_dropped_default_is_no_leftover(self, server: Server, namespace: str) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 80}], "sessionAffinity": "None"},
        }
        history = applied(server, namespace, "v1/services", service)
        by_hand(history, {**service, "metadata": {"name": "web"}}, APPLY, "other-team")
        git_says(history, spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 80}]})
        history.apply()
        assert now(history).in_sync

    def test_dropped_keys_of_string_data_go(self, server: Server, namespace: str) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "web"},
            "stringData": {"user": "a", "pass": "b"},
        }
        history = applied(server, namespace, "v1/secrets", secret)
        git_says(history, stringData={"user": "a"})
        assert now(history).state is VerdictState.DRIFTED
        history.apply()
        assert history.live()["data"].keys() == {"user"}
        assert now(history).state is VerdictState.SYNCED

    def test_empty_annotations_in_git_claim_nothing(self, server: Server, namespace: str) -> None:
        git = {**CONFIG, "metadata": {"name": "web", "annotations": {}}}
        history = applied(server, namespace, "v1/configmaps", git)
        by_hand(history, {"metadata": {"annotations": {"by": "hand"}}})
        assert now(history).state is VerdictState.SYNCED


class TestValues:
    """What the schema says is one value is compared as one, and order counts."""

    @pytest.mark.covers("CMP-10")
    def test_other_spellings_are_in_sync_without_a_dry_run(self, server: Server, namespace: str) -> None:
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "web"},
            "spec": {"hard": {"pods": "1k", "requests.cpu": "1500m", "requests.memory": "1024Mi"}},
        }
        history = applied(server, namespace, "v1/resourcequotas", quota)
        assert history.live()["spec"]["hard"]["requests.memory"] == "1Gi"
        assert compare(history.desired, history.live(), history.context).state is VerdictState.SYNCED

    def test_a_label_more_narrows_an_empty_selector(self, server: Server, namespace: str) -> None:
        history = applied(
            server, namespace, "networking.k8s.io/v1/networkpolicies", OBJECTS["networking.k8s.io/v1/networkpolicies"]
        )
        by_hand(history, {"spec": {"podSelector": {"matchLabels": {"app": "db"}}}})
        assert paths(now(history)) == ["spec.podSelector"]

    def test_swapped_init_containers_are_drift(self, server: Server, namespace: str) -> None:
        history = applied(server, namespace, "apps/v1/deployments", OBJECTS["apps/v1/deployments"])
        items = list(reversed(history.live()["spec"]["template"]["spec"]["initContainers"]))
        where = "/spec/template/spec/initContainers"
        by_hand(history, [{"op": "replace", "path": where, "value": items}], JSON)
        [field] = now(history).fields
        assert field.path == "spec.template.spec.initContainers"
        assert (field.desired, field.live) == (["first", "second"], ["second", "first"])

    def test_another_spelling_in_a_custom_resource_is_another_value(self, server: Server, namespace: str) -> None:
        history = applied(server, namespace, f"{GROUP}/v1/gadgets", OBJECTS[f"{GROUP}/v1/gadgets"])
        by_hand(history, {"spec": {"size": "1", "port": "80"}})
        assert paths(now(history)) == ["spec.size", "spec.port"]

    def test_null_is_not_absent(self, server: Server, namespace: str) -> None:
        git = OBJECTS["apps/v1/deployments"]
        history = applied(server, namespace, "apps/v1/deployments", {**git, "spec": {**git["spec"], "replicas": None}})
        by_hand(history, {"spec": {"replicas": 0}})
        local = compare(history.desired, history.live(), history.context)
        assert (local.state, local.reason) == (VerdictState.SUSPECT, "null is not the same as absent: spec.replicas")

    def test_an_item_added_by_hand_beside_ours_is_not_drift(self, server: Server, namespace: str) -> None:
        history = applied(server, namespace, "apps/v1/deployments", OBJECTS["apps/v1/deployments"])
        where = "/spec/template/spec/containers/0/env/0"
        by_hand(history, [{"op": "add", "path": where, "value": {"name": "Z", "value": "1"}}], JSON)
        assert now(history).state is VerdictState.SYNCED

    def test_what_a_status_says_is_never_drift(self, server: Server, namespace: str) -> None:
        git = {**OBJECTS["apps/v1/deployments"], "status": {"replicas": 7}}
        history = applied(server, namespace, "apps/v1/deployments", git)
        by_hand(history, {"status": {"replicas": 3, "observedGeneration": 1}}, sub="status")
        live = history.live()
        assert live["status"]["replicas"] == 3
        assert now(history).in_sync

    def test_the_annotation_that_the_server_keeps_on_daemonsets_is_ignored(
        self, server: Server, namespace: str
    ) -> None:
        git = OBJECTS["apps/v1/daemonsets"]
        name = "deprecated.daemonset.template.generation"
        git = {**git, "metadata": {**git["metadata"], "annotations": {name: "1"}}}
        history = applied(server, namespace, "apps/v1/daemonsets", git)
        history.git = {**git, "spec": {**git["spec"], "minReadySeconds": 3}}
        history.apply()
        by_hand(history, {"metadata": {"annotations": {name: "7"}}})
        assert now(history).in_sync


class TestStates:
    """An object that is not there, not ours, or on its way out."""

    def test_unlabelled_is_not_missing(self, config: History) -> None:
        by_hand(config, {"metadata": {"labels": {INSTALLATION_LABEL: None}}, "data": {"a": "9"}})
        verdict = now(config)
        assert verdict.state is VerdictState.UNMARKED
        assert verdict.reason == f"tracking mark removed: label {INSTALLATION_LABEL}"
        assert "data.a" in paths(verdict)

    def test_an_object_made_anew_is_not_ours(self, config: History) -> None:
        owned = config.live()["metadata"]["uid"]
        config.server.call("DELETE", config.target())
        config.apply()
        context = Context(config.type, MARKS, owned_uid=owned)
        assert compare(config.desired, config.live(), context).state is VerdictState.RECREATED

    def test_an_object_that_waits_for_a_finalizer_is_being_deleted(self, config: History) -> None:
        by_hand(config, {"metadata": {"finalizers": ["driftline.test/wait"]}})
        config.server.call("DELETE", config.target())
        verdict = now(config)
        assert verdict.state is VerdictState.DELETING
        assert "driftline.test/wait" in verdict.reason
        by_hand(config, {"metadata": {"finalizers": None}})

    def test_an_immutable_field_needs_a_new_object(self, server: Server, namespace: str) -> None:
        git = OBJECTS["apps/v1/deployments"]
        history = applied(server, namespace, "apps/v1/deployments", git)
        labels = {"app": "web", "new": "one"}
        template = {**git["spec"]["template"], "metadata": {"labels": labels}}
        history.git = {**git, "spec": {**git["spec"], "selector": {"matchLabels": labels}, "template": template}}
        verdict = now(history)
        assert verdict.state is VerdictState.RECREATE
        assert "spec.selector" in paths(verdict)

    def test_what_admission_refuses_is_said(self, server: Server, namespace: str) -> None:
        history = applied(server, namespace, "apps/v1/deployments", OBJECTS["apps/v1/deployments"])
        history.git = {**history.git, "spec": {**history.git["spec"], "replicas": -1}}
        verdict = now(history)
        assert verdict.state is VerdictState.REFUSED
        assert "spec.replicas" in verdict.reason


class TestAdmission:
    """A mutator may rewrite Git's value, or add what nobody asked for."""

    @pytest.fixture
    def mutate(self, server: Server, namespace: str) -> Iterator[Callable[[str], None]]:
        name = random_name("mutate")

        def install(patch: str) -> None:
            install_policy(server, name, namespace, patch)

        yield install
        for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            server.call("DELETE", f"/apis/admissionregistration.k8s.io/v1/{kind}/{name}")

    def test_a_value_that_admission_rewrites_is_in_sync_and_noted(
        self, server: Server, namespace: str, mutate: Callable[[str], None]
    ) -> None:
        mutate("Object{data: {'a': 'always'}}")
        history = applied(server, namespace, "v1/configmaps", CONFIG)
        assert history.live()["data"]["a"] == "always"
        verdict = now(history)
        assert (verdict.state, verdict.reason) == (VerdictState.SYNCED, "changed by admission: data.a")

    def test_a_hand_edit_does_not_hide_behind_a_mutator(
        self, server: Server, namespace: str, mutate: Callable[[str], None]
    ) -> None:
        mutate("Object{data: {'a': 'always'}}")
        history = applied(server, namespace, "v1/configmaps", CONFIG)
        by_hand(history, {"data": {"b": "9"}})
        assert paths(now(history)) == ["data.b"]

    def test_a_mutator_that_came_later_does_not_make_untouched_objects_drift(
        self, config: History, mutate: Callable[[str], None]
    ) -> None:
        mutate("Object{metadata: Object.metadata{labels: Object.metadata.labels{extra: 'yes'}}}")
        live = config.live()
        assert config.dry_verdict(live).state is VerdictState.SYNCED
        widened = Context(config.type, MARKS, applied=config.applied, include_mutations=True)
        _, predicted = config.patch_as(MANAGER, config.desired, dryRun="All")
        assert paths(judge(config.desired, live, predicted, widened)) == ["metadata.labels.extra"]


class TestCustomKinds:
    """A CRD changes under its objects."""

    @pytest.fixture
    def gadgets(self, server: Server, namespace: str) -> Iterator[tuple[History, Callable[[Object], None]]]:
        history = applied(server, namespace, f"{GROUP}/v1/gadgets", OBJECTS[f"{GROUP}/v1/gadgets"])

        def change(crd: Object) -> None:
            before = document_hash(server)
            target = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.{GROUP}"
            status, answer = server.call("PATCH", f"{target}?fieldManager=admin&force=true", crd, APPLY)
            assert status < 300, answer
            eventually(lambda: document_hash(server) != before)

        yield history, change
        server.call("DELETE", history.target())
        change({**gadget_crd(), "metadata": {**gadget_crd()["metadata"], "labels": {"restored": random_name()}}})

    def test_a_new_default_changes_live_at_the_same_version_and_the_key_of_its_verdict(
        self, gadgets: tuple[History, Callable[[Object], None]]
    ) -> None:
        history, change = gadgets
        before = history.live()
        change(gadget_crd(extra_default=True))
        after = eventually(lambda: found if "colour" in (found := history.live())["spec"] else None)
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        assert live_digest(after) != live_digest(before)
        assert now(history).state is VerdictState.SYNCED

    def test_a_field_that_left_the_schema_cannot_be_applied(
        self, gadgets: tuple[History, Callable[[Object], None]]
    ) -> None:
        history, change = gadgets
        change(gadget_crd(without_mode=True))
        eventually(lambda: "mode" not in history.live()["spec"])
        verdict = eventually(lambda: v if (v := history.dry_verdict(history.live())).state != "synced" else None)
        assert verdict.state is VerdictState.UNAPPLICABLE
        document = history.server.call("GET", f"/openapi/v3/apis/{GROUP}/v1")[1]
        context = Context(Schemas.from_documents({f"{GROUP}/v1": document}).type_of(GROUP, "v1", "Gadget"), MARKS)
        local = compare(history.desired, history.live(), context)
        assert local.state is VerdictState.SUSPECT
        assert local.reason == "fields unknown to the schema: spec.mode"


class TestAdoption:
    """Objects that kubectl made become ours, and the plan says what goes."""

    def kubectl_made(self, history: History) -> None:
        old: Object = {**CONFIG, "metadata": {"name": "web", "annotations": {LAST_APPLIED: "{}"}}}
        target = path("v1/configmaps", history.namespace, query={"fieldManager": "kubectl-client-side-apply"})
        status, answer = history.server.call("POST", target, old)
        assert status == 201, answer

    def test_without_migration_dropped_fields_stay(self, server: Server, namespace: str) -> None:
        history = History(server, "v1/configmaps", namespace, MINE)
        self.kubectl_made(history)
        history.apply()
        assert history.live()["data"] == {"a": "1", "b": "2"}

    @pytest.mark.covers("CMP-06")
    def test_with_migration_they_go_as_announced(self, server: Server, namespace: str) -> None:
        history = History(server, "v1/configmaps", namespace, MINE)
        self.kubectl_made(history)
        live = history.live()
        going = will_go(history.desired, live, history.context)
        assert [(field.path, field.live, field.author.manager) for field in going] == [
            ("data.b", "2", "kubectl-client-side-apply")
        ]
        by_hand(history, migration(live), JSON, MANAGER)
        history.apply()
        after = history.live()
        assert after["data"] == {"a": "1"}
        assert LAST_APPLIED not in after["metadata"]["annotations"]
        assert now(history).state is VerdictState.SYNCED
        assert migration(after) is None

    def test_a_migration_of_a_changed_object_fails(self, server: Server, namespace: str) -> None:
        history = History(server, "v1/configmaps", namespace, MINE)
        self.kubectl_made(history)
        patch = migration(history.live())
        by_hand(history, {"data": {"c": "3"}})
        assert history.patch_as(MANAGER, patch, JSON)[0] in (409, 422)


class TestAutoscaling:
    """`replicas` goes to an autoscaler without a moment at 1."""

    def test_dropped_replicas_fall_to_one(self, server: Server, namespace: str) -> None:
        history = self.three(server, namespace)
        assert [(field.path, field.live) for field in now(history).fields] == [("spec.replicas", 3)]
        history.apply()
        assert history.live()["spec"]["replicas"] == 1

    def test_with_a_handover_they_stay_and_can_be_scaled(self, server: Server, namespace: str) -> None:
        history = self.three(server, namespace)
        live = history.live()
        assert needs_handover(history.desired, live, once_applied(live, history.context))
        by_hand(history, handover_patch(live), APPLY, HANDOVER_MANAGER)
        history.apply()
        assert history.live()["spec"]["replicas"] == 3
        assert now(history).state is VerdictState.SYNCED
        by_hand(history, {"spec": {"replicas": 5}}, manager="kube-controller-manager", sub="scale")
        assert now(history).state is VerdictState.SYNCED
        assert history.live()["spec"]["replicas"] == 5

    def three(self, server: Server, namespace: str) -> History:
        git = OBJECTS["apps/v1/deployments"]
        git = {**git, "spec": {**git["spec"], "replicas": 3}}
        history = applied(server, namespace, "apps/v1/deployments", git)
        history.git = {**git, "spec": {name: value for name, value in git["spec"].items() if name != "replicas"}}
        return history


def test_repeated_env_names_and_template_nulls_are_made_fit_to_apply(server: Server, namespace: str) -> None:
    """Charts bring both; server-side apply refuses the one and fights over the other."""
    git: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "creationTimestamp": None},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
                "spec": {"containers": [{"name": "w", "image": "i", "env": [{"name": "A", "value": v} for v in "12"]}]},
            },
        },
        "status": {},
    }
    history = applied(server, namespace, "apps/v1/deployments", git)
    assert prepare(history.desired) == history.desired
    assert history.live()["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "2"}]
    assert compare(history.desired, history.live(), history.context).state is VerdictState.SYNCED


def document_hash(server: Server) -> str:
    _, index = server.call("GET", "/openapi/v3")
    index = json.loads(index) if isinstance(index, str) else index
    return str(index["paths"].get(f"apis/{GROUP}/v1", {}).get("serverRelativeURL", ""))


def install_policy(server: Server, name: str, namespace: str, patch: str) -> None:
    """A MutatingAdmissionPolicy for the ConfigMaps of one namespace; returns once it works."""
    base = "/apis/admissionregistration.k8s.io/v1"
    policy: Object = {
        "metadata": {"name": name},
        "spec": {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                    }
                ]
            },
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": patch}}],
        },
    }
    binding: Object = {
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    }
    for kind, body in (("mutatingadmissionpolicies", policy), ("mutatingadmissionpolicybindings", binding)):
        status, answer = server.call("POST", f"{base}/{kind}", body)
        assert status == 201, answer
    probe: Object = {"metadata": {"name": "probe"}, "data": {"a": "x"}}
    target = path("v1/configmaps", namespace, query={"dryRun": "All"})

    def works() -> bool:
        status, answer = server.call("POST", target, probe)
        return status == 201 and (answer.get("data") != probe["data"] or "labels" in answer["metadata"])

    eventually(works)
    time.sleep(0.1)
