"""An application is as well as the worst of its objects, and says which they are; a workload says why."""

from typing import Any

import pytest

from driftline.health import application_health, pod_problem
from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key


def deployment(name: str) -> Key:
    return Key("apps", "Deployment", "shop", name)


def well(status: HealthStatus) -> Health:
    return Health(status)


@pytest.mark.covers("HLT-01")
def test_the_worst_object_decides_and_is_named() -> None:
    objects = [
        (deployment("web"), well(HealthStatus.PROGRESSING), False),
        (deployment("cache"), well(HealthStatus.DEGRADED), False),
        (Key("", "Namespace", "", "shop"), well(HealthStatus.DEGRADED), False),
        (deployment("job"), well(HealthStatus.UNKNOWN), True),
        (Key("", "ConfigMap", "shop", "config"), None, False),
    ]
    assert application_health(objects, 5, 5) == Health(
        HealthStatus.DEGRADED, "Caused by Namespace:shop, apps/Deployment:shop/cache"
    )


@pytest.mark.covers("HLT-01")
def test_many_culprits_are_counted() -> None:
    objects = [(deployment(name), well(HealthStatus.PROGRESSING), False) for name in "abcde"]
    assert application_health(objects, 5, 5).message == (
        "Caused by apps/Deployment:shop/a, apps/Deployment:shop/b, apps/Deployment:shop/c and 2 more"
    )


@pytest.mark.covers("HLT-01")
def test_missing_objects_count_only_when_nothing_is_live() -> None:
    gone = [(deployment("web"), well(HealthStatus.MISSING), False)]
    there = [(deployment("cache"), well(HealthStatus.HEALTHY), False)]
    assert application_health([*gone, *there], 1, 2).status is HealthStatus.HEALTHY
    assert application_health(gone, 0, 1).status is HealthStatus.MISSING
    assert application_health([], 0, 0).status is HealthStatus.HEALTHY


@pytest.mark.covers("HLT-01")
def test_a_child_application_that_knows_nothing_is_not_its_parents_trouble() -> None:
    child = Key("argoproj.io", "Application", "argocd", "child")
    assert application_health([(child, well(HealthStatus.UNKNOWN), False)], 1, 1).status is HealthStatus.HEALTHY
    assert application_health([(child, well(HealthStatus.DEGRADED), False)], 1, 1).status is HealthStatus.DEGRADED


def pod(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": status}


def container(reason: str, message: str = "", last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": "app", "image": "shop:9", "state": state, "lastState": {"terminated": last} if last else {}}


def warning(kind: str, name: str, reason: str, message: str, at: str = "2026-01-01T10:00:00Z") -> dict[str, Any]:
    about = {"kind": kind, "name": name}
    return {"type": "Warning", "involvedObject": about, "reason": reason, "message": message, "lastTimestamp": at}


def test_an_image_that_cannot_be_pulled_names_container_and_image() -> None:
    pods = [pod(f"web-{n}", containerStatuses=[container("ImagePullBackOff", "not found")]) for n in (1, 2)]
    assert pod_problem(pods) == (
        "Pod web-1 (and 1 more pod): ImagePullBackOff of container app, image shop:9: not found"
    )


def test_a_crash_loop_gives_the_exit_code_and_a_killed_container_its_reason() -> None:
    crashing = pod(
        "web-1", containerStatuses=[container("CrashLoopBackOff", "wait", {"exitCode": 7, "message": "no db"})]
    )
    assert pod_problem([crashing]) == "Pod web-1: container app ended with exit code 7, CrashLoopBackOff: no db"
    killed = pod(
        "web-1", containerStatuses=[container("CrashLoopBackOff", "wait", {"exitCode": 137, "reason": "OOMKilled"})]
    )
    assert "OOMKilled" in pod_problem([killed])


def test_a_pod_without_a_place_says_what_the_scheduler_says() -> None:
    waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}
    assert pod_problem([pod("web-1", phase="Pending", conditions=[waiting])]) == (
        "Pod web-1: cannot be scheduled: 0/3 nodes fit"
    )


def test_the_commonest_trouble_is_told() -> None:
    pods = [
        pod("web-1", containerStatuses=[container("CreateContainerConfigError", "no secret")]),
        pod("web-2", containerStatuses=[container("ImagePullBackOff")]),
        pod("web-3", containerStatuses=[container("ImagePullBackOff")]),
    ]
    assert pod_problem(pods).startswith("Pod web-2 (and 1 more pod): ImagePullBackOff")


def test_without_a_troubled_pod_the_newest_warning_is_the_cause() -> None:
    events = [
        warning("ReplicaSet", "web-5f", "FailedCreate", "exceeded quota: small", "2026-01-01T10:00:05Z"),
        warning("ReplicaSet", "web-5f", "FailedCreate", "older", "2026-01-01T10:00:01Z"),
        warning("Pod", "other-1", "Unhealthy", "somebody else's"),
    ]
    assert pod_problem([], events) == "ReplicaSet web-5f: FailedCreate: exceeded quota: small"


def test_a_pod_that_starts_and_one_that_fails_its_probe_are_told_apart() -> None:
    starting = pod("web-1", phase="Pending", containerStatuses=[container("ContainerCreating")])
    assert pod_problem([starting]) == ""
    unready = pod("web-2", phase="Running", conditions=[{"type": "Ready", "status": "False"}])
    probe = warning("Pod", "web-2", "Unhealthy", "Readiness probe failed: 503")
    assert pod_problem([unready], [probe]) == "Pod web-2: Unhealthy: Readiness probe failed: 503"


def test_a_pod_that_is_going_or_well_is_no_cause() -> None:
    going = pod("web-1", containerStatuses=[container("ImagePullBackOff")])
    going["metadata"]["deletionTimestamp"] = "2026-01-01T10:00:00Z"
    well_now = pod("web-2", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    assert pod_problem([going, well_now]) == ""
