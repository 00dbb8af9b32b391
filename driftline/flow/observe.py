"""Take what `watch` or a scan saw of live objects: note it, and wake whom it concerns.

A change outside what we own wakes nobody. A change of health alone is settled here for all applications of a batch;
only a change of content, or of an object that a sync waits for, costs a job.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import hooks, jobs, live, objects, syncs
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.live import Sighting
from driftline.adapters.store.objects import ObjectRow, ObjectState
from driftline.adapters.taskqueue import Hint
from driftline.drift.projection import owned_digest
from driftline.flow import wellbeing
from driftline.flow.edges import Edges
from driftline.flow.subjects import app_request, hints
from driftline.health.table import health_of
from driftline.model.drift import VerdictState
from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key, Object, annotations_of
from driftline.sync.hooks import SYNC_ID

DOUBT = timedelta(seconds=1)
"""How long to gather what happens to an object that differs from Git before it is compared again."""


@dataclass(frozen=True)
class Seen:
    """One object as it was seen; no body: it left the selection, which proves neither deletion nor anything else."""

    key: Key
    body: Object | None


def sighting(key: Key, body: Object) -> Sighting:
    """The narrow row of a live object."""
    metadata = body.get("metadata") or {}
    health = health_of(body) or Health(HealthStatus.HEALTHY)
    return Sighting(
        key.id,
        str(metadata.get("uid", "")),
        str(metadata.get("resourceVersion", "")),
        owned_digest(body),
        health.status,
        health.message,
        "deletionTimestamp" in metadata,
    )


def observe(edges: Edges, cluster: ClusterRow, seen: Sequence[Seen]) -> list[Hint]:
    """Record a batch in one transaction; returns hints that are already sent."""
    sightings = [sighting(each.key, each.body) for each in seen if each.body is not None]
    left = {each.key.id for each in seen if each.body is None}
    ended = {each.key.id for each in seen if _may_have_ended(each)}
    with edges.store.write() as db:
        wake = note(db, edges, cluster, sightings, left)
        waiting = hooks.awaited(db, cluster.id) if ended else {}
        numbers = sorted({waiting[key_id] for key_id in ended & waiting.keys()})
        wake += hints(jobs.request_many(db, [app_request(number) for number in numbers]))
    edges.hint(wake)
    return wake


def _may_have_ended(seen: Seen) -> bool:
    """Whether it may be a hook that a sync waits for, and that has come to its end."""
    if seen.body is None:
        return True
    if SYNC_ID not in annotations_of(seen.body):
        return False
    health = health_of(seen.body)
    return health is None or health.status not in (HealthStatus.PROGRESSING, HealthStatus.SUSPENDED)


def note(
    db: Connection,
    edges: Edges,
    cluster: ClusterRow,
    sightings: Sequence[Sighting],
    left: Iterable[str],
    gone: Iterable[str] = (),
) -> list[Hint]:
    """Record sightings and departures; ask for the looks and health updates that follow from them.

    `gone` are those of `left` that a GET by name has not found. Rows are locked in the order of every writer: objects,
    applications, alerts, and jobs last.
    """
    left = set(left)
    news = live.note_many(db, cluster.id, sightings, gone, edges.now())
    by_key = {each.key_id: each for each in sightings}
    owned = objects.of_keys(db, cluster.uid, [Key.parse(key_id) for key_id in by_key.keys() | left])
    rows = {key_id: row for key_id, row in owned.items() if key_id in news or key_id in left}
    changed: set[int] = set()
    healthier: dict[int, set[str]] = defaultdict(set)
    for key_id, row in rows.items():
        found = by_key.get(key_id)
        if found is None or _content_changed(row, found):
            changed.add(row.application_id)
        elif key_id in news:
            healthier[row.application_id].add(key_id)
    open_syncs = syncs.open_of_many(db, sorted({*changed, *healthier}))
    # While a sync writes, its own writes come back here as news; it looks at them itself before it ends.
    writing = {number for number, sync in open_syncs.items() if sync.stage == "applying"}
    looks = (changed | (healthier.keys() & open_syncs.keys())) - writing
    asked = [app_request(number) for number in sorted(looks)]
    # What others took from us is in no digest of ours: whatever happens to such an object may end or change its drift.
    doubtful = [
        row for row in owned.values() if row.verdict is not VerdictState.SYNCED and row.state == ObjectState.OWNED
    ]
    later = {row.application_id for row in doubtful} - looks - writing
    asked += [replace(app_request(number), delay=DOUBT) for number in sorted(later)]
    settled = sorted(healthier.keys() - open_syncs.keys())
    told = wellbeing.update(db, edges, settled)
    ids = jobs.request_many(db, asked)
    return [*hints(ids[: len(looks)]), *told]


def _content_changed(row: ObjectRow, found: Sighting) -> bool:
    """Whether what we own of an object is not what we last compared."""
    if row.state == ObjectState.WANTED:
        return False
    return row.live_digest != found.digest or (bool(row.uid) and row.uid != found.uid)
