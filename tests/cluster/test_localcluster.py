"""The local control plane does what the other tests rely on."""

from deploy.localcluster.localcluster import LocalCluster
from tests.kit.cluster import eventually, hands, new_namespace

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        },
    },
}


def test_pods_of_a_deployment_become_ready(local: LocalCluster) -> None:
    namespace = new_namespace(local)
    hands(local).create("apps/v1/deployments", namespace, DEPLOYMENT)

    def ready() -> bool:
        live = hands(local).get("apps/v1/deployments", namespace, "web")
        return live is not None and live["status"].get("readyReplicas") == 2

    eventually(ready)


def test_the_audit_log_says_who_did_what(local: LocalCluster) -> None:
    namespace = new_namespace(local)
    mark = local.audit_mark()
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    hands(local, "driftline").apply("v1/configmaps", namespace, config)
    hands(local, "driftline").get("v1/configmaps", namespace, "missing")
    seen = [entry for entry in local.audit(mark) if entry.namespace == namespace and entry.user == "driftline"]
    assert [(entry.verb, entry.name, entry.code) for entry in seen] == [
        ("patch", "settings", 201),
        ("get", "missing", 404),
    ]


def test_driftline_is_not_exempt_from_flow_control(local: LocalCluster) -> None:
    user = hands(local, "driftline").create(
        "authentication.k8s.io/v1/selfsubjectreviews", "", {"metadata": {"name": "me"}}
    )["status"]["userInfo"]
    assert user["username"] == "driftline"
    assert "system:masters" not in user["groups"]
