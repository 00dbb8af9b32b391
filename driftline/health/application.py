"""The health of a whole application from that of its objects."""

from collections.abc import Iterable

from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key

_NAMED = 3
"""How many culprits a message names before it counts the rest."""

_CHILDREN = frozenset({("argoproj.io", "Application"), ("argoproj.io", "ApplicationSet")})


def application_health(
    objects: Iterable[tuple[Key, Health | None, bool]], live_count: int, desired_count: int
) -> Health:
    """The worst health among the objects that count, and which objects are to blame.

    Each object is (key, health or None for no check, ignored): hooks, skipped objects, the application itself and
    those annotated to be ignored are ignored. `live_count` and `desired_count` are of objects that are no hooks.
    """
    counted = [(key, health) for key, health, ignored in objects if not ignored and health and _counts(key, health)]
    worst = max((health.status for _, health in counted), key=lambda status: status.badness, default=None)
    if desired_count and not live_count and (worst is None or worst.badness < HealthStatus.MISSING.badness):
        return Health(HealthStatus.MISSING, "None of the application's objects exist")
    if worst is None or worst is HealthStatus.HEALTHY:
        return Health(HealthStatus.HEALTHY)
    return Health(worst, _caused_by(sorted(key for key, health in counted if health.status is worst)))


def _counts(key: Key, health: Health) -> bool:
    # A missing object shows as OutOfSync; letting it count would also turn every application Missing while its first
    # sync is under way. Argo CD's code does the same, though its documentation ranks Missing with the others.
    if health.status is HealthStatus.MISSING:
        return False
    # A child that has not been looked at yet is not its parent's trouble.
    return not (health.status is HealthStatus.UNKNOWN and (key.group, key.kind) in _CHILDREN)


def _caused_by(culprits: list[Key]) -> str:
    names = ", ".join(_name(key) for key in culprits[:_NAMED])
    more = len(culprits) - _NAMED
    return f"Caused by {names} and {more} more" if more > 0 else f"Caused by {names}"


def _name(key: Key) -> str:
    """`apps/Deployment:shop/web`, `Namespace:shop`."""
    place = f"{key.namespace}/{key.name}" if key.namespace else key.name
    return f"{key.group_kind}:{place}"
