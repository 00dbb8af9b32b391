"""The ownership ledger: one row per object of a cluster, with its inventory state and its last verdict.

One application owns an object. Rows are written in key order, so that two applications cannot deadlock. Called by flow.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypedDict

from sqlalchemy import Connection, Insert, Update, and_, bindparam, case, delete, func, select, update

from driftline.adapters.store.columns import Shape, chunks, db_now, excluded, insert
from driftline.adapters.store.tables.objects import managed
from driftline.model.drift import VerdictState
from driftline.model.health import HealthStatus
from driftline.model.objects import Key


class ObjectState(StrEnum):
    """Where an object stands in the inventory."""

    WANTED = "wanted"
    """Claimed before the first write; perhaps it was never made."""
    OWNED = "owned"
    LEAVING = "leaving"
    """To be deleted; the row stays until the deletion is confirmed."""


@dataclass(frozen=True)
class ObjectRow:
    """A row. `state` is one of `ObjectState`; `applied_fields` is the field set (fieldsV1) that we applied last."""

    cluster_uid: str
    key_id: str
    application_id: int
    kind: str
    namespace: str
    api_version: str
    uid: str
    wave: int
    state: str
    desired_digest: str
    applied_digest: str
    applied_fields: Any
    live_digest: str
    verdict: VerdictState
    verdict_key: str
    verdict_until: datetime | None
    reason: str
    health_status: HealthStatus
    health_message: str
    health_relevant: bool
    options: list[str] | None
    updated_at: datetime

    @property
    def key(self) -> Key:
        return Key.parse(self.key_id)


@dataclass(frozen=True)
class Claim:
    """An object that an application is about to write."""

    key: Key
    api_version: str
    wave: int = 0


@dataclass(frozen=True)
class Claimed:
    """What came of claims. `conflicts` names, by key id, the application that owns the object already."""

    conflicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class WatchedKind:
    """A kind, in a version, of which we own objects in a cluster."""

    group: str
    kind: str
    api_version: str


class ObjectChanges(TypedDict, total=False):
    """Columns that flow sets as it writes and compares objects."""

    api_version: str
    uid: str
    wave: int
    state: ObjectState
    desired_digest: str
    applied_digest: str
    applied_fields: Any
    live_digest: str
    verdict: VerdictState
    verdict_key: str
    verdict_until: datetime | None
    reason: str
    health_status: HealthStatus
    health_message: str
    health_relevant: bool
    options: Sequence[str] | None


SHAPE = Shape(ObjectRow, managed)


def owners(db: Connection, cluster_uid: str, keys: Iterable[Key]) -> dict[str, int]:
    """Key id -> id of the application that owns the object; unowned keys are left out."""
    found: dict[str, int] = {}
    for some in chunks(_ids(keys)):
        query = select(managed.c.key_id, managed.c.application_id)
        rows = db.execute(query.where(managed.c.cluster_uid == cluster_uid, managed.c.key_id.in_(some)))
        found.update(rows.all())
    return found


def claim_many(db: Connection, cluster_uid: str, application_id: int, claims: Sequence[Claim]) -> Claimed:
    """Widen the inventory of an application, before its first write; one statement if nobody else owns any of it.

    Objects of others stay theirs and are returned. One that was leaving is wanted again.
    """
    if not claims:
        return Claimed()
    unique = {claim.key.id: claim for claim in claims}
    rows = [
        {
            "cluster_uid": cluster_uid,
            "application_id": application_id,
            "key_id": key_id,
            "kind": f"{claim.key.group}/{claim.key.kind}",
            "namespace": claim.key.namespace,
            "api_version": claim.api_version,
            "wave": claim.wave,
        }
        for key_id, claim in sorted(unique.items())
    ]
    ours = set(db.execute(_claiming(db.dialect.name), rows).scalars())
    others = [claim.key for key_id, claim in unique.items() if key_id not in ours]
    return Claimed(owners(db, cluster_uid, others) if others else {})


def of_application(db: Connection, application_id: int) -> list[ObjectRow]:
    """Everything an application owns or may own, by cluster and key."""
    query = SHAPE.select().where(managed.c.application_id == application_id)
    return SHAPE.all(db.execute(query.order_by(managed.c.cluster_uid, managed.c.key_id)))


def of_applications(db: Connection, application_ids: Sequence[int]) -> dict[int, list[ObjectRow]]:
    """Everything that some applications own, by application id."""
    found: dict[int, list[ObjectRow]] = defaultdict(list)
    for some in chunks(sorted(set(application_ids))):
        for row in SHAPE.all(db.execute(SHAPE.select().where(managed.c.application_id.in_(some)))):
            found[row.application_id].append(row)
    return found


def of_kind(db: Connection, cluster_uid: str, kind: "WatchedKind") -> dict[str, ObjectRow]:
    """Every owned object of one kind and version, by key id."""
    at = (managed.c.kind == f"{kind.group}/{kind.kind}", managed.c.api_version == kind.api_version)
    rows = db.execute(SHAPE.select().where(managed.c.cluster_uid == cluster_uid, *at))
    return {row.key_id: row for row in SHAPE.all(rows)}


def of_keys(db: Connection, cluster_uid: str, keys: Iterable[Key]) -> dict[str, ObjectRow]:
    """Rows by key id; keys that nobody owns are left out."""
    found: dict[str, ObjectRow] = {}
    for some in chunks(_ids(keys)):
        rows = db.execute(SHAPE.select().where(managed.c.cluster_uid == cluster_uid, managed.c.key_id.in_(some)))
        found.update((each.key_id, each) for each in SHAPE.all(rows))
    return found


def by_kinds(db: Connection, cluster_uid: str) -> list[WatchedKind]:
    """The kinds of which we own objects in a cluster: what has to be watched and listed."""
    query = select(managed.c.kind, managed.c.api_version).where(managed.c.cluster_uid == cluster_uid).distinct()
    found = [(*kind.split("/", 1), api_version) for kind, api_version in db.execute(query)]
    return sorted(WatchedKind(*each) for each in found)


def keys_of_kind(db: Connection, cluster_uid: str, kind: WatchedKind) -> dict[str, int]:
    """Key id -> application id of every object of one kind and version."""
    at = and_(
        managed.c.cluster_uid == cluster_uid,
        managed.c.kind == f"{kind.group}/{kind.kind}",
        managed.c.api_version == kind.api_version,
    )
    rows = db.execute(select(managed.c.key_id, managed.c.application_id).where(at))
    return dict(rows.all())


def counts(db: Connection, application_id: int) -> dict[tuple[VerdictState, HealthStatus], int]:
    """How many objects of an application there are by (verdict, health)."""
    columns = (managed.c.verdict, managed.c.health_status)
    query = select(*columns, func.count()).where(managed.c.application_id == application_id).group_by(*columns)
    return {(verdict, health): number for verdict, health, number in db.execute(query)}


def save_many(db: Connection, cluster_uid: str, application_id: int, changes: Mapping[Key, ObjectChanges]) -> None:
    """Record what is known of objects, one statement for those that change in the same columns.

    Only rows of this application change; another's are left alone. Rows are locked in key order, also where there is
    more than one statement.
    """
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for key, values in sorted(changes.items(), key=lambda change: change[0].id):
        if values:
            row: dict[str, Any] = dict(values)
            at = {"of_cluster": cluster_uid, "of_key": key.id, "of_application": application_id}
            alike[tuple(sorted(row))].append({**at, **{f"new_{name}": row[name] for name in row}})
    if len(alike) > 1:
        _lock(db, cluster_uid, application_id, changes)
    for names, rows in alike.items():
        db.execute(_saving(names), rows)


def _lock(db: Connection, cluster_uid: str, application_id: int, keys: Iterable[Key]) -> None:
    """Lock some rows of an application in key order, where the database has locks of rows."""
    if db.dialect.name == "sqlite":
        return
    for some in chunks(_ids(keys)):
        rows = select(managed.c.key_id).where(managed.c.cluster_uid == cluster_uid, managed.c.key_id.in_(some))
        rows = rows.where(managed.c.application_id == application_id).order_by(managed.c.key_id)
        db.execute(rows.with_for_update())


def move_many(db: Connection, cluster_uid: str, keys: Iterable[Key], giver: int, taker: int) -> list[str]:
    """Hand objects from one application to another; return the key ids that moved, of those that `giver` owned."""
    moved: list[str] = []
    for some in chunks(_ids(keys)):
        change = update(managed).where(
            managed.c.cluster_uid == cluster_uid, managed.c.key_id.in_(some), managed.c.application_id == giver
        )
        change = change.values(application_id=taker, updated_at=db_now())
        moved += db.execute(change.returning(managed.c.key_id)).scalars()
    return sorted(moved)


def release_many(db: Connection, cluster_uid: str, application_id: int, keys: Iterable[Key]) -> int:
    """Narrow the inventory, once deletions are confirmed (or to let objects go); return how many rows went."""
    gone = 0
    for some in chunks(_ids(keys)):
        at = (managed.c.cluster_uid == cluster_uid, managed.c.key_id.in_(some))
        gone += db.execute(delete(managed).where(*at, managed.c.application_id == application_id)).rowcount
    return gone


@cache
def _claiming(dialect: str) -> Insert:
    new = excluded(managed)
    back = case((managed.c.uid == "", ObjectState.WANTED), else_=ObjectState.OWNED)
    statement = insert(dialect, managed).values(state=ObjectState.WANTED, updated_at=db_now())
    statement = statement.on_conflict_do_update(
        index_elements=["cluster_uid", "key_id"],
        set_={
            "state": case((managed.c.state == ObjectState.LEAVING, back), else_=managed.c.state),
            "api_version": new.api_version,
            "wave": new.wave,
            "updated_at": db_now(),
        },
        where=managed.c.application_id == new.application_id,
    )
    return statement.returning(managed.c.key_id)


@cache
def _saving(names: tuple[str, ...]) -> Update:
    new: dict[str, Any] = {name: bindparam(f"new_{name}", type_=managed.c[name].type) for name in names}
    at = and_(
        managed.c.cluster_uid == bindparam("of_cluster"),
        managed.c.key_id == bindparam("of_key"),
        managed.c.application_id == bindparam("of_application"),
    )
    return update(managed).where(at).values(**new, updated_at=db_now())


def _ids(keys: Iterable[Key]) -> list[str]:
    return sorted({key.id for key in keys})
