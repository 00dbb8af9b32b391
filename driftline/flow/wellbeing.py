"""The health of whole applications, from what is known of their objects: many of them in a few statements."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from driftline.adapters.store import applications, live, objects
from driftline.adapters.store.applications import ApplicationRow, Changes
from driftline.adapters.store.live import LiveRow, Sighting
from driftline.adapters.store.objects import ObjectRow, ObjectState
from driftline.adapters.taskqueue import Hint
from driftline.flow import signals
from driftline.flow.children import is_child
from driftline.flow.edges import Edges
from driftline.health.application import application_health
from driftline.model.alert import Condition, Signal
from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key


def update(db: Connection, edges: Edges, application_ids: Sequence[int]) -> list[Hint]:
    """Work out the health of applications again, save what changed, and tell people of what got worse or better."""
    if not application_ids:
        return []
    rows = applications.by_ids(db, application_ids)
    owned = objects.of_applications(db, application_ids)
    seen = live.of_applications(db, application_ids)
    changes: dict[int, Changes] = {}
    found: list[Signal] = []
    for number, row in rows.items():
        health = of_application(owned.get(number, ()), seen.get(number, {}))
        if (health.status, health.message) != (row.health_status, row.health_message):
            changes[number] = {"health_status": health.status, "health_message": health.message}
            found += signals_of(row, health)
    applications.set_statuses(db, changes)
    return signals.raise_signals(db, edges, found)


def of_application(owned: Iterable[ObjectRow], seen: Mapping[str, LiveRow]) -> Health:
    """The health of one application from its inventory and the live rows of its objects."""
    kept = [row for row in owned if row.state != ObjectState.LEAVING and not is_child(row.key)]
    return of_objects([(row.key, seen.get(row.key_id), row.health_relevant) for row in kept])


def of_objects(objects: Sequence[tuple[Key, LiveRow | Sighting | None, bool]]) -> Health:
    """The health of an application whose objects were seen like this: key, what was seen, whether its health counts."""
    parts = [(key, _of(found), not relevant) for key, found, relevant in objects]
    alive = sum(health.status is not HealthStatus.MISSING for _, health, _ in parts)
    return application_health(parts, alive, len(parts))


def _of(found: LiveRow | Sighting | None) -> Health:
    if found is None or (isinstance(found, LiveRow) and found.gone):
        return Health(HealthStatus.MISSING)
    if found.deleting:
        return Health(HealthStatus.PROGRESSING, "Pending deletion")
    return Health(found.health_status, found.health_message)


def signals_of(row: ApplicationRow, health: Health) -> list[Signal]:
    """Degraded, or well again. What is progressing or missing is neither: an alert stays as it is."""
    degraded = health.status is HealthStatus.DEGRADED
    if not degraded and health.status not in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED):
        return []
    facts = {"application": row.name, "message": health.message, "status": str(health.status)}
    return [Signal(Condition.HEALTH_DEGRADED, f"app:{row.name}", degraded, facts=facts)]
