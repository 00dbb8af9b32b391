"""Short ways to write objects, inventories and plan inputs in tests of planning."""

from typing import Any

from driftline.model.digests import digest
from driftline.model.drift import ABSENT, FieldDrift, Verdict, VerdictState
from driftline.model.objects import Key, Object, key_of
from driftline.sync.given import LiveSeen, Owned, PlanInput, PlanOptions, Wanted

SYNC_WAVE = "argocd.argoproj.io/sync-wave"
SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
HOOK = "argocd.argoproj.io/hook"

_API = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "Ingress": "networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "Widget": "example.com/v1",
}
_CLUSTER_SCOPED = {"Namespace", "CustomResourceDefinition", "ClusterRole", "PersistentVolume"}


def obj(kind: str, name: str, spec: Any = None, **annotations: Any) -> Object:
    """An object in namespace shop (if its kind has one); `wave`, `options`, `hook` are annotations by short names."""
    short = {"wave": SYNC_WAVE, "options": SYNC_OPTIONS, "hook": HOOK}
    marks = {short.get(name, name): str(value) for name, value in annotations.items()}
    metadata: Object = {"name": name, "annotations": marks}
    if kind not in _CLUSTER_SCOPED:
        metadata["namespace"] = "shop"
    return {"apiVersion": _API.get(kind, "v1"), "kind": kind, "metadata": metadata, "spec": spec or {}}


def key(kind: str, name: str) -> Key:
    return key_of(obj(kind, name))


def wants(*bodies: Object) -> dict[Key, Wanted]:
    return {key_of(body): Wanted(body, digest(body)) for body in bodies}


def owns(*bodies: Object) -> dict[Key, Owned]:
    """Rows of objects that were applied as they are."""
    return {key_of(body): Owned(f"uid-{body['metadata']['name']}", digest(body)) for body in bodies}


def seen(name: str, **more: Any) -> LiveSeen:
    """A live object of ours by the uid that `owns` gives it."""
    return LiveSeen(**{"uid": f"uid-{name}", "resource_version": "7", "marked": True, "ours": True, **more})


def verdict(kind: str, name: str, state: VerdictState, *paths: str, reason: str = "") -> dict[Key, Verdict]:
    found = key(kind, name)
    return {found: Verdict(found, state, tuple(FieldDrift(path, 1, ABSENT) for path in paths), reason)}


def given(wanted: dict[Key, Wanted], options: PlanOptions | None = None, **parts: Any) -> PlanInput:
    return PlanInput(wanted, options=options or PlanOptions(application="shop"), **parts)
