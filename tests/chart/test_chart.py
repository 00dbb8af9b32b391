"""The chart installs what it says: every object is accepted by a real API server, and nothing runs as root."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.localcluster.build import helm
from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.settings import documented
from tests.kit.cluster import hands, new_namespace, shared_cluster

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "driftline"


@pytest.fixture(scope="module")
def cluster() -> LocalCluster:
    return shared_cluster()


def render(*arguments: str, namespace: str = "driftline") -> list[dict[str, Any]]:
    command = [str(helm()), "template", "main", str(CHART), "--namespace", namespace, *arguments]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def test_the_api_server_accepts_every_object(cluster: LocalCluster) -> None:
    namespace = new_namespace(cluster)
    plurals = {
        "ConfigMap": "v1/configmaps",
        "Service": "v1/services",
        "ServiceAccount": "v1/serviceaccounts",
        "Deployment": "apps/v1/deployments",
        "Job": "batch/v1/jobs",
        "Ingress": "networking.k8s.io/v1/ingresses",
        "NetworkPolicy": "networking.k8s.io/v1/networkpolicies",
        "ClusterRoleBinding": "rbac.authorization.k8s.io/v1/clusterrolebindings",
        "FlowSchema": "flowcontrol.apiserver.k8s.io/v1/flowschemas",
        "PriorityLevelConfiguration": "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
    }
    objects = render("--set", "ingress.enabled=true", "--set", "ingress.tlsSecret=tls", namespace=namespace)
    api = hands(cluster)
    made = []
    for body in objects:
        scoped = body["kind"] not in ("ClusterRoleBinding", "FlowSchema", "PriorityLevelConfiguration")
        api.apply(plurals[body["kind"]], namespace if scoped else "", body)
        made.append(body["kind"])
    for body in objects:
        if body["kind"] in ("ClusterRoleBinding", "FlowSchema", "PriorityLevelConfiguration"):
            api.delete(plurals[body["kind"]], "", body["metadata"]["name"])
    assert made.count("Deployment") == 4
    assert set(made) == set(plurals)


def test_no_container_may_become_root_or_write_its_image() -> None:
    pods = [body["spec"]["template"]["spec"] for body in render() if body["kind"] in ("Deployment", "Job")]
    assert len(pods) == 5
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_the_processes_of_the_procfile_are_the_deployments_of_the_chart() -> None:
    procfile = Path(__file__).parents[2] / "Procfile"
    names = {line.partition(":")[0] for line in procfile.read_text().splitlines() if line.strip()}
    deployed = {
        body["metadata"]["labels"]["app.kubernetes.io/component"] for body in render() if body["kind"] == "Deployment"
    }
    assert deployed == names


def test_every_setting_that_the_chart_sets_exists() -> None:
    (config,) = [body for body in render() if body["kind"] == "ConfigMap"]
    assert set(config["data"]) <= {each.variable for each in documented()}
