"""Writing to a real API server: preconditions, ownership, and each way to be refused."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from driftline.adapters.cluster.cluster import Cluster
from driftline.model.cluster import ApiRefused, Refusal
from driftline.model.objects import Object
from tests.cluster.shapes import CONFIG_MAPS, CRDS, DEPLOYMENTS, NAMESPACES, config_map, crd, deployment
from tests.kit.cluster import Hands, eventually, random_name, refusing


def refusal(call: Callable[[], Any]) -> ApiRefused:
    """How the API server refused a call that must be refused."""
    with pytest.raises(ApiRefused) as raised:
        call()
    return raised.value


def test_what_is_applied_is_ours_and_read_back(cluster: Cluster, namespace: str) -> None:
    applied = cluster.apply(CONFIG_MAPS, config_map(namespace))
    assert applied.created
    [entry] = applied.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("driftline", "Apply")
    live = cluster.get(CONFIG_MAPS, namespace, "settings")
    assert live is not None and live["data"] == {"colour": "green"}


def test_a_dry_run_writes_nothing(cluster: Cluster, namespace: str) -> None:
    assert cluster.apply(CONFIG_MAPS, config_map(namespace), dry_run=True).created
    assert cluster.get(CONFIG_MAPS, namespace, "settings") is None
    cluster.apply(CONFIG_MAPS, config_map(namespace))
    live = cluster.get(CONFIG_MAPS, namespace, "settings")
    assert live is not None
    cluster.delete(CONFIG_MAPS, namespace, "settings", uid=live["metadata"]["uid"], dry_run=True)
    assert cluster.get(CONFIG_MAPS, namespace, "settings") == live


def test_a_create_that_meets_a_foreign_object_answers_that_it_created_nothing(
    cluster: Cluster, namespace: str, by_hand: Hands
) -> None:
    by_hand.create("v1/configmaps", namespace, config_map(namespace, owner="somebody"))
    merged = cluster.apply(CONFIG_MAPS, config_map(namespace, colour="green"), force=False)
    assert not merged.created
    assert merged.body["data"] == {"owner": "somebody", "colour": "green"}


def test_without_force_a_field_of_another_manager_is_a_conflict_that_names_both(
    cluster: Cluster, namespace: str, by_hand: Hands
) -> None:
    by_hand.create("v1/configmaps", namespace, config_map(namespace, colour="red"))
    refused = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(namespace), force=False))
    assert refused.refusal is Refusal.CONFLICT
    assert str(refused) == (
        f'ConfigMap/{namespace}/settings: other managers hold fields: .data.colour by "kubectl-create" using v1'
    )
    assert cluster.apply(CONFIG_MAPS, config_map(namespace)).body["data"] == {"colour": "green"}


def test_an_update_never_lands_on_an_object_with_another_uid(cluster: Cluster, namespace: str, by_hand: Hands) -> None:
    first = cluster.apply(CONFIG_MAPS, config_map(namespace)).body["metadata"]["uid"]
    by_hand.delete("v1/configmaps", namespace, "settings")
    gone = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(namespace, colour="blue"), uid=first))
    by_hand.create("v1/configmaps", namespace, config_map(namespace, owner="somebody"))
    replaced = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(namespace, colour="blue"), uid=first))
    # Were the second one 'immutable' (422, as the API server says), a Force rule would delete a foreign object.
    assert (gone.refusal, replaced.refusal) == (Refusal.CONFLICT, Refusal.CONFLICT)
    live = cluster.get(CONFIG_MAPS, namespace, "settings")
    assert live is not None and live["data"] == {"owner": "somebody"}


def test_an_apply_with_an_old_resource_version_is_a_conflict(cluster: Cluster, namespace: str, by_hand: Hands) -> None:
    old = cluster.apply(CONFIG_MAPS, config_map(namespace)).body["metadata"]["resourceVersion"]
    by_hand.merge_patch("v1/configmaps", namespace, "settings", {"data": {"added": "by hand"}})
    body = config_map(namespace, colour="blue")
    assert refusal(lambda: cluster.apply(CONFIG_MAPS, body, resource_version=old)).refusal is Refusal.CONFLICT


def test_a_delete_spares_an_object_that_is_not_the_one_we_checked(
    cluster: Cluster, namespace: str, by_hand: Hands
) -> None:
    metadata = cluster.apply(CONFIG_MAPS, config_map(namespace)).body["metadata"]
    by_hand.merge_patch("v1/configmaps", namespace, "settings", {"metadata": {"labels": {"keep": "me"}}})
    uid, version = metadata["uid"], metadata["resourceVersion"]

    def delete(uid: str, version: str = "") -> None:
        cluster.delete(CONFIG_MAPS, namespace, "settings", uid=uid, resource_version=version, propagation="background")

    assert refusal(lambda: delete("another")).refusal is Refusal.CONFLICT
    assert refusal(lambda: delete(uid, version)).refusal is Refusal.CONFLICT
    assert cluster.get(CONFIG_MAPS, namespace, "settings") is not None
    delete(uid)
    assert cluster.get(CONFIG_MAPS, namespace, "settings") is None
    delete(uid)  # that it is gone already is fine


def test_a_create_must_create(cluster: Cluster, namespace: str) -> None:
    assert cluster.create(CONFIG_MAPS, config_map(namespace)).created
    assert refusal(lambda: cluster.create(CONFIG_MAPS, config_map(namespace))).refusal is Refusal.EXISTS
    generated = config_map(namespace)
    generated["metadata"] = {"namespace": namespace, "generateName": "job-"}
    assert cluster.create(CONFIG_MAPS, generated).body["metadata"]["name"].startswith("job-")


def test_a_replace_with_an_old_resource_version_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    body = cluster.create(CONFIG_MAPS, config_map(namespace)).body
    cluster.replace(CONFIG_MAPS, {**body, "data": {"colour": "blue"}})
    refused = refusal(lambda: cluster.replace(CONFIG_MAPS, {**body, "data": {"colour": "red"}}))
    assert refused.refusal is Refusal.CONFLICT


def test_a_json_patch_is_all_or_nothing_and_a_failed_test_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    version = cluster.apply(CONFIG_MAPS, config_map(namespace, a="1", b="2")).body["metadata"]["resourceVersion"]

    def remove_a(version: str) -> Object:
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        steps = [test, {"op": "remove", "path": "/data/a"}]
        return cluster.json_patch(CONFIG_MAPS, namespace, "settings", steps)

    assert refusal(lambda: remove_a("1")).refusal is Refusal.CONFLICT
    assert remove_a(version)["data"] == {"b": "2"}
    gone = refusal(lambda: cluster.json_patch(CONFIG_MAPS, namespace, "missing", [{"op": "remove", "path": "/data"}]))
    assert str(gone) == f"ConfigMap/{namespace}/missing: it does not exist any more"


def test_a_merge_patch_can_write_a_subresource(cluster: Cluster, namespace: str) -> None:
    cluster.apply(DEPLOYMENTS, deployment(namespace))
    scaled = cluster.merge_patch(DEPLOYMENTS, namespace, "web", {"spec": {"replicas": 1}}, subresource="scale")
    assert scaled["spec"] == {"replicas": 1}


def test_a_field_that_cannot_change_is_named_without_its_value(cluster: Cluster, namespace: str) -> None:
    cluster.apply(DEPLOYMENTS, deployment(namespace, "web"))
    refused = refusal(lambda: cluster.apply(DEPLOYMENTS, deployment(namespace, "other")))
    assert refused.refusal is Refusal.IMMUTABLE
    assert str(refused) == (
        f"apps/Deployment/{namespace}/web: spec.selector cannot change; allow recreate to replace the object"
    )


@pytest.mark.parametrize(
    ("api", "body", "path", "value", "field"),
    [
        ("v1/Service", {"ports": [{"port": 80}]}, "clusterIP", "10.96.99.99", "spec.clusterIPs[0]"),
        ("v1/Pod", {"containers": [{"name": "a", "image": "b"}]}, "hostNetwork", True, "spec"),
        (
            "v1/PersistentVolumeClaim",
            {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            "accessModes",
            ["ReadWriteMany"],
            "spec",
        ),
        (
            "batch/v1/Job",
            {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}},
            "template",
            {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "c"}]}},
            "spec.template",
        ),
    ],
)
def test_each_wording_of_immutable_is_known(
    cluster: Cluster, namespace: str, api: str, body: Object, path: str, value: Any, field: str
) -> None:
    version, _, kind = api.rpartition("/")
    resource = cluster.kinds().find(version.rpartition("/")[0], kind)
    assert resource is not None
    document = {"apiVersion": version, "kind": kind, "metadata": {"name": "fixed", "namespace": namespace}}
    cluster.apply(resource, {**document, "spec": body})
    refused = refusal(lambda: cluster.apply(resource, {**document, "spec": {**body, path: value}}))
    assert refused.refusal is Refusal.IMMUTABLE
    assert f": {field} cannot change" in str(refused)


def test_invalid_objects_name_each_wrong_field(cluster: Cluster, namespace: str) -> None:
    body = deployment(namespace)
    body["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    del body["spec"]["template"]["spec"]["containers"][0]["image"]
    refused = refusal(lambda: cluster.apply(DEPLOYMENTS, body))
    assert refused.refusal is Refusal.INVALID
    assert str(refused) == (
        f"apps/Deployment/{namespace}/web: spec.template.metadata.labels has an invalid value "
        "(`selector` does not match template `labels`); spec.template.spec.containers[0].image is required"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "duplicate entries for key"),
        ({"imagePullPolicyy": "Always"}, "imagePullPolicyy: field not declared in schema"),
        ({"image": 7}, "image: expected string"),
    ],
)
def test_what_server_side_apply_cannot_digest_is_not_tried_again(
    cluster: Cluster, namespace: str, change: Object, text: str
) -> None:
    refused = refusal(lambda: cluster.apply(DEPLOYMENTS, deployment(namespace, **change)))
    assert refused.refusal is Refusal.UNAPPLICABLE
    assert text in str(refused)


@pytest.mark.parametrize("name", ["", "_", "a/b", "..", "UPPER"])
def test_impossible_names_are_invalid(cluster: Cluster, namespace: str, name: str) -> None:
    refused = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(namespace, name)))
    assert refused.refusal is Refusal.INVALID


def test_an_object_that_is_too_large_is_called_so(cluster: Cluster, namespace: str) -> None:
    large = [config_map(namespace, a="x" * size) for size in (1_100_000, 3_500_000)]
    annotated = config_map(namespace)
    annotated["metadata"]["annotations"] = {"a": "x" * 300_000}
    for body in [*large, annotated]:
        assert refusal(lambda body=body: cluster.apply(CONFIG_MAPS, body)).refusal is Refusal.TOO_LARGE  # type: ignore[misc]


def test_a_missing_namespace_and_one_that_is_being_deleted(cluster: Cluster, namespace: str, by_hand: Hands) -> None:
    missing = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map("no-such-namespace")))
    assert missing.refusal is Refusal.NAMESPACE_MISSING
    assert "CreateNamespace" in str(missing)
    namesake = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map("no-such-namespace", "no-such-namespace")))
    assert namesake.refusal is Refusal.NAMESPACE_MISSING
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.apply(CONFIG_MAPS, held)
    by_hand.delete("v1/namespaces", "", namespace)
    ending = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(namespace, "other")))
    by_hand.merge_patch("v1/configmaps", namespace, "settings", {"metadata": {"finalizers": None}})
    assert ending.refusal is Refusal.NAMESPACE_TERMINATING
    assert cluster.get(CONFIG_MAPS, "no-such-namespace", "settings") is None


@pytest.mark.covers("SYNC-17")
def test_the_absence_of_a_kind_is_not_the_absence_of_an_object(cluster: Cluster, namespace: str) -> None:
    group = f"{random_name('g')}.example.com"
    applied = cluster.apply(CRDS, crd(group, "Widget", "widgets"))
    widgets = eventually(lambda: cluster.kinds(refresh=True).find(group, "Widget"))
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one", "namespace": namespace}}
    eventually(lambda: _applied(cluster, widgets, widget))
    assert cluster.get(widgets, namespace, "two") is None
    cluster.delete(CRDS, "", f"widgets.{group}", uid=applied.body["metadata"]["uid"], propagation="background")
    eventually(lambda: cluster.kinds(refresh=True).find(group, "Widget") is None)
    for call in (
        lambda: cluster.get(widgets, namespace, "one"),
        lambda: cluster.list(widgets),
        lambda: cluster.apply(widgets, widget),
        lambda: cluster.delete(widgets, namespace, "one", uid="any"),
    ):
        refused = refusal(call)
        assert refused.refusal is Refusal.KIND_NOT_SERVED
        assert f"serves no Widget in {group}/v1" in str(refused)


def _applied(cluster: Cluster, resource: Any, body: Object) -> bool:
    try:
        return cluster.apply(resource, body) is not None
    except ApiRefused:
        return False


def test_a_quota_is_named(cluster: Cluster, namespace: str, by_hand: Hands) -> None:
    eventually(lambda: by_hand.get("v1/configmaps", namespace, "kube-root-ca.crt"))
    by_hand.create("v1/resourcequotas", namespace, {"metadata": {"name": "few"}, "spec": {"hard": {"configmaps": "1"}}})
    eventually(lambda: (by_hand.get("v1/resourcequotas", namespace, "few") or {}).get("status", {}).get("used"))
    refused = refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(namespace)))
    assert refused.refusal is Refusal.FORBIDDEN
    assert "exceeded quota: few" in str(refused)


@pytest.fixture
def policy(by_hand: Hands, namespace: str) -> Iterator[str]:
    """A policy that refuses every ConfigMap in the namespace."""
    with refusing(by_hand, namespace, ["configmaps", "secrets"], "'not ' + string(object.data['colour'])") as name:
        yield name


def test_the_policy_that_refuses_is_named(cluster: Cluster, namespace: str, policy: str) -> None:
    def refused() -> ApiRefused | None:
        try:
            cluster.apply(CONFIG_MAPS, config_map(namespace), dry_run=True)
        except ApiRefused as error:
            return error
        return None

    error = eventually(refused)
    assert error.refusal is Refusal.FORBIDDEN
    assert str(error) == f"ConfigMap/{namespace}/settings: refused by the admission policy {policy}: not green"


def test_the_api_servers_warnings_are_passed_on(cluster: Cluster, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "old", "namespace": namespace}}
    endpoints = cluster.kinds().find("", "Endpoints")
    assert endpoints is not None
    [warning] = cluster.apply(endpoints, body).warnings
    assert warning == "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def test_cluster_scoped_objects_need_no_namespace(cluster: Cluster) -> None:
    name = random_name()
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert cluster.apply(NAMESPACES, body).created
    live = cluster.get(NAMESPACES, "ignored", name)
    assert live is not None
    cluster.delete(NAMESPACES, "", name, uid=live["metadata"]["uid"])
    assert refusal(lambda: cluster.apply(CONFIG_MAPS, config_map(""))).refusal is Refusal.INVALID
