"""What a person should know before a plan runs, though nothing of it stops the plan."""

from collections.abc import Iterator, Mapping
from typing import Any

from driftline.model.objects import Key, Object, group_of
from driftline.model.plan import Change, Op
from driftline.sync.given import PlanInput


def cautions(given: PlanInput, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """The warnings of a plan, sorted."""
    return tuple(sorted({*_scaled_twice(given), *_adopted(given, changes)}))


def _scaled_twice(given: PlanInput) -> Iterator[str]:
    """An autoscaler and Git that both say how many Pods there are."""
    for key, wanted in given.wanted.items():
        if (key.group, key.kind) != ("autoscaling", "HorizontalPodAutoscaler"):
            continue
        target = _target(key, wanted.body)
        scaled = given.wanted.get(target) if target else None
        replicas = _fields(scaled.body, "spec").get("replicas") if scaled else None
        if replicas is not None:
            yield f"{key} scales {target}, whose replicas Git sets to {replicas}: remove spec.replicas from Git"


def _target(key: Key, body: Object) -> Key | None:
    found = _fields(_fields(body, "spec"), "scaleTargetRef")
    kind, name = found.get("kind"), found.get("name")
    if not kind or not name:
        return None
    return Key(group_of(str(found.get("apiVersion") or "")), str(kind), key.namespace, str(name))


def _fields(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def _adopted(given: PlanInput, changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        live = given.live.get(change.key)
        if change.op is not Op.ADOPT or live is None:
            continue
        if live.tracked_by and live.tracked_by != given.options.application:
            yield (
                f"{change.key}: is tracked by Argo CD's application {live.tracked_by}; delete that Application "
                "without its finalizer first, or its cascade deletes this object"
            )
        for note in live.notes:
            yield f"{change.key}: {note}"
