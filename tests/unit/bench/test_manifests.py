"""What the benches deploy is what their rows say."""

import yaml

from bench import manifests
from bench.ingress import ADDRESS, waits
from bench.raw import path_of
from driftline.formats.application import applications_in


def test_a_service_has_four_objects_and_no_pods() -> None:
    kinds = [body["kind"] for body in manifests.service("shop", "apps")]
    assert kinds == ["ServiceAccount", "Service", "Deployment", "Ingress"]
    assert manifests.service("shop")[2]["spec"]["replicas"] == 0


def test_an_app_of_apps_declares_one_readable_application_for_each_directory() -> None:
    files = manifests.app_of_apps(12, "http://git.example.test/many.git", "apps")
    declared = [yaml.safe_load(text) for path, text in files.items() if path.startswith("root/")]
    apps, problems = applications_in(declared)
    assert not problems
    assert [app.name for app in apps] == list(manifests.names(12))
    assert all(f"{app.sources[0].path}/all.yaml" in files for app in apps)


def test_config_maps_are_spread_over_files_and_none_is_lost() -> None:
    files = manifests.config_maps(25, per_file=10)
    names = [body["metadata"]["name"] for text in files.values() for body in yaml.safe_load_all(text)]
    assert len(files) == 3
    assert names == [f"map-{index:04}" for index in range(25)]


def test_objects_have_the_paths_of_the_api() -> None:
    account, service, deployment, _ = manifests.service("shop", "apps")
    assert path_of(account) == "/api/v1/namespaces/apps/serviceaccounts/shop"
    assert path_of(service) == "/api/v1/namespaces/apps/services/shop"
    assert path_of(deployment) == "/apis/apps/v1/namespaces/apps/deployments/shop"


def test_an_ingress_waits_until_it_has_an_address() -> None:
    ingress = manifests.service("shop", "apps")[3]
    assert waits(ingress)
    assert not waits({**ingress, **ADDRESS})
    assert not waits({**ingress, "metadata": {**ingress["metadata"], "deletionTimestamp": "now"}})
