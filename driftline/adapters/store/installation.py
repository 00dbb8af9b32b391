"""Who we are: the id that marks everything this installation owns in clusters. Called by flow."""

import base64
import secrets

from sqlalchemy import Connection, select

from driftline.adapters.store.columns import db_now, insert
from driftline.adapters.store.tables.work import installation
from driftline.model.errors import Permanent


def ensure(db: Connection) -> str:
    """The installation's id, made if there is none yet. Migrations call it."""
    fresh = base64.b32encode(secrets.token_bytes(16)).decode().lower().rstrip("=")
    row = insert(db, installation).values(singleton=1, id=fresh, created_at=db_now())
    db.execute(row.on_conflict_do_nothing())
    return installation_id(db)


def installation_id(db: Connection) -> str:
    """26 characters of lower-case base32: fits a label, never changes. Raises Permanent before the first migration."""
    found: str | None = db.execute(select(installation.c.id)).scalar_one_or_none()
    if found is None:
        raise Permanent("the database has no installation id; run driftline migrate first")
    return found
