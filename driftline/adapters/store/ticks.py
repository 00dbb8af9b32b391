"""Which periodic work has been started: two schedulers, or ten, start each slot once. Called by flow and workers."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from driftline.adapters.store.columns import db_now, insert
from driftline.adapters.store.tables.work import tick


def take(db: Connection, name: str, slot: int) -> bool:
    """Whether this call is the first to start `name` in `slot` (a number that grows with time)."""
    statement = insert(db, tick).values(name=name, slot=slot, taken_at=db_now()).on_conflict_do_nothing()
    return db.execute(statement.returning(tick.c.slot)).first() is not None


def last(db: Connection, name: str) -> datetime | None:
    """When `name` was last started: a tick that stays away for minutes means that no scheduler runs."""
    found: datetime | None = db.execute(select(func.max(tick.c.taken_at)).where(tick.c.name == name)).scalar_one()
    return found


def prune(db: Connection, before: datetime) -> int:
    """Forget slots taken before `before`; return how many."""
    return db.execute(delete(tick).where(tick.c.taken_at < before)).rowcount
