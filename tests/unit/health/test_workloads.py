"""A rollout is followed from the first observed generation to its end, in kubectl's words."""

from typing import Any

import pytest

from driftline.health import health_of
from driftline.model.health import Health, HealthStatus

HEALTHY, PROGRESSING = HealthStatus.HEALTHY, HealthStatus.PROGRESSING
DEGRADED, SUSPENDED = HealthStatus.DEGRADED, HealthStatus.SUSPENDED


def workload(kind: str, spec: dict[str, Any], status: dict[str, Any], generation: int = 2) -> Health:
    api = "v1" if kind == "ReplicationController" else "apps/v1"
    live = {"apiVersion": api, "kind": kind, "metadata": {"name": "web", "generation": generation}}
    found = health_of({**live, "spec": spec, "status": {"observedGeneration": 2, **status}})
    assert found is not None
    return found


@pytest.mark.covers("HLT-04")
def test_a_deployment_is_followed_through_its_rollout() -> None:
    spec = {"replicas": 3}
    steps = [
        ({"observedGeneration": 1}, "observed deployment generation less than desired generation"),
        ({"updatedReplicas": 1, "replicas": 3}, "1 out of 3 new replicas have been updated..."),
        ({"updatedReplicas": 3, "replicas": 4}, "1 old replicas are pending termination..."),
        ({"updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}, "2 of 3 updated replicas are available..."),
    ]
    for status, words in steps:
        assert workload("Deployment", spec, status) == Health(PROGRESSING, f"Waiting for rollout to finish: {words}")
    done = {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}
    assert workload("Deployment", spec, done) == Health(HEALTHY)


@pytest.mark.covers("HLT-04")
def test_a_deployment_that_missed_its_deadline_is_degraded_and_a_paused_one_suspended() -> None:
    late = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
    assert workload("Deployment", {}, late) == Health(DEGRADED, 'Deployment "web" exceeded its progress deadline')
    assert workload("Deployment", {"paused": True}, late) == Health(SUSPENDED, "Deployment is paused")


def test_a_deployment_scaled_to_zero_is_well() -> None:
    assert workload("Deployment", {"replicas": 0}, {}).status is HEALTHY


@pytest.mark.covers("HLT-05")
def test_a_stateful_set_waits_for_pods_then_for_its_revision() -> None:
    spec = {"replicas": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
    assert workload("StatefulSet", spec, {"observedGeneration": 0}).message.startswith("Waiting for statefulset spec")
    assert workload("StatefulSet", spec, {"readyReplicas": 1}).message == "Waiting for 1 pods to be ready..."
    moving = {"readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
    assert workload("StatefulSet", spec, moving) == Health(
        PROGRESSING, "waiting for statefulset rolling update to complete 1 pods at revision b..."
    )
    done = {"readyReplicas": 2, "currentReplicas": 2, "currentRevision": "b", "updateRevision": "b"}
    assert workload("StatefulSet", spec, done).status is HEALTHY


@pytest.mark.covers("HLT-05")
def test_a_stateful_set_with_a_partition_or_on_delete_does_not_wait_for_every_pod() -> None:
    spec = {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
    base = {"readyReplicas": 3, "currentRevision": "a", "updateRevision": "b"}
    assert workload("StatefulSet", spec, base).message.endswith("0 out of 1 new pods have been updated...")
    assert workload("StatefulSet", spec, {**base, "updatedReplicas": 1}).status is HEALTHY
    on_delete = {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}
    assert workload("StatefulSet", on_delete, base) == Health(HEALTHY, "statefulset has 3 ready pods")


@pytest.mark.covers("HLT-05")
def test_a_daemon_set_waits_for_updated_and_available_pods() -> None:
    waiting = 'Waiting for daemon set "web" rollout to finish: '
    status = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 2}
    assert workload("DaemonSet", {}, status).message == f"{waiting}2 out of 3 new pods have been updated..."
    status = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 1}
    assert workload("DaemonSet", {}, status).message == f"{waiting}1 of 3 updated pods are available..."
    assert workload("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, status).status is HEALTHY
    assert workload("DaemonSet", {}, {**status, "numberAvailable": 3}) == Health(HEALTHY)
    assert workload("DaemonSet", {}, {}, generation=3).status is PROGRESSING


@pytest.mark.covers("HLT-05")
@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController"])
def test_a_replica_set_that_may_not_make_pods_is_degraded(kind: str) -> None:
    refused = {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}
    assert workload(kind, {"replicas": 1}, refused) == Health(DEGRADED, "exceeded quota")
    assert workload(kind, {"replicas": 2}, {"availableReplicas": 1}).message.endswith(
        "1 out of 2 new replicas are available..."
    )
    assert workload(kind, {"replicas": 2}, {"availableReplicas": 2}).status is HEALTHY


def pod(policy: str, status: dict[str, Any], annotations: dict[str, str] | None = None) -> Health:
    metadata = {"name": "web-0", "annotations": annotations or {}}
    live = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"restartPolicy": policy}}
    found = health_of({**live, "status": status})
    assert found is not None
    return found


@pytest.mark.covers("HLT-06")
def test_a_pod_that_is_to_run_is_well_when_ready_and_degraded_when_it_cannot_start() -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    other = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no route"}}}
    stuck = {"phase": "Pending", "containerStatuses": [waiting, other]}
    assert pod("Always", stuck) == Health(DEGRADED, "no such image, no route")
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert pod("Always", ready).status is HEALTHY
    assert pod("Always", {"phase": "Running"}).status is PROGRESSING
    crashed = {"phase": "Running", "containerStatuses": [{"lastState": {"terminated": {"exitCode": 1}}}]}
    assert pod("Always", crashed).status is DEGRADED


@pytest.mark.covers("HLT-06")
def test_a_pod_that_is_to_end_is_progressing_until_it_has() -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    stuck = {"phase": "Pending", "containerStatuses": [waiting]}
    assert pod("Never", stuck).status is PROGRESSING
    assert pod("Never", {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}).status is PROGRESSING
    assert pod("OnFailure", {"phase": "Succeeded"}).status is HEALTHY
    ignoring = {"argocd.argoproj.io/ignore-restart-policy": "true"}
    assert pod("Never", stuck, ignoring).status is DEGRADED
    assert pod("Never", stuck, {**ignoring, "argocd.argoproj.io/hook": "Sync"}).status is PROGRESSING


@pytest.mark.covers("HLT-06")
@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"message": "bad flag", "exitCode": 2}, "bad flag"),
        ({"reason": "OOMKilled", "exitCode": 137}, "OOMKilled"),
        ({"exitCode": 3}, 'container "app" failed with exit code 3'),
    ],
)
def test_a_failed_pod_says_which_container_failed_and_how(ended: dict[str, Any], words: str) -> None:
    container = {"name": "app", "state": {"terminated": ended}}
    assert pod("Never", {"phase": "Failed", "containerStatuses": [container]}) == Health(DEGRADED, words)
    evicted = {"phase": "Failed", "message": "the node was low on disk", "containerStatuses": [container]}
    assert pod("Never", evicted).message == "the node was low on disk"
