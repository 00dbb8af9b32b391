"""What each other kind needs to be well, and that no shape of an object makes a check raise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.health import health_of, pod_problem
from driftline.health.table import CHECKS
from driftline.model.health import Health, HealthStatus

HEALTHY, PROGRESSING = HealthStatus.HEALTHY, HealthStatus.PROGRESSING
DEGRADED, SUSPENDED, UNKNOWN = HealthStatus.DEGRADED, HealthStatus.SUSPENDED, HealthStatus.UNKNOWN


def live(api: str, kind: str, spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": "x", **metadata}, "spec": spec or {}}
    return body if status is None else {**body, "status": status}


def of(api: str, kind: str, spec: Any = None, status: Any = None, **metadata: Any) -> HealthStatus | None:
    found = health_of(live(api, kind, spec, status, **metadata))
    return found.status if found else None


def saying(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


@pytest.mark.covers("HLT-07")
def test_a_job_is_well_only_when_complete() -> None:
    assert of("batch/v1", "Job", status={"active": 1}) is PROGRESSING
    assert of("batch/v1", "Job", status=saying("Complete", "True")) is HEALTHY
    assert of("batch/v1", "Job", status=saying("Suspended", "True")) is SUSPENDED
    assert of("batch/v1", "Job", status=saying("Suspended", "False")) is PROGRESSING
    failed = health_of(live("batch/v1", "Job", status=saying("Failed", "True", message="too many retries")))
    assert failed == Health(DEGRADED, "too many retries")


@pytest.mark.covers("HLT-07")
def test_a_cron_job_is_judged_by_its_last_run() -> None:
    early, late = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"

    def cron(**status: Any) -> HealthStatus | None:
        return of("batch/v1", "CronJob", status=status)

    assert of("batch/v1", "CronJob", spec={"suspend": True}) is SUSPENDED
    assert of("batch/v1", "CronJob") is PROGRESSING
    assert cron() is HEALTHY
    assert cron(lastScheduleTime=late, lastSuccessfulTime=early) is DEGRADED
    assert cron(lastScheduleTime=late, lastSuccessfulTime=early, active=[{}]) is HEALTHY
    assert cron(lastScheduleTime=early, lastSuccessfulTime=late) is HEALTHY
    assert cron(lastScheduleTime=early) is HEALTHY


@pytest.mark.covers("HLT-08")
def test_what_brings_traffic_in_waits_for_an_address() -> None:
    address = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    assert of("v1", "Service", {"type": "ClusterIP"}) is HEALTHY
    assert of("v1", "Service", {"type": "LoadBalancer"}) is PROGRESSING
    assert of("v1", "Service", {"type": "LoadBalancer"}, address) is HEALTHY
    assert of("networking.k8s.io/v1", "Ingress") is PROGRESSING
    assert of("networking.k8s.io/v1", "Ingress", status=address) is HEALTHY


@pytest.mark.covers("HLT-08")
@pytest.mark.parametrize(
    ("phase", "wanted"), [("Bound", HEALTHY), ("Pending", PROGRESSING), ("Lost", DEGRADED), ("", UNKNOWN)]
)
def test_a_claim_is_well_once_bound(phase: str, wanted: HealthStatus) -> None:
    assert of("v1", "PersistentVolumeClaim", status={"phase": phase}) is wanted


def test_a_volume_is_well_with_or_without_a_claim() -> None:
    assert of("v1", "PersistentVolume", status={"phase": "Available"}) is HEALTHY
    assert of("v1", "PersistentVolume", status={"phase": "Failed", "message": "no disk"}) is DEGRADED


@pytest.mark.covers("HLT-08")
def test_an_autoscaler_is_judged_by_the_first_condition_that_says_something() -> None:
    api = "autoscaling/v2"
    waiting = health_of(live(api, "HorizontalPodAutoscaler", status={}))
    assert waiting == Health(PROGRESSING, "Waiting to Autoscale")
    assert of(api, "HorizontalPodAutoscaler", status=saying("AbleToScale", "True", "ReadyForNewScale")) is HEALTHY
    broken = saying("ScalingActive", "False", "FailedGetResourceMetric", "no metrics")
    assert health_of(live(api, "HorizontalPodAutoscaler", status=broken)) == Health(DEGRADED, "no metrics")
    annotation = {"autoscaling.alpha.kubernetes.io/conditions": '[{"type":"ScalingLimited","status":"True"}]'}
    assert of("autoscaling/v1", "HorizontalPodAutoscaler", annotations=annotation) is HEALTHY


@pytest.mark.covers("HLT-08")
def test_an_api_service_waits_until_it_is_available() -> None:
    api = "apiregistration.k8s.io/v1"
    assert of(api, "APIService", status=saying("Available", "True", "Passed")) is HEALTHY
    down = health_of(live(api, "APIService", status=saying("Available", "False", "ServiceNotFound", "no service")))
    assert down == Health(PROGRESSING, "ServiceNotFound: no service")


def test_a_definition_is_progressing_until_established_and_degraded_when_its_names_are_taken() -> None:
    api = "apiextensions.k8s.io/v1"
    assert of(api, "CustomResourceDefinition") is PROGRESSING
    assert of(api, "CustomResourceDefinition", status=saying("Established", "True")) is HEALTHY
    assert of(api, "CustomResourceDefinition", status=saying("NamesAccepted", "False")) is DEGRADED


def test_a_namespace_that_is_going_says_what_holds_it() -> None:
    assert of("v1", "Namespace", status={"phase": "Active"}) is HEALTHY
    stuck = {"phase": "Terminating", **saying("NamespaceFinalizersRemaining", "True", message="foo in 1 resource")}
    going = health_of(live("v1", "Namespace", status=stuck))
    assert going == Health(PROGRESSING, "Namespace is terminating. foo in 1 resource")


def test_a_disruption_budget_that_allows_nothing_is_still_well() -> None:
    none_allowed = {"observedGeneration": 1, **saying("DisruptionAllowed", "False", "InsufficientPods")}
    assert of("policy/v1", "PodDisruptionBudget", status=none_allowed, generation=1) is HEALTHY
    broken = {"observedGeneration": 1, **saying("DisruptionAllowed", "False", "SyncFailed")}
    assert of("policy/v1", "PodDisruptionBudget", status=broken, generation=1) is DEGRADED


@pytest.mark.covers("HLT-02")
def test_what_is_being_deleted_is_progressing_unless_only_our_hook_finalizer_keeps_it() -> None:
    going = {"deletionTimestamp": "2026-01-01T10:00:00Z"}
    assert health_of(live("v1", "ConfigMap", **going)) == Health(PROGRESSING, "Pending deletion")
    done = saying("Complete", "True")
    kept = {**going, "finalizers": ["argocd.argoproj.io/hook-finalizer"]}
    assert of("batch/v1", "Job", status=done, **going) is PROGRESSING
    assert of("batch/v1", "Job", status=done, **kept) is HEALTHY


@pytest.mark.covers("HLT-02")
def test_a_kind_without_a_check_has_no_health() -> None:
    assert health_of(live("v1", "ConfigMap")) is None
    assert health_of(live("example.com/v1", "Widget")) is None
    assert health_of(live("example.com/v1", "Widget", status=saying("Painted", "False"))) is None


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({"observedGeneration": 1}, PROGRESSING),
        ({"observedGeneration": 2}, HEALTHY),
        ({"observedGeneration": 2, **saying("Ready", "False", "Pending")}, PROGRESSING),
        ({"observedGeneration": 2, **saying("Ready", "Unknown")}, PROGRESSING),
        (saying("Ready", "True"), HEALTHY),
        (saying("Reconciling", "True"), PROGRESSING),
        (saying("Stalled", "True", "BadSpec", "give up"), DEGRADED),
    ],
)
def test_custom_resources_are_judged_by_the_conventions(status: dict[str, Any], wanted: HealthStatus) -> None:
    assert of("example.com/v1", "Widget", status=status, generation=2) is wanted


def test_children_and_workflows_of_argo() -> None:
    api = "argoproj.io/v1alpha1"
    assert of(api, "Application") is None
    assert of(api, "Application", status={"health": {"status": "Degraded"}}) is DEGRADED
    assert of(api, "Application", status={"health": {"status": "Splendid"}}) is None
    assert of(api, "Workflow", status={"phase": "Running"}) is PROGRESSING
    assert of(api, "Workflow", status={"phase": "Succeeded"}) is HEALTHY
    assert of(api, "Workflow", status={"phase": "Error"}) is DEGRADED


NAMES = (
    "conditions type status reason message phase observedGeneration replicas containerStatuses state waiting "
    "terminated lastState name exitCode paused updateStrategy rollingUpdate partition loadBalancer ingress "
    "deletionTimestamp finalizers annotations restartPolicy suspend active lastScheduleTime health generation "
    "involvedObject regarding series Ready True False Failed Running Always 3 -1"
)
WORDS = st.sampled_from(NAMES.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)


@given(st.sampled_from(sorted(CHECKS)), JSON, JSON, JSON)
def test_no_shape_of_an_object_makes_a_check_raise(
    kind: tuple[str, str], metadata: Any, spec: Any, status: Any
) -> None:
    api = f"{kind[0]}/v1" if kind[0] else "v1"
    found = health_of({"apiVersion": api, "kind": kind[1], "metadata": metadata, "spec": spec, "status": status})
    assert found is None or isinstance(found.message, str)
    health_of({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "status": status})


@given(st.lists(st.dictionaries(st.sampled_from(["metadata", "status", "spec"]), JSON), max_size=3), st.lists(JSON))
def test_no_shape_of_pods_and_events_makes_the_cause_raise(pods: list[dict[str, Any]], events: list[Any]) -> None:
    assert isinstance(pod_problem(pods, events), str)
    assert isinstance(pod_problem(pods, [{"type": "Warning", "metadata": event} for event in events]), str)
