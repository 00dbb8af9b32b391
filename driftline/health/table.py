"""Which check judges which kind. Called by flow for every live object that is compared, waited for or watched."""

from collections.abc import Callable, Mapping

from driftline.health import argo, batch, network, platform, pods, scaling, storage, workloads
from driftline.health.generic import by_convention
from driftline.health.shape import Fields, fields, progressing, text
from driftline.model.health import Health
from driftline.model.objects import group_of

HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"

Check = Callable[[Fields], Health | None]

CHECKS: Mapping[tuple[str, str], Check] = {
    ("apps", "Deployment"): workloads.deployment,
    ("extensions", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("extensions", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("extensions", "ReplicaSet"): workloads.replica_set,
    ("", "ReplicationController"): workloads.replica_set,
    ("", "Pod"): pods.pod,
    ("batch", "Job"): batch.job,
    ("batch", "CronJob"): batch.cron_job,
    ("", "Service"): network.service,
    ("networking.k8s.io", "Ingress"): network.ingress,
    ("extensions", "Ingress"): network.ingress,
    ("", "PersistentVolumeClaim"): storage.claim,
    ("", "PersistentVolume"): storage.volume,
    ("autoscaling", "HorizontalPodAutoscaler"): scaling.autoscaler,
    ("policy", "PodDisruptionBudget"): scaling.disruption_budget,
    ("", "Namespace"): platform.namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): platform.definition,
    ("apiregistration.k8s.io", "APIService"): platform.api_service,
    ("argoproj.io", "Application"): argo.application,
    ("argoproj.io", "Workflow"): argo.workflow,
}


def health_of(live: Fields) -> Health | None:
    """How well one live object is; None for a kind that has no check and whose status says nothing.

    Never raises, whatever the object holds. An object that is being deleted is Progressing, except a hook that only
    our finalizer keeps: its outcome still counts.
    """
    if _going(live):
        return progressing("Pending deletion")
    kind = (group_of(text(fields(live).get("apiVersion"))), text(fields(live).get("kind")))
    return CHECKS.get(kind, by_convention)(live)


def _going(live: Fields) -> bool:
    metadata = fields(live, "metadata")
    if not metadata.get("deletionTimestamp"):
        return False
    finalizers = metadata.get("finalizers")
    return not (isinstance(finalizers, list) and HOOK_FINALIZER in finalizers)
