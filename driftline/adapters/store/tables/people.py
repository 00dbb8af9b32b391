"""Tables about people: what they are told, who they are, what they did."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint
from sqlalchemy import text as sql

from driftline.adapters.store.columns import Id, Word
from driftline.adapters.store.tables.base import flag, identity, instant, json, metadata, text
from driftline.model.alert import Edge

alert = Table(
    "alert",
    metadata,
    identity(),
    text("subject", None),
    text("condition", None),
    text("cause"),
    instant("fired_at", nullable=False),
    instant("recovered_at"),
    instant("last_sent_at"),
    Column("count", Integer, nullable=False, default=1),
    json("facts"),
    json("threads"),
    Index(None, "fired_at"),
)
OPEN_ALERT = sql("recovered_at IS NULL")
"""People are told of a trouble once, until it is over."""
Index(
    "ix_alert_open",
    alert.c.subject,
    alert.c.condition,
    alert.c.cause,
    unique=True,
    sqlite_where=OPEN_ALERT,
    postgresql_where=OPEN_ALERT,
)

alert_slot = Table(
    "alert_slot",
    metadata,
    Column("slot", Text, primary_key=True),
    Column("alert_id", Id, ForeignKey("alert.id", ondelete="SET NULL")),
    json("state"),
    instant("updated_at", nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    identity(),
    Column("alert_id", Id, ForeignKey(alert.c.id, ondelete="CASCADE")),
    text("channel", None),
    text("recipient", None),
    Column("edge", Word(Edge), nullable=False),
    json("message"),
    text("state", None),
    Column("attempts", Integer, nullable=False, default=0),
    instant("run_at", nullable=False),
    instant("lease_until"),
    Column("fence", BigInteger, nullable=False, default=0),
    text("error"),
    text("dedupe_key", None),
    instant("created_at", nullable=False),
    instant("sent_at"),
    UniqueConstraint("dedupe_key"),
    Index(None, "alert_id"),
    Index(None, "state", "run_at"),
)

subscription = Table(
    "subscription",
    metadata,
    identity(),
    text("condition", None),
    text("scope", None),
    text("channel", None),
    text("address", None),
    text("source"),
    UniqueConstraint("source", "condition", "scope", "channel", "address"),
    Index(None, "scope", "condition"),
)

account = Table(
    "account",
    metadata,
    identity(),
    text("name", None),
    text("password_hash"),
    json("roles"),
    flag("enabled", True),
    instant("password_changed_at"),
    instant("created_at", nullable=False),
    UniqueConstraint("name"),
)

token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Id, ForeignKey(account.c.id, ondelete="CASCADE"), nullable=False),
    text("hash", None),
    text("kind", None),
    text("note"),
    json("claims"),
    instant("created_at", nullable=False),
    instant("expires_at"),
    instant("last_used_at"),
    instant("revoked_at"),
    UniqueConstraint("hash"),
    Index(None, "account_id"),
    Index(None, "expires_at"),
)

login_failure = Table(
    "login_failure",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    instant("window_start", nullable=False),
)

audit = Table(
    "audit",
    metadata,
    identity(),
    instant("at", nullable=False),
    text("actor", None),
    text("action", None),
    text("subject"),
    json("detail"),
    Index(None, "subject", "id"),
    Index(None, "at"),
)
