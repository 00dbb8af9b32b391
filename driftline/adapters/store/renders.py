"""Rendered manifests, sealed and named by what went into them: rollback never needs the Git host. Called by flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, Insert, delete, exists, literal_column, select, update

from driftline.adapters.store.columns import Shape, chunks, db_now, insert
from driftline.adapters.store.tables.applications import application, history, render, sync


@dataclass(frozen=True)
class RenderRow:
    """A render. `sealed` opens with the context of its key; `objects` is how many it holds."""

    id: int
    key: str
    sealed: bytes
    objects: int
    desired_digest: str
    created_at: datetime
    used_at: datetime


SHAPE = Shape(RenderRow, render)


def put(db: Connection, key: str, sealed: bytes, objects: int, desired_digest: str) -> int:
    """Save a render under its content address and return its id; one that is there already stays as it is."""
    row = {"key": key, "sealed": sealed, "objects": objects, "desired_digest": desired_digest}
    found: int = db.execute(_putting(db.dialect.name), row).scalar_one()
    return found


@cache
def _putting(dialect: str) -> Insert:
    statement = insert(dialect, render).values(created_at=db_now(), used_at=db_now())
    statement = statement.on_conflict_do_update(index_elements=["key"], set_={"used_at": db_now()})
    return statement.returning(render.c.id)


def get(db: Connection, key: str) -> RenderRow | None:
    """A render by its content address."""
    return SHAPE.first(db.execute(SHAPE.select().where(render.c.key == key)))


def find(db: Connection, key: str) -> int | None:
    """The id of the render with this content address, without opening it."""
    found: int | None = db.execute(select(render.c.id).where(render.c.key == key)).scalar_one_or_none()
    return found


def by_id(db: Connection, render_id: int) -> RenderRow | None:
    """A render by its id."""
    return SHAPE.first(db.execute(SHAPE.select().where(render.c.id == render_id)))


def touch(db: Connection, ids: Sequence[int]) -> None:
    """Note that renders were used now."""
    for some in chunks(sorted(ids)):
        db.execute(update(render).where(render.c.id.in_(some)).values(used_at=db_now()))


def prune_unused(db: Connection, before: datetime, limit: int = 500) -> int:
    """Forget renders not used since `before` that no application, deployment or sync names; return how many."""
    named = [
        exists(select(literal_column("1")).where(table.c.render_id == render.c.id))
        for table in (application, history, sync)
    ]
    old = select(render.c.id).where(render.c.used_at < before, *(~each for each in named))
    old = old.order_by(render.c.used_at).limit(limit)
    return db.execute(delete(render).where(render.c.id.in_(old))).rowcount
