"""Tables of the outside systems: repositories and clusters."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, UniqueConstraint

from driftline.adapters.store.tables.base import flag, identity, instant, json, metadata, text

repository = Table(
    "repository",
    metadata,
    identity(),
    text("project"),
    text("kind"),
    text("url", None),
    text("url_normal", None),
    flag("is_template"),
    Column("credentials", LargeBinary),
    json("options"),
    text("hook_id", None),
    Column("hook_secret", LargeBinary),
    json("refs"),
    json("charts"),
    text("head"),
    instant("fetched_at"),
    text("state"),
    text("message"),
    instant("failing_since"),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    UniqueConstraint("project", "url_normal", "is_template"),
    UniqueConstraint("hook_id"),
    Index(None, "url_normal"),
)

cluster = Table(
    "cluster",
    metadata,
    identity(),
    text("name", None),
    text("server", None),
    text("uid"),
    Column("access", LargeBinary),
    json("options"),
    text("state"),
    text("message"),
    text("version"),
    instant("failing_since"),
    instant("checked_at"),
    Column("watch_owner", Text),
    instant("watch_lease_until"),
    instant("watch_bookmark_at"),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    UniqueConstraint("name"),
    Index(None, "server"),
    Index(None, "uid"),
)
