"""Tables of applications: what was declared, what was rendered, what was done."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, UniqueConstraint
from sqlalchemy import text as sql

from driftline.adapters.store.columns import Id, Word
from driftline.adapters.store.tables.base import flag, identity, instant, json, metadata, text
from driftline.adapters.store.tables.edges import cluster, repository
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.sync import OperationPhase

render = Table(
    "render",
    metadata,
    identity(),
    text("key", None),
    Column("sealed", LargeBinary, nullable=False),
    Column("objects", Integer, nullable=False),
    text("desired_digest"),
    instant("created_at", nullable=False),
    instant("used_at", nullable=False),
    UniqueConstraint("key"),
    Index(None, "used_at"),
)

application = Table(
    "application",
    metadata,
    identity(),
    text("name", None),
    text("project"),
    Column("parent_id", Id, ForeignKey("application.id", ondelete="SET NULL")),
    json("document"),
    text("declared_digest"),
    Column("generation", Integer, nullable=False, default=1),
    json("warnings"),
    json("labels"),
    Column("cluster_id", Id, ForeignKey(cluster.c.id)),
    text("namespace"),
    flag("deleting"),
    text("delete_mode"),
    json("deletion"),
    json("paused"),
    json("pin"),
    Column("sync_status", Word(SyncStatus), nullable=False, default=SyncStatus.UNKNOWN),
    Column("health_status", Word(HealthStatus), nullable=False, default=HealthStatus.UNKNOWN),
    text("health_message"),
    instant("health_changed_at"),
    json("revisions"),
    text("desired_digest"),
    Column("render_id", Id, ForeignKey(render.c.id)),
    json("inputs"),
    json("conditions"),
    instant("checked_at"),
    instant("verdict_until"),
    json("summary"),
    json("self_heal"),
    Column("last_sync_id", BigInteger),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    UniqueConstraint("name"),
    Index(None, "parent_id"),
    Index(None, "project", "name"),
    Index(None, "cluster_id"),
    Index(None, "verdict_until"),
    Index(None, "render_id"),
)

source = Table(
    "source",
    metadata,
    Column("application_id", Id, ForeignKey(application.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("repository_id", Id, ForeignKey(repository.c.id, ondelete="SET NULL")),
    text("url_normal", None),
    text("target_revision"),
    text("path"),
    text("tag_prefix"),
    text("chart"),
    Index(None, "repository_id"),
    Index(None, "url_normal"),
)

sync = Table(
    "sync",
    metadata,
    identity(),
    Column("application_id", Id, ForeignKey(application.c.id, ondelete="CASCADE"), nullable=False),
    Column("phase", Word(OperationPhase), nullable=False),
    text("stage"),
    text("kind", None),
    json("revisions"),
    json("request"),
    text("initiated_by"),
    flag("automated"),
    Column("plan", LargeBinary),
    json("plan_view"),
    text("plan_digest"),
    Column("wave", Integer, nullable=False, default=0),
    json("waiting"),
    json("results"),
    text("message"),
    Column("retry_count", Integer, nullable=False, default=0),
    instant("retry_at"),
    Column("render_id", Id, ForeignKey(render.c.id)),
    json("approved"),
    flag("terminate"),
    text("superseded_by"),
    instant("started_at", nullable=False),
    instant("planned_at"),
    instant("finished_at"),
    instant("deadline"),
    Column("job_id", BigInteger),
    Column("fence", BigInteger, nullable=False, default=0),
    Index(None, "application_id", "id"),
    Index(None, "render_id"),
)
OPEN_SYNC = sql("finished_at IS NULL")
"""An application has one sync at a time."""
Index("ix_sync_open", sync.c.application_id, unique=True, sqlite_where=OPEN_SYNC, postgresql_where=OPEN_SYNC)

history = Table(
    "history",
    metadata,
    Column("application_id", Id, ForeignKey(application.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    json("revisions"),
    json("sources"),
    Column("render_id", Id, ForeignKey(render.c.id)),
    Column("sync_id", BigInteger),
    instant("started_at"),
    instant("deployed_at", nullable=False),
    text("initiated_by"),
    Index(None, "render_id"),
)
