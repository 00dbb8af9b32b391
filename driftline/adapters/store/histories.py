"""The deployments of an application that a rollback can go back to. Called by flow and service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, delete, func, select

from driftline.adapters.store.columns import Shape, insert
from driftline.adapters.store.tables.applications import history


@dataclass(frozen=True)
class HistoryRow:
    """One deployment. `number` counts up per application and is never used again."""

    application_id: int
    number: int
    revisions: list[str] | None
    sources: Any
    render_id: int | None
    sync_id: int | None
    started_at: datetime | None
    deployed_at: datetime
    initiated_by: str


@dataclass(frozen=True)
class Deployment:
    """What a successful, full sync brought."""

    application_id: int
    revisions: Sequence[str]
    sources: Any
    render_id: int | None
    sync_id: int | None
    started_at: datetime
    deployed_at: datetime
    initiated_by: str = ""


SHAPE = Shape(HistoryRow, history)


def append(db: Connection, deployment: Deployment, limit: int = 10) -> int:
    """Add a deployment, forget those beyond the newest `limit`, and return its number (the first is 0)."""
    row = {
        "application_id": deployment.application_id,
        "of_application": deployment.application_id,
        "revisions": deployment.revisions,
        "sources": deployment.sources,
        "render_id": deployment.render_id,
        "sync_id": deployment.sync_id,
        "started_at": deployment.started_at,
        "deployed_at": deployment.deployed_at,
        "initiated_by": deployment.initiated_by,
    }
    given: int = db.execute(_appending(db.dialect.name), row).scalar_one()
    if given >= limit:
        of_this = history.c.application_id == deployment.application_id
        db.execute(delete(history).where(of_this, history.c.number <= given - max(limit, 1)))
    return given


@cache
def _appending(dialect: str) -> Insert:
    # The newest row is never trimmed, so that the maximum is the last number given.
    last = func.coalesce(func.max(history.c.number), -1)
    number = select(last + 1).where(history.c.application_id == bindparam("of_application")).scalar_subquery()
    return insert(dialect, history).values(number=number).returning(history.c.number)


def of_application(db: Connection, application_id: int) -> list[HistoryRow]:
    """The deployments of an application, the newest first."""
    query = SHAPE.select().where(history.c.application_id == application_id).order_by(history.c.number.desc())
    return SHAPE.all(db.execute(query))


def get(db: Connection, application_id: int, number: int) -> HistoryRow | None:
    """One deployment."""
    at = (history.c.application_id == application_id, history.c.number == number)
    return SHAPE.first(db.execute(SHAPE.select().where(*at)))
