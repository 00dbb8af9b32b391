"""Tables of intake and work: who we are, what Git hosts told us, what is to be done."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint
from sqlalchemy import text as sql

from driftline.adapters.store.tables.base import identity, instant, json, metadata, text

installation = Table(
    "installation",
    metadata,
    Column("singleton", Integer, primary_key=True, autoincrement=False),
    text("id", None),
    instant("created_at", nullable=False),
)

delivery = Table(
    "delivery",
    metadata,
    identity(),
    text("provider", None),
    text("hook"),
    text("delivery_id", None),
    text("event"),
    text("repo_url"),
    text("ref"),
    text("outcome", None),
    text("message"),
    Column("repeats", Integer, nullable=False, default=0),
    instant("received_at", nullable=False),
    UniqueConstraint("provider", "hook", "delivery_id"),
    Index(None, "hook", "received_at"),
    Index(None, "received_at"),
)

job = Table(
    "job",
    metadata,
    identity(),
    text("kind", None),
    text("subject", None),
    text("queue", None),
    text("state", None),
    Column("wanted", Integer, nullable=False, default=1),
    Column("attempts", Integer, nullable=False, default=0),
    instant("run_at", nullable=False),
    instant("wanted_at"),
    instant("lease_until"),
    Column("lease_owner", Text),
    Column("fence", BigInteger, nullable=False, default=0),
    json("payload"),
    text("error"),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
)
OPEN = sql("state IN ('queued', 'leased')")
"""Which jobs are open: at most one per kind and subject. Must be spelled as in the index to be used by ON CONFLICT."""
Index("ix_job_open", job.c.kind, job.c.subject, unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
_QUEUED, _LEASED, _QUARANTINED = (sql(f"state = '{state}'") for state in ("queued", "leased", "quarantined"))
Index("ix_job_due", job.c.queue, job.c.run_at, sqlite_where=_QUEUED, postgresql_where=_QUEUED)
Index("ix_job_lease", job.c.lease_until, sqlite_where=_LEASED, postgresql_where=_LEASED)
Index("ix_job_quarantined", job.c.id, sqlite_where=_QUARANTINED, postgresql_where=_QUARANTINED)
Index("ix_job_subject", job.c.kind, job.c.subject, job.c.id)
Index("ix_job_updated", job.c.updated_at)

tick = Table(
    "tick",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    instant("taken_at", nullable=False),
)
