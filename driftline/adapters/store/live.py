"""What is live, shared by all applications: a narrow row per managed object. Called by watch, scan and flow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Insert, Text, and_, delete, func, not_, or_, select, type_coerce, update

from driftline.adapters.store.columns import Shape, chunks, excluded, insert
from driftline.adapters.store.objects import WatchedKind
from driftline.adapters.store.tables.edges import cluster
from driftline.adapters.store.tables.objects import live, managed
from driftline.model.health import HealthStatus


@dataclass(frozen=True)
class LiveRow:
    """A row. `digest` is of the content that counts for drift; `gone` means that a GET by name answered 404.

    `seen_at` is when this content was first seen, or last confirmed by `confirm`: with a running watch a row is as
    fresh as the cluster's last bookmark.
    """

    cluster_id: int
    key_id: str
    uid: str
    resource_version: str
    digest: str
    health_status: HealthStatus
    health_message: str
    deleting: bool
    gone: bool
    seen_at: datetime


@dataclass(frozen=True)
class Sighting:
    """One object as watch or scan saw it."""

    key_id: str
    uid: str
    resource_version: str
    digest: str
    health_status: HealthStatus = HealthStatus.UNKNOWN
    health_message: str = ""
    deleting: bool = False


class Known(NamedTuple):
    """An owned object as it was last compared, and as it was last seen (None: it never was). Words are plain texts.

    One for each object at every check, and mostly nothing has changed: it holds no more than says so.
    """

    key_id: str
    state: str
    live_digest: str
    verdict: str
    uid: str | None
    digest: str | None
    health_status: str | None
    health_message: str | None
    deleting: bool | None
    gone: bool | None


_KNOWN = (
    managed.c.key_id,
    managed.c.state,
    managed.c.live_digest,
    type_coerce(managed.c.verdict, Text),
    live.c.uid,
    live.c.digest,
    type_coerce(live.c.health_status, Text),
    live.c.health_message,
    live.c.deleting,
    live.c.gone,
)

SHAPE = Shape(LiveRow, live)

_CONTENT = ("uid", "digest", "health_status", "health_message", "deleting", "gone")
"""What makes a sighting news; a new resourceVersion alone does not."""


def upsert_many(db: Connection, cluster_id: int, sightings: Sequence[Sighting], at: datetime) -> set[str]:
    """Save what was seen, in one statement; return the key ids whose content, identity or health is news.

    The rest is not written. Of two sightings of one object the later in the sequence counts.
    """
    return note_many(db, cluster_id, sightings, (), at)


def note_many(
    db: Connection, cluster_id: int, sightings: Sequence[Sighting], gone: Iterable[str], at: datetime
) -> set[str]:
    """The same, and for key ids in `gone` that a GET by name answered 404: one statement, its rows in key order.

    Two writers that note some of the same objects, one as seen and one as gone, would deadlock by two statements.
    """
    rows = sorted([*_rows(cluster_id, sightings, at), *_gone(cluster_id, gone, at)], key=lambda row: str(row["key_id"]))
    return set(db.execute(_seeing(db.dialect.name), rows).scalars()) if rows else set()


def upsert_later(db: Connection, cluster_id: int, sightings: Sequence[Sighting], at: datetime) -> set[str]:
    """Save what the answers to our own writes showed, in one statement; return the key ids that are saved.

    Left out is each of which something with a later resourceVersion seems to be known already: see `of_keys`.
    """
    if not sightings:
        return set()
    return set(db.execute(_answering(db.dialect.name), _rows(cluster_id, sightings, at)).scalars())


def _rows(cluster_id: int, sightings: Sequence[Sighting], at: datetime) -> list[dict[str, Any]]:
    unique = {each.key_id: each for each in sightings}
    return [
        {
            "cluster_id": cluster_id,
            "seen_at": at,
            "gone": False,
            "key_id": each.key_id,
            "uid": each.uid,
            "resource_version": each.resource_version,
            "digest": each.digest,
            "health_status": each.health_status,
            "health_message": each.health_message,
            "deleting": each.deleting,
        }
        for _, each in sorted(unique.items())
    ]


def mark_gone(db: Connection, cluster_id: int, key_ids: Iterable[str], at: datetime) -> set[str]:
    """Record that a GET by name answered 404; return the key ids for which that is news."""
    return note_many(db, cluster_id, (), key_ids, at)


def _gone(cluster_id: int, key_ids: Iterable[str], at: datetime) -> list[dict[str, Any]]:
    nothing = {"uid": "", "resource_version": "", "digest": "", "health_message": "", "deleting": False, "gone": True}
    row = {"cluster_id": cluster_id, "seen_at": at, "health_status": HealthStatus.MISSING, **nothing}
    return [{**row, "key_id": each} for each in sorted(set(key_ids))]


@cache
def _seeing(dialect: str) -> Insert:
    """Insert or update rows of which something is news."""
    new = excluded(live)
    statement = insert(dialect, live).on_conflict_do_update(
        index_elements=["cluster_id", "key_id"],
        set_={name: new[name] for name in (*_CONTENT, "resource_version", "seen_at")},
        where=or_(*(live.c[name] != new[name] for name in _CONTENT)),
    )
    return statement.returning(live.c.key_id)


@cache
def _answering(dialect: str) -> Insert:
    """Insert or update rows unless what is there has a larger number for its resourceVersion."""
    new, there = excluded(live), live.c.resource_version
    # Numbers without leading zeros: the longer one is the larger.
    digits, most = func.length(there), func.length(new.resource_version)
    later = or_(digits > most, and_(digits == most, there > new.resource_version))
    statement = insert(dialect, live).on_conflict_do_update(
        index_elements=["cluster_id", "key_id"],
        set_={name: new[name] for name in (*_CONTENT, "resource_version", "seen_at")},
        where=not_(later),
    )
    return statement.returning(live.c.key_id)


def confirm(db: Connection, cluster_id: int, key_ids: Iterable[str], at: datetime) -> None:
    """Note that a scan saw these objects unchanged, for clusters without a running watch."""
    for some in chunks(sorted(set(key_ids))):
        db.execute(update(live).where(live.c.cluster_id == cluster_id, live.c.key_id.in_(some)).values(seen_at=at))


def of_keys(db: Connection, cluster_id: int, key_ids: Iterable[str]) -> dict[str, LiveRow]:
    """Rows by key id; what was never seen is left out."""
    found: dict[str, LiveRow] = {}
    for some in chunks(sorted(set(key_ids))):
        rows = db.execute(SHAPE.select().where(live.c.cluster_id == cluster_id, live.c.key_id.in_(some)))
        found.update((each.key_id, each) for each in SHAPE.all(rows))
    return found


def of_application(db: Connection, application_id: int) -> dict[tuple[int, str], LiveRow]:
    """What is known of everything an application owns, by (cluster id, key id), in one statement."""
    owned = managed.c.key_id == live.c.key_id
    query = (
        SHAPE.select()
        .select_from(managed)
        .join(cluster, cluster.c.uid == managed.c.cluster_uid)
        .join(live, owned & (live.c.cluster_id == cluster.c.id))
        .where(managed.c.application_id == application_id)
    )
    return {(each.cluster_id, each.key_id): each for each in SHAPE.all(db.execute(query))}


def of_applications(db: Connection, application_ids: Sequence[int]) -> dict[int, dict[str, LiveRow]]:
    """What is known of everything that some applications own, by application id and key id."""
    found: dict[int, dict[str, LiveRow]] = {}
    owned = managed.c.key_id == live.c.key_id
    for some in chunks(sorted(set(application_ids))):
        query = (
            SHAPE.select()
            .add_columns(managed.c.application_id)
            .select_from(managed)
            .join(cluster, cluster.c.uid == managed.c.cluster_uid)
            .join(live, owned & (live.c.cluster_id == cluster.c.id))
            .where(managed.c.application_id.in_(some))
        )
        for row in db.execute(query):
            each = SHAPE.read(row)
            found.setdefault(row.application_id, {})[each.key_id] = each
    return found


def known_of_kind(db: Connection, cluster_id: int, cluster_uid: str, kind: WatchedKind) -> dict[str, Known]:
    """Every owned object of one kind and version, by key id: what a fresh LIST is compared with, in one statement."""
    seen = (live.c.key_id == managed.c.key_id) & (live.c.cluster_id == cluster_id)
    query = select(*_KNOWN).select_from(managed.outerjoin(live, seen)).where(managed.c.cluster_uid == cluster_uid)
    at = (managed.c.kind == f"{kind.group}/{kind.kind}", managed.c.api_version == kind.api_version)
    return {row[0]: Known._make(row) for row in db.execute(query.where(*at))}


def forget(db: Connection, cluster_id: int, key_ids: Iterable[str]) -> None:
    """Drop the rows of objects that nobody owns any more."""
    for some in chunks(sorted(set(key_ids))):
        db.execute(delete(live).where(live.c.cluster_id == cluster_id, live.c.key_id.in_(some)))


def prune_unowned(db: Connection, cluster_id: int, cluster_uid: str) -> int:
    """Drop the rows of a cluster that no inventory names; return how many."""
    owned = select(managed.c.key_id).where(managed.c.cluster_uid == cluster_uid)
    return db.execute(delete(live).where(live.c.cluster_id == cluster_id, live.c.key_id.not_in(owned))).rowcount
