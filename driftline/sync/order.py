"""In which order objects are applied and deleted: phases, waves, and the rank of a kind inside a wave (SYNC-02)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from driftline.model.objects import Key, Object, annotations_of
from driftline.model.plan import Change, Op, Phase

SYNC_WAVE = "argocd.argoproj.io/sync-wave"
HOOK_WEIGHT = "helm.sh/hook-weight"

KIND_ORDER = (
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
)
"""Argo CD's order; the group does not matter, and every other kind comes after these."""

_RANKS: Mapping[str, int] = {kind: rank for rank, kind in enumerate(KIND_ORDER)}
LAST_RANK = len(KIND_ORDER)
_PHASES: Mapping[Phase, int] = {phase: place for place, phase in enumerate(Phase)}


def rank(kind: str) -> int:
    """The place of a kind inside a wave when it is applied."""
    return _RANKS.get(kind, LAST_RANK)


def deletion_rank(kind: str) -> int:
    """The place of a kind inside a wave when it is deleted: what was made last goes first."""
    return LAST_RANK - rank(kind)


def wave_of(annotations: Mapping[str, str], hook: bool = False) -> int:
    """The wave of an object: its sync-wave, for a hook else Helm's weight, else 0. What is no number is ignored."""
    for name in (SYNC_WAVE, HOOK_WEIGHT) if hook else (SYNC_WAVE,):
        found = _integer(annotations.get(name))
        if found is not None:
            return found
    return 0


def _integer(value: Any) -> int | None:
    try:
        return int(value) if isinstance(value, str) and len(value) < 12 else None
    except ValueError:
        return None


@dataclass(frozen=True, order=True)
class Slot:
    """When something is applied: phase first, then wave."""

    phase_place: int
    wave: int

    @classmethod
    def at(cls, phase: Phase, wave: int) -> "Slot":
        return cls(_PHASES[phase], wave)

    @property
    def phase(self) -> Phase:
        return list(Phase)[self.phase_place]


@dataclass(frozen=True)
class Placed:
    """A change and the slot it belongs to. `body` is empty for a change that has none."""

    change: Change
    slot: Slot
    body: Object
    first: bool = False
    """Others of its slot need it: it goes, and is waited for, before them."""


def pull_foundations(placed: Iterable[Placed]) -> tuple[Placed, ...]:
    """Move each Namespace and CRD to the earliest slot of those that need it, and ahead of them in that slot.

    Only these two are moved: every other order is what waves and ranks say, and a built-in edge that contradicted
    them would be a cycle. A foundation that already exists has nothing to wait for and stays where it is.
    """
    changes = tuple(placed)
    needed: dict[Key, Slot] = {}
    foundations = {_provides(item): item.change.key for item in changes if _provides(item)}
    for item in changes:
        if item.slot.phase is Phase.SYNC_FAIL:
            continue
        for need in _needs(item.change.key):
            key = foundations.get(need)
            if key is not None and key != item.change.key:
                needed[key] = min(needed.get(key, item.slot), item.slot)
    return tuple(_moved(item, needed) for item in changes)


def _moved(item: Placed, needed: Mapping[Key, Slot]) -> Placed:
    slot = needed.get(item.change.key)
    if slot is None or item.change.op is Op.HOOK:
        return item
    return Placed(item.change, min(slot, item.slot), item.body, first=True)


def _needs(key: Key) -> tuple[tuple[str, ...], ...]:
    own_kind = ("kind", key.group, key.kind)
    return (own_kind, ("namespace", key.namespace)) if key.namespace else (own_kind,)


def _provides(item: Placed) -> tuple[str, ...]:
    """What a change brings that others may need, empty for none: a namespace that is made, a kind."""
    key = item.change.key
    if key.group == "" and key.kind == "Namespace":
        return ("namespace", key.name) if item.change.op in (Op.CREATE, Op.RECREATE) else ()
    if item.change.op not in (Op.HOOK, Op.PRUNE):
        provided = provided_kind(key, item.body)
        return ("kind", *provided) if provided else ()
    return ()


def provided_kind(key: Key, body: Object) -> tuple[str, str] | None:
    """The group and kind that a CustomResourceDefinition brings; None for anything else."""
    if key.kind != "CustomResourceDefinition" or key.group != "apiextensions.k8s.io":
        return None
    spec = body.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict):
        return None
    return str(spec.get("group", "")), str(names.get("kind", ""))


def sync_slot(body: Object) -> Slot:
    """The slot of an ordinary object."""
    return Slot.at(Phase.SYNC, wave_of(annotations_of(body)))
