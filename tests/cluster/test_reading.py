"""Listing, discovery and schemas of a real API server: complete or an error, never something in between."""

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.cluster.cluster import Cluster, connect
from driftline.adapters.settings import Settings
from driftline.model.cluster import ApiRefused, ClusterUnreachable, Refusal
from driftline.model.objects import Object
from tests.cluster.shapes import CONFIG_MAPS, CRDS, config_map, crd
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import Hands, access, eventually, random_name

EXPIRED = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "metadata": {"continue": "weak"}}


@pytest.fixture
def seven(cluster: Cluster, namespace: str, by_hand: Hands) -> list[str]:
    """Seven ConfigMaps with a label."""
    names = [f"c{number}" for number in range(7)]
    for name in names:
        body = config_map(namespace, name)
        body["metadata"]["labels"] = {"shelf": "top", "of": namespace}
        cluster.apply(CONFIG_MAPS, body)
    return names


def test_pages_make_one_listing_whose_items_know_their_kind(cluster: Cluster, namespace: str, seven: list[str]) -> None:
    listing = cluster.list(CONFIG_MAPS, namespace, "shelf=top", limit=2)
    assert [item["metadata"]["name"] for item in listing.items] == seven
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {("v1", "ConfigMap")}
    assert int(listing.resource_version) > 0


def test_a_survey_takes_each_object_of_all_pages_or_fails(
    distant: Cluster, proxy: ApiProxy, namespace: str, seven: list[str]
) -> None:
    def take(body: Object) -> tuple[str, str, str]:
        return body["apiVersion"], body["kind"], body["metadata"]["name"]

    want = [("v1", "ConfigMap", name) for name in seven]
    selector = f"shelf=top,of={namespace}"
    assert list(distant.survey(CONFIG_MAPS, selector, take, limit=2)) == want
    assert proxy.count("GET", "continue=") == 3
    proxy.fail("GET", "continue=", 410, body=EXPIRED)
    assert list(distant.survey(CONFIG_MAPS, selector, take, limit=3)) == want, "nothing twice after a new start"
    proxy.fail("GET", "continue=", 500)
    with pytest.raises(ClusterUnreachable):
        distant.survey(CONFIG_MAPS, selector, take, limit=3)


def test_a_metadata_listing_has_no_content(cluster: Cluster, namespace: str, seven: list[str]) -> None:
    listing = cluster.list(CONFIG_MAPS, namespace, "shelf=top", metadata_only=True, limit=3)
    assert [item["metadata"]["name"] for item in listing.items] == seven
    assert all("data" not in item and item["kind"] == "ConfigMap" for item in listing.items)


def test_a_listing_that_expires_half_way_starts_again(
    distant: Cluster, proxy: ApiProxy, namespace: str, seven: list[str]
) -> None:
    proxy.fail("GET", "continue=", 410, body=EXPIRED)
    listing = distant.list(CONFIG_MAPS, namespace, "shelf=top", limit=3)
    assert [item["metadata"]["name"] for item in listing.items] == seven
    assert proxy.count("GET", r"configmaps\?.*limit=3$") == 2  # from the start, not with the weaker token
    assert proxy.count("GET", "continue=weak") == 0


def test_a_listing_is_complete_or_an_error(distant: Cluster, proxy: ApiProxy, namespace: str, seven: list[str]) -> None:
    proxy.fail("GET", "continue=", 410, body=EXPIRED, times=99)
    with pytest.raises(ClusterUnreachable, match="expired again and again"):
        distant.list(CONFIG_MAPS, namespace, "shelf=top", limit=3)
    proxy.faults.clear()
    proxy.fail("GET", "continue=", 500)
    with pytest.raises(ClusterUnreachable):
        distant.list(CONFIG_MAPS, namespace, "shelf=top", limit=3)


def test_an_object_without_our_label_is_absent_from_the_listing_but_there(
    cluster: Cluster, namespace: str, seven: list[str], by_hand: Hands
) -> None:
    by_hand.merge_patch("v1/configmaps", namespace, "c3", {"metadata": {"labels": None}, "data": {"edited": "too"}})
    by_hand.delete("v1/configmaps", namespace, "c4")
    names = [item["metadata"]["name"] for item in cluster.list(CONFIG_MAPS, namespace, "shelf=top").items]
    assert names == ["c0", "c1", "c2", "c5", "c6"]
    # The listing says the same of both; only a GET by name tells them apart.
    assert cluster.get(CONFIG_MAPS, namespace, "c3") is not None
    assert cluster.get(CONFIG_MAPS, namespace, "c4") is None


def test_two_registrations_of_one_cluster_are_one(cluster: Cluster, distant: Cluster) -> None:
    assert cluster.uid() == distant.uid()
    assert cluster.version().startswith("v1.")


def test_discovery_takes_two_requests_and_is_remembered(distant: Cluster, proxy: ApiProxy) -> None:
    kinds = distant.kinds()
    deployments = kinds.find("apps", "Deployment")
    assert deployments is not None
    assert (deployments.plural, deployments.namespaced, deployments.version) == ("deployments", True, "v1")
    assert "patch" in deployments.verbs
    namespaces = kinds.find("", "Namespace")
    assert namespaces is not None and not namespaces.namespaced
    assert kinds.find("autoscaling", "HorizontalPodAutoscaler", "v1") is not None
    preferred = kinds.find("autoscaling", "HorizontalPodAutoscaler")
    assert preferred is not None and preferred.version == "v2"
    distant.kinds()
    assert [(method, path) for method, path, _ in proxy.requests] == [("GET", "/api"), ("GET", "/apis")]


def test_an_unchanged_discovery_is_not_sent_again(distant: Cluster, proxy: ApiProxy) -> None:
    first = distant.kinds()
    again = distant.kinds(refresh=True)
    assert again == first
    assert [headers.get("If-None-Match", "") != "" for _, _, headers in proxy.requests] == [False, False, True, True]


def test_a_broken_group_is_unknown_and_not_gone(cluster: Cluster, namespace: str, by_hand: Hands) -> None:
    group = f"{random_name('broken')}.example.com"
    service = {"name": "nobody", "namespace": namespace}
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10, "service": service}
    kind = "apiregistration.k8s.io/v1/apiservices"
    by_hand.create(kind, "", {"metadata": {"name": f"v1.{group}"}, "spec": {**spec, "insecureSkipTLSVerify": True}})
    try:
        broken = eventually(lambda: group in cluster.kinds(refresh=True).broken)
        assert broken
        assert cluster.kinds().find("apps", "Deployment") is not None
    finally:
        by_hand.delete(kind, "", f"v1.{group}")
    eventually(lambda: group not in cluster.kinds(refresh=True).broken)


def test_a_kind_that_comes_back_under_another_plural_is_found_there(cluster: Cluster, namespace: str) -> None:
    group = f"{random_name('plural')}.example.com"
    uid = cluster.apply(CRDS, crd(group, "Prometheus", "prometheuses")).body["metadata"]["uid"]
    eventually(lambda: cluster.kinds(refresh=True).find(group, "Prometheus"))
    cluster.delete(CRDS, "", f"prometheuses.{group}", uid=uid, propagation="background")
    eventually(lambda: cluster.get(CRDS, "", f"prometheuses.{group}") is None)
    cluster.apply(CRDS, crd(group, "Prometheus", "prometheis"))

    def plural() -> bool:
        found = cluster.kinds(refresh=True).find(group, "Prometheus")
        return found is not None and found.plural == "prometheis"

    eventually(plural)


def test_a_crd_that_we_apply_is_discovered_without_waiting(distant: Cluster, proxy: ApiProxy) -> None:
    group = f"{random_name('soon')}.example.com"
    assert not distant.kinds().find(group, "Widget")
    distant.apply(CRDS, crd(group, "Widget", "widgets"))
    asked = proxy.count("GET", "^/apis$")
    distant.kinds()
    assert proxy.count("GET", "^/apis$") == asked + 1
    eventually(lambda: distant.kinds(refresh=True).find(group, "Widget"))


def test_schemas_are_fetched_once_per_hash(distant: Cluster, proxy: ApiProxy) -> None:
    digest, document = distant.openapi("apps", "v1")
    assert "io.k8s.api.apps.v1.Deployment" in document["components"]["schemas"]
    assert distant.openapi("apps", "v1") == (digest, document)
    assert distant.openapi_hash("apps", "v1") == digest != distant.openapi_hash("", "v1")
    assert proxy.count("GET", r"/openapi/v3/apis/apps/v1\?hash=") == 1


def test_a_second_process_reads_the_schema_from_disk(
    distant: Cluster, proxy: ApiProxy, local: LocalCluster, settings: Settings
) -> None:
    first = distant.openapi("apps", "v1")
    other = connect(access(local, server=proxy.url), settings)
    assert other.openapi("apps", "v1") == first
    assert proxy.count("GET", r"/openapi/v3/apis/apps/v1\?hash=") == 1


def test_a_group_without_schemas_is_not_served(cluster: Cluster) -> None:
    assert cluster.openapi_hash("nowhere.example.com", "v1") == ""
    with pytest.raises(ApiRefused) as raised:
        cluster.openapi("nowhere.example.com", "v1")
    assert raised.value.refusal is Refusal.KIND_NOT_SERVED
