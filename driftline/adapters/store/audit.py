"""Who did what, kept for people who have to know later. Called by flow and service."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete

from driftline.adapters.store.columns import Shape, db_now, insert
from driftline.adapters.store.tables.people import audit


@dataclass(frozen=True)
class AuditRow:
    """One act. `actor` is an account or a part of Driftline; `detail` is masked."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None


SHAPE = Shape(AuditRow, audit)


def append(db: Connection, actor: str, action: str, subject: str = "", detail: Mapping[str, Any] | None = None) -> None:
    """Add one act, in the transaction that does it: `append(db, "anna", "app.rollback", "app:shop", {"to": 4})`."""
    db.execute(insert(db, audit).values(at=db_now(), actor=actor, action=action, subject=subject, detail=detail))


def page(
    db: Connection, subject: str = "", actor: str = "", before: int | None = None, limit: int = 100
) -> list[AuditRow]:
    """Acts, the newest first, older than the row `before`."""
    query = SHAPE.select().order_by(audit.c.id.desc()).limit(limit)
    query = query.where(audit.c.subject == subject) if subject else query
    query = query.where(audit.c.actor == actor) if actor else query
    return SHAPE.all(db.execute(query if before is None else query.where(audit.c.id < before)))


def prune(db: Connection, before: datetime) -> int:
    """Forget acts from before `before`; return how many."""
    return db.execute(delete(audit).where(audit.c.at < before)).rowcount
