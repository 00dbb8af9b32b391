"""Health of what keeps Pods running: Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController.

Texts are those that `kubectl rollout status` and Argo CD print, so that people and scripts recognise them.
"""

from driftline.health.shape import (
    Fields,
    behind,
    condition,
    count,
    degraded,
    fields,
    healthy,
    name_of,
    observed,
    progressing,
    suspended,
    text,
)
from driftline.model.health import Health

_ROLLOUT = "Waiting for rollout to finish:"


def deployment(live: Fields) -> Health:
    """A paused Deployment is Suspended; a missed progress deadline is Degraded; old or unready Pods are Progressing."""
    spec, status = fields(live, "spec"), fields(live, "status")
    if spec.get("paused") is True:
        return suspended("Deployment is paused")
    if behind(live):
        return progressing(f"{_ROLLOUT} observed deployment generation less than desired generation")
    moving = condition(live, "Progressing")
    if moving is not None and moving.reason == "ProgressDeadlineExceeded":
        return degraded(f'Deployment "{name_of(live)}" exceeded its progress deadline')
    wanted = count(spec.get("replicas"), 1)
    updated, all_pods = count(status.get("updatedReplicas")), count(status.get("replicas"))
    available = count(status.get("availableReplicas"))
    if updated < wanted:
        return progressing(f"{_ROLLOUT} {updated} out of {wanted} new replicas have been updated...")
    if all_pods > updated:
        return progressing(f"{_ROLLOUT} {all_pods - updated} old replicas are pending termination...")
    if available < updated:
        return progressing(f"{_ROLLOUT} {available} of {updated} updated replicas are available...")
    return healthy()


def stateful_set(live: Fields) -> Health:
    """Ready Pods first, then the rollout, as far as its partition asks; OnDelete is done when its Pods are ready."""
    spec, status = fields(live, "spec"), fields(live, "status")
    if observed(live) == 0 or behind(live):
        return progressing("Waiting for statefulset spec update to be observed...")
    wanted, ready = count(spec.get("replicas"), 1), count(status.get("readyReplicas"))
    if ready < wanted:
        return progressing(f"Waiting for {wanted - ready} pods to be ready...")
    strategy = fields(spec, "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return healthy(f"statefulset has {ready} ready pods")
    updated = count(status.get("updatedReplicas"))
    partition = count(fields(strategy, "rollingUpdate").get("partition"))
    if partition > 0:
        return _partitioned(updated, wanted - partition)
    current, target = text(status.get("currentRevision")), text(status.get("updateRevision"))
    # The API server fills in `partition: 0`; Argo CD then reports a finished partitioned rollout without comparing
    # revisions. Compared here as kstatus does, because an update is over only when both revisions are one.
    if current != target:
        return progressing(f"waiting for statefulset rolling update to complete {updated} pods at revision {target}...")
    done = count(status.get("currentReplicas"))
    return healthy(f"statefulset rolling update complete {done} pods at revision {current}...")


def _partitioned(updated: int, asked: int) -> Health:
    if updated < asked:
        return progressing(
            f"Waiting for partitioned roll out to finish: {updated} out of {asked} new pods have been updated..."
        )
    return healthy(f"partitioned roll out complete: {updated} new pods have been updated...")


def daemon_set(live: Fields) -> Health:
    """Every scheduled node has an updated and available Pod; OnDelete does not wait for updates."""
    status = fields(live, "status")
    if behind(live):
        return progressing(f"{_ROLLOUT} observed daemon set generation less than desired generation")
    wanted = count(status.get("desiredNumberScheduled"))
    updated, available = count(status.get("updatedNumberScheduled")), count(status.get("numberAvailable"))
    if fields(live, "spec", "updateStrategy").get("type") == "OnDelete":
        return healthy(f"daemon set {updated} out of {wanted} new pods have been updated")
    waiting = f'Waiting for daemon set "{name_of(live)}" rollout to finish:'
    if updated < wanted:
        return progressing(f"{waiting} {updated} out of {wanted} new pods have been updated...")
    if available < wanted:
        return progressing(f"{waiting} {available} of {wanted} updated pods are available...")
    return healthy()


def replica_set(live: Fields) -> Health:
    """A ReplicaSet or ReplicationController: Degraded when its Pods cannot be made, else available against wanted."""
    if behind(live):
        return progressing(f"{_ROLLOUT} observed replica set generation less than desired generation")
    failure = condition(live, "ReplicaFailure")
    if failure is not None and failure.true:
        return degraded(failure.message)
    wanted = count(fields(live, "spec").get("replicas"), 1)
    available = count(fields(live, "status").get("availableReplicas"))
    if available < wanted:
        return progressing(f"{_ROLLOUT} {available} out of {wanted} new replicas are available...")
    return healthy()
