"""Giving `replicas` to an autoscaler without a moment at 1: the live value is first held by a manager of its own."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from driftline.drift.dropped import HANDOVER_MANAGER
from driftline.drift.fields import FieldSet
from driftline.model.application import IgnoreRule
from driftline.model.objects import Key, Object, group_of, key_of

__all__ = ["HANDOVER_MANAGER", "autoscaled", "handover_patch", "ignore_replicas", "needs_handover"]

_REPLICAS: Final = ("f:spec", "f:replicas")


def autoscaled(objects: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """What the HorizontalPodAutoscalers among these objects scale, each with the autoscaler's name."""
    found = {}
    for body in objects:
        key = key_of(body)
        target = (body.get("spec") or {}).get("scaleTargetRef") or {}
        if key.kind == "HorizontalPodAutoscaler" and key.group == "autoscaling" and target.get("name"):
            group = group_of(str(target.get("apiVersion", "")))
            found[Key(group, str(target.get("kind", "")), key.namespace, str(target["name"]))] = key.name
    return found


def needs_handover(desired: Object, live: Object, once_applied: FieldSet) -> bool:
    """Whether applying `desired` would drop `replicas`, which the server would answer with 1 replica at once."""
    return (
        once_applied.has(_REPLICAS)
        and "replicas" not in (desired.get("spec") or {})
        and isinstance((live.get("spec") or {}).get("replicas"), int)
    )


def handover_patch(live: Object) -> Object:
    """What to apply as `HANDOVER_MANAGER` before the drop: live's replicas, for exactly this object."""
    metadata = {
        name: live["metadata"][name]
        for name in ("name", "namespace", "uid", "resourceVersion")
        if name in live["metadata"]
    }
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": metadata,
        "spec": {"replicas": live["spec"]["replicas"]},
    }


def ignore_replicas(key: Key) -> IgnoreRule:
    """The rule for an object whose replicas both Git and an autoscaler set: the autoscaler's number is left alone."""
    return IgnoreRule(
        kind=key.kind, group=key.group, name=key.name, namespace=key.namespace, json_pointers=("/spec/replicas",)
    )
