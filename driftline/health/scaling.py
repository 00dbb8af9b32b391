"""Health of HorizontalPodAutoscaler and PodDisruptionBudget."""

import json
from typing import Any

from driftline.health.shape import (
    Condition,
    Fields,
    annotations,
    behind,
    conditions,
    degraded,
    healthy,
    progressing,
)
from driftline.health.shape import read_conditions as read
from driftline.model.health import Health

_V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
"""Where autoscaling/v1, which has no conditions of its own, carries them as JSON."""

_FAILURES = frozenset(
    {
        ("AbleToScale", "FailedGetScale"),
        ("AbleToScale", "FailedUpdateScale"),
        ("ScalingActive", "FailedGetResourceMetric"),
        ("ScalingActive", "InvalidSelector"),
    }
)


def autoscaler(live: Fields) -> Health:
    """The first condition that says anything decides, in the order in which the controller wrote them."""
    for found in _conditions(live):
        if (found.type, found.reason) in _FAILURES:
            return degraded(found.message)
        if found.type in ("AbleToScale", "ScalingLimited") and found.true:
            return healthy(found.message)
    return progressing("Waiting to Autoscale")


def _conditions(live: Fields) -> tuple[Condition, ...]:
    if own := tuple(conditions(live)):
        return own
    return tuple(read(_parsed(annotations(live).get(_V1_CONDITIONS))))


def _parsed(annotation: Any) -> Any:
    try:
        return json.loads(annotation) if isinstance(annotation, str) else None
    except (ValueError, RecursionError):
        return None


def disruption_budget(live: Fields) -> Health:
    """A budget is Degraded only when its controller cannot compute it.

    "No disruption allowed" is the usual state of a budget over one replica, and kstatus calls it current.
    """
    if behind(live):
        return progressing("Waiting for the disruption budget to be observed")
    for found in conditions(live):
        if found.type == "DisruptionAllowed" and found.reason == "SyncFailed":
            return degraded(found.message or found.reason)
    return healthy()
