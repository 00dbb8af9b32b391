"""Tables of cluster objects: who owns each, what is live, what drifted."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy import text as sql

from driftline.adapters.store.columns import Id, Word
from driftline.adapters.store.tables.applications import application
from driftline.adapters.store.tables.base import flag, identity, instant, json, metadata, text
from driftline.adapters.store.tables.edges import cluster
from driftline.model.drift import VerdictState
from driftline.model.health import HealthStatus

managed = Table(
    "object",
    metadata,
    Column("cluster_uid", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    # No cascade: an application cannot vanish while it owns anything.
    Column("application_id", Id, ForeignKey(application.c.id), nullable=False),
    text("kind", None),
    text("namespace"),
    text("api_version"),
    text("uid"),
    Column("wave", Integer, nullable=False, default=0),
    text("state", None),
    text("desired_digest"),
    text("applied_digest"),
    json("applied_fields"),
    text("live_digest"),
    Column("verdict", Word(VerdictState), nullable=False, default=VerdictState.UNKNOWN),
    text("verdict_key"),
    instant("verdict_until"),
    text("reason"),
    Column("health_status", Word(HealthStatus), nullable=False, default=HealthStatus.UNKNOWN),
    text("health_message"),
    flag("health_relevant", True),
    json("options"),
    instant("updated_at", nullable=False),
    Index(None, "application_id"),
    Index(None, "cluster_uid", "kind", "api_version"),
)

live = Table(
    "live",
    metadata,
    Column("cluster_id", Id, ForeignKey(cluster.c.id, ondelete="CASCADE"), primary_key=True),
    Column("key_id", Text, primary_key=True),
    text("uid"),
    text("resource_version"),
    text("digest"),
    Column("health_status", Word(HealthStatus), nullable=False, default=HealthStatus.UNKNOWN),
    text("health_message"),
    flag("deleting"),
    flag("gone"),
    instant("seen_at", nullable=False),
)

drift = Table(
    "drift",
    metadata,
    identity(),
    Column("application_id", Id, ForeignKey(application.c.id, ondelete="CASCADE"), nullable=False),
    text("cluster_uid", None),
    text("key_id", None),
    text("path"),
    text("kind"),
    text("desired"),
    text("live"),
    text("manager"),
    text("operation"),
    instant("manager_at"),
    instant("last_clean_at"),
    instant("found_at", nullable=False),
    instant("ended_at"),
    text("end_reason"),
    Index(None, "application_id", "found_at"),
)
OPEN_DRIFT = sql("ended_at IS NULL")
"""A field of an object drifts in one way at a time."""
Index(
    "ix_drift_open",
    drift.c.application_id,
    drift.c.cluster_uid,
    drift.c.key_id,
    drift.c.path,
    unique=True,
    sqlite_where=OPEN_DRIFT,
    postgresql_where=OPEN_DRIFT,
)
