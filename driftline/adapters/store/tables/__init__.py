"""Every table, by area. Queries import their tables from here; the migrations make exactly these."""

from driftline.adapters.store.tables.applications import application, history, render, source, sync
from driftline.adapters.store.tables.base import metadata
from driftline.adapters.store.tables.edges import cluster, repository
from driftline.adapters.store.tables.objects import drift, live, managed
from driftline.adapters.store.tables.people import (
    account,
    alert,
    audit,
    login_failure,
    outbox,
    subscription,
    token,
)
from driftline.adapters.store.tables.work import delivery, installation, job, tick

__all__ = [
    "account",
    "alert",
    "application",
    "audit",
    "cluster",
    "delivery",
    "drift",
    "history",
    "installation",
    "job",
    "live",
    "login_failure",
    "managed",
    "metadata",
    "outbox",
    "render",
    "repository",
    "source",
    "subscription",
    "sync",
    "tick",
    "token",
]
